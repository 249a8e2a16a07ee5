"""A whole consortium in one process: a hub with two members and workstations, over links that
lose, double, delay and cut. The code that runs is the product's own."""

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.exchange import beginning, forks, heads_hub, heads_kind, outqueue, restored
from consortium.exchange.admission import Admission
from consortium.exchange.asking import Asking
from consortium.exchange.blobs import BlobStore
from consortium.exchange.caller import Caller
from consortium.exchange.commitment import b64
from consortium.exchange.courier import Courier
from consortium.exchange.guard import NodeGuard, WitnessGuard
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.hubdesk import HubDesk
from consortium.exchange.identity import Identities, Identity, WitnessPart
from consortium.exchange.inbox import Inbox
from consortium.exchange.kinds import Registry
from consortium.exchange.links import Done
from consortium.exchange.mirror import Mirror
from consortium.exchange.mirrorpages import MirrorPages
from consortium.exchange.outbox import Draft, Post, Queued
from consortium.exchange.sealing import new_identity
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from consortium.ledger import journal, publisher, receipts
from consortium.ledger.keys import LogKey, make_log_key
from consortium.ports import LinkDown, Reply
from tests.consortium.exchange.files import documents
from tests.consortium.exchange.kinds import MIRROR, registry
from tests.support.clock import VirtualClock

HUB, LEAD = "consortium", "lead"


class KeyInMemory:
    """An Ed25519 key of a test node."""

    def __init__(self, key_id: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.key_id = key_id

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class Quiet:
    """A wake-up that counts."""

    def __init__(self) -> None:
        self.times = 0

    def notify(self) -> None:
        self.times += 1


class Link:
    """A link with faults, each with its chance; `cut` is a cut that lasts.

    What breaks at the hub is no answer here, as over HTTP. `replay` sends old requests again.
    """

    def __init__(self, desk: HubDesk, rng: random.Random) -> None:
        self.desk = desk
        self.rng = rng
        self.cut = False
        self.lose_request = 0.0
        self.lose_answer = 0.0
        self.double = 0.0
        self.calls = 0
        self.earlier: list[tuple[str, bytes]] = []

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.calls += 1
        if self.cut or self.rng.random() < self.lose_request:
            raise LinkDown
        if self.earlier and self.rng.random() < self.double:
            self.replay()
        reply = self._handled(path, body)
        self.earlier = [*self.earlier[-40:], (path, body)]
        if self.rng.random() < self.lose_answer:
            raise LinkDown
        return reply

    def replay(self) -> None:
        """Some network gives the hub an old request once more."""
        if self.earlier:
            with suppress(LinkDown):
                self._handled(*self.rng.choice(self.earlier))

    def _handled(self, path: str, body: bytes) -> Reply:
        try:
            return self.desk.handle(path, body)
        except OSError as broken:
            raise LinkDown from broken


class Member:
    """One member's node parts: at the hub two of them share a database."""

    def __init__(
        self, name: str, database: Database, folder: Path, *, kinds: Registry, clock: VirtualClock,
        identity: Identity, identities: Identities, hub: bool,
    ) -> None:  # fmt: skip
        self.name = name
        self.database = database
        self.identity = identity
        self.clock = clock
        self.wake = Quiet()
        self.post = Post(kinds, identities, wake=self.wake, query=lambda *_: None)
        self.inbox = Inbox(kinds, self.post, folds=not hub)
        self.store = BlobStore(folder / "blobs")
        self.courier: Courier | None = None
        self.mirror: Mirror | None = None

    def keep_ledger(self, kinds: Registry) -> None:
        """Be a mirror's node: the replay folds, and the inbox waits for it."""
        with self.database.write() as session:
            journal.create(session)
        self.inbox = Inbox(kinds, self.post, folds=False, upto=beginning.judged)
        self.mirror = Mirror(
            self.database, kinds, Caller(self.identity, self.link, self.clock), self.policy
        )

    def connect(self, link: Link, policy: bytes) -> None:
        self.link, self.policy = link, policy
        if self.mirror is not None:
            self.mirror.caller = Caller(self.identity, link, self.clock)
        self.courier = Courier(
            database=self.database, identity=self.identity, post=self.post, inbox=self.inbox,
            caller=Caller(self.identity, link, self.clock), store=self.store, clock=self.clock,
            wake=self.wake, policy=policy,
        )  # fmt: skip

    def send(
        self, kind: str, to: tuple[str, ...], *, case: str = "", exchange: str = "",
        attachments: tuple[str, ...] = (), **facts: object,
    ) -> Queued:  # fmt: skip
        now = self.clock.now()
        exchange = exchange or new_id(now)
        with self.database.read() as session:
            along = documents(session, attachments)
        body = messages.build(
            kind.partition("/")[0], source=self.name, destinations=() if to == ("all",) else to,
            resources=[messages.parameters(**facts), *along], exchange_id=exchange, now=now,
        )  # fmt: skip
        draft = Draft(id=exchange, kind=kind, sender=self.name, to=to, body=body, case=case)
        with self.database.write() as session:
            return self.post.send(session, draft, now=now)

    def sync(self) -> Done:
        assert self.courier is not None
        if self.mirror is not None:
            self.mirror.run_once(self.clock.now())
        return self.courier.run_once(self.clock.now())


class World:
    """A hub and its members, all with their keys on the ledger."""

    def __init__(
        self, folder: Path, make: Callable[[], Database], clinics: tuple[str, ...] = ("a", "b"), *,
        seed: int = 1, witnesses: bool = False, mirror: bool = False,
    ) -> None:  # fmt: skip
        self.rng = random.Random(seed)
        self.opened: list[Database] = []
        self.witnesses = clinics if witnesses else ()
        self.clock = VirtualClock()
        self.folder = folder
        self.registry = registry()
        self.hub_database = make()
        self.hub_guard = HubGuard(folder / "hub-guard")
        self.log: LogKey = make_log_key(folder / "log.key", origin="hub.test/ledger")
        self.policy = receipts.policy_text(self.log.vkey)
        names = (HUB, LEAD, *clinics)
        self.identities = {name: self._identity(name) for name in names}
        hub = Identities({name: self.identities[name] for name in (HUB, LEAD)})
        self.members: dict[str, Member] = {}
        self.clinics = clinics
        self.databases: dict[str, Database] = {HUB: self.hub_database, LEAD: self.hub_database}
        for name in names:
            at_hub = name in (HUB, LEAD)
            self.databases.setdefault(name, self.hub_database if at_hub else make())
            self.members[name] = Member(
                name, self.databases[name], folder / name, kinds=self.registry, clock=self.clock,
                identity=self.identities[name],
                identities=hub if at_hub else Identities({name: self.identities[name]}),
                hub=at_hub,
            )  # fmt: skip
        with self.hub_database.write() as session:
            journal.create(session)
        self.start_hub()
        if mirror:
            self.members[MIRROR].keep_ledger(self.registry)
            self.members[MIRROR].connect(self.members[MIRROR].link, self.policy)
        self._seed()

    def _identity(self, name: str) -> Identity:
        node = f"{name}-1"
        signer = KeyInMemory(node, self.rng.randbytes(32))
        secret, public = new_identity()
        self.sealing = {**getattr(self, "sealing", {}), name: public}
        guard = NodeGuard(
            node, inside=self.folder / name, outside=self.folder / "guards", machine="m1"
        )
        guard.advance({})
        part = None
        if name in self.witnesses:
            own = WitnessGuard(node, inside=self.folder / name, outside=self.folder / "guards")
            part = WitnessPart(KeyInMemory(f"{name}-w", self.rng.randbytes(32)), own)
        return Identity(name, node, signer, (secret,), guard, part)

    def start_hub(self) -> None:
        """Start, or start again after a kill: everything in memory is new."""
        self.clock.advance(seconds=1)
        with self.hub_database.write() as session:
            journal.confirm_clock(session, first="p1", second="p2", now=self.clock.now())
        self.admission = Admission(
            self.hub_database, self.registry, clock=self.clock, guard=self.hub_guard,
            wake=Quiet(), on_fork=partial(forks.suspend, self.hub_database, self.members[HUB].post),
        )  # fmt: skip
        self.desk = HubDesk(
            self.hub_database, self.admission, clock=self.clock, hub=self.identities[HUB],
            store=BlobStore(self.folder / HUB / "blobs"),
            queries={one.name: one for one in heads_kind.QUERIES}, more={},
            mirrors=MirrorPages(self.registry, "regulator"),
        )  # fmt: skip
        self.desk.asking = Asking(
            self.hub_database, self.registry, clock=self.clock, rules=lambda: [self.policy],
            wake=Quiet(),
        )  # fmt: skip
        for name, member in self.members.items():
            seed = random.Random(self.rng.random())
            old: Link | None = getattr(member, "link", None)
            link = Link(self.desk, seed)
            if old is not None and name not in (HUB, LEAD):
                link.cut, link.lose_request = old.cut, old.lose_request
                link.earlier = old.earlier
                link.lose_answer, link.double = old.lose_answer, old.double
            member.connect(link, self.policy)

    def _seed(self) -> None:
        nodes = {name: b64(one.signer.public) for name, one in self.identities.items()}
        facts: dict[str, object] = {"nodes": nodes, "sealing": self.sealing}
        if self.witnesses:
            facts["witnesses"] = {
                name: b64(part.signer.public)
                for name, one in self.identities.items()
                if (part := one.witness) is not None
            }
        now = self.clock.now()
        exchange = new_id(now)
        body = messages.build(
            "test.seed", source=HUB, destinations=(), exchange_id=exchange, now=now,
            resources=[messages.json_part("seed", facts)],
        )  # fmt: skip
        draft = Draft(id=exchange, kind="test.seed/1", sender=HUB, to=("all",), body=body)
        member = self.members[HUB]
        with self.hub_database.write() as session:
            member.post.send(session, draft, now=now)
        # before entry 0 there is no key by which the hub could know its own node's request
        with self.hub_database.read() as session:
            rows = outqueue.next_batch(session, member.identity.node, now=now)
            packed = [outqueue.envelope_of(row).pack() for row in rows]
        self.admission.admit(packed)
        self.settle()

    def publish(self) -> None:
        while publisher.publish(self.hub_database, self.log, self.hub_guard, now=self.clock.now()):
            pass

    def say_heads(self) -> bool:
        """The hub says where every feed stands, if it is time; its members and all others hear."""
        if self.restored(HUB):
            return False  # its job is refused, as every act of a restored node
        said = heads_hub.send(self.hub_database, self.members[HUB].post, now=self.clock.now())
        if said:
            self.members[HUB].sync()
            self.publish()
        return said

    def settle(self, rounds: int = 12, *, heads: bool = False) -> None:
        """Let everybody sync until nothing moves any more; with the hub's hourly job if `heads`."""
        self.publish()
        for _ in range(rounds):
            self.clock.advance(seconds=400)
            moved = 0
            for member in self.members.values():
                done = member.sync()
                moved += done.pushed + done.pulled + done.receipts
            if heads:
                moved += self.say_heads()
            self.publish()
            if not moved:
                return
        raise AssertionError("the consortium does not come to rest")

    def close(self) -> None:
        """Close what was opened beside the databases that were given."""
        for database in self.opened:
            database.close()

    def heal(self) -> None:
        for member in self.members.values():
            link = member.link
            link.cut = False
            link.lose_request = link.lose_answer = link.double = 0.0

    def restored(self, name: str) -> str:
        with self.databases[name].read() as session:
            return restored.reason(session, self.identities[name].node)
