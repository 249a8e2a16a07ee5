"""Invented people for tests of the patients room."""

from datetime import timedelta
from typing import Any

from consortium.fhir import gate
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.ids import MemberId, UserId
from consortium.patients import fhir, service
from consortium.patients.model import Entry, Patient
from tests.consortium.fhir.samples import NUMBER
from tests.support.clock import START

NOW = START
HOUR = timedelta(hours=1)
CLINIC, HOSPITAL = "liuhe", "hospital"
WANG = Entry(
    name="王秀英",
    number=NUMBER,
    phone="138 0000 0000",
    address="柳河村 3 组",
)
LI = Entry(name="李建国", sex="male", birth="1961-05-02", no_number_reason="not_at_hand")


def actor(*roles: Role, user: str = "u-li", member: str = CLINIC) -> Actor:
    return Actor(
        user=UserId(user),
        name="李医生",
        member=MemberId(member),
        roles=frozenset(roles or {Role.TOWNSHIP_DOCTOR}),
    )


DOCTOR = actor()


def registered(database: Database, entry: Entry = WANG, **more: Any) -> Patient:
    given: dict[str, Any] = {"actor": DOCTOR, "now": NOW}
    with database.write() as session:
        return service.register(session, entry=entry, **(given | more)).patient


def sent(entry: Entry, *, patient: str, member: str = HOSPITAL) -> tuple[dict[str, Any], bytes]:
    """A Patient resource as another member sends it, with its bytes."""
    from consortium.patients import model

    kept = model.checked(entry, now=NOW)
    made = fhir.resource_of(kept, patient=patient, member=member, local_number="000777")
    return made, gate.dump(made)
