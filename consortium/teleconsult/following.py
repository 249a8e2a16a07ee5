"""What changes a booking with no exchange of its own: a cancelled session, a time that is over."""

from datetime import datetime

from sqlalchemy.orm import Session

from consortium.exchange import state
from consortium.scheduling import model as slots
from consortium.teleconsult import applying, store
from consortium.teleconsult.model import Shown
from consortium.teleconsult.tables import BookingTable


def follow(session: Session, *, now: datetime, limit: int = 200) -> int:
    """Bring bookings in line with what needs no exchange: a cancelled session, a time that is over.

    Safe to run again. Returns how many bookings changed.
    """
    changed = 0
    ids = store.booked_sessions(session, after=now, limit=limit)
    values = state.read_many(session, [slots.session_name(one) for one in ids])
    off = [one for one in ids if slots.is_off(values.get(slots.session_name(one)))]
    for row in store.in_sessions(session, off, limit=limit) if off else ():
        row.state, row.changed_at = Shown.TO_MOVE.value, now
        applying.show(session, row, now=now)
        changed += 1
    for row in store.over(session, now=now, limit=limit):
        changed += _finish(session, row, now=now)
    return changed


def _finish(session: Session, row: BookingTable, *, now: datetime) -> int:
    value = state.read(session, slots.session_name(row.session))
    if row.state == Shown.TO_MOVE or slots.is_off(value):
        # a time that was cancelled stays to be moved, however late
        if row.state == Shown.TO_MOVE:
            return 0
        row.state = Shown.TO_MOVE.value
    elif row.start_at.timestamp() + row.minutes * 60 > now.timestamp():
        return 0
    else:
        row.state = Shown.OVER.value
    row.changed_at = now
    applying.show(session, row, now=now)
    return 1
