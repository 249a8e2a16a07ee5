"""Pages of acts: a cancelled session, and a form that was drawn before the case moved on."""

from consortium.referrals import answering
from tests.consortium.referrals.acts import act, slot, view
from tests.consortium.referrals.test_cancelled_session import cancel, follow
from tests.consortium.referrals.test_pages import Stage, exchange, stage, words

__all__ = ["stage"]


def sent(stage: Stage) -> str:
    """A referral that the hospital has received; its case."""
    case = stage.world.refer(stage.world.patient())
    stage.settle()
    return case


def test_the_pages_of_a_cancelled_time(stage: Stage) -> None:
    world = stage.world
    place = slot(world)
    case = sent(stage)
    act(world, "lu", case, answering.accept, sign=True, slot=place, place="门诊楼 3 诊室")
    start = stage.get("han", f"/referrals/{case}/slip").split('<p class="big">', 1)[1][:30]
    cancel(world, place)
    for name, wanted in (("han", "请通知患者先别去"), ("lu", "请给这位患者另定时间")):
        page = words(stage.get(name, f"/referrals/{case}"))
        assert "待改期" in page
        assert wanted in page
    slip = stage.get("han", f"/referrals/{case}/slip")
    assert "原定时间已停诊取消" in words(slip)
    assert "打 0550-555 0120" in words(slip)
    for gone in (start, "门诊楼 3 诊室", "号留给别人"):
        assert gone not in slip
    follow(world)
    assert "给停诊的患者改期" in words(stage.get("desk", "/"))
    assert "请通知患者先别去" in stage.get("han", "/")
    assert "吴桂兰" not in words(stage.get("desk", "/referrals/arrivals"))
    desk = stage.get("desk", f"/referrals/{case}?act=accept")
    assert "act=no_show" not in desk
    assert 'name="when"' in desk


def drawn(page: str) -> str:
    return page.split('name="drawn" value="', 1)[1].split('"', 1)[0]


def day_of(page: str) -> str:
    """The day that the form of an accept proposes."""
    return page.split('type="date" name="date" value="', 1)[1].split('"', 1)[0]


def test_a_form_of_before_the_case_moved_is_not_taken_for_consent_to_that(stage: Stage) -> None:
    world = stage.world
    place = slot(world)
    case = sent(stage)
    stale = stage.get("desk", f"/referrals/{case}?act=accept")
    act(world, "lu", case, answering.accept, sign=True, slot=place, place="门诊楼 3 诊室")
    told = {"exchange": exchange(stale), "drawn": drawn(stale), "when": "date",
            "date": day_of(stale), "note": "先排队，腾出号再约"}  # fmt: skip
    answer = stage.send("desk", f"/referrals/{case}/accept", told)
    assert answer.status_code == 409
    page = words(answer.text)
    assert "这张单子又有了新的一步：同意接收（清源市第一人民医院 陆怀安" in page
    assert "门诊楼 3 诊室" in page
    assert "先排队，腾出号再约" in answer.text
    assert 'value="date" checked' in answer.text
    assert view(world, "han", case).slot == place
    # seen beside what happened, a second press is a decision
    fresh = drawn(answer.text)
    assert fresh != told["drawn"]
    stage.post("desk", f"/referrals/{case}/accept", {**told, "drawn": fresh})
    stage.settle()
    assert (view(world, "han", case).state, view(world, "han", case).slot) == ("waiting", "")


def test_what_was_typed_is_shown_where_its_act_is_gone(stage: Stage) -> None:
    world = stage.world
    case = sent(stage)
    stale = stage.get("desk", f"/referrals/{case}?act=accept")
    act(world, "lu", case, answering.decline, sign=True, reason="no_capacity", note="")
    told = {"exchange": exchange(stale), "drawn": drawn(stale), "when": "date",
            "date": day_of(stale), "note": "周三来"}  # fmt: skip
    answer = stage.send("desk", f"/referrals/{case}/accept", told)
    assert answer.status_code == 409
    assert "referral.state" in answer.text
    assert "您写的还在： 周三来" in words(answer.text)


def test_a_report_and_a_supplement_carry_what_they_stand_on(stage: Stage) -> None:
    world = stage.world
    case = sent(stage)
    act(world, "desk", case, answering.send_back, absent=["labs"])
    page = stage.get("han", f"/referrals/{case}/resend")
    assert drawn(page) == view(world, "han", case).moved_by
    other = sent(stage)
    act(world, "lu", other, answering.accept, sign=True, date=world.clock.now())
    act(world, "desk", other, answering.arrive)
    page = stage.get("lu", f"/referrals/{other}/report")
    told = {"exchange": exchange(page), "drawn": "before", "diagnosis": "冠心病", "findings": "窄"}
    answer = stage.send("lu", f"/referrals/{other}/report", told)
    assert answer.status_code == 409
    assert "窄" in answer.text
    told["drawn"] = drawn(answer.text)
    stage.post("lu", f"/referrals/{other}/report", told)
