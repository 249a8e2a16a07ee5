"""Patients through the FHIR door: by id, by identifier, page by page."""

from dataclasses import replace

from consortium import audit
from consortium.fhir import gate, systems
from consortium.fhir.face import Query
from consortium.kernel.actor import Role
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from consortium.patients import adoption, fhir
from tests.consortium.fhir.samples import NUMBER
from tests.consortium.patients.factory import (
    CLINIC,
    DOCTOR,
    HOSPITAL,
    HOUR,
    LI,
    NOW,
    WANG,
    actor,
    registered,
    sent,
)


def asked(database: Database, query: Query, who: object = DOCTOR) -> list[str]:
    with database.write() as session:
        given = fhir.resources(session, actor=who, query=query, now=NOW)  # type: ignore[arg-type]
        for one in given:
            assert gate.parse(one.raw)["id"] == one.id
        return [one.id for one in given]


def test_a_patient_by_id_and_identifier(database: Database) -> None:
    wang, li = registered(database), registered(database, LI)
    assert asked(database, Query("Patient", id=wang.id)) == [wang.id]
    for system, value, expected in (
        (systems.ID_NUMBER, NUMBER, [wang.id]),
        ("", NUMBER, [wang.id]),
        (systems.LOCAL_NUMBER, "000002", [li.id]),
        ("", "000001", [wang.id]),
        (systems.SOCIAL_CARD, NUMBER, []),
        ("http://elsewhere.test", NUMBER, []),
    ):
        query = Query("Patient", identifier=(system, value))
        assert asked(database, query) == expected, (system, value)
    assert asked(database, Query("Patient", patient=li.id, identifier=("", NUMBER))) == []


def test_pages_go_on_by_id(database: Database) -> None:
    made = sorted(
        registered(database, LI, confirmed=True, now=NOW + number * HOUR).id for number in range(5)
    )
    assert asked(database, Query("Patient", limit=2)) == made[:2]
    assert asked(database, Query("Patient", limit=2, after=made[1])) == made[2:4]
    assert asked(database, Query("Patient", limit=2, after=made[4])) == []


def test_only_ones_own_and_only_for_those_who_treat(database: Database) -> None:
    wang = registered(database)
    query = Query("Patient", id=wang.id)
    assert asked(database, query, actor(member="yunling")) == []
    assert asked(database, query, actor(Role.MEMBER_ADMIN)) == []
    assert asked(database, query, actor(Role.SPECIALIST)) == [wang.id]
    with database.read() as session:
        assert [one.action for one in audit.viewed_by(session, wang.id)] == [
            "patients.view",
            "patients.register",
        ]


def test_a_received_patient_is_served_with_the_senders_bytes(database: Database) -> None:
    patient = new_id(NOW)
    resource, raw = sent(replace(WANG, phone="13911111111"), patient=patient)
    spaced = raw.replace(b",", b" , ")
    with database.write() as session:
        adoption.adopt(
            session, member=CLINIC, resource=resource, raw=spaced, source=HOSPITAL, now=NOW
        )
        (one,) = fhir.resources(session, actor=DOCTOR, query=Query("Patient", id=patient), now=NOW)
    assert (one.raw, one.version, one.updated) == (spaced, 1, NOW)
