"""One changed value in any column that follows from the entries is found, and named by its row."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from consortium.exchange import recheck
from consortium.kernel.database import Database
from consortium.ledger import journal
from tests.consortium.exchange.world import World


def changed(value: Any) -> Any:
    if isinstance(value, datetime):
        return value + timedelta(milliseconds=1)
    if isinstance(value, int):
        return value ^ 1
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return (
        chr(ord(value[-1]) ^ 1)
        if len(value) == 1
        else value[:-2] + chr(ord(value[-2]) ^ 1) + value[-1]
    )


class Undone(Exception):  # noqa: N818 - the way out of a transaction
    pass


def test_one_changed_value_in_any_column_is_found_and_named(
    make_world: Callable[..., World], sqlite: Database
) -> None:
    world = make_world("a")
    world.members["a"].send("test.open/1", ("lead",), case="c", urgency="routine")
    world.settle()
    with sqlite.write() as session:
        journal.create(session)
    with world.hub_database.read() as session:
        report = recheck._recheck(session, sqlite, world.registry)
    assert report.whole
    missed, tried = [], 0
    for table in recheck._REPLAYED:
        with world.hub_database.read() as session:
            row = session.execute(select(table).order_by(*table.primary_key.columns)).first()
        assert row is not None
        where = [column == row._mapping[column] for column in table.primary_key.columns]
        for column in table.c:
            value = row._mapping[column]
            if column.key in recheck._NOT_REPLAYED or value in ("", None):
                continue
            found = None
            with suppress(Undone, DBAPIError), world.hub_database.write() as session:
                session.execute(update(table).where(*where).values({column: changed(value)}))
                with sqlite.read() as own:
                    found = recheck._differences(session, own, table)
                raise Undone
            tried += 1
            key = column.primary_key
            if found is not None and not any(
                one.kind == table.name and (key or column.key in one.found.split()) for one in found
            ):
                missed.append((table.name, column.key, found))
    assert missed == []
    assert tried > 25
