"""The ledger alone: leaves in, tiles and checkpoints out, proofs, and all of it checked again.

Limits are measured in the same run: what two cores verify in signatures, or a promise in figures.
Ledgers of 10^7 entries are synthetic: they have the tiles that are read, and no others.
"""

import hashlib
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import func, insert, select, update

from chain import merkle, note, receipt
from chain.checkpoint import Checkpoint
from consortium.exchange.commitment import b64, unb64
from consortium.kernel.database import Database
from consortium.ledger import journal, publisher, receipts, store, tilework
from consortium.ledger.export import export
from consortium.ledger.journal import Entry, NewLeaf
from consortium.ledger.tables import HeadRow
from consortium.ledger.verify import Fault, verify
from tests.bench.bench_admission import verify_rate
from tests.bench.http_admission import pushes
from tests.bench.measure import Measure, percentile, rate, times_ms
from tests.chain.making import cosignature, cosigner
from tests.consortium.ledger.making import NOW, START_MS, Memory, log_key
from tests.support.databases import PostgresDatabases, SqliteFiles
from tests.support.postgres import PostgresServer

BATCH = 64
LARGE = 10_000_000
SMALL = 10_000
ENTRIES = int(os.environ.get("BENCH_ENTRIES", "100000"))
"""Entries of `verify.full`; its rate hardly depends on them, and signing them takes its time."""
_PAYLOAD = b64(bytes(range(256)) + bytes(150))
_LOG = log_key()


class Leaves:
    """Signed JWS of one key without end, about 700 bytes each, all leaves of one ledger time."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public: Ed25519PublicKey = self._key.public_key()
        self._count = itertools.count()

    def jws(self, count: int, *, signed: bool = True) -> list[bytes]:
        made = []
        for number in itertools.islice(self._count, count):
            text = f"{b64(number.to_bytes(12, 'big'))}.{_PAYLOAD}".encode()
            signature = self._key.sign(text) if signed else hashlib.sha256(text).digest() * 2
            made.append(text + b"." + b64(signature).encode())
        return made

    def verified(self, jws: bytes) -> bytes:
        text, _, signature = jws.rpartition(b".")
        self.public.verify(unb64(signature.decode()), text)
        return jws

    def ready(self, count: int, *, signed: bool = False) -> list[NewLeaf]:
        return [leaf_of(jws) for jws in self.jws(count, signed=signed)]


def leaf_of(jws: bytes) -> NewLeaf:
    leaf = journal.make_leaf(time_ms=START_MS, verdict="ok", jws=jws)
    return NewLeaf(leaf, hashlib.sha256(jws).digest())


def begun(database: Database) -> Database:
    with database.write() as session:
        journal.create(session)
    return database


def append(database: Database, new: Sequence[NewLeaf]) -> int:
    with database.write() as session:
        head = journal.lock_head(session)
        return len(journal.append(session, head, new, time_ms=START_MS))


def publish(database: Database) -> None:
    while publisher.publish(database, _LOG, Memory(), now=NOW):
        pass


def _verified(database: Database, name: str) -> Iterator[Measure]:
    """Callers in four threads, each with batches of its own: signatures, then one commit."""
    leaves = Leaves()
    batches = [leaves.jws(BATCH) for _ in range(600)]
    begun(database)

    def one(batch: list[bytes]) -> int:
        return append(database, [leaf_of(leaves.verified(jws)) for jws in batch])

    before = verify_rate()
    with ThreadPoolExecutor(4) as pool:
        started = time.perf_counter()
        done = sum(pool.map(one, batches))
        value = done / (time.perf_counter() - started)
    limit = (before + verify_rate()) / 2
    yield Measure(f"append.verified.{name}", value, "1/s", "ed25519.verify.2", limit, goal=0.6)


def _sequence(database: Database, name: str) -> Iterator[Measure]:
    """Leaves that need no check any more: commits of 256, a checkpoint with tiles every 4,096."""
    new = Leaves().ready(24 * 4096)
    begun(database)
    started = time.perf_counter()
    for start in range(0, len(new), 256):
        append(database, new[start : start + 256])
        if not (start + 256) % 4096:
            publish(database)
    value = len(new) / (time.perf_counter() - started)
    yield Measure(f"append.sequence.{name}", value, "1/s", "promised", 20_000, goal=1.0)


def synthetic(database: Database, size: int, *, indices: Sequence[int] = ()) -> None:
    """Make a ledger look as if it had so many entries: its edge, and the way to some of them."""
    widths = tilework.widths(size)
    ends = {(level, size >> 8 * (level + 1)): width for level, width in widths.items()}
    ways = {(level, index >> 8 * (level + 1)): 256 for index in indices for level in range(4)}
    rows = {
        place: hashlib.shake_256(b"%d %d" % place).digest(32 * width)
        for place, width in (ways | ends).items()
    }
    root = merkle.fold(tilework.subtrees({place[0]: rows[place] for place in ends}))
    signed = note.sign(Checkpoint(_LOG.origin, size, root).text, [_LOG])
    with database.write() as session:
        store.put_tiles(session, [(*place, row) for place, row in sorted(rows.items())])
        store.put_checkpoint(session, store.Published(size, root, signed, NOW), previous=0)
        session.execute(update(HeadRow).values(size=size, last_ms=START_MS))


def _growth(small: Database, large: Database, name: str) -> Iterator[Measure]:
    """What 256 entries with their checkpoint cost, in turns at both sizes."""
    leaves = Leaves()
    for database, size in ((begun(small), SMALL), (begun(large), LARGE)):
        synthetic(database, size)
    taken: dict[Database, list[float]] = {small: [], large: []}
    for _ in range(60):
        for database, times in taken.items():
            new = leaves.ready(256)
            started = time.perf_counter()
            append(database, new)
            publish(database)
            times.append((time.perf_counter() - started) * 1000)
    at_small, at_large = (percentile(taken[one][5:], 50) for one in (small, large))
    yield Measure(
        f"append.growth.{name}", at_large, "ms", "256 entries at 10^4", at_small, goal=1.2,
        smaller=True,
    )  # fmt: skip


def _full(database: Database, folder: Path) -> Iterator[Measure]:
    """The whole check of a ledger, with every signature in it, on two threads beside it."""
    leaves = Leaves()
    begun(database)
    for _ in range(-(-ENTRIES // 4096)):
        append(database, leaves.ready(4096, signed=True))
        publish(database)
    before = verify_rate()
    waiting: list[Future[None]] = []

    def signatures(entries: Sequence[Entry]) -> None:
        for one in entries:
            leaves.verified(one.leaf.partition(b"\n")[2])

    with ThreadPoolExecutor(2) as pool, database.read() as session:

        def examine(entries: Sequence[Entry]) -> Sequence[Fault]:
            waiting.extend(
                pool.submit(signatures, entries[at : at + 512])
                for at in range(0, len(entries), 512)
            )
            while len(waiting) > 64:
                waiting.pop(0).result()
            return ()

        started = time.perf_counter()
        found = verify(session, logs=[_LOG.verifier], examine=examine)
        for one in waiting:
            one.result()
        value = found.size / (time.perf_counter() - started)
    if found.faults:
        raise ValueError(f"a sound ledger has no faults: {found.faults[:3]}")
    limit = (before + verify_rate()) / 2
    yield Measure("verify.full", value, "1/s", "ed25519.verify.2", limit, goal=0.85)
    yield from _disk(database, folder)


def _disk(database: Database, folder: Path) -> Iterator[Measure]:
    """What an entry takes in the folder of an export, tiles and bundles together."""
    place, rules = folder / "export", receipts.policy_text(_LOG.vkey)
    with database.read() as session:
        made = export(session, place, policy=rules, vkeys=[_LOG.verifier])
        leaf_bytes = session.scalar(select(func.avg(func.length(store.LEAF.leaf))))
    taken = sum(file.stat().st_size for file in (place / "tile").rglob("*") if file.is_file())
    yield Measure(
        "disk.entry", taken / made.size, "B", "entry + 34", float(leaf_bytes or 0) + 34, goal=1.15,
        smaller=True,
    )  # fmt: skip


def _proof(database: Database, name: str) -> Iterator[Measure]:
    """Receipts of entries far apart, so that no two share a tile but at the top."""
    indices = range(12_345, LARGE, 234_567)
    begun(database)
    synthetic(database, LARGE, indices=indices)
    with database.write() as session:
        for index, new in zip(indices, Leaves().ready(len(indices)), strict=True):
            row = (index, new.leaf, journal.hash_leaf(new.leaf), new.jws_hash)
            session.execute(insert(store.LEAVES).values(row))
    turn = itertools.cycle(indices)

    def one() -> None:
        with database.read() as session:
            if receipts.receipt(session, next(turn)) is None:
                raise ValueError("the entry is covered")

    value = percentile(times_ms(one, rounds=400), 50)
    yield Measure(f"proof.inclusion.{name}", value, "ms", "promised", 1.0, goal=1.0, smaller=True)


def _receipt() -> Iterator[Measure]:
    """A receipt of 24 hashes with the log's signature and three witnesses', all of them needed."""
    new = Leaves().ready(1)[0]
    proof = [hashlib.sha256(b"%d" % level).digest() for level in range(24)]
    root = journal.hash_leaf(new.leaf)
    for sibling in proof:
        root = merkle.node_hash(root, sibling)
    witnesses = [note.SigningKey(f"clinic{n}.example/w", bytes([n] * 32)) for n in range(1, 4)]
    text = Checkpoint(_LOG.origin, 1 << 24, root).text
    log = note.parse(note.sign(text, [_LOG])).signatures
    lines = tuple(cosignature(one, text, 1_767_000_000) for one in witnesses)
    data = receipt.Receipt(0, new.leaf, tuple(proof), note.Note(text, (*log, *lines)).data).data
    rules = receipts.policy_text(
        _LOG.vkey,
        *(f"witness w{n} {cosigner(one).text}" for n, one in enumerate(witnesses)),
        "group all all w0 w1 w2",
        "quorum all",
    )
    key = Ed25519PrivateKey.generate()
    public, message = key.public_key(), text.encode()
    signature = key.sign(message)

    def four() -> None:
        for _ in range(4):
            public.verify(signature, message)

    limit = percentile(times_ms(four), 50)
    value = percentile(times_ms(lambda: receipts.check(data, rules)), 50)
    yield Measure("receipt.check", value, "ms", "4 ed25519.verify", limit, goal=1.3, smaller=True)


def _sha256() -> Iterator[Measure]:
    """How fast one core hashes nodes: what no tree can be faster than."""

    def some() -> int:
        for _ in range(5000):
            hashlib.sha256(bytes(65)).digest()
        return 5000

    def grown() -> int:
        tilework.grow({}, 0, [bytes(32)] * 4096)
        return 4096

    yield Measure(
        "tree.grow", rate(grown, seconds=1.0), "1/s", "sha256.65", rate(some, seconds=1.0), goal=0.3
    )


def run() -> Iterator[Measure]:
    """Both databases; the real PostgreSQL of the tests, with its commits on disk."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        files = SqliteFiles(folder)
        numbers = itertools.count()
        server = PostgresServer(durable=True)
        stack.callback(server.stop)
        postgres = PostgresDatabases(server)

        def sqlite() -> Database:
            return stack.enter_context(files.one(folder, f"{next(numbers)}.db"))

        def postgresql() -> Database:
            return stack.enter_context(postgres.one())

        made: tuple[tuple[str, Callable[[], Database]], ...] = (
            ("sqlite", sqlite),
            ("postgres", postgresql),
        )
        for name, make in made:
            yield from _verified(make(), name)
            yield from _sequence(make(), name)
            yield from _growth(make(), make(), name)
            yield from _proof(make(), name)
        yield from _full(sqlite(), folder)
        yield from _receipt()
        yield from _sha256()
        for name, make in made:
            yield from pushes(make, folder, name)
