"""Patients who arrive in exchanges."""

from dataclasses import replace
from typing import Any

import pytest

from consortium.desk import service as desk
from consortium.fhir import gate
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import new_id
from consortium.patients import adoption, fhir, service
from consortium.patients.adoption import Adopted
from consortium.patients.model import Entry
from tests.consortium.patients.factory import (
    CLINIC,
    DOCTOR,
    HOSPITAL,
    HOUR,
    LI,
    NOW,
    WANG,
    registered,
    sent,
)

SENT = new_id(NOW)


def adopted(database: Database, entry: Entry, *, patient: str = SENT, **more: Any) -> Adopted:
    resource, raw = sent(entry, patient=patient)
    given: dict[str, Any] = {"member": CLINIC, "source": HOSPITAL, "now": NOW + HOUR}
    with database.write() as session:
        return adoption.adopt(session, resource=resource, raw=raw, **(given | more))


def test_somebody_new_keeps_the_senders_id_and_bytes(database: Database) -> None:
    one = adopted(database, WANG)
    assert (one.outcome, one.patient.id, one.patient.source) == ("new", SENT, HOSPITAL)
    assert one.patient.local_number == "000001"
    with database.read() as session:
        assert service.resource(session, member=CLINIC, patient=SENT) == sent(WANG, patient=SENT)[1]


def test_the_same_number_and_name_is_our_own_patient(database: Database) -> None:
    wang = registered(database)
    one = adopted(database, replace(WANG, phone="13911111111"))
    assert (one.outcome, one.patient) == ("same", wang)
    with database.read() as session:
        # both ids lead to the one patient from now on
        assert service.find(session, member=CLINIC, patient=SENT) == wang
        assert service.aliases(session, member=CLINIC, patient=wang.id) == {wang.id, SENT}
    assert adopted(database, WANG).outcome == "same"


def test_the_same_number_with_another_name_is_kept_apart_and_shown(database: Database) -> None:
    wang = registered(database)
    one = adopted(database, replace(WANG, name="王秀瑛"))
    assert (one.outcome, one.patient.disputed_with) == ("disputed", wang.id)
    assert one.patient.id != wang.id
    with database.write() as session:
        notices = desk.notices(session, actor=DOCTOR)
        # the number still leads to the one who had it
        held = service.register(session, actor=DOCTOR, entry=WANG, now=NOW)
        assert (held.patient.id, held.new) == (wang.id, False)
    assert [(one.word, one.params) for one in notices] == [
        ("patients.notice.number_other_name", {})
    ]
    assert adopted(database, replace(WANG, name="王秀瑛")).patient.disputed_with == wang.id


def test_a_person_settles_it_by_correcting(database: Database) -> None:
    registered(database)
    one = adopted(database, replace(WANG, name="王秀瑛")).patient
    right = replace(WANG, name="王秀瑛", number="110105194912310046")
    with database.write() as session:
        settled = service.correct(
            session, actor=DOCTOR, patient=one.id, entry=right, version=1, now=NOW
        )
    assert (settled.disputed_with, settled.number) == ("", right.number)


def test_without_a_number_nobody_is_taken_for_somebody_else(database: Database) -> None:
    li = registered(database, LI)
    one = adopted(database, LI)
    assert (one.outcome, one.patient.id != li.id) == ("new", True)


def test_the_senders_newer_words_replace_its_older_ones(database: Database) -> None:
    adopted(database, LI)
    again = adopted(database, replace(LI, phone="13911111111"))
    assert (again.outcome, again.patient.version, again.patient.phone) == ("same", 2, "13911111111")
    assert adopted(database, replace(LI, phone="13911111111")).patient.version == 2
    # and nobody else's replace them
    adopted(database, replace(LI, phone="13922222222"), source="yunling")
    with database.read() as session:
        kept = service.find(session, member=CLINIC, patient=SENT)
    assert kept is not None
    assert kept.phone == "13911111111"


@pytest.mark.parametrize("entry", [LI, replace(LI, name="王五"), WANG])
def test_the_id_of_another_members_patient_leads_to_them_only_with_number_and_name(
    database: Database, entry: Entry
) -> None:
    theirs = adopted(database, LI).patient
    one = adopted(database, entry, source="yunling")
    assert (one.outcome, one.patient.disputed_with) == ("disputed", theirs.id)
    assert (one.patient.id != theirs.id, one.patient.source) == (True, "yunling")
    # again they are the same one, and the other member's stays as it is
    assert adopted(database, entry, source="yunling").patient == one.patient
    with database.read() as session:
        assert service.find(session, member=CLINIC, patient=SENT) == theirs
        made = gate.parse(service.resource(session, member=CLINIC, patient=one.patient.id))
    assert made["id"] == one.patient.id


def test_the_id_of_another_members_patient_with_number_and_name_is_them(
    database: Database,
) -> None:
    theirs = adopted(database, WANG).patient
    one = adopted(database, replace(WANG, phone="13911111111"), source="yunling")
    assert (one.outcome, one.patient) == ("same", theirs)


def test_a_sender_cannot_make_its_patient_somebody_else(database: Database) -> None:
    theirs = adopted(database, WANG).patient
    renamed = adopted(database, replace(WANG, name="王秀瑛")).patient
    assert (renamed.id, renamed.name) == (theirs.id, "王秀瑛")
    with pytest.raises(Refusal) as refused:
        adopted(database, LI)
    assert refused.value.code == "patients.other_person"


def test_what_was_corrected_here_is_not_overwritten_by_the_sender(database: Database) -> None:
    theirs = adopted(database, LI).patient
    with database.write() as session:
        right = replace(LI, phone="13900000000")
        corrected = service.correct(
            session, actor=DOCTOR, patient=theirs.id, entry=right, version=1, now=NOW
        )
    again = adopted(database, replace(LI, phone="13911111111"))
    assert (again.outcome, again.patient) == ("same", corrected)


def test_our_own_patient_coming_back_stays_as_it_is(database: Database) -> None:
    li = registered(database, LI)
    back = adopted(database, replace(LI, phone="13911111111"), patient=li.id)
    assert (back.outcome, back.patient) == ("same", li)


def test_an_id_that_is_somebody_else_here_is_refused(database: Database) -> None:
    li = registered(database, LI)
    with pytest.raises(Refusal) as refused:
        adopted(database, WANG, patient=li.id)
    assert refused.value.code == "patients.other_person"
    resource, _raw = sent(WANG, patient=li.id)
    with database.read() as session:
        answer = adoption.inspect(
            session, member=CLINIC, resource=resource, source=HOSPITAL, now=NOW
        )
        assert answer is not None
        assert answer.code == "patients.other_person"
        resource, _raw = sent(WANG, patient=SENT)
        assert (
            adoption.inspect(session, member=CLINIC, resource=resource, source=HOSPITAL, now=NOW)
            is None
        )
        resource["gender"] = "male"
        answer = adoption.inspect(
            session, member=CLINIC, resource=resource, source=HOSPITAL, now=NOW
        )
        assert answer is not None
        assert answer.code == "patients.number_says_other"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": [{"family": "Li", "given": ["Jian", "guo"]}]}, "Jian guo Li"),
        ({"name": [{"use": "old", "text": "甲"}, {"use": "usual", "text": "乙"}]}, "乙"),
        ({"name": [{"text": "丙"}, {"use": "official", "text": "丁"}]}, "丁"),
        ({"name": []}, ""),
    ],
)
def test_names_of_other_systems_are_read(changes: dict[str, Any], expected: str) -> None:
    resource, _raw = sent(LI, patient=SENT)
    assert fhir.entry_of(resource | changes).name == expected


def test_an_entry_comes_back_from_its_resource() -> None:
    from consortium.patients import model

    for entry in (WANG, LI, replace(LI, number="E1234567", number_kind="other")):
        kept = model.checked(entry, now=NOW)
        resource = gate.parse(sent(entry, patient=SENT)[1])
        assert model.checked(fhir.entry_of(resource), now=NOW) == kept


def test_other_members_ways_to_write_are_read() -> None:
    resource, _raw = sent(LI, patient=SENT)
    resource |= {
        "telecom": [{"system": "email", "value": "a@b.c"}, {"system": "phone", "value": "12345"}],
        "address": [{"state": "福建", "city": "青石", "line": ["柳河村", "3 组"]}],
        "extension": [],
    }
    entry = fhir.entry_of(resource)
    assert (entry.phone, entry.address) == ("12345", "福建青石柳河村3 组")
    assert entry.no_number_reason == "not_at_hand"
