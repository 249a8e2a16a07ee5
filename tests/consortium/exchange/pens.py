"""A hub's admission alone, and pens that sign whatever a test wants, right or wrong.

Much faster than a whole world, and able to sign what the product's own outbox never would.
"""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consortium.exchange import commitment, jws, state
from consortium.exchange.admission import Admission
from consortium.exchange.answers import Answer
from consortium.exchange.commitment import b64
from consortium.exchange.envelope import Envelope, unpack
from consortium.exchange.header import Header, Lane
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.jws import FIRST_PREV
from consortium.exchange.kinds import Registry
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.ledger import journal
from tests.consortium.exchange.kinds import registry
from tests.consortium.exchange.world import KeyInMemory, Quiet
from tests.support.clock import START, VirtualClock

NAMES = ("consortium", "lead", "a", "b")
SEALED = b"age-encryption.org/v1\n-> not for this test"
"""A body that looks sealed: admission never opens one."""


@dataclass
class Pen:
    """One node that signs: by itself each exchange follows the one before it in its lane."""

    member: str
    node: str = ""
    rng: random.Random = field(default_factory=lambda: random.Random(5))
    heads: dict[Lane, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.node = self.node or f"{self.member}-1"
        self.key = KeyInMemory(self.node, hashlib.sha256(self.node.encode()).digest())
        self._made = 0

    def copy(self) -> "Pen":
        """A clone: the same key, standing where this one stands now."""
        other = Pen(self.member, self.node, random.Random(6), dict(self.heads))
        other._made = self._made
        return other

    def new_id(self) -> str:
        self._made += 1
        return f"{self.node}-x{self._made}"

    def write(
        self, kind: str, to: Sequence[str] = ("lead",), *, facts: Mapping[str, Any] | None = None,
        body: bytes = SEALED, lane: Lane = Lane.ROUTINE, **more: Any,
    ) -> bytes:  # fmt: skip
        """An envelope. `more` are fields of the header.

        With `open_bundle` the body is open; with `bundle` and `body_salt` the header commits to
        what `body` holds sealed.
        """
        salt = self.rng.randbytes(32)
        sent = commitment.facts_bytes(dict(facts or {}), salt)
        bundle = more.pop("bundle", b"x")
        if (plain := more.pop("open_bundle", None)) is not None:
            bundle, body = plain, commitment.plain_body(plain, salt)
        committed = commitment.commit_body(bundle, more.pop("body_salt", salt))
        seq, prev = self.heads.get(lane, (0, FIRST_PREV))
        fields: dict[str, Any] = {
            "id": more.pop("id", "") or self.new_id(), "kind": kind, "sender": self.member,
            "to": tuple(to), "node": self.node, "lane": lane, "seq": seq + 1, "prev": prev,
            "at": "2026-11-24T01:00Z", "facts": commitment.commit_facts(sent), "body": committed,
        }  # fmt: skip
        header = Header(**{**fields, **more})
        raw = jws.sign(header, self.key)
        if header.seq == seq + 1:
            self.heads[lane] = (header.seq, jws.digest_text(raw))
        return Envelope(raw, sent, body).pack()

    def open(self, case: str, to: str = "lead", **more: Any) -> bytes:
        """Opens a case; without wishes a routine one."""
        urgency = more.pop("urgency", "routine")
        lane = Lane.URGENT if urgency == "urgent" else Lane.ROUTINE
        return self.write(
            "test.open/1", (to,), case=case, facts={"urgency": urgency}, lane=lane, **more
        )

    def say(self, case: str, to: str = "lead", *, close: bool = False, **more: Any) -> bytes:
        return self.write("test.say/1", (to,), case=case, facts={"close": close}, **more)

    def claim(self, case: str, thing: str, **more: Any) -> bytes:
        return self.write("test.claim/1", case=case, facts={"thing": thing}, **more)


class Hub:
    """Admission over a database, with every pen's key on the ledger by entry 0."""

    def __init__(
        self, database: Database, folder: Path, names: Iterable[str] = NAMES, *,
        kinds: Registry | None = None, clock: VirtualClock | None = None,
    ) -> None:  # fmt: skip
        self.database = database
        self.clock = clock or VirtualClock()
        self.registry = kinds or registry()
        self.guard = HubGuard(folder / "hub-guard")
        self.pens = {name: Pen(name) for name in names}
        self.forks: list[tuple[bytes, bytes]] = []
        with database.write() as session:
            journal.create(session)
        self.start()
        [answer] = self.admit(self.seed())
        assert answer.index == 0, answer

    @classmethod
    def beside(cls, other: "Hub", folder: Path) -> "Hub":
        """A second process over the same database, with a guard file of its own."""
        made = cls.__new__(cls)
        made.database, made.clock, made.registry = other.database, other.clock, other.registry
        made.guard, made.pens, made.forks = HubGuard(folder), other.pens, []
        made.start()
        return made

    def start(self) -> None:
        self.admission = Admission(
            self.database, self.registry, clock=self.clock, guard=self.guard, wake=Quiet(),
            on_fork=lambda first, second, now: self.forks.append((first, second)),
        )  # fmt: skip

    def seed(self) -> bytes:
        facts = {
            "nodes": {name: b64(pen.key.public) for name, pen in self.pens.items()},
            "sealing": dict.fromkeys(self.pens, "age1x"),
        }
        bundle = messages.build(
            "test.seed", source="consortium", destinations=(), exchange_id="seed", now=START,
            resources=[messages.json_part("seed", facts)],
        )  # fmt: skip
        return self.pens["consortium"].write(
            "test.seed/1", ("all",), id="seed", facts=facts, open_bundle=bundle, lane=Lane.CONTROL
        )

    def admit(self, *raws: bytes, final: Iterable[str] = ()) -> list[Answer]:
        self.clock.advance(seconds=1)
        return self.admission.admit(raws, final=frozenset(final))

    def verdicts(self, *raws: bytes) -> list[str]:
        """Verdicts of the leaves; the status of what got none."""
        return [verdict(answer) for answer in self.admit(*raws)]

    def value(self, name: str) -> dict[str, Any] | None:
        with self.database.read() as session:
            return state.read(session, name)

    def size(self) -> int:
        with self.database.read() as session:
            return journal.size(session)

    def close(self) -> None:
        self.admission.close()
        self.guard.close()


def verdict(answer: Answer) -> str:
    if not answer.leaf:
        return answer.status.value
    return journal.read_leaf(answer.leaf.encode()).verdict


def header_of(raw: bytes) -> Header:
    return jws.parse(unpack(raw).jws).header


def digest_of(raw: bytes) -> str:
    return jws.digest_text(unpack(raw).jws)
