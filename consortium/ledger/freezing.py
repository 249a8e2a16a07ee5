"""A frozen log: no index is given any more, and no checkpoint beyond its end is believed.

The answer to a log key, or a hub, in wrong hands (PROTOCOL 5): the hub stops under the head row's
lock, the last checkpoint is published, and the consortium's seal says where the log ends. Whatever
the stolen key signs after that is evidence at every node that has heard of it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from consortium.kernel.database import table_of
from consortium.kernel.errors import Refusal, RefusalKind, conflict
from consortium.ledger import journal, store
from consortium.ledger.store import HEAD, HEADS
from consortium.ledger.tables import FreezeRow

_FREEZES = table_of(FreezeRow)


@dataclass(frozen=True, slots=True)
class Freeze:
    """Where a log ends, and the statement under the consortium's seal that says so."""

    origin: str
    size: int
    root: bytes
    statement: str
    at: datetime


class Signed(Protocol):
    """What a checkpoint says of its log."""

    @property
    def origin(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def root(self) -> bytes: ...


def stop(session: Session, origin: str, *, now: datetime) -> int:
    """At the hub: give no index from now on, for good; gives the size. Again changes nothing."""
    head = journal.lock_head(session)
    if head.frozen:
        row = session.get(FreezeRow, origin)
        return row.size if row is not None else head.size
    session.execute(update(HEADS).where(HEAD.id == 1).values(frozen=1))
    _put(session, Freeze(origin, head.size, b"", "", now), here=True, fresh=True)
    return head.size


def end(session: Session, size: int, *, as_published: bool = False) -> store.Published:
    """The checkpoint at which a log that stopped at this size ends.

    Args:
        as_published: take the newest one although entries follow it: nobody can sign any more.

    Raises:
        Refusal: `ledger.freeze_waits` while there is none.
    """
    last = store.newest(session)
    if last is None or (last.size < size and not as_published):
        published = 0 if last is None else last.size
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.freeze_waits", size=size, held=published)
    return last


def keep(session: Session, told: Freeze) -> bool:
    """Keep what the seal said of a log's end; the first word stands. Whether it was new."""
    row = session.get(FreezeRow, told.origin)
    if row is not None and row.statement:
        return False
    _put(session, told, here=row is not None and bool(row.here), fresh=row is None)
    return True


def of(session: Session, origin: str) -> Freeze | None:
    """Where a log ends by the word of the seal; None while it goes on."""
    table = _FREEZES.c
    row = session.execute(
        select(table.origin, table.size, table.root, table.statement, table.at).where(
            table.origin == origin, table.statement != ""
        )
    ).one_or_none()
    return None if row is None else Freeze(*row)


def newest(session: Session) -> Freeze | None:
    """What the seal said last about the end of a log."""
    table = _FREEZES.c
    row = session.execute(
        select(table.origin, table.size, table.root, table.statement, table.at)
        .where(table.statement != "")
        .order_by(table.at.desc(), table.origin)
        .limit(1)
    ).one_or_none()
    return None if row is None else Freeze(*row)


def beyond(session: Session, head: Signed) -> Refusal | None:
    """Whether a checkpoint says more of a log than its end, or has another root there.

    Returns:
        `ledger.beyond` with `held`, the size at the end, and `offered`.
    """
    found = of(session, head.origin)
    if found is None or head.size < found.size:
        return None
    if head.size == found.size and head.root == found.root:
        return None
    return conflict("ledger.beyond", held=found.size, offered=head.size)


def _put(session: Session, told: Freeze, *, here: bool, fresh: bool) -> None:
    values = {
        "size": told.size,
        "root": told.root,
        "statement": told.statement,
        "here": int(here),
        "at": told.at,
    }
    values["checksum"] = store.checksum(told.origin, *values.values())
    if fresh:
        session.execute(insert(FreezeRow).values(origin=told.origin, **values))
    else:
        session.execute(update(FreezeRow).where(FreezeRow.origin == told.origin).values(**values))
        session.expire_all()
