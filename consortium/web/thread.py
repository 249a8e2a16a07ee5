"""What every case's page shows: its patient, and its exchanges with their receipts."""

from sqlalchemy.orm import Session

from consortium.exchange import timeline
from consortium.exchange.timeline import CaseEntry
from consortium.patients import service as patients
from consortium.patients.model import birth_date
from consortium.web import patient_views
from consortium.web.errors import refused_code
from consortium.web.names import member_name
from consortium.web.outbox import entry_words
from consortium.web.views import Knot, KnotState, Patient
from consortium.web.wording import t


def knots(session: Session, case: str, *, member: str) -> list[Knot]:
    """The exchanges of a case as a member sees them, newest first."""
    entries = timeline.of_case(session, member=member, case=case)
    return [_knot(session, entry) for entry in entries]


def banner(
    session: Session, *, member: str, patient: str, name: str, sex: str, birth: str
) -> Patient:
    """The patient of a case: as the member's index knows them, else as the case tells it."""
    found = patients.find(session, member=member, patient=patient) if patient else None
    if found is not None:
        return patient_views.banner(session, found)
    return Patient(name=name, sex=sex, born=birth_date(birth))


def _knot(session: Session, entry: CaseEntry) -> Knot:
    state: KnotState = "on"
    if entry.state in ("queued", "held"):
        state = "wait"
    elif entry.state in ("refused", "kept", "alarm"):
        state = "refuse"
    return Knot(
        title=entry_words(entry),
        state=state,
        at=entry.time or entry.at,
        who=member_name(session, entry.sender),
        lines=[line for line in (_reached(entry),) if line],
        exchange=entry.id,
        index=entry.index,
    )


def _reached(entry: CaseEntry) -> str:
    """How far an own exchange has come, or why one was refused."""
    if entry.code:
        return refused_code(entry.code, entry.clause).happened
    return t(f"outbox.state.{entry.state}") if entry.mine or entry.alarm else ""
