"""What changes a referral without an exchange of its own: a cancelled session."""

from datetime import datetime

from sqlalchemy.orm import Session

from consortium.exchange import state as shared
from consortium.referrals import applying, rows, store
from consortium.referrals.model import Side
from consortium.referrals.tables import CaseTable
from consortium.scheduling import model as slots
from consortium.scheduling import service as scheduling


def follow(session: Session, *, now: datetime, limit: int = 200) -> int:
    """Mark referrals that are booked in a cancelled session as to be moved, and tell the clinic.

    Safe to run again. `limit` is how many sessions are looked at in one query. Returns how many
    rows changed.
    """
    changed, after = 0, ""
    while ids := store.booked_sessions(session, after=after, limit=limit):
        values = shared.read_many(session, [slots.session_name(one) for one in ids])
        for one in ids:
            if slots.is_off(values.get(slots.session_name(one))):
                for row in store.booked_in(session, one):
                    _to_move(session, row, now=now)
                    changed += 1
        after = ids[-1]
    return changed


def _to_move(session: Session, row: CaseTable, *, now: datetime) -> None:
    row.state, row.changed_at = rows.TO_MOVE, now
    session.flush()
    applying.show(session, row, now=now)
    if row.side != Side.TAKER:
        return
    value = shared.read(session, f"case:{row.case_id}") or {}
    applying.notify(
        session,
        row,
        "referral.notice.to_move",
        about=value["slot"],
        now=now,
        when=rows.when_text(scheduling.slot_at(session, value["slot"]).start),
    )
