"""Rows in bulk: what goes in comes out, a broken constraint is told in one way."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from consortium.exchange.tables import ChainHeadRow, EntryRow
from consortium.kernel.bulk import insert_rows, upsert_rows
from consortium.kernel.database import Database, table_of

MOMENT = datetime(2026, 11, 24, 1, 2, 3, 4000, tzinfo=UTC)


def entry(index: int) -> tuple[object, ...]:
    odd = "石桥 \\N \t\n'\""
    return (
        index, f"x{index}", bytes([index]) * 32, "n1", "routine", index, odd, "[]", "k/1", "",
        bytes(32), "ok v1", MOMENT, None if index % 2 else b"\\N\n\0\xff", b"",
    )  # fmt: skip


def test_rows_come_out_as_they_went_in(database: Database) -> None:
    with database.write() as session:
        insert_rows(session, table_of(EntryRow), [])
        insert_rows(session, table_of(EntryRow), [entry(n) for n in (1, 2)])
    with database.read() as session:
        found = session.execute(select(table_of(EntryRow)).order_by(EntryRow.index)).all()
    assert [tuple(row) for row in found] == [entry(1), entry(2)]


def test_a_row_that_is_there_is_told_and_nothing_stays(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        insert_rows(session, table_of(EntryRow), [entry(1), entry(2), entry(1)])
    with database.read() as session:
        assert session.execute(select(EntryRow.index)).all() == []


def test_heads_are_made_or_moved(database: Database) -> None:
    heads = table_of(ChainHeadRow)
    for rows in (
        [],
        [("n", "a", 1, "h"), ("n", "b", 1, "h")],
        [("n", "b", 2, "i"), ("o", "b", 9, "j")],
    ):
        with database.write() as session:
            upsert_rows(session, heads, rows)
    with database.read() as session:
        found = session.execute(select(heads).order_by(heads.c.node, heads.c.lane)).all()
    assert [tuple(row) for row in found] == [
        ("n", "a", 1, "h"),
        ("n", "b", 2, "i"),
        ("o", "b", 9, "j"),
    ]
