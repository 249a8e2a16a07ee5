"""The booked time of a referral at the FHIR door: an Appointment made of the case as it stands.

The body that accepted the case is signed and stays; slot and state move on after it, so what is
served is written anew from shared state.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium import audit
from consortium.exchange import state as shared
from consortium.fhir import gate, systems, types
from consortium.fhir.face import Query, Resource
from consortium.kernel.actor import Actor
from consortium.kernel.time import to_ms
from consortium.patients import service as patients
from consortium.referrals import standing
from consortium.referrals.acting import READERS
from consortium.referrals.model import State
from consortium.referrals.rows import TO_MOVE
from consortium.referrals.tables import CaseTable
from consortium.scheduling import fhir as scheduling
from consortium.scheduling import service as slots

STATUS: Final[Mapping[str, str]] = {
    State.BOOKED: "booked",
    # the time no longer holds and no other is agreed yet
    TO_MOVE: "pending",
    State.ARRIVED: "fulfilled",
    State.REPORTED: "fulfilled",
    State.CLOSED: "fulfilled",
    State.NO_SHOW: "noshow",
}
"""Appointment.status by the state of the case; in any other there is no appointment."""


def appointments(
    session: Session, *, actor: Actor, query: Query, now: datetime
) -> Sequence[Resource]:
    """Appointments of referrals (`consortium.fhir.face.Resources`); audited."""
    system, value = query.identifier
    if not actor.may(*READERS) or (value and system not in {"", systems.CASE}):
        return []
    found: list[Resource] = []
    after = query.after
    while len(found) < query.limit:
        rows = _cases(session, actor=actor, query=query, value=value, after=after)
        held = shared.read_many(session, [f"case:{row.case_id}" for row in rows])
        for row in rows:
            made = _appointment(session, row, held.get(f"case:{row.case_id}"))
            found += [made] if made is not None else []
        # most cases have no appointment: look on until the page is full or there are no more
        if len(rows) < query.limit:
            break
        after = rows[-1].case_id
    found = found[: query.limit]
    if found:
        audit.record(
            session,
            actor=actor,
            action="referral.read",
            subject=f"{query.type}:{query.id or 'search'}",
            now=now,
            count=len(found),
        )
    return found


def _cases(
    session: Session, *, actor: Actor, query: Query, value: str, after: str
) -> Sequence[CaseTable]:
    table = CaseTable
    wanted = select(table).where(
        table.member == actor.member, table.case_id > after, table.state.in_(STATUS)
    )
    for case in (query.id, value):
        if case:
            wanted = wanted.where(table.case_id == case)
    if query.patient:
        known = patients.aliases(session, member=actor.member, patient=query.patient)
        wanted = wanted.where(table.patient.in_(known))
    return session.scalars(wanted.order_by(table.case_id).limit(query.limit)).all()


def _appointment(
    session: Session, row: CaseTable, value: Mapping[str, Any] | None
) -> Resource | None:
    state = standing.shown(session, row.state, value)
    if value is None or not value["slot"] or state not in STATUS:
        return None
    slot = slots.slot_at(session, value["slot"])
    patient = f"Patient/{row.patient}" if row.patient else row.patient_ref
    made = types.appointment(
        id_=row.case_id,
        status=STATUS[state],
        start=slot.start,
        end=slot.end,
        actors={patient: "accepted", f"Practitioner/{slot.holder}": "accepted"},
        created=row.opened_at,
        service=slot.service,
        slot=f"Slot/{scheduling.slot_id(slot.session, slot.number)}",
        based_on=f"ServiceRequest/{row.case_id}",
        case=row.case_id,
    )
    # the row counts no versions: its last change tells one from the next
    version = to_ms(row.changed_at)
    return Resource("Appointment", row.case_id, version, row.changed_at, gate.dump(made))
