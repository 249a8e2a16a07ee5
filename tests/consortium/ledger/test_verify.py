"""The database against itself: one changed bit in any column is found where it is."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from consortium.kernel.database import Database, table_of
from consortium.kernel.time import to_ms
from consortium.ledger import freezing, publisher, store, verify, witness
from consortium.ledger.clock import confirm_clock
from consortium.ledger.receipts import policy_text
from consortium.ledger.tables import (
    CheckpointRow,
    ClockRow,
    EvidenceRow,
    FreezeRow,
    HeadRow,
    LeafRow,
    SeenRow,
    TileRow,
)
from consortium.ledger.verify import Fault
from tests.consortium.ledger.making import NOW, Memory, begin, grow, log_key

KEY = log_key()
SIZES = (1, 37, 260)
UNPUBLISHED = 270


@pytest.fixture
def ledger(database: Database) -> Database:
    """Three checkpoints, 10 leaves beyond them, and a row in every other table."""
    begin(database)
    size, guard = 0, Memory()
    for end in SIZES:
        size = grow(database, range(size, end)).stop
        publisher.publish(database, KEY, guard, now=NOW)
    grow(database, range(size, UNPUBLISHED))
    with database.write() as session:
        confirm_clock(session, first="a", second="b", now=NOW)
        newest = publisher.latest(session)
        assert newest is not None
        rules = policy_text(KEY.vkey)
        witness.advance(session, newest.note, [], policy_bytes=rules, now=NOW)
        old = store.checkpoints(session, 0, 1)[0].note
        witness.advance(session, old, [], policy_bytes=rules, now=NOW)
        freezing.stop(session, KEY.origin, now=NOW)
        told = freezing.Freeze(KEY.origin, newest.size, newest.root, "a.b.c", NOW)
        assert freezing.keep(session, told)
    return database


def faults(database: Database, **more: Any) -> tuple[Fault, ...]:
    with database.read() as session:
        return verify.verify(session, logs=[KEY.verifier], **more).faults


def test_a_sound_ledger_has_no_fault(ledger: Database) -> None:
    with ledger.read() as session:
        found = verify.verify(session, logs=[KEY.verifier])
    assert found == verify.Verified(UNPUBLISHED, SIZES[-1], len(SIZES), ())


def test_no_ledger_is_no_fault(database: Database) -> None:
    assert faults(database) == ()
    begin(database)
    assert faults(database) == ()


# ---------------------------------------------------------------- one bit


def bits(value: object) -> Iterator[object]:
    """The value with one bit changed: in the first and last byte, at both ends of a number."""
    if isinstance(value, int):
        yield from (value ^ 1 << bit for bit in (0, 3, 8, 40))
    elif isinstance(value, str):
        yield from (chr(ord(value[0]) ^ 1 << bit) + value[1:] for bit in (0, 3))
    else:
        assert isinstance(value, bytes)
        for at in sorted({0, len(value) - 1} if value else ()):
            yield value[:at] + bytes([value[at] ^ 1 << at % 8]) + value[at + 1 :]


# what identifies a row, which rows of its table are changed, and the first index each is about
TABLES: dict[Any, tuple[tuple[str, ...], tuple[int, ...], Callable[[Any], int]]] = {
    LeafRow: (("entry",), (0, 255, UNPUBLISHED - 1), lambda row: int(row.entry)),
    TileRow: (
        ("level", "position"),
        (0, 1, 2),
        lambda row: int(row.position * 256 << 8 * row.level),
    ),
    CheckpointRow: (("size",), (0, 1, 2), lambda row: int(row.size)),
    HeadRow: (("id",), (0,), lambda _: UNPUBLISHED),
    ClockRow: (("at",), (0,), lambda _: -1),
    SeenRow: (("origin",), (0,), lambda _: -1),
    EvidenceRow: (("digest",), (0,), lambda _: -1),
    FreezeRow: (("origin",), (0,), lambda _: -1),
}


class Undone(Exception):  # noqa: N818 - the way out of a transaction
    pass


def _with(database: Database, kind: Any, row: Any, column: str, value: object) -> Any:
    """The faults found with one value changed; None when the database itself refuses it."""
    found: tuple[Fault, ...] | None = None
    keys = TABLES[kind][0]
    where = " AND ".join(f"{key} = :key_{key}" for key in keys)
    change = text(f"UPDATE {kind.__tablename__} SET {column} = :value WHERE {where}")
    with suppress(Undone, DBAPIError), database.write() as session:
        if database.dialect == "postgresql":
            session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        named = {f"key_{key}": _plain(getattr(row, key)) for key in keys}
        session.execute(change, {"value": value, **named})
        found = verify.verify(session, logs=[KEY.verifier]).faults
        raise Undone
    return found


def _plain(value: object) -> object:
    return to_ms(value) if isinstance(value, datetime) else value


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__tablename__)
def test_one_bit_in_any_column_is_found(ledger: Database, kind: Any) -> None:
    keys, numbers, first = TABLES[kind]
    table = table_of(kind)
    with ledger.read() as session:
        rows = session.execute(select(table).order_by(*(table.c[key] for key in keys))).all()
    tried, missed = 0, []
    for number in numbers:
        for column in table.c.keys():  # noqa: SIM118 - a mapping that gives columns
            for value in bits(_plain(getattr(rows[number], column))):
                found = _with(ledger, kind, rows[number], column, value)
                if found is None:
                    continue
                tried += 1
                lowest = found[0] if found else None
                index = first(rows[number]) + _offset(rows[number], column, value)
                if lowest is None or not _names(lowest, kind, column, index):
                    missed.append((number, column, value, found[:3]))
    assert missed == []
    assert tried > len(numbers)


def _offset(row: Any, column: str, value: object) -> int:
    """How many entries after a tile's first one the changed hash stands for."""
    if column != "hashes":
        return 0
    assert isinstance(value, bytes)
    at = next(
        at for at, (one, other) in enumerate(zip(row.hashes, value, strict=True)) if one != other
    )
    return int(at // 32 << 8 * row.level)


def _names(fault: Fault, kind: Any, column: str, index: int) -> bool:
    """Whether the lowest fault is the one planted: its table, its column, at or before its index.

    Times and names are told apart no further than their row's checksum, and an unpublished leaf no
    further than its hash; a row under a wrong number is missed where it was, or found where it is.
    """
    if fault.table != kind.__tablename__ or fault.index > index:
        return False
    loose = {"checksum"} | ({"leaf"} if column == "leaf_hash" else set())
    moved = {"position"} if column == "level" else set()
    return fault.column in {column} | loose | moved and (
        fault.index == index or column in TABLES[kind][0] or kind is HeadRow
    )
