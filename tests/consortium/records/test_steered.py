"""Nothing goes by itself where the asker, or anybody else, has made it doubtful who is meant."""

from dataclasses import replace

from consortium.fhir import gate
from consortium.patients import adoption, service, writing
from consortium.patients.adoption import Adopted
from tests.consortium.records.asking import ask, at, house, kept, need, person, release, review
from tests.consortium.teleconsult.world import Clinics, clinics

__all__ = ["clinics"]


def adopt(world: Clinics, patient: str, *, name: str = "han") -> Adopted:
    """The hospital takes in a clinic's patient, as with a referral."""
    source = world.actor(name).member
    with world.reading(name) as session:
        raw = service.resource(session, member=source, patient=patient)
    with world.writing("lu") as session:
        return adoption.adopt(
            session, member="lead", resource=gate.parse(raw), raw=raw, source=source,
            now=world.clock.now(),
        )  # fmt: skip


def correct(world: Clinics, patient: str, **changes: str) -> None:
    """The clinic says of its patient that it is called otherwise."""
    with world.writing("han") as session:
        found = service.find(session, member="shiqiao", patient=patient)
        assert found is not None
        entry = replace(writing.entry_of(found), **changes)
        service.correct(
            session, actor=world.actor("han"), patient=patient, entry=entry,
            version=found.version, now=world.clock.now(),
        )  # fmt: skip


def test_a_clinic_that_renames_its_patient_is_not_given_the_records_of_who_had_the_name(
    clinics: Clinics,
) -> None:
    here = person(clinics, "han")
    there = adopt(clinics, here).patient
    house(clinics, there.id)
    correct(clinics, here, name="李小红")
    again = adopt(clinics, here)
    assert (again.outcome, again.patient.id != there.id) == ("disputed", True)
    case = ask(clinics, here)
    clinics.settle()
    assert kept(clinics, here) == []
    held = at(clinics, "desk", case)
    assert (held.state, held.why) == ("requested", "identity_conflict")
    assert {one.patient.id for one in review(clinics, case).candidates} == {
        there.id,
        again.patient.id,
    }


def test_a_number_that_the_clinic_adds_later_does_not_let_them_go(clinics: Clinics) -> None:
    here = person(clinics, "han", number="", no_number_reason="not_at_hand")
    there = adopt(clinics, here).patient
    house(clinics, there.id)
    correct(clinics, here, number="512425195903141626", number_kind="id_number")
    assert adopt(clinics, here).patient.id == there.id
    case = ask(clinics, here)
    clinics.settle()
    assert kept(clinics, here) == []
    assert at(clinics, "desk", case).why == "not_sure"
    release(clinics, case, there.id)
    clinics.settle()
    assert at(clinics, "han", case).count == 2


def test_a_patient_whom_the_clinic_sent_and_did_not_change_is_answered(clinics: Clinics) -> None:
    here = person(clinics, "han")
    house(clinics, adopt(clinics, here).patient.id)
    correct(clinics, here, phone="13911111111")
    assert adopt(clinics, here).outcome == "same"
    case = ask(clinics, here)
    clinics.settle()
    assert (at(clinics, "han", case).state, at(clinics, "han", case).by) == ("released", "auto")


def test_a_number_that_another_bears_too_waits_for_a_person(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    assert adopt(clinics, person(clinics, "tan", name="吴桂芳"), name="tan").outcome == "disputed"
    case = ask(clinics, here)
    clinics.settle()
    assert kept(clinics, here) == []
    assert at(clinics, "desk", case).why == "identity_conflict"


def test_a_twin_in_name_and_day_of_birth_waits_for_a_person(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    twin = clinics.patient("lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    assert (twin != there, kept(clinics, here)) == (True, [])
    assert at(clinics, "desk", case).why == "several"
    assert need(clinics, "desk", case) == "record.need.decide"
    release(clinics, case, there)
    clinics.settle()
    assert at(clinics, "han", case).by == "person"
