"""The ledger: admission with signatures checked, in process and over HTTP, on both databases."""

import hashlib
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import orjson
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request

from consortium.api import sync
from consortium.exchange import commitment, jws, requests
from consortium.exchange.caller import Caller
from consortium.exchange.envelope import Envelope, frames
from consortium.exchange.header import Header, Lane
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from consortium.ledger import journal, receipts
from tests.bench.measure import Measure, percentile, rate, times_ms
from tests.consortium.exchange.world import Link, World
from tests.support.databases import PostgresDatabases, SqliteFiles
from tests.support.postgres import PostgresServer

BATCH = 64
SECONDS = 4.0
_GROWTH_LEAVES = 20_000


class Sender:
    """Signs well-formed exchanges of one node without end; each opens a case of its own."""

    def __init__(self, world: World, member: str) -> None:
        identity = world.identities[member]
        self._node, self._signer, self._member = identity.node, identity.signer, member
        self._seq, self._prev = 0, jws.FIRST_PREV
        self._body = b"age-encryption.org/v1\n" + bytes(900)
        self._world = world

    def next(self, count: int) -> list[bytes]:
        """Packed envelopes, the next of the node's routine lane."""
        return [self._one() for _ in range(count)]

    def _one(self) -> bytes:
        facts = commitment.facts_bytes({"urgency": "routine"}, commitment.new_salt())
        self._seq += 1
        exchange = new_id(self._world.clock.now())
        header = Header(
            id=exchange,
            kind="test.open/1",
            sender=self._member,
            to=("lead",),
            node=self._node,
            lane=Lane.ROUTINE,
            seq=self._seq,
            prev=self._prev,
            case=exchange,
            at="2026-11-24T01:00Z",
            facts=commitment.commit_facts(facts),
            body=commitment.commit_facts(facts),
        )
        raw = jws.sign(header, self._signer)
        self._prev = jws.digest_text(raw)
        return Envelope(raw, facts, self._body).pack()


def _verify_rate() -> float:
    """Ed25519 verifications a second on two threads: what admission cannot be faster than."""
    key = Ed25519PrivateKey.generate()
    public, message = key.public_key(), bytes(600)
    signature = key.sign(message)

    def half(results: list[float]) -> None:
        def some() -> int:
            for _ in range(200):
                public.verify(signature, message)
            return 200

        results.append(rate(some))

    results: list[float] = []
    threads = [threading.Thread(target=half, args=(results,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(results)


def _sha_rate() -> float:
    def some() -> int:
        for _ in range(5000):
            hashlib.sha256(bytes(65)).digest()
        return 5000

    return rate(some)


def _admission(make: Callable[[], Database], folder: Path, name: str) -> Iterator[Measure]:
    limit = _verify_rate()
    for batch in (BATCH, 1):
        world = World(folder / f"{name}-{batch}", make, ("a",))
        sender = Sender(world, "a")
        # signing is the sender's work: it is done before the clock runs
        supply = iter(sender.next(12_000 if batch > 1 else 3_000))

        def admit(world: World = world, batch: int = batch, supply: Any = supply) -> int:
            raws = list(itertools.islice(supply, batch))
            if raws:
                world.admission.admit(raws)
            return len(raws)

        value = rate(admit, seconds=SECONDS / 2)
        label = "append.verified" if batch > 1 else "append.verified.single"
        yield Measure(
            f"{label}.{name}", value, "1/s", "ed25519.verify.2", limit,
            goal=0.5 if batch > 1 else 0.02,
        )  # fmt: skip


def _sequence(make: Callable[[], Database], name: str) -> Iterator[Measure]:
    """Leaves that need no check any more, and whether the ledger's size slows them."""
    database = make()
    with database.write() as session:
        journal.create(session)
    count = itertools.count()

    def append() -> int:
        numbers = [next(count) for _ in range(256)]
        raws = [f"{commitment.b64(n.to_bytes(300, 'big'))}.AA.AA".encode() for n in numbers]
        new = [
            journal.NewLeaf(
                journal.make_leaf(time_ms=1_795_482_000_000, verdict="ok", jws=raw),
                hashlib.sha256(raw).digest(),
            )
            for raw in raws
        ]
        with database.write() as session:
            head = journal.lock_head(session)
            journal.append(session, head, new, time_ms=1_795_482_000_000)
        return len(new)

    early = rate(append, seconds=1.0)
    sha = _sha_rate()
    yield Measure(f"append.sequence.{name}", early, "1/s", "sha256.65", sha, goal=0.01)
    while next(count) < _GROWTH_LEAVES:
        append()
    late = rate(append, seconds=1.0)
    yield Measure(f"append.growth.{name}", late, "1/s", "rate of the first second", early, goal=0.7)


def _proofs(make: Callable[[], Database], folder: Path) -> Iterator[Measure]:
    world = World(folder / "proofs", make, ("a",))
    sender = Sender(world, "a")
    for _ in range(40):
        world.admission.admit(sender.next(BATCH))
    world.publish()

    def one() -> None:
        with world.hub_database.read() as session:
            if receipts.receipt(session, 1000) is None:
                raise ValueError("the entry is covered")

    taken = times_ms(one)
    verify_ms = 4000 / _verify_rate()
    yield Measure(
        "proof.inclusion", percentile(taken, 50), "ms", "4 ed25519.verify", verify_ms, goal=25,
        smaller=True,
    )  # fmt: skip


class _Served:
    """The hub's desk behind the product's own sync face, with a bare route beside it."""

    def __init__(self, world: World) -> None:
        class Node:
            desk = world.desk

        self.app = FastAPI()
        self.app.state.node = Node()
        self.app.include_router(sync.router)

        @self.app.post("/bare")
        def bare(_request: Request) -> dict[str, bool]:
            return {"ok": True}

        config = uvicorn.Config(self.app, port=0, log_level="critical")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started:
            threading.Event().wait(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join()


def _http(make: Callable[[], Database], folder: Path, name: str) -> Iterator[Measure]:
    world = World(folder / f"http-{name}", make, ("a",))
    sender, identity = Sender(world, "a"), world.identities["a"]
    link: Link = world.members["a"].link
    caller = Caller(identity, link, world.clock)
    caller.hello()
    nonce = str(orjson.loads(link.call("/sync/hello", _hello(world), {}).body)["nonce"])
    with (
        _Served(world) as base,
        httpx2.Client(
            base_url=base, trust_env=False, headers={"content-type": "application/octet-stream"}
        ) as client,
    ):

        def bare() -> int:
            client.post("/bare", content=b"{}").raise_for_status()
            return 1

        limit = rate(bare, seconds=1.0)
        for batch in (BATCH, 1):
            pushes = [
                _push(identity, nonce, sender.next(batch)) for _ in range(150 if batch > 1 else 900)
            ]
            supply = iter(pushes)

            def push(batch: int = batch, supply: Any = supply) -> int:
                body = next(supply, None)
                if body is None:
                    return 0
                client.post("/sync/push", content=body).raise_for_status()
                return batch

            value = rate(push, seconds=1.5)
            label = "admission.http" if batch > 1 else "admission.http.single"
            yield Measure(
                f"{label}.{name}", value, "1/s", "bare POST", limit, goal=1.0 if batch > 1 else 0.2
            )


def _hello(world: World) -> bytes:
    identity = world.identities["a"]
    return jws.sign_statement(
        {"member": "a", "salt": "bench"}, kid=identity.node, signer=identity.signer,
        typ=requests.HELLO,
    ).encode()  # fmt: skip


def _push(identity: Any, nonce: str, raws: list[bytes]) -> bytes:
    statement = requests.make(
        "/sync/push", frames(raws), node=identity.node, signer=identity.signer, nonce=nonce,
        more={"final": []},
    )  # fmt: skip
    return frames([statement, *raws])


def run() -> Iterator[Measure]:
    """Both databases; the real PostgreSQL of the tests."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        files = SqliteFiles(folder)
        numbers = itertools.count()
        server = PostgresServer()
        stack.callback(server.stop)
        postgres = PostgresDatabases(server)

        def sqlite() -> Database:
            return stack.enter_context(files.one(folder, f"{next(numbers)}.db"))

        def postgresql() -> Database:
            return stack.enter_context(postgres.one())

        for name, make in (("sqlite", sqlite), ("postgres", postgresql)):
            yield from _admission(make, folder, name)
            yield from _sequence(make, name)
            yield from _http(make, folder, name)
        yield from _proofs(sqlite, folder)
