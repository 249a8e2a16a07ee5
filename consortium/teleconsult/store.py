"""Scoped queries of teleconsult. Private to the room."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from consortium.kernel.errors import missing
from consortium.kernel.paging import Page, bounded, moment_of
from consortium.kernel.time import to_ms
from consortium.teleconsult.model import Shown
from consortium.teleconsult.tables import BookingTable

FOLLOWED = (Shown.BOOKED.value, Shown.TO_MOVE.value)


def get(session: Session, case: str, *, member: str) -> BookingTable:
    """The booking as a member sees it. Raises Refusal `booking.unknown` for what is not its own."""
    row = session.get(BookingTable, (member, case))
    if row is None:
        raise missing("booking.unknown")
    return row


def hold(session: Session, case: str, *, member: str) -> BookingTable:
    """As `get`, held until the transaction ends: one act at a time decides on it."""
    key = (member, case)
    row = session.get(BookingTable, key, with_for_update=True, populate_existing=True)
    if row is None:
        raise missing("booking.unknown")
    return row


def find(session: Session, case: str, *, member: str) -> BookingTable | None:
    """The booking as a member sees it, None when it has none."""
    return session.get(BookingTable, (member, case))


def by_exchange(session: Session, exchange: str, *, member: str) -> BookingTable | None:
    """The booking that a form sent, None when it has not been sent."""
    table = BookingTable
    return session.scalar(select(table).where(table.member == member, table.exchange == exchange))


def page(
    session: Session,
    *,
    member: str,
    states: Sequence[str],
    after: str | None,
    limit: int,
    holder: str = "",
) -> Page[BookingTable]:
    """Bookings of a member by time, the nearest first; `after` is `START_MS/CASE` of the last."""
    table = BookingTable
    query = select(table).where(table.member == member, table.state.in_(states))
    if holder:
        query = query.where(table.holder == holder)
    if after:
        start, case = _key(after)
        query = query.where(
            or_(table.start_at > start, and_(table.start_at == start, table.case_id > case))
        )
    most = bounded(limit)
    rows = session.scalars(query.order_by(table.start_at, table.case_id).limit(most + 1)).all()
    shown = rows[:most]
    more = f"{to_ms(shown[-1].start_at)}/{shown[-1].case_id}" if len(rows) > most else None
    return Page(shown, more)


def over(session: Session, *, now: datetime, limit: int) -> Sequence[BookingTable]:
    """Booked ones whose time began a while ago, the oldest first."""
    table = BookingTable
    return session.scalars(
        select(table)
        .where(table.state.in_(FOLLOWED), table.start_at < now)
        .order_by(table.start_at, table.case_id)
        .limit(bounded(limit))
    ).all()


def in_sessions(session: Session, sessions: Sequence[str], *, limit: int) -> Sequence[BookingTable]:
    """Booked ones in these sessions."""
    table = BookingTable
    return session.scalars(
        select(table)
        .where(table.session.in_(sessions), table.state == Shown.BOOKED.value)
        .order_by(table.member, table.case_id)
        .limit(bounded(limit))
    ).all()


def booked_sessions(session: Session, *, after: datetime, limit: int) -> Sequence[str]:
    """Ids of sessions in which something is booked later than a moment."""
    table = BookingTable
    return session.scalars(
        select(table.session)
        .where(table.state == Shown.BOOKED.value, table.start_at > after)
        .distinct()
        .order_by(table.session)
        .limit(limit)
    ).all()


def _key(after: str) -> tuple[datetime, str]:
    start, _, case = after.partition("/")
    return moment_of(start), case
