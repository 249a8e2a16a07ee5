"""A patient whom another member sent, once this one keeps something on it: nobody renames it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from consortium.desk import service as desk
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from consortium.patients import service, snapshot
from consortium.patients.model import Entry, Fact, FactKind, Patient
from tests.consortium.patients.factory import CLINIC, DOCTOR, HOUR, LI, NOW, WANG, registered
from tests.consortium.patients.test_adoption import SENT, adopted

OTHER = new_id(NOW + HOUR)
RENAMED = replace(WANG, name="王秀瑛")
YOUNGER = replace(LI, birth="1971-05-02")


def held(session: Session, patient: str, by: str) -> None:
    service.keep_own(session, member=CLINIC, patient=patient, by=by)


def noted(session: Session, patient: str, by: str) -> None:
    source, fact = "" if by == CLINIC else by, Fact(FactKind.DIAGNOSIS, "冠心病")
    snapshot.note(
        session, actor=DOCTOR, member=CLINIC, patient=patient, facts=[fact], at=NOW, now=NOW,
        source=source,
    )  # fmt: skip


def of(database: Database, patient: str = SENT) -> Patient:
    with database.read() as session:
        found = service.find(session, member=CLINIC, patient=patient)
    assert found is not None
    return found


@pytest.mark.parametrize("keep", [held, noted])
@pytest.mark.parametrize("by", [CLINIC, "yunling"])
@pytest.mark.parametrize(
    ("first", "second"), [(WANG, RENAMED), (LI, YOUNGER), (LI, replace(LI, name="李建军"))]
)
def test_its_sender_changes_who_it_is_no_more(
    database: Database,
    keep: Callable[[Session, str, str], None],
    by: str,
    first: Entry,
    second: Entry,
) -> None:
    theirs = adopted(database, first).patient
    with database.write() as session:
        keep(session, theirs.id, by)
    again = adopted(database, second, now=NOW + 2 * HOUR)
    assert (again.outcome, again.patient.disputed_with) == ("disputed", theirs.id)
    kept = of(database)
    assert (kept.name, kept.birth, kept.sex) == (theirs.name, theirs.birth, theirs.sex)
    with database.read() as session:
        notices = [one.word for one in desk.notices(session, actor=DOCTOR)]
    assert notices == ["patients.notice.number_other_name"]
    # the same again is the one who was kept apart, the old name the one who was here
    assert adopted(database, second).patient == again.patient
    assert adopted(database, first).patient.id == theirs.id


def test_a_number_that_its_sender_adds_later_proves_nothing(database: Database) -> None:
    bare = replace(WANG, number="", no_number_reason="not_at_hand", sex="female")
    theirs = adopted(database, replace(bare, birth="1949-12-31")).patient
    with database.write() as session:
        held(session, theirs.id, CLINIC)
    again = adopted(database, WANG)
    assert (again.outcome, again.patient.id, of(database).number) == ("same", theirs.id, "")


@pytest.mark.parametrize("entry", [WANG, replace(WANG, phone="13911111111")])
def test_who_is_told_the_same_stays_one(database: Database, entry: Entry) -> None:
    theirs = adopted(database, WANG).patient
    with database.write() as session:
        held(session, theirs.id, CLINIC)
    again = adopted(database, entry)
    assert (again.outcome, again.patient.id) == ("same", theirs.id)


def test_what_is_only_the_senders_may_still_be_put_right_by_it(database: Database) -> None:
    theirs = adopted(database, WANG).patient
    with database.write() as session:
        held(session, theirs.id, theirs.source)
        noted(session, theirs.id, theirs.source)
    again = adopted(database, RENAMED)
    assert (again.outcome, again.patient.name) == ("same", RENAMED.name)


def test_a_patient_whom_a_third_member_sends_too_is_renamed_by_neither(database: Database) -> None:
    theirs = adopted(database, WANG).patient
    assert adopted(database, WANG, patient=OTHER, source="yunling").patient.id == theirs.id
    assert adopted(database, RENAMED).outcome == "disputed"
    assert of(database).name == WANG.name


def test_whom_a_person_here_found_by_number_and_name_is_not_renamed(database: Database) -> None:
    theirs = adopted(database, WANG).patient
    assert registered(database, WANG).id == theirs.id
    assert adopted(database, RENAMED).outcome == "disputed"


def test_a_name_that_a_person_here_corrected_may_still_come(database: Database) -> None:
    theirs = adopted(database, WANG).patient
    with database.write() as session:
        service.correct(
            session, actor=DOCTOR, patient=theirs.id, entry=RENAMED, version=1, now=NOW + HOUR
        )
    assert adopted(database, WANG).patient.id == theirs.id
    assert adopted(database, replace(WANG, name="王小英")).outcome == "disputed"
    assert of(database).name == RENAMED.name


def test_everybody_who_bears_a_number_or_a_name_with_its_day_is_told(database: Database) -> None:
    wang = registered(database)
    disputed = adopted(database, RENAMED).patient
    twin = registered(
        database,
        replace(WANG, number="", no_number_reason="lost", sex="female", birth="1949-12-31"),
        confirmed=True,
    )
    vague = registered(
        database,
        replace(WANG, number="", no_number_reason="lost", sex="female", birth="1949"),
        confirmed=True,
    )
    registered(
        database,
        replace(WANG, number="", no_number_reason="lost", sex="female", birth="1950"),
        confirmed=True,
    )
    with database.read() as session:
        asked = replace(WANG, birth="1949-12-31")
        found = service.alike(session, actor=DOCTOR, entry=asked)
    assert found[0].id == wang.id
    assert {one.id for one in found} == {wang.id, disputed.id, twin.id, vague.id}
