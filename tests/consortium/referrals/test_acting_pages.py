"""Pages of acts: a cancelled session, and a form that was drawn before the case moved on."""

from consortium.referrals import answering
from tests.consortium.referrals.acts import act, slot
from tests.consortium.referrals.test_cancelled_session import cancel, follow
from tests.consortium.referrals.test_pages import Stage, stage, words

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
