"""One node with an outbox and what it must know of others; no hub anywhere."""

from pathlib import Path

from sqlalchemy.orm import Session

from consortium.exchange import state
from consortium.exchange.commitment import b64
from consortium.exchange.guard import NodeGuard
from consortium.exchange.identity import Identities, Identity
from consortium.exchange.outbox import Draft, Post, Queued
from consortium.exchange.sealing import new_identity
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from tests.consortium.exchange.files import documents
from tests.consortium.exchange.kinds import registry
from tests.consortium.exchange.world import KeyInMemory, Quiet
from tests.support.clock import VirtualClock

OTHERS = ("consortium", "lead", "a", "b")


class Sender:
    """Member `a` on a database of its own (or `lead` and `consortium` on one, as at the hub)."""

    def __init__(self, database: Database, folder: Path, *members: str) -> None:
        self.database = database
        self.folder = folder
        self.clock = VirtualClock()
        self.wake = Quiet()
        self.identities: dict[str, Identity] = {}
        with database.write() as session:
            for name in OTHERS:
                self._know(session, name, own=name in (members or ("a",)))
        self.post = Post(
            registry(), Identities(self.identities), wake=self.wake, query=lambda *_: None
        )

    def _know(self, session: Session, name: str, *, own: bool) -> None:
        node = f"{name}-1"
        key = KeyInMemory(node, name.encode().ljust(32))
        secret, public = new_identity()
        record = {
            "member": name, "use": "node", "alg": "Ed25519", "public": b64(key.public),
            "from": 0, "until": None,
        }  # fmt: skip
        member = {"state": "joined", "sealing": public, "recovery": ""}
        state.write(
            session, {f"key:{node}": (record, 0), f"member:{name}": (member, 0)}, frozenset()
        )
        if own:
            guard = NodeGuard(
                node, inside=self.folder / "in", outside=self.folder / "out", machine="m1"
            )
            guard.advance({})
            self.identities[name] = Identity(name, node, key, (secret,), guard)

    def draft(
        self, kind: str = "test.open/1", to: tuple[str, ...] = ("b",), *, sender: str = "a",
        case: str = "", exchange: str = "", attachments: tuple[str, ...] = (), **facts: object,
    ) -> Draft:  # fmt: skip
        if kind == "test.open/1":
            facts = {"urgency": "routine", **facts}
        exchange = exchange or new_id(self.clock.now())
        with self.database.read() as session:
            along = documents(session, attachments)
        body = messages.build(
            kind.partition("/")[0], source=sender, destinations=() if to == ("all",) else to,
            resources=[messages.parameters(**facts), *along], exchange_id=exchange,
            now=self.clock.now(),
        )  # fmt: skip
        return Draft(id=exchange, kind=kind, sender=sender, to=to, body=body, case=case)

    def send(self, *drafts: Draft) -> list[Queued]:
        """Send all in one transaction."""
        with self.database.write() as session:
            return [self.post.send(session, one, now=self.clock.now()) for one in drafts]

    def open(self, case: str, *, urgency: str = "routine") -> Queued:
        return self.send(self.draft(case=case, urgency=urgency))[0]

    def say(self, case: str) -> Queued:
        return self.send(self.draft("test.say/1", case=case, close=False))[0]
