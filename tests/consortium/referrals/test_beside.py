"""What goes with a referral: the record, messages, readings, rights, the FHIR door."""

from dataclasses import replace

import pytest

from consortium.desk import messages as said
from consortium.desk import service as desk
from consortium.exchange import timeline
from consortium.fhir import gate, systems
from consortium.fhir.face import Query
from consortium.kernel.errors import Refusal
from consortium.patients import service as patients
from consortium.patients import snapshot
from consortium.records import library
from consortium.referrals import answering, known, service, viewing
from consortium.referrals.content import ReportText, Vital
from consortium.referrals.model import Action
from tests.consortium.referrals.acts import act, slot, view
from tests.consortium.referrals.factory import CONTENT
from tests.consortium.referrals.world import Consortium, consortium

__all__ = ["consortium"]


def test_what_the_form_says_is_known_of_the_patient_on_both_sides(consortium: Consortium) -> None:
    world = consortium
    patient = world.patient()
    world.refer(patient)
    world.settle()
    for name, source in (("han", ""), ("lu", "shiqiao")):
        member = world.actor(name).member
        with world.reading(name) as session:
            found = patients.find(session, member=member, patient=patient)
            assert found is not None
            now_known = snapshot.latest(session, member=member, patient=found.id)
        assert [one.fact.text for one in now_known.allergies] == list(CONTENT.allergies)
        assert {one.source for one in now_known.vitals} == {source}


def test_a_vital_sign_that_names_a_month_alone_is_known_too(consortium: Consortium) -> None:
    patient, now = consortium.patient(), consortium.clock.now()
    told = replace(CONTENT, vitals=(Vital("pulse", "88", "2025-11"),))
    with consortium.writing("han") as session:
        known.learn(
            session, told, actor="lead", member="shiqiao", patient=patient, source="lead",
            case="c1", at=now, now=now,
        )  # fmt: skip
        found = snapshot.latest(session, member="shiqiao", patient=patient).vital("pulse")
    assert found is not None
    assert (found.fact.text, found.at.isoformat()) == ("88", "2025-10-31T16:00:00+00:00")


def test_the_record_of_the_patient_holds_what_was_sent_and_reported(consortium: Consortium) -> None:
    world = consortium
    patient = world.patient()
    case = world.refer(patient)
    world.settle()
    with world.reading("han") as session:
        open_to = {"member": "shiqiao", "party": "lead", "patient": patient}
        assert library.granted(session, now=world.clock.now(), **open_to)
    place = slot(world)
    act(world, "lu", case, answering.accept, sign=True, slot=place)
    act(world, "desk", case, answering.arrive)
    text = ReportText("冠心病", "造影示前降支狭窄 70%", "双抗一年")
    act(world, "lu", case, answering.report, sign=True, text=text)
    act(world, "han", case, service.acknowledge, adoption="adopted")
    for name in ("han", "lu"):
        with world.reading(name) as session:
            page = library.of_patient(session, actor=world.actor(name), patient=patient)
        kinds = {one.type: one.source for one in page.rows}
        assert kinds["DiagnosticReport"] == kinds["CarePlan"] == "lead"
        assert kinds["Condition"] == kinds["AllergyIntolerance"] == "shiqiao"
        assert "DocumentReference" not in kinds
    with world.reading("han") as session:
        assert not library.granted(session, now=world.clock.now(), **open_to)


def test_the_fhir_door_gives_the_request_and_its_task(consortium: Consortium) -> None:
    world = consortium
    patient = world.patient()
    case = world.refer(patient)
    world.settle()
    for name in ("han", "lu"):
        with world.writing(name) as session:
            for kind in ("ServiceRequest", "Task"):
                for query in (
                    Query(kind, id=case),
                    Query(kind, patient=patient),
                    Query(kind, identifier=(systems.CASE, case)),
                ):
                    (found,) = viewing.resources(
                        session, actor=world.actor(name), query=query, now=world.clock.now()
                    )
                    assert gate.parse(found.raw)["id"] == case
            nothing = Query("Task", identifier=("urn:other", case))
            assert not viewing.resources(
                session, actor=world.actor(name), query=nothing, now=world.clock.now()
            )
    with world.writing("tan") as session:
        query = Query("Task", id=case)
        assert not viewing.resources(
            session, actor=world.actor("tan"), query=query, now=world.clock.now()
        )


def test_messages_go_both_ways_inside_a_case(consortium: Consortium) -> None:
    world = consortium
    case = world.refer(world.patient())
    world.settle()
    doing = world.doing("lu")
    with world.writing("lu") as session:
        for _twice in range(2):
            said.say(
                session, actor=doing.actor, post=doing.post, case=case, text="患者现在能走路吗？",
                exchange=doing.exchange, now=doing.now,
            )  # fmt: skip
    world.settle()
    with world.reading("han") as session:
        (one,) = said.of_case(session, actor=world.actor("han"), case=case)
        notices = desk.notices(session, actor=world.actor("han"))
    assert (one.text, one.author, one.mine) == ("患者现在能走路吗？", "陆怀安", False)
    assert [notice.word for notice in notices] == ["desk.notice.message"]
    with world.reading("tan") as session:
        assert said.of_case(session, actor=world.actor("tan"), case=case) == []


def test_a_reading_is_told_once_however_often_a_case_is_opened(consortium: Consortium) -> None:
    world = consortium
    case = world.refer(world.patient())
    world.settle()
    for name in ("lu", "desk", "lu"):
        doing = world.doing(name)
        with world.writing(name) as session:
            viewing.opening(session, case, actor=doing.actor, post=doing.post, now=doing.now)
    world.settle()
    with world.reading("lu") as session:
        entries = timeline.of_case(session, member="lead", case=case)
    assert [entry.kind for entry in entries].count("case.read/1") == 1


def test_another_clinic_sees_nothing_of_it(consortium: Consortium) -> None:
    case = consortium.refer(consortium.patient())
    consortium.settle()
    with consortium.writing("tan") as session:
        with pytest.raises(Refusal, match=r"referral\.missing_case"):
            viewing.view(session, case, actor=consortium.actor("tan"))
        doing = consortium.doing("tan")
        with pytest.raises(Refusal, match=r"referral\.missing_case"):
            service.cancel(session, case, doing, reason="mistake")


def test_roles_decide_who_may_act(consortium: Consortium) -> None:
    case = consortium.refer(consortium.patient())
    consortium.settle()
    for name, use, what in (
        ("han", answering.claim, {}),
        ("lu", answering.arrive, {}),
        ("desk", answering.report, {"text": ReportText("a", "b", ""), "signer": None}),
        ("lu", service.cancel, {"reason": "mistake"}),
    ):
        with pytest.raises(Refusal) as refused:
            act(consortium, name, case, use, **what)
        assert refused.value.code == "rights.not_here"
    assert view(consortium, "han", case).can == {Action.CANCEL, Action.CORRECT}
    assert Action.ARRIVE not in view(consortium, "lu", case).can


def test_the_number_of_the_slip_leads_to_the_case_on_both_sides(consortium: Consortium) -> None:
    case = consortium.refer(consortium.patient())
    consortium.settle()
    code = view(consortium, "han", case).number
    for name in ("han", "lu"):
        with consortium.reading(name) as session:
            found = viewing.by_number(session, code.lower(), actor=consortium.actor(name))
            assert found == case
            hits = desk.find(session, actor=consortium.actor(name), text=code[:6])
            assert [hit.row.case for hit in hits] == [case]
