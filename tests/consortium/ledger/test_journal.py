"""The journal: contiguous indices, never given twice, all or nothing."""

import threading
from hashlib import sha256

import pytest
from sqlalchemy.exc import IntegrityError

from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal
from tests.consortium.ledger.making import START_MS, begin, grow, jws, new_leaf


def test_a_ledger_is_begun_once_and_only_on_purpose(database: Database) -> None:
    with database.write() as session, pytest.raises(Refusal) as caught:
        journal.lock_head(session)
    assert caught.value.code == "ledger.absent"
    begin(database)
    with database.write() as session, pytest.raises(Refusal) as caught:
        journal.create(session)
    assert caught.value.code == "ledger.exists"
    with database.write() as session:
        assert journal.lock_head(session) == journal.Head(0, 0)


def test_indices_are_contiguous(database: Database) -> None:
    begin(database)
    assert grow(database, range(3)) == range(3)
    assert grow(database, []) == range(3, 3)
    assert grow(database, range(3, 300)) == range(3, 300)
    with database.write() as session:
        assert journal.lock_head(session).size == 300
    with database.read() as session:
        found = journal.entries(session, 0)
    assert [entry.index for entry in found] == list(range(300))
    assert all(entry.leaf_hash == journal.hash_leaf(entry.leaf) for entry in found)
    assert [journal.read_leaf(entry.leaf).jws for entry in found] == [jws(n) for n in range(300)]


def test_found_by_jws_and_by_index(database: Database) -> None:
    begin(database)
    grow(database, range(500))
    wanted = [sha256(jws(n)).digest() for n in (0, 7, 499, 7, 500)]
    with database.read() as session:
        found = journal.find(session, wanted)
        assert {one.index for one in found.values()} == {0, 7, 499}
        assert found[wanted[1]].leaf.endswith(jws(7))
        many = journal.find(session, [sha256(jws(n)).digest() for n in range(600)])
        assert len(many) == 500
        leaves = journal.leaves(session, [3, 3, 498, 777])
        assert leaves.keys() == {3, 498}
        assert leaves[498].endswith(jws(498))
        assert len(journal.leaves(session, range(500))) == 500
        assert journal.find(session, []) == {}


def test_entries_are_bounded(database: Database) -> None:
    begin(database)
    grow(database, range(1_100))
    with database.read() as session:
        assert len(journal.entries(session, 0, limit=5_000)) == 1_024
        assert [entry.index for entry in journal.entries(session, 1_098, limit=9)] == [1_098, 1_099]
        assert journal.entries(session, 5_000) == []


def test_a_leaf_reads_back_as_a_tuple() -> None:
    leaf = journal.make_leaf(time_ms=START_MS, verdict="slot.taken 3.2", jws=jws(1))
    time_ms, verdict, raw = journal.read_leaf(leaf)
    assert (time_ms, verdict, raw) == (START_MS, "slot.taken 3.2", jws(1))
    for make in (
        lambda: journal.make_leaf(time_ms=1, verdict="OK", jws=jws(1)),
        lambda: journal.make_leaf(time_ms=1, verdict="ok", jws=b"no jws"),
        lambda: journal.read_leaf(leaf + b"\n"),
    ):
        with pytest.raises(Refusal) as caught:
            make()
        assert caught.value.code == "ledger.leaf"


def test_what_fails_gives_no_index(database: Database) -> None:
    begin(database)
    grow(database, range(2))
    with pytest.raises(IntegrityError):
        grow(database, [9, 1])
    with pytest.raises(ZeroDivisionError):
        _append_and_fail(database)
    with database.write() as session:
        assert journal.lock_head(session).size == 2
    assert grow(database, [9]) == range(2, 3)


def _append_and_fail(database: Database) -> None:
    with database.write() as session:
        head = journal.lock_head(session)
        new = [new_leaf(9, time_ms=head.last_ms)]
        journal.append(session, head, new, time_ms=head.last_ms)
        raise ZeroDivisionError


def test_misuse_is_an_error_and_writes_nothing(database: Database) -> None:
    begin(database)
    grow(database, range(2))
    stale = journal.Head(1, START_MS)
    with pytest.raises((RuntimeError, IntegrityError)), database.write() as session:
        journal.append(session, stale, [new_leaf(5, time_ms=START_MS)], time_ms=START_MS)
    ahead = journal.Head(7, START_MS)
    with pytest.raises(RuntimeError), database.write() as session:
        journal.append(session, ahead, [new_leaf(5, time_ms=START_MS)], time_ms=START_MS)
    with database.write() as session:
        head = journal.lock_head(session)
        with pytest.raises(ValueError, match="one time"):
            journal.append(session, head, [new_leaf(5, time_ms=START_MS)], time_ms=START_MS)
        late = head.last_ms + 5
        with pytest.raises(ValueError, match="one time"):
            journal.append(session, head, [new_leaf(5, time_ms=late + 1)], time_ms=late)
    with database.read() as session:
        assert [entry.index for entry in journal.entries(session, 0)] == [0, 1]


def test_racing_writers_share_no_index(database: Database) -> None:
    begin(database)
    barrier = threading.Barrier(4)
    given: list[int] = []
    lock = threading.Lock()

    def write(writer: int) -> None:
        barrier.wait()
        for turn in range(10):
            first = writer * 1_000 + turn * 3
            got = grow(database, range(first, first + 3))
            with lock:
                given.extend(got)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(120))
    with database.read() as session:
        found = journal.entries(session, 0)
    times = [journal.read_leaf(entry.leaf).time_ms for entry in found]
    assert times == sorted(times)
    assert len({entry.jws_hash for entry in found}) == 120
