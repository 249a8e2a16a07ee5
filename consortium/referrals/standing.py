"""Where a case stands beside its own value: a booked time whose session was cancelled.

Cancelling writes the session alone (PROTOCOL 7); that a patient is to be moved is computed here,
the same at both members.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from consortium.exchange import state as shared
from consortium.referrals import rows
from consortium.referrals.model import State
from consortium.referrals.tables import CaseTable
from consortium.scheduling import model as slots


def is_off(session: Session, value: Mapping[str, Any] | None) -> bool:
    """Whether a case holds a time in a session that was cancelled."""
    if value is None or value["state"] != State.BOOKED or not value["session"]:
        return False
    return slots.is_off(shared.read(session, value["session"]))


def shown(session: Session, state: str, value: Mapping[str, Any] | None) -> str:
    """The state of a row as people see it: `to_move` for a booked time that was cancelled."""
    return rows.TO_MOVE if state == State.BOOKED and is_off(session, value) else state


def follow_case(session: Session, row: CaseTable) -> None:
    """Bring a row in line with its case in shared state, where there is one."""
    value = shared.read(session, f"case:{row.case_id}")
    if value is not None:
        row.state = shown(session, value["state"], value)
        row.session = value["session"].removeprefix(slots.session_name(""))
