"""Scoped queries of scheduling. Private to the room."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consortium.kernel.errors import conflict
from consortium.kernel.paging import bounded
from consortium.scheduling.model import STEP_MIN, SessionState
from consortium.scheduling.tables import CellTable, SessionTable

PENDING = "pending"
REFUSED = "refused"
CANCELLING = "cancelling"
STANDING = frozenset({PENDING, SessionState.OPEN.value, CANCELLING})
SHOWN_MOST = 200


def upcoming(
    session: Session,
    *,
    service: str,
    kind: str,
    providers: Iterable[str],
    after: datetime,
    last: SessionTable | None,
    limit: int,
) -> Sequence[SessionTable]:
    """Open sessions of a service that have a slot later than a moment, the nearest first.

    `providers` are the members whose sessions count. `last` is the last one of the page before,
    None for the first page.
    """
    table = SessionTable
    query = select(table).where(
        table.service == service,
        table.kind == kind,
        table.provider.in_(sorted(providers)),
        table.state == SessionState.OPEN.value,
        table.last_at > after,
    )
    if last is not None:
        query = query.where(
            or_(
                table.first_at > last.first_at,
                and_(table.first_at == last.first_at, table.id > last.id),
            )
        )
    return session.scalars(query.order_by(table.first_at, table.id).limit(bounded(limit))).all()


def of_holder(
    session: Session, *, provider: str, holder: str, start: datetime, end: datetime
) -> Sequence[SessionTable]:
    """A person's sessions that begin in [start, end), in whatever state."""
    table = SessionTable
    return session.scalars(
        select(table)
        .where(
            table.provider == provider,
            table.holder == holder,
            table.first_at >= start,
            table.first_at < end,
        )
        .order_by(table.first_at, table.id)
        .limit(SHOWN_MOST)
    ).all()


def claim(session: Session, row: SessionTable, *, starts: Iterable[datetime], minutes: int) -> None:
    """Add a session with the five-minute cells that it fills.

    Raises:
        Refusal: `session.overlap` when another session of the same person fills one of them.
    """
    cells = [
        {"holder": row.holder, "at": start + timedelta(minutes=n), "session": row.id}
        for start in starts
        for n in range(0, minutes, STEP_MIN)
    ]
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
            session.execute(insert(CellTable), cells)
    except IntegrityError:
        raise conflict("session.overlap") from None


def free_cells(session: Session, session_id: str) -> None:
    """Give a person's time back: the session was cancelled or refused."""
    session.execute(delete(CellTable).where(CellTable.session == session_id))
