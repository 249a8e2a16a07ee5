"""Transactions: undone as a whole when they raise, on both databases alike."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consortium.exchange.tables import MarkRow
from consortium.kernel.database import Database


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(MarkRow)) or 0


def put(session: Session, name: str) -> None:
    session.add(MarkRow(name=name, value="x"))
    session.flush()


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    def work() -> None:
        with database.write() as session:
            put(session, "one")
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert count(database) == 0


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_what_follows_a_commit_inside_the_block_is_a_transaction_of_its_own(
    database: Database, ends: str
) -> None:
    """On SQLite it once ran without one: each statement stayed, whatever came after it."""

    def work() -> None:
        with database.write() as session:
            put(session, "one")
            getattr(session, ends)()
            put(session, "two")
            with session.begin_nested():
                put(session, "three")
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert count(database) == (1 if ends == "commit" else 0)
