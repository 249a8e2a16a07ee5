"""The database: one engine factory, one write lock on SQLite, one declarative base.

SQLite runs through sqlcipher3 (a current SQLite; Python's own is old on many systems) in WAL with
synchronous=FULL, because NORMAL loses acknowledged commits at a power cut
(research/reliability.md, 0.5). Writers queue on one process lock instead of on SQLite's busy
handler: seven times lower p99 (research/feasibility.md, 5).
"""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction
from sqlalchemy.types import TypeDecorator

from consortium.kernel.time import from_ms, to_ms

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_PG_FULL, _SQLITE_FULL = "53100", "database or disk is full"
CONNECTIONS_MAX = 90
"""Two for each of the 40 threads of pages (a page's own, and the shell round it), and some for
streams and jobs; below the 97 that a PostgreSQL gives as it comes."""
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every room's tables."""

    metadata = MetaData(naming_convention=_NAMES)


def table_of(row: type[Base]) -> Table:
    """The table of a mapped row, for bulk statements without ORM objects."""
    return cast("Table", row.__table__)


class Instant(TypeDecorator[datetime]):
    """An aware UTC moment, kept as whole milliseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_ms(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_ms(value)


class Database:
    """One node's database. `read()` and `write()` each give a session of one transaction."""

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        self.url = url
        self.dialect = make_url(url).get_backend_name()
        self.engine = _engine(url, pool_size=pool_size)
        self._writing = threading.RLock()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; nothing is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            if self.dialect == "sqlite":
                session.connection().exec_driver_sql("BEGIN")
            yield session
            # rows that were read stay readable after the session has gone
            session.expunge_all()
            session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session for one transaction, committed when the block ends, undone when it raises.

        What must outlive a refusal (a counted wrong try) may be committed inside the block.
        """
        alone = self._writing if self.dialect == "sqlite" else nullcontext()
        with alone, Session(self.engine, expire_on_commit=False) as session:
            if self.dialect == "sqlite":
                event.listen(session, "after_begin", _begin_writing)
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def close(self) -> None:
        """Release every connection."""
        self.engine.dispose()


def _begin_writing(
    _session: Session, transaction: SessionTransaction, connection: Connection
) -> None:
    """Take SQLite's write lock before the first read, after a commit inside the block too.

    Its own beginning is deferred: two processes could both read, and one fail at its upgrade.
    """
    if not transaction.nested:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def is_full(error: BaseException) -> bool:
    """Whether something could not be written because there is no room for it.

    SQLite may undo the whole transaction at once, and what comes then is that its savepoint is
    gone: the reason stands behind it (sqlite.org/lang_transaction.html).
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _NO_ROOM:
            return True
        # SQLite says it in these words for a page that finds no room (sqlite.org/rescode.html#full)
        if getattr(seen, "sqlstate", "") == _PG_FULL or str(seen) == _SQLITE_FULL:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _engine(url: str, *, pool_size: int) -> Engine:
    overflow = max(0, CONNECTIONS_MAX - pool_size)
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_size=pool_size, max_overflow=overflow, pool_pre_ping=True)
    from sqlcipher3 import dbapi2

    engine = create_engine(
        url,
        module=dbapi2,
        pool_size=pool_size,
        max_overflow=overflow,
        connect_args={"check_same_thread": False, "timeout": 30},
    )

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        # isolation_level None: the driver opens no transaction of its own, `write` does
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=30000",
            "temp_store=MEMORY",
            # 16 MB instead of 4: a quarter more entries a second, for the index of hashes is
            # written in as many places as there are entries (bench append.sequence)
            "wal_autocheckpoint=4000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
