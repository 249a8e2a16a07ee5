"""Bookings at the FHIR door: an Appointment made of a booking as it stands now.

An Appointment changes with its slot and session, which are shared state; the body that first named
it is signed and stays as it was, so what is served is written anew from the row.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium import audit
from consortium.fhir import gate, systems
from consortium.fhir.face import Query, Resource
from consortium.kernel.actor import Actor, Role
from consortium.kernel.time import to_ms
from consortium.patients import service as patients
from consortium.scheduling.model import FreeSlot, parse_slot
from consortium.teleconsult import fhir
from consortium.teleconsult.model import Shown
from consortium.teleconsult.tables import BookingTable

READERS: Final = (Role.TOWNSHIP_DOCTOR, Role.SPECIALIST, Role.CONSULT_DESK)
STATUS: Final = {
    Shown.PENDING: "pending",
    Shown.BOOKED: "booked",
    # the time no longer holds and no other is agreed yet
    Shown.TO_MOVE: "pending",
    Shown.CANCELLED: "cancelled",
    Shown.REFUSED: "cancelled",
    Shown.OVER: "fulfilled",
}
"""Appointment.status of what a page says (hl7.org/fhir/R4/valueset-appointmentstatus.html)."""


def resources(session: Session, *, actor: Actor, query: Query, now: datetime) -> Sequence[Resource]:
    """Appointments of bookings (`consortium.fhir.face.Resources`); audited."""
    system, value = query.identifier
    if not actor.may(*READERS) or (value and system not in {"", systems.CASE}):
        return []
    table = BookingTable
    wanted = select(table).where(table.member == actor.member, table.case_id > query.after)
    for case in (query.id, value):
        if case:
            wanted = wanted.where(table.case_id == case)
    if query.patient:
        known = patients.aliases(session, member=actor.member, patient=query.patient)
        wanted = wanted.where(table.patient.in_(known))
    rows = session.scalars(wanted.order_by(table.case_id).limit(query.limit)).all()
    if rows:
        audit.record(
            session,
            actor=actor,
            action="booking.read",
            subject=f"{query.type}:{query.id or 'search'}",
            patient=rows[0].patient or None,
            now=now,
            count=len(rows),
        )
    return [_resource(row) for row in rows]


def _resource(row: BookingTable) -> Resource:
    session_id, number = parse_slot(row.slot)
    slot = FreeSlot(
        start=row.start_at,
        session=session_id,
        number=number,
        minutes=row.minutes,
        service=row.service,
        kind="",
        provider="",
        holder=row.holder,
    )
    made = fhir.appointment(
        slot,
        case=row.case_id,
        patient=f"Patient/{row.patient or row.patient_ref}",
        now=row.opened_at,
        status=STATUS[Shown(row.state)],
    )
    # the row counts no versions: its last change tells one from the next
    version = to_ms(row.changed_at)
    return Resource("Appointment", row.case_id, version, row.changed_at, gate.dump(made))
