"""Fits the parts of one node together: the only room that sees adapters.

`build(settings)` gives a node without module globals, so that several fit in one process.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from adapters.link.https import HttpsLink, LinkFailed
from consortium.contracts import kinds as contract_kinds
from consortium.contracts.permit import PERMIT
from consortium.desk import kinds as desk_kinds
from consortium.desk.signing import ContractRows
from consortium.exchange import own_kinds, restored
from consortium.exchange.admission import Admission
from consortium.exchange.blobs import BlobStore
from consortium.exchange.caller import Caller
from consortium.exchange.courier import Courier, LinkState
from consortium.exchange.guard import HubGuard, NodeGuard, machine_id
from consortium.exchange.hubdesk import Handler, HubDesk
from consortium.exchange.identity import Identities, Identity
from consortium.exchange.inbox import Inbox
from consortium.exchange.kinds import ExchangeKind, QueryType, Registry, SubjectType
from consortium.exchange.outbox import Draft, Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.fhir import message as messages
from consortium.jobs.scheduler import Job, Scheduler
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from consortium.ledger import journal, publisher
from consortium.ledger.keys import LogKey, load_log_key
from consortium.members import directory, lists
from consortium.members import kinds as member_kinds
from consortium.members.keyring import Keyring
from consortium.members.keys import KeyFolder
from consortium.members.seal import Seals
from consortium.ports import Clock, Link, LinkDown, Reply
from consortium.records import kinds as record_kinds
from consortium.referrals import kinds as referral_kinds
from consortium.scheduling import kinds as scheduling_kinds
from consortium.settings import NodeRole, Settings
from consortium.teleconsult import kinds as teleconsult_kinds
from consortium.upkeep import service as upkeep
from consortium.web.wake import Broadcaster

_ROOMS = (
    own_kinds,
    member_kinds,
    contract_kinds,
    desk_kinds,
    scheduling_kinds,
    record_kinds,
    referral_kinds,
    teleconsult_kinds,
)
POLICY_FILE = "policy"
LOG_KEY_FILE = "log.key"


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class HttpLink:
    """The port `Link` over HTTP(S)."""

    def __init__(self, base_url: str, *, timeout_s: float) -> None:
        self._link = HttpsLink(base_url, timeout_s=timeout_s)

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            answer = self._link.post(path, body, headers)
        except LinkFailed as fault:
            raise LinkDown(str(fault)) from fault
        return Reply(answer.status, answer.body, answer.headers)

    def close(self) -> None:
        self._link.close()


class InProcessLink:
    """The port `Link` of the hub's own members: the same desk, without a network."""

    def __init__(self, desk: HubDesk) -> None:
        self._desk = desk

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return self._desk.handle(path, body)


class Nudge:
    """A wake-up that reaches event streams and the scheduler."""

    def __init__(self, streams: Broadcaster) -> None:
        self._streams = streams
        self.scheduler: Scheduler | None = None

    def notify(self) -> None:
        self._streams.notify()
        if self.scheduler is not None:
            self.scheduler.notify()


def registry() -> Registry:
    """Every kind and family of subjects of this program, with the contract check."""
    kinds: list[ExchangeKind] = []
    subjects: list[SubjectType] = []
    for room in _ROOMS:
        kinds += contract_kinds.kinds(ContractRows()) if room is contract_kinds else room.KINDS
        subjects += getattr(room, "SUBJECTS", ())
    return Registry(kinds, subjects, PERMIT)


def queries() -> dict[str, QueryType]:
    """Every signed read that the hub answers."""
    found: Iterable[QueryType] = (
        query for room in _ROOMS for query in getattr(room, "QUERIES", ())
    )
    return {query.name: query for query in found}


@dataclass(slots=True)
class Hub:
    """What only the hub's installation has."""

    admission: Admission
    desk: HubDesk
    guard: HubGuard
    log: LogKey


@dataclass(slots=True)
class Node:
    """One node, built. `scheduler` is not started; `close` releases everything."""

    settings: Settings
    database: Database
    clock: Clock
    registry: Registry
    identities: Identities
    keys: KeyFolder
    seals: Seals
    keyring: Keyring
    store: BlobStore
    wake: Broadcaster
    nudge: Nudge
    post: Post
    policy: bytes
    hub: Hub | None = None
    couriers: dict[str, Courier] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)
    scheduler: Scheduler | None = None
    links: list[HttpLink] = field(default_factory=list)
    link: Link | None = None

    @property
    def id(self) -> str:
        """The node id; at the hub the consortium's, whose node signs for the hub."""
        first = HUB_MEMBER if self.hub is not None else next(iter(self.identities.by_member))
        return self.identities.of(first).node

    @property
    def desk(self) -> HubDesk | None:
        return self.hub.desk if self.hub is not None else None

    def link_state(self, member: str) -> LinkState:
        """How the link of a local member's courier is."""
        return self.couriers[member].state

    def member_name(self, session: Session, member: str) -> str:
        """A member's name as its directory entry tells it; the id where there is none."""
        return directory.name(session, member)

    def sync(self, now: datetime) -> int:
        """Run every courier once; gives how many exchanges were moved."""
        moved = 0
        for courier in self.couriers.values():
            done = courier.run_once(now)
            moved += done.pushed + done.pulled
        return moved

    def deliver_keys(self, _now: datetime) -> int:
        """Carry lists of person keys that a head confirmed to the hub."""
        return lists.deliver(self.database, self.link) if self.link is not None else 0

    def back_up(self, now: datetime) -> None:
        """Write the night's backup if it is due."""
        if self.hub is None:
            upkeep.nightly(self.settings, self.database, now=now)
        else:
            upkeep.hub_nightly(
                self.settings, self.database, post=self.post, guard=self.hub.guard, now=now
            )

    def publish(self, now: datetime) -> None:
        """Publish checkpoints until all leaves are covered."""
        if self.hub is None:
            return
        while publisher.publish(self.database, self.hub.log, self.hub.guard, now=now) is not None:
            self.nudge.notify()

    def close(self) -> None:
        """Stop jobs, end threads and connections."""
        if self.scheduler is not None:
            self.scheduler.stop()
        for link in self.links:
            link.close()
        if self.hub is not None:
            self.hub.admission.close()
            self.hub.guard.close()
        self.database.close()


def build(
    settings: Settings, *, clock: Clock | None = None, link: Link | None = None
) -> Node:
    """A node from its settings, its folder of keys and its database; nothing runs yet.

    Args:
        clock: the machine's own unless given (simulation, seeding).
        link: a workstation's way to its hub; HTTP(S) to `hub_url` unless given.
    """
    clock = clock or SystemClock()
    database = Database(settings.database_url)
    kinds = registry()
    keys = KeyFolder(settings.home)
    identities = local_identities(settings, keys)
    wake = Broadcaster()
    nudge = Nudge(wake)
    callers: dict[str, Caller] = {}

    def ask(member: str, name: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        return callers[member].query(name, dict(params))

    post = Post(kinds, identities, wake=nudge, query=ask)
    node = Node(
        settings=settings,
        database=database,
        clock=clock,
        registry=kinds,
        identities=identities,
        keys=keys,
        seals=Seals(settings.home),
        keyring=Keyring(),
        store=BlobStore(settings.home / "blobs"),
        wake=wake,
        nudge=nudge,
        post=post,
        policy=_read_policy(settings),
        callers=callers,
    )
    if settings.role is NodeRole.HUB and identities.members:
        node.hub = _hub(node)
    _connect(node, link)
    node.scheduler = Scheduler(
        database, _timetable(node), clock=clock, period_s=settings.sync_period_s
    )
    nudge.scheduler = node.scheduler
    return node


def local_identities(settings: Settings, keys: KeyFolder) -> Identities:
    """The members whose node keys lie in this installation, each with its guard."""
    found: dict[str, Identity] = {}
    for member in keys.members():
        signer = keys.node(member)
        guard = NodeGuard(
            signer.key_id,
            inside=settings.home / "guard",
            outside=settings.guard_dir,
            machine=machine_id(),
        )
        unseal = (keys.sealing(member).identity,)
        found[member] = Identity(member, signer.key_id, signer, unseal, guard)
    return Identities(found)


def _read_policy(settings: Settings) -> bytes:
    path = settings.home / POLICY_FILE
    return path.read_bytes() if path.exists() else b""


def _hub(node: Node) -> Hub:
    identity = node.identities.of(HUB_MEMBER)
    guard = HubGuard(node.settings.guard_dir, name=f"hub-{identity.node}")
    admission = Admission(
        node.database, node.registry, clock=node.clock, guard=guard, wake=node.nudge
    )

    def suspend(first: bytes, second: bytes, *, now: datetime) -> None:
        _suspend(node, first, second, now=now)

    admission.on_fork = suspend
    desk = HubDesk(
        node.database,
        admission,
        clock=node.clock,
        hub=identity,
        store=node.store,
        queries=queries(),
        more=_joining(node),
    )
    return Hub(admission, desk, guard, load_log_key(node.settings.home / LOG_KEY_FILE))


def _suspend(node: Node, first: bytes, second: bytes, *, now: datetime) -> None:
    """The hub's node ends a key that signed two histories, with both as evidence (PROTOCOL 2)."""
    from consortium.exchange import jws

    one = jws.parse(first)
    exchange = new_id(now)
    evidence = {"first": first.decode(), "second": second.decode()}
    facts = {
        "node": one.header.node,
        "first": jws.digest_text(first),
        "second": jws.digest_text(second),
    }
    body = messages.build(
        "node.suspend",
        source=HUB_MEMBER,
        destinations=(),
        resources=[messages.parameters(**facts), messages.json_part("evidence", evidence)],
        exchange_id=exchange,
        now=now,
    )
    draft = Draft(id=exchange, kind="node.suspend/1", sender=HUB_MEMBER, to=("all",), body=body)
    with node.database.write() as session:
        if node.post.preview(session, draft, now=now) is None:
            node.post.send(session, draft, now=now)


def _joining(node: Node) -> dict[str, Handler]:
    """Handlers of the members room for joining and for lists of person keys."""
    from consortium.members import setup

    return setup.handlers(node)


def _link_of(node: Node) -> Link:
    if node.hub is not None:
        return InProcessLink(node.hub.desk)
    https = HttpLink(node.settings.hub_url, timeout_s=node.settings.link_timeout_s)
    node.links.append(https)
    return https


def _connect(node: Node, given: Link | None) -> None:
    """A courier and a caller for each local member."""
    link = given or _link_of(node)
    node.link = link
    for member, identity in node.identities.by_member.items():
        node.callers[member] = Caller(identity, link, node.clock)
        node.couriers[member] = Courier(
            database=node.database,
            identity=identity,
            post=node.post,
            inbox=Inbox(node.registry, node.post, folds=node.hub is None),
            caller=Caller(identity, link, node.clock),
            store=node.store,
            clock=node.clock,
            wake=node.wake,
            policy=node.policy,
        )


def _timetable(node: Node) -> list[Job]:
    """What runs by itself, in the order in which one run helps the next."""
    period = timedelta(seconds=node.settings.sync_period_s)
    hourly = timedelta(minutes=15)
    jobs = [
        Job("keys", node.deliver_keys, every=period, on_wake=True),
        Job("deliver", node.sync, every=period, on_wake=True),
    ]
    if node.hub is not None:
        jobs.append(Job("publish", node.publish, every=timedelta(seconds=0.5), on_wake=True))
    jobs.append(Job("backup", node.back_up, every=hourly))
    return jobs


def start_checks(node: Node) -> Mapping[str, str]:
    """Compare guards and tail of the ledger at start; gives why a local node may not sign.

    Raises:
        Refusal: `ledger.damaged`, or `exchange.behind_guard` when the hub's database is smaller
            than its guard: it was restored, and must be recovered first (PROTOCOL 5).
    """
    with node.database.write() as session:
        reasons = {
            member: restored.check_at_start(session, identity)
            for member, identity in node.identities.by_member.items()
        }
    if node.hub is not None:
        with node.database.read() as session:
            publisher.check_tail(session)
            size = journal.size(session)
        refuse_behind_guard(size, node.hub.guard.size())
    return {member: reason for member, reason in reasons.items() if reason}


def refuse_behind_guard(size: int, kept: int) -> None:
    """Refuse to serve a ledger that is smaller than what its guard has seen."""
    if size < kept:
        from consortium.kernel.errors import Refusal, RefusalKind

        raise Refusal(RefusalKind.UNAVAILABLE, "exchange.behind_guard", size=size, kept=kept)

