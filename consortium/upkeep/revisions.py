"""From one release's database to the next, all steps in one transaction or none."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.migrations import NEEDED, revision_of, steps


def migrate(database: Database, *, needed: str = NEEDED) -> None:
    """Take every step up to a revision; an empty database gets all tables.

    Undone as a whole when a step fails, with the step's own error.
    """
    from alembic import command

    with _exclusive(database) as connection:
        if needed:
            command.upgrade(steps(connection), needed)


def check_revision(database: Database) -> None:
    """Compare the database's revision with this program's, without loading Alembic.

    Raises Refusal `upkeep.revision` when they differ.
    """
    with database.engine.connect() as connection:
        found = revision_of(connection)
    if found != NEEDED:
        raise Refusal(RefusalKind.UNAVAILABLE, "upkeep.revision", found=found, needed=NEEDED)


@contextmanager
def _exclusive(database: Database) -> Iterator[Connection]:
    """One transaction that nobody else writes beside."""
    with database.engine.connect() as connection:
        if database.dialect != "sqlite":
            with connection.begin():
                yield connection
            return
        # A step that rebuilds a table drops the old one: with keys enforced, rows that point to
        # it would go too. SQLite changes this pragma outside of transactions only.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                raise Refusal(RefusalKind.CONFLICT, "upkeep.step_orphans")
            connection.commit()
        finally:
            connection.rollback()
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
