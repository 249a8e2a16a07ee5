"""The publisher: signs nothing but the tree as it is, and begins again wherever it was stopped."""

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from chain import checkpoint, merkle, note, tiles
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal, publisher, receipts, store
from consortium.ledger.tables import CheckpointRow, HeadRow, LeafRow, TileRow
from tests.consortium.ledger.making import NOW, Memory, begin, grow, log_key

KEY = log_key()


def publish(database: Database, guard: Memory | None = None) -> publisher.Published | None:
    return publisher.publish(database, KEY, guard or Memory(), now=NOW)


def sound(database: Database, guard: Memory) -> None:
    """Everything published or guarded is the one tree over the leaves, with nothing left over."""
    with database.read() as session:
        leaves = [entry.leaf for entry in store.leaves(session, 0, 100_000)]
        hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
        checkpoints = session.execute(
            select(CheckpointRow.size, CheckpointRow.root, CheckpointRow.note)
        ).all()
        rows = {
            (level, position): hashes
            for level, position, hashes in session.execute(
                select(TileRow.level, TileRow.position, TileRow.hashes)
            )
        }
        last = publisher.latest(session)
    for size, root in guard.kept:
        assert root == merkle.root_after(0, [], hashes[:size])
    for size, root, signed in checkpoints:
        assert root == merkle.root_after(0, [], hashes[:size])
        assert (size, root) in guard.kept
        read, _ = note.verify(signed, [KEY.verifier])
        assert checkpoint.parse(read.text) == checkpoint.Checkpoint(KEY.origin, size, root)
    size = last.size if last else 0
    nodes = {
        (level, index): value for level, index, value in merkle.Frontier().extend(hashes[:size])
    } | {(0, index): value for index, value in enumerate(hashes)}
    assert rows == {
        (tile.level, tile.index): b"".join(nodes[at] for at in tile.coordinates)
        for tile in tiles.tiles_of(size)
    }


def test_nothing_to_publish(database: Database) -> None:
    assert publish(database) is None
    begin(database)
    assert publish(database) is None
    with database.read() as session:
        assert publisher.latest(session) is None


def test_publishes_once_for_each_growth(database: Database) -> None:
    begin(database)
    guard = Memory()
    size = 0
    for count in (1, 1, 2, 5, 250, 300):
        size = grow(database, range(size, size + count)).stop
        published = publish(database, guard)
        assert published is not None
        assert published.size == size
        assert publish(database, guard) is None
        sound(database, guard)
        with database.read() as session:
            assert publisher.latest(session) == published
            publisher.check_tail(session)
    assert [size for size, _ in guard.kept] == sorted({size for size, _ in guard.kept})


def test_a_long_backlog_goes_in_rounds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "LEAVES_MAX", 100)
    begin(database)
    grow(database, range(250))
    guard = Memory()
    while publish(database, guard):
        sound(database, guard)
    assert [size for size, _ in guard.kept] == [100, 200, 250]


# ---------------------------------------------------------------- stopped between two steps


class Cut(Exception):  # noqa: N818 - the power
    pass


def _before(owner: Any, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        def cut(*_: object, **__: object) -> None:
            raise Cut

        patch.setattr(owner, name, cut)

    return plant


def _after(owner: Any, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        real = getattr(owner, name)

        def cut(*given: object, **named: object) -> None:
            real(*given, **named)
            raise Cut

        patch.setattr(owner, name, cut)

    return plant


def _at_commit(*, committed: bool) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        real = Database.write

        @contextmanager
        def write(self: Database) -> Any:
            with real(self) as session:
                yield session
                if not committed:
                    raise Cut
            raise Cut

        patch.setattr(Database, "write", write)

    return plant


STEPS = {
    "before reading": _before(publisher, "_base"),
    "after reading": _after(store, "leaves"),
    "before hashing": _before(publisher, "_grow"),
    "after hashing": _after(publisher, "_grow"),
    "before signing": _before(checkpoint, "sign"),
    "after signing": _after(publisher, "_signed"),
    "before the guard": _before(Memory, "checkpoint"),
    "after the guard": _after(Memory, "checkpoint"),
    "before the tiles": _before(store, "put_tiles"),
    "after the tiles": _after(store, "put_tiles"),
    "before the commit": _at_commit(committed=False),
    "after the commit": _at_commit(committed=True),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("more", [0, 40])
def test_stopped_at_each_step(database: Database, step: str, more: int) -> None:
    begin(database)
    guard = Memory()
    grow(database, range(37))
    publish(database, guard)
    grow(database, range(37, 60))
    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch:
            STEPS[step](patch)
            try:
                publish(database, guard)
            except Cut:
                pass
            else:
                assert step == "after the commit"
        sound(database, guard)
    grow(database, range(60, 60 + more))
    while publish(database, guard):
        pass
    sound(database, guard)
    with database.read() as session:
        last = publisher.latest(session)
        assert last is not None
        assert last.size == 60 + more
        made = receipts.receipts(session, range(60))
        rules = receipts.policy_text(KEY.vkey)
        assert [receipts.check(made[n], rules).index for n in range(60)] == list(range(60))


def test_a_full_disk_under_the_guard_publishes_nothing(database: Database) -> None:
    class Full:
        def checkpoint(self, size: int, root: bytes) -> None:
            raise OSError(28, "No space left on device")

    begin(database)
    grow(database, range(5))
    with pytest.raises(OSError, match="No space"):
        publisher.publish(database, KEY, Full(), now=NOW)
    with database.read() as session:
        assert publisher.latest(session) is None


# ---------------------------------------------------------------- two at once


def test_two_publishers_do_no_harm(database: Database) -> None:
    begin(database)
    grow(database, range(100))
    guards = [Memory(), Memory()]
    barrier = threading.Barrier(2)
    faults: list[BaseException] = []

    class Waiting(Memory):
        def checkpoint(self, size: int, root: bytes) -> None:
            super().checkpoint(size, root)
            if len(self.kept) == 1:
                barrier.wait()

    guards = [Waiting(), Waiting()]

    def run(guard: Memory) -> None:
        try:
            publish(database, guard)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    both = Memory()
    both.kept = [*guards[0].kept, *guards[1].kept]
    sound(database, both)


# ---------------------------------------------------------------- a database that changed


def flip(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


def _flip(column: Any, table: Any, *where: Any) -> Callable[[Session], None]:
    def plant(session: Session) -> None:
        value = session.scalar(select(column).where(*where))
        assert value is not None
        session.execute(update(table).where(*where).values({column.key: flip(value)}))

    return plant


def _drop(table: Any, *where: Any) -> Callable[[Session], None]:
    def plant(session: Session) -> None:
        session.execute(delete(table).where(*where))

    return plant


def _push_head(session: Session) -> None:
    session.execute(update(HeadRow).values(size=61))


def _swap(session: Session) -> None:
    one, other = (journal.leaves(session, [n])[n] for n in (40, 41))
    session.execute(update(LeafRow).where(LeafRow.index == 40).values(leaf=other))
    session.execute(update(LeafRow).where(LeafRow.index == 41).values(leaf=one))


def _cut_tile(session: Session) -> None:
    hashes = session.scalar(select(TileRow.hashes).where(TileRow.level == 0))
    assert hashes is not None
    session.execute(update(TileRow).where(TileRow.level == 0).values(hashes=hashes[:-32]))


DAMAGE: dict[str, Callable[[Session], None]] = {
    "a bit of a leaf": _flip(LeafRow.leaf, LeafRow, LeafRow.index == 45),
    "a bit of a leaf hash": _flip(LeafRow.leaf_hash, LeafRow, LeafRow.index == 45),
    "a bit of a JWS hash": _flip(LeafRow.jws_hash, LeafRow, LeafRow.index == 45),
    "a leaf is gone": _drop(LeafRow, LeafRow.index == 45),
    "the last leaf is gone": _drop(LeafRow, LeafRow.index == 59),
    "leaves exchanged": _swap,
    "a bit of a tile": _flip(TileRow.hashes, TileRow, TileRow.level == 0),
    "a tile is gone": _drop(TileRow, TileRow.level == 0),
    "a tile is too short": _cut_tile,
    "a bit of the last root": _flip(CheckpointRow.root, CheckpointRow, CheckpointRow.size == 37),
    "the head is too far": _push_head,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_nothing_is_signed_on_damage(database: Database, damage: str) -> None:
    begin(database)
    guard = Memory()
    grow(database, range(37))
    publish(database, guard)
    grow(database, range(37, 60))
    with database.write() as session:
        DAMAGE[damage](session)
    with pytest.raises(Refusal) as caught:
        publish(database, guard)
    assert caught.value.code == "ledger.damaged"
    assert len(guard.kept) == 1
    with database.read() as session:
        last = publisher.latest(session)
        assert last is not None
        assert last.size == 37


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_check_at_start_finds_it(database: Database, damage: str) -> None:
    begin(database)
    grow(database, range(37))
    publish(database)
    grow(database, range(37, 60))
    with database.read() as session:
        publisher.check_tail(session)
    with database.write() as session:
        DAMAGE[damage](session)
    with database.read() as session, pytest.raises(Refusal) as caught:
        publisher.check_tail(session)
    assert caught.value.code == "ledger.damaged"


def test_a_ledger_shorter_than_its_checkpoint(database: Database) -> None:
    begin(database)
    grow(database, range(37))
    publish(database)
    with database.write() as session:
        session.execute(delete(LeafRow).where(LeafRow.index == 36))
        session.execute(update(HeadRow).values(size=36))
    with database.read() as session, pytest.raises(Refusal) as caught:
        publisher.check_tail(session)
    assert caught.value.code == "ledger.damaged"


def test_a_bad_signature_is_never_published(database: Database) -> None:
    class Worn:
        verifier = KEY.verifier
        origin = KEY.origin

        @property
        def signers(self) -> list["Worn"]:
            return [self]

        def sign(self, message: bytes) -> bytes:
            return flip(KEY.sign(message))

    begin(database)
    grow(database, range(3))
    guard = Memory()
    with pytest.raises(Refusal) as caught:
        publisher.publish(database, Worn(), guard, now=NOW)
    assert caught.value.code == "ledger.signer"
    assert guard.kept == []
