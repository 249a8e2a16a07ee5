"""What a case's page says of its answers: whose they are, which words, which day, which keys."""

import re
from dataclasses import replace
from datetime import timedelta

from consortium.exchange import state
from consortium.kernel.time import ZONE, end_of_day
from consortium.referrals import answering, model, service, viewing
from consortium.referrals.model import Action, Side, State
from consortium.referrals.rows import TO_MOVE
from consortium.web import referral_views
from consortium.web.wording import Look, dated, written
from tests.consortium.referrals.acts import act, line, slot, view
from tests.consortium.referrals.test_acting_pages import day_of, drawn, sent
from tests.consortium.referrals.test_pages import Stage, exchange, stage, words

__all__ = ["stage"]
NOTE = "请补肌钙蛋白"


def resent(stage: Stage, case: str, **changes: object) -> None:
    world = stage.world
    with world.reading("han") as session:
        fields = viewing.fields(session, case, actor=world.actor("han"))
    act(world, "han", case, service.resend, sign=True, fields=fields | changes)


def banner(page: str, tone: str) -> str:
    found = re.search(rf'<div class="banner {tone}".*?</div>', page, re.DOTALL)
    return "" if found is None else words(found[0])


def test_an_appointment_does_not_bear_the_words_of_an_older_answer(stage: Stage) -> None:
    world, place = stage.world, slot(stage.world)
    case = sent(stage)
    act(world, "lu", case, answering.send_back, absent=["labs"], note=NOTE)
    resent(stage, case)
    act(world, "lu", case, answering.accept, sign=True, slot=place, place="门诊三楼 5 诊室")
    for name in ("han", "lu"):
        told = banner(stage.get(name, f"/referrals/{case}"), "blue")
        assert "门诊三楼 5 诊室" in told
        assert NOTE not in told
    later = slot(world, days=3)
    act(world, "lu", case, answering.accept, sign=True, slot=later, note="改到次日")
    assert "改到次日" in banner(stage.get("han", f"/referrals/{case}"), "blue")


def test_an_answer_on_its_way_does_not_speak_for_the_one_that_stands(stage: Stage) -> None:
    world, place, later = stage.world, slot(stage.world), slot(stage.world, days=3)
    case = sent(stage)
    act(world, "lu", case, answering.accept, sign=True, slot=place, place="3 诊室", note="空腹")
    with world.writing("lu") as session:
        answering.accept(session, case, world.doing("lu"), signer=world.key("lu"), slot=later,
                         place="9 诊室", note="改期")  # fmt: skip
    told = banner(stage.get("lu", f"/referrals/{case}"), "blue")
    assert "3 诊室 — 空腹" in told
    assert "改期" not in told


def test_a_day_that_is_expected_is_shown_without_an_hour(stage: Stage) -> None:
    world = stage.world
    case = sent(stage)
    page = stage.get("desk", f"/referrals/{case}?act=accept")
    told = {"exchange": exchange(page), "drawn": drawn(page), "when": "date", "date": day_of(page)}
    stage.post("desk", f"/referrals/{case}/accept", told)
    stage.settle()
    found = line(world, "desk", case)
    assert found is not None
    due = found.row.due_at
    assert due is not None
    shown = due.astimezone(ZONE)
    assert (shown.date().isoformat(), due) == (day_of(page), end_of_day(due))
    with written(Look("zh", world.clock.now())):
        day = dated(shown.date())
    for name in ("han", "desk"):
        page = stage.get(name, f"/referrals/{case}")
        assert f"排队，预计 {day}" in banner(page, "blue")
        todo = words(stage.get(name, "/?scope=member"))
        assert f"排队，预计 {day}" in todo
        arrivals = words(stage.get("desk", "/referrals/arrivals"))
        for text in (words(page), todo, arrivals):
            assert day in text
            assert "12:00" not in text
            assert "23:59" not in text


def test_the_other_side_sees_who_did_each_act(stage: Stage) -> None:
    world = stage.world
    case = sent(stage)
    act(world, "lu", case, answering.claim)
    act(world, "lu", case, answering.accept, sign=True, date=world.clock.now() + timedelta(days=9))
    act(world, "desk", case, answering.arrive)
    told = {one.action: (one.author, one.text) for one in view(world, "han", case).happened}
    assert told == {
        "request": ("韩素云", ""), "claim": ("陆怀安", ""), "accept": ("陆怀安", ""),
        "arrive": ("转诊办", ""),
    }  # fmt: skip
    page = words(stage.get("han", f"/referrals/{case}"))
    for wanted in ("市第一人民医院 陆怀安", "市第一人民医院 转诊办", "陆怀安签", "转诊办签"):
        assert wanted in page, wanted
    other = sent(stage)
    act(world, "han", other, service.cancel, reason="improved")
    assert view(world, "lu", other).happened[0].author == "韩素云"


def test_no_two_acts_of_a_page_have_one_key(stage: Stage) -> None:
    world = stage.world
    case = sent(stage)
    seen = view(world, "han", case)
    with world.reading("han") as session:
        value = state.read(session, f"case:{case}") or {}
    with written(Look("zh", world.clock.now())):
        for side in Side:
            for where in (*State, TO_MOVE):
                at = State.BOOKED if where == TO_MOVE else where
                here = {**value, "state": at, "urgency": "emergency"}
                can = model.allowed(here, side=side, off=where == TO_MOVE)
                shown = referral_views.keys(replace(seen, side=side, state=where, can=can))
                assert len({one.key for one in shown}) == len(shown) == len(can), (side, where)


def test_a_case_that_is_accepted_is_given_a_time(stage: Stage) -> None:
    world, place = stage.world, slot(stage.world)
    case = sent(stage)
    assert "签名，同意接收" in words(stage.get("desk", f"/referrals/{case}?act=accept"))
    act(world, "lu", case, answering.accept, sign=True, date=world.clock.now() + timedelta(days=9))
    page = stage.get("desk", f"/referrals/{case}?act=accept")
    row = words(page.split('id="act"', 1)[1].split("</section>", 1)[0])
    assert "安排时间" in row
    assert "签名，安排时间" in row
    assert "同意接收" not in row
    told = {"exchange": exchange(page), "drawn": drawn(page), "when": place, "place": "3 诊室"}
    stage.post("desk", f"/referrals/{case}/accept", told)
    assert "已安排时间" in stage.get("desk", f"/referrals/{case}")
    stage.settle()
    assert view(world, "han", case).state == "booked"


def test_what_is_not_measured_again_keeps_its_time(stage: Stage) -> None:
    world = stage.world
    case = sent(stage)
    first = {one.code: one.at for one in view(world, "lu", case).content.vitals}
    assert all(first.values())
    act(world, "lu", case, answering.send_back, absent=["labs"])
    world.clock.advance(seconds=120)
    resent(stage, case, temperature="38.1")
    for name in ("lu", "han"):
        again = {one.code: one.at for one in view(world, name, case).content.vitals}
        assert again.pop("temperature") > max(first.values())
        assert again == {code: at for code, at in first.items() if code != "temperature"}


def test_a_returned_case_says_at_its_top_what_is_missing(stage: Stage) -> None:
    world = stage.world
    case = sent(stage)
    act(world, "lu", case, answering.send_back, absent=["labs", "ecg"], note=NOTE)
    page = stage.get("han", f"/referrals/{case}")
    told = banner(page, "amber")
    assert "对方要求补充： 检验结果，心电图 — 请补肌钙蛋白" in told
    assert "去补充" in told
    assert page.index('class="banner amber"') < page.index('class="ask"')
    assert f'href="/referrals/{case}/resend"' in page.split('class="ask"', 1)[0]
    assert banner(stage.get("lu", f"/referrals/{case}"), "amber") == ""
    world.members["shiqiao"].link.cut = True
    with world.reading("han") as session:
        fields = viewing.fields(session, case, actor=world.actor("han"))
    with world.writing("han") as session:
        service.resend(session, case, world.doing("han"), fields=fields, signer=world.key("han"))
    told = banner(stage.get("han", f"/referrals/{case}"), "amber")
    assert "去补充" not in told
    world.members["shiqiao"].link.cut = False
    stage.settle()
    assert Action.RESEND not in view(world, "han", case).can
    assert banner(stage.get("han", f"/referrals/{case}"), "amber") == ""
