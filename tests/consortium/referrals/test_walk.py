"""A referral from the form to the closed case, over a hub and two workstations."""

import pytest

from consortium.desk import drafts
from consortium.desk import service as desk
from consortium.exchange import state
from consortium.kernel.errors import Refusal
from consortium.referrals import answering, form, service, viewing
from consortium.referrals.content import ReportText
from consortium.referrals.model import Action
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.referrals.acts import act, line, need, slot, view
from tests.consortium.referrals.factory import CONTENT, contract
from tests.consortium.referrals.world import Consortium, consortium

__all__ = ["consortium"]


def test_the_whole_walk(consortium: Consortium) -> None:
    world = consortium
    place = slot(world)
    case = sent_over_a_cut_link(world)
    returned_and_sent_again(world, case)
    booked_and_arrived(world, case, place)
    text = ReportText("冠心病", "造影示前降支狭窄 70%", "双抗一年，1 月后复查")
    act(world, "lu", case, answering.report, sign=True, text=text)
    assert need(world, "han", case) == "taker.reported mine"
    report = view(world, "han", case).report
    assert report is not None
    assert (report.data["findings"], report.author) == (text.findings, "陆怀安")
    act(world, "han", case, service.acknowledge, adoption="partly", note="血小板低，减量")
    for name in ("han", "lu"):
        assert line(world, name, case) is None
        closed = view(world, name, case)
        assert (closed.state, closed.adoption) == ("closed", "partly")
        done = [one.action for one in reversed(closed.happened)]
        assert done == [
            "request", "claim", "return", "resend", "accept", "arrive", "report", "acknowledge",
        ]  # fmt: skip
        assert all(one.entry.index is not None and one.entry.receipt for one in closed.happened)
        assert closed.can == {Action.CORRECT}
    folds_agree(world)


def sent_over_a_cut_link(world: Consortium) -> str:
    world.members["shiqiao"].link.cut = True
    case = world.refer(world.patient())
    assert need(world, "han", case) == "taker.queued theirs"
    shown = view(world, "han", case)
    assert (shown.state, shown.pending, shown.can) == ("queued", "request", frozenset())
    assert [one.entry.state for one in shown.happened] == ["queued"]
    world.members["shiqiao"].link.cut = False
    world.settle()
    assert need(world, "han", case) == "taker.requested theirs"
    assert need(world, "lu", case) == "provider.requested mine"
    received = view(world, "lu", case)
    assert received.content.question == CONTENT.question
    assert received.patient is not None
    assert received.patient.name == "吴桂兰"
    assert received.author == "韩素云"
    with world.writing("lu") as session:
        doing = world.doing("lu")
        viewing.opening(session, case, actor=doing.actor, post=doing.post, now=doing.now)
    world.settle()
    assert [one.entry.state for one in view(world, "han", case).happened] == ["read"]
    return case


def returned_and_sent_again(world: Consortium, case: str) -> None:
    act(world, "lu", case, answering.claim)
    assert need(world, "han", case) == "taker.triage theirs"
    assert view(world, "han", case).claimed_by == "陆怀安"
    act(world, "lu", case, answering.send_back, absent=["labs", "ecg"], note="请补肌钙蛋白")
    assert need(world, "han", case) == "taker.returned_two mine"
    assert need(world, "lu", case) == "provider.returned theirs"
    with world.reading("han") as session:
        fields = viewing.fields(session, case, actor=world.actor("han"))
    fields["history"] += "\n肌钙蛋白 I 0.06 μg/L。"
    act(world, "han", case, service.resend, sign=True, fields=fields)
    assert need(world, "lu", case) == "provider.requested mine"
    assert "0.06" in view(world, "lu", case).content.history


def booked_and_arrived(world: Consortium, case: str, place: str) -> None:
    act(world, "lu", case, answering.accept, sign=True, slot=place, place="门诊楼 3 诊室")
    booked = line(world, "han", case)
    assert booked is not None
    assert booked.row.need == "referral.need.taker.booked"
    assert booked.row.turn_name == "@referral.turn.patient"
    with world.reading("lu") as session:
        held = state.read(session, place)
    assert held is not None
    assert held["case"] == case
    world.clock.advance(seconds=2 * 86400)
    act(world, "desk", case, answering.arrive)
    assert need(world, "lu", case) == "provider.arrived mine"


def test_the_same_form_sent_twice_is_one_referral(consortium: Consortium) -> None:
    patient = consortium.patient()
    first = consortium.refer(patient, exchange="0193a1b2-0000-7000-8000-000000000001")
    assert consortium.refer(patient, exchange="0193a1b2-0000-7000-8000-000000000001") == first
    consortium.settle()
    with consortium.reading("lu") as session:
        page = viewing.listing(session, actor=consortium.actor("lu"))
    assert [one.case for one in page.rows] == [first]


def test_a_second_referral_to_the_same_service_shows_the_open_one(consortium: Consortium) -> None:
    patient = consortium.patient()
    first = consortium.refer(patient)
    with pytest.raises(Refusal, match=r"referral\.duplicate") as refused:
        consortium.refer(patient)
    assert refused.value.facts["case"] == first
    consortium.settle()
    act(consortium, "han", first, service.cancel, reason="improved")
    assert consortium.refer(patient) != first


def test_without_a_contract_the_form_stays_and_names_the_clause(consortium: Consortium) -> None:
    patient = consortium.patient("tan")
    with consortium.writing("tan") as session:
        drafts.save(
            session, actor=consortium.actor("tan"), form=form.name(patient), fields={"a": "1"},
            now=consortium.clock.now(),
        )  # fmt: skip
    with pytest.raises(Refusal) as refused:
        consortium.refer(patient, name="tan")
    assert (refused.value.code, refused.value.clause) == ("contract.none", "S")
    with consortium.reading("tan") as session:
        assert drafts.read(session, actor=consortium.actor("tan"), form=form.name(patient))
        assert viewing.listing(session, actor=consortium.actor("tan")).rows == []


def test_an_emergency_goes_without_contract_and_may_arrive_at_once(consortium: Consortium) -> None:
    patient = consortium.patient("tan")
    case = consortium.refer(
        patient, name="tan", urgency="emergency",
        diagnosis="", history="", consent="", allergies="", medication="",
    )  # fmt: skip
    consortium.settle()
    assert need(consortium, "desk", case) == "provider.requested mine"
    with consortium.reading("desk") as session:
        words = [n.word for n in desk.notices(session, actor=consortium.actor("desk"))]
    assert words == ["referral.notice.urgent"]
    act(consortium, "desk", case, answering.arrive)
    assert need(consortium, "tan", case) == "taker.arrived theirs"


def test_refused_by_the_hub_it_comes_back_as_a_draft_with_reason(consortium: Consortium) -> None:
    world = consortium
    world.members["shiqiao"].link.cut = True
    patient = world.patient()
    case = world.refer(patient)
    # the contract is suspended before the clinic's link comes back
    now = world.clock.now()
    world.set_contract({**contract(), "state": "suspended"}, at=("lead",))
    world.members["shiqiao"].link.cut = False
    world.settle()
    refused = line(world, "han", case)
    assert refused is not None
    assert (refused.row.need, refused.row.turn) == ("referral.need.taker.refused", "mine")
    assert refused.row.link == f"/referrals/new?about={patient}"
    with world.writing("han") as session:
        draft = drafts.read(session, actor=world.actor("han"), form=form.name(patient))
        assert draft is not None
        assert (draft.code, draft.clause) == ("contract.suspended", "N1")
        assert draft.fields["question"] == CONTENT.question
        assert draft.exchange not in {one.entry.id for one in view(world, "han", case).happened}
        # the person may give it up: nothing leaves the list by itself
        service.seen(session, case, actor=world.actor("han"), now=now)
    assert line(world, "han", case) is None


def test_a_new_try_takes_the_refused_one_off_the_list(consortium: Consortium) -> None:
    world = consortium
    patient = world.patient()
    world.set_contract({**contract(), "state": "suspended"}, at=("lead",))
    first = world.refer(patient)
    world.settle()
    assert need(world, "han", first) == "taker.refused mine"
    world.set_contract(contract(), at=("lead",))
    second = world.refer(patient)
    world.settle()
    assert line(world, "han", first) is None
    assert need(world, "han", second) == "taker.requested theirs"


def test_a_declined_case_stays_with_the_clinic_until_a_person_has_read_it(
    consortium: Consortium,
) -> None:
    case = consortium.refer(consortium.patient())
    consortium.settle()
    act(consortium, "lu", case, answering.decline, sign=True, reason="no_capacity", note="")
    assert line(consortium, "lu", case) is None
    assert need(consortium, "han", case) == "taker.declined mine"
    with consortium.writing("han") as session:
        service.seen(session, case, actor=consortium.actor("han"), now=consortium.clock.now())
    assert line(consortium, "han", case) is None


def test_a_patient_who_never_came_is_closed_by_the_clinic(consortium: Consortium) -> None:
    world = consortium
    place = slot(world)
    case = world.refer(world.patient())
    world.settle()
    act(world, "lu", case, answering.accept, sign=True, slot=place)
    with pytest.raises(Refusal, match=r"referral\.early"):
        act(world, "desk", case, answering.no_show)
    world.clock.advance(seconds=3 * 86400)
    act(world, "desk", case, answering.no_show)
    assert need(world, "han", case) == "taker.no_show mine"
    with pytest.raises(Refusal, match=r"referral\.adoption_reason"):
        act(world, "han", case, service.acknowledge, adoption="absent")
    act(world, "han", case, service.acknowledge, adoption="absent", note="家属来电，已在外地住院")
    assert line(world, "han", case) is None


def test_one_slot_goes_to_one_of_two_cases(consortium: Consortium) -> None:
    world = consortium
    place = slot(world)
    first = world.refer(world.patient())
    second = world.refer(world.patient(name="何秀莲", phone="13800000001"))
    world.settle()
    act(world, "lu", first, answering.accept, sign=True, slot=place)
    with pytest.raises(Refusal, match=r"slot\.taken"):
        act(world, "lu", second, answering.accept, sign=True, slot=place)
    assert need(world, "lu", second) == "provider.requested mine"


def test_a_correction_stands_beside_the_original(consortium: Consortium) -> None:
    world = consortium
    case = world.refer(world.patient())
    world.settle()
    (request,) = view(world, "han", case).happened
    act(
        world, "han", case, service.correct, sign=True,
        of=request.entry.id, what="diagnosis", text="应为高血压 2 级",
    )  # fmt: skip
    newest, original = view(world, "lu", case).happened
    assert (newest.action, newest.text) == ("correct", "应为高血压 2 级")
    assert original.action == "request"
    with pytest.raises(Refusal, match=r"referral\.not_author"):
        act(
            world, "lu", case, service.correct, sign=True,
            of=request.entry.id, what="diagnosis", text="x",
        )  # fmt: skip


def test_a_report_signed_by_a_desk_key_is_sent_back(consortium: Consortium) -> None:
    world = consortium
    place = slot(world)
    case = world.refer(world.patient())
    world.settle()
    act(world, "lu", case, answering.accept, sign=True, slot=place)
    act(world, "desk", case, answering.arrive)
    text = ReportText("冠心病", "造影示前降支狭窄 70%", "")
    with world.writing("lu") as session:
        answering.report(session, case, world.doing("lu"), text=text, signer=world.key("desk"))
    world.settle()
    assert view(world, "han", case).report is None
    assert need(world, "han", case) == "taker.arrived theirs"
    again = line(world, "lu", case)
    assert again is not None
    assert again.row.need == "referral.need.provider.arrived"
    assert view(world, "lu", case).code == "signature.role"
    act(world, "lu", case, answering.report, sign=True, text=text)
    assert need(world, "han", case) == "taker.reported mine"
