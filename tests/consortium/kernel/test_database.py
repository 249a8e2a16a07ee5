"""Transactions: undone as a whole when they raise, on both databases alike."""

import threading
import time
from pathlib import Path

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


def test_forty_pages_find_a_second_connection_each(tmp_path: Path) -> None:
    """A page reads, and so does the shell round it; as many pages at once as there are threads."""
    database = Database(f"sqlite:///{tmp_path / 'pages.db'}")
    pages, ended = 40, []
    together = threading.Barrier(pages)

    def page() -> None:
        with database.read() as first:
            first.execute(select(1))
            together.wait(20)
            with database.read() as second:
                second.execute(select(1))
                together.wait(20)
        ended.append(time.monotonic())

    threads = [threading.Thread(target=page) for _ in range(pages)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    database.close()
    assert len(ended) == pages
