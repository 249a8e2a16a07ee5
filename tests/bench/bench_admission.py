"""Admission: referrals of a clinic under its signed contract, judged in full, on both databases.

Every exchange opens a case, takes from a monthly quota and carries a sealed body of 2 KB. Signing
is the sender's work and is done before the clock runs. The limit is what the same two cores verify
in signatures, measured before and after.
"""

import http.client
import itertools
import multiprocessing
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.cli.check_nodes import free_ports
from consortium.cli.demo import confirm_clock, wait_until_ready
from consortium.cli.demo_contract import make_contract
from consortium.cli.demo_people import LEAD, SERVICES, SHIQIAO, YUNLING
from consortium.cli.demo_world import DemoWorld, found
from consortium.exchange import commitment, jws
from consortium.exchange.answers import Answer, Status, read
from consortium.exchange.caller import Caller
from consortium.exchange.envelope import Envelope
from consortium.exchange.header import Header, Lane
from consortium.exchange.outbox import minute
from consortium.exchange.sealing import new_identity, seal
from consortium.exchange.tables import OwnHeadRow
from consortium.jobs import lease
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from consortium.wiring import HttpLink, Node, SystemClock
from tests.bench.measure import Measure, rate
from tests.support.cheap import least_cost
from tests.support.postgres import PostgresServer

BATCH = 64
BODY_BYTES = 2048
GOAL = 0.45
WORKERS = 2
_IN_PROCESS = 100
_HTTP = 30
_QUOTA = 100_000


@dataclass
class Referrals:
    """Requests of one clinic without end, each the next of one of its node's lanes."""

    node: Node
    contract: str
    member: str = SHIQIAO
    lane: Lane = Lane.ROUTINE

    def __post_init__(self) -> None:
        self.identity = self.node.identities.of(self.member)
        self._kid, self._signer = self.identity.node, self.identity.signer
        with self.node.database.read() as session:
            head = session.get(OwnHeadRow, (self._kid, self.lane.value))
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
            "urgency": self.lane.value, "service": next(self._service), "consent": "explicit",
            "types": ["Condition", "Observation", "Patient"], "filled": 12,
        }  # fmt: skip
        facts = commitment.facts_bytes(told, commitment.new_salt())
        self._seq += 1
        exchange = new_id(now)
        header = Header(
            id=exchange, kind="referral.request/1", sender=self.member, to=(LEAD,), node=self._kid,
            lane=self.lane, seq=self._seq, prev=self._prev, case=exchange, at=minute(now),
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


def founded(
    folder: Path, *, hub_database: str = "", port: int = 8000
) -> tuple[DemoWorld, dict[str, str]]:
    """The demo's consortium, and the contract of each clinic."""
    start = datetime.now(UTC) - timedelta(minutes=20)
    with least_cost():
        world = found(folder / "world", port=port, start=start, hub_database=hub_database)
        return world, {
            clinic: make_contract(world, clinic, referrals=_QUOTA) for clinic in (SHIQIAO, YUNLING)
        }


def _in_process(folder: Path, name: str, url: str) -> Iterator[Measure]:
    world, contracts = founded(folder / name, hub_database=url)
    try:
        hub = world.hub.hub
        if hub is None:
            raise ValueError("the demo's hub is a hub")
        sender = Referrals(world.beside[SHIQIAO], contracts[SHIQIAO])
        batches = [sender.next(BATCH, now=world.clock.now()) for _ in range(_IN_PROCESS)]
        check(hub.admission.admit(batches.pop(0)))
        before, done = verify_rate(), 0
        started = time.perf_counter()
        for batch in batches:
            done += check(hub.admission.admit(batch))
        value = done / (time.perf_counter() - started)
        limit = (before + verify_rate()) / 2
    finally:
        world.close()
    yield Measure(f"admission.batch.{name}", value, "1/s", "ed25519.verify.2", limit, goal=GOAL)


# ---------------------------------------------------------------- over HTTP


def _pushes(sender: Referrals, base: str, *, count: int, batch: int) -> list[bytes]:
    """Signed requests, ready to be sent; the nonce is the hub's."""
    link = HttpLink(base, timeout_s=20)
    caller = Caller(sender.identity, link, SystemClock())
    caller.hello()
    now = datetime.now(UTC)
    made = []
    for _ in range(count):
        raws = sender.next(batch, now=now)
        made.append(caller._signed("/sync/push", raws, {"final": []}))
    link.close()
    return made


def _send(port: int, pushes: list[bytes], begin: Barrier, out: "Queue[float]") -> None:
    """One client process: its pushes one after the other over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    head = {"content-type": "application/octet-stream"}
    answers = []
    begin.wait()
    for push in pushes:
        connection.request("POST", "/sync/push", push, head)
        answers.append(connection.getresponse().read())
    out.put(time.monotonic())
    for raw in answers:
        check([read(one) for one in orjson.loads(raw)["answers"]])
    out.put(0.0)


def _sent(port: int, pushes: list[list[bytes]]) -> float:
    """Seconds until the last of several client processes has its last answer."""
    forked = multiprocessing.get_context("fork")
    begin, out = forked.Barrier(len(pushes) + 1), forked.Queue()
    clients = [forked.Process(target=_send, args=(port, one, begin, out)) for one in pushes]
    for client in clients:
        client.start()
    begin.wait()
    started = time.monotonic()
    ends: list[float] = [out.get(timeout=300) for _ in range(2 * len(clients))]
    for client in clients:
        client.join()
        if client.exitcode:
            raise ValueError("a client's pushes were not admitted")
    return max(ends) - started


@contextmanager
def _served(home: Path, port: int, workers: int) -> Iterator[None]:
    arguments = ["-m", "consortium.cli", "serve", "--home", str(home), "--workers", str(workers)]
    with (home / "node.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log)
        try:
            wait_until_ready(port, process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


@contextmanager
def _couriers_elsewhere(url: str) -> Iterator[None]:
    """Hold the lease of the hub's jobs: the hospital's own reading of what came is no admission."""
    database, over = Database(url), threading.Event()

    def take() -> None:
        with database.write() as session:
            lease.take(session, name="jobs", holder="bench", now=datetime.now(UTC))

    def hold() -> None:
        while not over.wait(5.0):
            take()

    take()
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        database.close()


def _over_http(folder: Path, url: str) -> Iterator[Measure]:
    port = free_ports()
    world, contracts = founded(folder / "http", hub_database=url, port=port)
    world.close()
    home = folder / "http" / "world"
    confirm_clock(home)
    senders = [
        Referrals(world.beside[clinic], contracts[clinic], clinic, lane)
        for clinic in (SHIQIAO, YUNLING)
        for lane in (Lane.ROUTINE, Lane.URGENT)
    ]
    with _couriers_elsewhere(url), _served(home / "hub", port, WORKERS):
        for batch, name, count, goal in (
            (BATCH, "admission.http.postgres", _HTTP, GOAL),
            (1, "admission.http.single.postgres", 4 * _HTTP, GOAL / 5),
        ):
            base = f"http://127.0.0.1:{port}"
            pushes = [_pushes(one, base, count=count, batch=batch) for one in senders]
            before = verify_rate()
            spent = _sent(port, pushes)
            limit = (before + verify_rate()) / 2
            value = len(senders) * count * batch / spent
            yield Measure(name, value, "1/s", "ed25519.verify.2", limit, goal=goal)


def run() -> Iterator[Measure]:
    """In process on both databases, then over HTTP on PostgreSQL."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        server = PostgresServer(durable=True)
        stack.callback(server.stop)
        yield from _in_process(folder, "sqlite", "")
        yield from _in_process(folder, "postgres", server.url(server.create()))
        yield from _over_http(folder, server.url(server.create()))
