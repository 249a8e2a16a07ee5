"""Admission: referrals of a clinic under its signed contract, judged in full, on both databases.

Every exchange opens a case, takes from a monthly quota and carries a sealed body of 2 KB. Signing
is the sender's work and is done before the clock runs. The limit is what the same two cores verify
in signatures, measured before and after.
"""

import itertools
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.cli.demo_contract import make_contract
from consortium.cli.demo_people import LEAD, SERVICES, SHIQIAO
from consortium.cli.demo_world import DemoWorld, found
from consortium.exchange import commitment, jws
from consortium.exchange.answers import Answer, Status
from consortium.exchange.envelope import Envelope
from consortium.exchange.header import Header, Lane
from consortium.exchange.outbox import minute
from consortium.exchange.sealing import new_identity, seal
from consortium.exchange.tables import OwnHeadRow
from consortium.kernel.ids import new_id
from consortium.wiring import Node
from tests.bench.measure import Measure, rate
from tests.support.cheap import least_cost
from tests.support.postgres import PostgresServer

BATCH = 64
BODY_BYTES = 2048
GOAL = 0.45
_IN_PROCESS = 160
_QUOTA = 100_000


@dataclass
class Referrals:
    """Requests of one clinic without end, each the next of its node's routine lane."""

    node: Node
    contract: str
    member: str = SHIQIAO

    def __post_init__(self) -> None:
        identity = self.node.identities.of(self.member)
        self._kid, self._signer = identity.node, identity.signer
        with self.node.database.read() as session:
            head = session.get(OwnHeadRow, (self._kid, Lane.ROUTINE.value))
            self._seq, self._prev = (head.seq, head.hash) if head else (0, jws.FIRST_PREV)
        recipients = [new_identity()[1] for _ in range(4)]
        empty = len(seal(b"", recipients))
        self._body = seal(commitment.new_salt() * ((BODY_BYTES - empty) // 32), recipients)
        self._service = itertools.cycle(SERVICES)

    def next(self, count: int, *, now: datetime) -> list[bytes]:
        """Packed envelopes."""
        return [self._one(now) for _ in range(count)]

    def _one(self, now: datetime) -> bytes:
        told = {
            "urgency": "routine", "service": next(self._service), "consent": "explicit",
            "types": ["Condition", "Observation", "Patient"], "filled": 12,
        }  # fmt: skip
        facts = commitment.facts_bytes(told, commitment.new_salt())
        self._seq += 1
        exchange = new_id(now)
        header = Header(
            id=exchange, kind="referral.request/1", sender=self.member, to=(LEAD,), node=self._kid,
            lane=Lane.ROUTINE, seq=self._seq, prev=self._prev, case=exchange, at=minute(now),
            contract=self.contract, purpose="TREAT", facts=commitment.commit_facts(facts),
            body=commitment.commit_facts(facts),
        )  # fmt: skip
        raw = jws.sign(header, self._signer)
        self._prev = jws.digest_text(raw)
        return Envelope(raw, facts, self._body).pack()


def verify_rate(*, seconds: float = 1.0) -> float:
    """Ed25519 verifications a second on two threads: what admission cannot be faster than."""
    key = Ed25519PrivateKey.generate()
    public, message = key.public_key(), bytes(900)
    signature = key.sign(message)

    def half(results: list[float]) -> None:
        def some() -> int:
            for _ in range(200):
                public.verify(signature, message)
            return 200

        results.append(rate(some, seconds=seconds))

    results: list[float] = []
    threads = [threading.Thread(target=half, args=(results,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(results)


def check(answers: list[Answer]) -> int:
    """How many there are; ValueError unless each has its leaf and is admitted."""
    for answer in answers:
        if answer.status is not Status.LEAF or " ok v1 " not in answer.leaf:
            raise ValueError(f"not admitted: {answer.status} {answer.leaf[:60]}")
    return len(answers)


def founded(folder: Path, *, hub_database: str = "", port: int = 8000) -> tuple[DemoWorld, str]:
    """The demo's consortium and the id of the clinic's contract."""
    start = datetime.now(UTC) - timedelta(minutes=20)
    with least_cost():
        world = found(folder / "world", port=port, start=start, hub_database=hub_database)
        return world, make_contract(world, referrals=_QUOTA)


def _in_process(folder: Path, name: str, url: str) -> Iterator[Measure]:
    world, contract = founded(folder / name, hub_database=url)
    try:
        hub = world.hub.hub
        if hub is None:
            raise ValueError("the demo's hub is a hub")
        sender = Referrals(world.beside[SHIQIAO], contract)
        batches = [sender.next(BATCH, now=world.clock.now()) for _ in range(_IN_PROCESS)]
        supply = iter(batches)

        def admit() -> int:
            return check(hub.admission.admit(batch)) if (batch := next(supply, None)) else 0

        before = verify_rate()
        value = rate(admit, seconds=4.0)
        limit = (before + verify_rate()) / 2
    finally:
        world.close()
    yield Measure(f"admission.batch.{name}", value, "1/s", "ed25519.verify.2", limit, goal=GOAL)


def run() -> Iterator[Measure]:
    """In process on both databases."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        server = PostgresServer(durable=True)
        stack.callback(server.stop)
        yield from _in_process(folder, "sqlite", "")
        yield from _in_process(folder, "postgres", server.url(server.create()))
