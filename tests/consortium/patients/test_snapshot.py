"""What is known of a patient now."""

from datetime import timedelta
from typing import Any

import pytest

from consortium import audit
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.patients import snapshot
from consortium.patients.model import Fact, FactKind
from tests.consortium.patients.factory import CLINIC, DOCTOR, HOSPITAL, NOW, actor, registered

PRESSURE = (Fact(FactKind.VITAL, "152", "systolic"), Fact(FactKind.VITAL, "94", "diastolic"))
KNEE = Fact(FactKind.DIAGNOSIS, "膝骨关节炎", "M17.9")
PENICILLIN = Fact(FactKind.ALLERGY, "青霉素皮疹")
NONE_KNOWN = Fact(FactKind.ALLERGY, "", "none")


def noted(database: Database, patient: str, *facts: Fact, **more: Any) -> None:
    given: dict[str, Any] = {"actor": DOCTOR, "member": CLINIC, "at": NOW, "now": NOW}
    with database.write() as session:
        snapshot.note(session, patient=patient, facts=facts, **(given | more))


def latest(database: Database, patient: str) -> snapshot.Snapshot:
    with database.read() as session:
        return snapshot.latest(session, member=CLINIC, patient=patient)


def test_facts_come_back_with_source_and_time(database: Database) -> None:
    patient = registered(database).id
    noted(database, patient, *PRESSURE, KNEE)
    noted(
        database,
        patient,
        Fact(FactKind.MEDICATION, "氨氯地平 5 mg 每日一次"),
        actor=HOSPITAL,
        source=HOSPITAL,
        case="c-1",
        at=NOW - timedelta(days=3),
    )
    now = latest(database, patient)
    pressure = now.vital("systolic")
    assert pressure is not None
    assert (pressure.fact.text, pressure.source, pressure.at) == ("152", "", NOW)
    assert [one.fact for one in now.diagnoses] == [KNEE]
    (medicine,) = now.medications
    assert (medicine.source, medicine.case, medicine.at) == (
        HOSPITAL,
        "c-1",
        NOW - timedelta(days=3),
    )
    assert now.vital("pulse") is None
    with database.read() as session:
        assert [one.action for one in audit.viewed_by(session, patient)][:2] == [
            "patients.note",
            "patients.note",
        ]


def test_newer_takes_the_place_of_older(database: Database) -> None:
    patient = registered(database).id
    noted(database, patient, *PRESSURE, KNEE)
    later = NOW + timedelta(days=1)
    noted(database, patient, Fact(FactKind.VITAL, "138", "systolic"), KNEE, at=later, now=later)
    now = latest(database, patient)
    assert [(one.fact.code, one.fact.text) for one in now.vitals] == [
        ("systolic", "138"),
        ("diastolic", "94"),
    ]
    assert [one.at for one in now.diagnoses] == [later]


def test_a_measurement_that_arrives_late_is_history(database: Database) -> None:
    patient = registered(database).id
    noted(database, patient, *PRESSURE)
    noted(database, patient, Fact(FactKind.VITAL, "170", "systolic"), at=NOW - timedelta(days=9))
    value = latest(database, patient).vital("systolic")
    assert value is not None
    assert value.fact.text == "152"


def test_an_allergy_and_none_known_exclude_each_other(database: Database) -> None:
    patient = registered(database).id
    noted(database, patient, NONE_KNOWN)
    assert latest(database, patient).none_known is not None
    noted(database, patient, PENICILLIN, Fact(FactKind.ALLERGY, "花生"))
    now = latest(database, patient)
    assert now.none_known is None
    assert {one.fact.text for one in now.allergies} == {"青霉素皮疹", "花生"}
    noted(database, patient, NONE_KNOWN)
    now = latest(database, patient)
    assert (now.allergies, now.none_known is not None) == ((), True)


def test_what_is_over_or_was_wrong_ends(database: Database) -> None:
    patient = registered(database).id
    noted(database, patient, KNEE)
    (one,) = latest(database, patient).diagnoses
    with pytest.raises(Refusal), database.write() as session:
        snapshot.end(session, actor=actor(member="yunling"), fact_id=one.id, why="wrong", now=NOW)
    with database.write() as session:
        snapshot.end(session, actor=DOCTOR, fact_id=one.id, why="over", now=NOW)
    assert latest(database, patient).diagnoses == ()
    with pytest.raises(Refusal), database.write() as session:
        snapshot.end(session, actor=DOCTOR, fact_id=one.id, why="over", now=NOW)


def test_one_wrong_fact_and_none_is_written(database: Database) -> None:
    patient = registered(database).id
    with pytest.raises(Refusal):
        noted(database, patient, KNEE, Fact(FactKind.VITAL, "9000", "pulse"))
    assert latest(database, patient) == snapshot.Snapshot()


def test_nobody_elses_patient(database: Database) -> None:
    patient = registered(database).id
    with pytest.raises(Refusal):
        noted(database, patient, KNEE, member="yunling")
    noted(database, patient, KNEE)
    with database.read() as session:
        other = snapshot.latest(session, member="yunling", patient=patient)
    assert other == snapshot.Snapshot()
