"""Pages of slots and bookings over HTTP as plain forms send them."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from consortium.desk import service as desk
from consortium.kernel.time import ZONE
from consortium.web import events
from consortium.web.events import Moment
from consortium.web.wording import Look, written
from tests.consortium.referrals.test_pages import exchange, words
from tests.consortium.teleconsult.stage import Stage, staged
from tests.support.databases import SqliteFiles


@pytest.fixture
def stage(
    tmp_path: Path, sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    with staged(tmp_path, sqlite_files, monkeypatch) as made:
        yield made


def day(stage: Stage, days: int = 7) -> str:
    """A day some days ahead, as the form writes it."""
    return str((stage.world.clock.now() + timedelta(days=days)).astimezone(ZONE).date())


def publish(stage: Stage, *times: str, days: int = 7, **changes: object) -> str:
    page = stage.get("lu", f"/slots?week={day(stage, days)}")
    fields = {
        "start": [f"{day(stage, days)} {at}" for at in times],
        "service": "cardiology",
        "kind": "teleconsult",
        "minutes": "30",
        "week": day(stage, days),
        "exchange": exchange(page),
        **changes,
    }
    href = stage.post("lu", "/slots", fields)
    stage.settle()
    return href


def slots_of(page: str) -> list[str]:
    return re.findall(r'name="slot" value="([^"]+)"', page)


def form(patient: str, page: str, slot: str, **changes: str) -> dict[str, str]:
    return {
        "patient": patient,
        "exchange": exchange(page),
        "service": "cardiology",
        "slot": slot,
        "question": "血压控制不好，请指导用药",
        "urgency": "routine",
        "consent": "explicit",
        **changes,
    }


def test_a_week_is_published_in_one_form_and_shown_with_its_state(stage: Stage) -> None:
    href = publish(stage, "08:30", "09:00", "14:00")
    page = words(stage.get("lu", href))
    assert "本周 3 号" in page
    assert "公共空号 3" in page
    assert page.count("停诊原因") == 2
    assert "陆怀安" in stage.get("han", "/bookings/new?about=" + stage.world.patient("han"))


def test_a_form_that_overlaps_is_refused_and_keeps_what_was_ticked(stage: Stage) -> None:
    publish(stage, "08:30")
    fields = {
        "start": [f"{day(stage)} 08:40"],
        "service": "cardiology",
        "kind": "teleconsult",
        "minutes": "20",
        "week": day(stage),
        "exchange": exchange(stage.get("lu", "/slots")),
    }
    answer = stage.send("lu", "/slots", fields)
    assert answer.status_code == 409
    assert "和您已有的时段重叠" in words(answer.text)
    assert re.search(rf'value="{day(stage)} 08:40" checked', answer.text)


@pytest.mark.parametrize("start", ["25:00", "8:61", "", "nonsense"])
def test_a_time_that_no_clock_shows_is_refused(stage: Stage, start: str) -> None:
    fields = {
        "start": [f"{day(stage)} {start}"],
        "service": "cardiology",
        "kind": "teleconsult",
        "minutes": "30",
        "week": day(stage),
    }
    answer = stage.send("lu", "/slots", fields)
    assert answer.status_code == 422
    assert "session.time" in answer.text


def test_a_usual_week_fills_the_form(stage: Stage) -> None:
    fields = {
        "start": [f"{day(stage)} 08:30"],
        "service": "neurology",
        "kind": "clinic",
        "minutes": "20",
        "week": day(stage),
    }
    stage.post("lu", "/slots/template", fields)
    page = stage.get("lu", f"/slots?week={day(stage, 14)}&template=1")
    assert re.search(rf'value="{day(stage, 14)} 08:30" checked', page)
    assert '<option value="neurology" selected>' in page


def test_a_booking_from_the_form_to_both_lists(stage: Stage) -> None:
    publish(stage, "08:30", "09:00")
    patient = stage.world.patient("han")
    page = stage.get("han", f"/bookings/new?patient={patient}")
    assert "协议 S1 款，本月还剩 12 次" in words(page)
    assert "号源截至" in page
    slot = slots_of(page)[0]
    told = form(patient, page, slot)
    href = stage.post("han", "/bookings/new", told)
    assert stage.post("han", "/bookings/new", told) == href
    assert "已签名，等中心确认" in stage.words("han", href)
    stage.settle()
    for name in ("han", "lu"):
        page = stage.words(name, href)
        assert "已约定" in page
        assert "血压控制不好" in page
        assert "账本" in page
        assert "吴桂兰" in stage.words(name, "/bookings")
    assert "吴桂兰" in stage.words("lu", f"/slots?week={day(stage)}")
    assert "远程会诊" not in stage.words("han", "/")
    assert stage.browsers["tan"].get(href).status_code == 404


def test_the_slower_clinic_is_told_keeps_its_form_and_is_offered_three(stage: Stage) -> None:
    publish(stage, "08:30", "09:00", "09:30", "10:00", "10:30")
    people = {name: stage.world.patient(name) for name in ("han", "tan")}
    pages = {name: stage.get(name, f"/bookings/new?about={people[name]}") for name in people}
    slot = slots_of(pages["han"])[1]
    hrefs = {
        name: stage.post(name, "/bookings/new", form(people[name], pages[name], slot))
        for name in people
    }
    stage.settle()
    lost = next(name for name in people if "没约上" in stage.words(name, hrefs[name]))
    page = stage.words(lost, hrefs[lost])
    assert "这个号刚被别人约走" in page
    assert "没约上，请换一个时间" in stage.words(lost, "/")
    again = stage.get(lost, f"/bookings/new?about={people[lost]}")
    assert "最近的三个空号" in again
    assert "血压控制不好，请指导用药" in again
    offers = slots_of(again)[:3]
    assert [one.rpartition("/")[2] for one in offers] == ["3", "4", "5"]
    case = re.search(r'name="case" value="([^"]+)"', again)
    assert case is not None
    told = form(people[lost], again, offers[0], case=case[1])
    assert stage.post(lost, "/bookings/new", told) == hrefs[lost]
    stage.settle()
    assert "已约定" in stage.words(lost, hrefs[lost])


def test_without_a_link_the_last_slots_are_shown_with_their_time(stage: Stage) -> None:
    publish(stage, "08:30")
    patient = stage.world.patient("han")
    stage.get("han", f"/bookings/new?about={patient}")
    stage.cut("han")
    page = stage.get("han", f"/bookings/new?about={patient}")
    assert "没有网络，这是" in words(page)
    href = stage.post("han", "/bookings/new", form(patient, page, slots_of(page)[0]))
    assert "已签名，等中心确认" in stage.words("han", href)
    fresh = stage.get("han", f"/bookings/new?about={patient}&service=neurology")
    assert "还没有看过这个科室的号源" in words(fresh)


def test_what_is_missing_is_said_in_the_form_and_nothing_typed_is_lost(stage: Stage) -> None:
    publish(stage, "08:30")
    patient = stage.world.patient("han")
    page = stage.get("han", f"/bookings/new?about={patient}")
    answer = stage.send("han", "/bookings/new", form(patient, page, slots_of(page)[0], consent=""))
    assert answer.status_code == 422
    assert "没有选知情同意的依据" in words(answer.text)
    assert "血压控制不好" in answer.text
    assert "会诊预约草稿" in stage.words("han", "/")


def test_a_cancelled_session_asks_for_a_new_time_and_gets_it(stage: Stage) -> None:
    publish(stage, "08:30")
    patient = stage.world.patient("han")
    page = stage.get("han", f"/bookings/new?about={patient}")
    href = stage.post("han", "/bookings/new", form(patient, page, slots_of(page)[0]))
    stage.settle()
    publish(stage, "14:00")
    week = stage.get("lu", f"/slots?week={day(stage)}")
    assert "停诊后，1 位已约的进入待改期" in words(week)
    cancel = re.search(r'action="(/slots/sessions/[^"]+/cancel)"', week)
    assert cancel is not None
    stage.post("lu", cancel[1], {"reason": "leave", "week": day(stage)})
    stage.settle()
    from consortium.teleconsult import following

    for member in ("lead", "shiqiao"):
        with stage.world.databases[member].write() as session:
            following.follow(session, now=stage.world.clock.now())
    assert "待改期" in stage.words("lu", f"/slots?week={day(stage)}")
    assert "给停诊的预约改期" in stage.words("desk", "/")
    move = stage.get("desk", f"{href}/move")
    told = {"slot": slots_of(move)[0], "exchange": exchange(move)}
    assert stage.post("desk", f"{href}/move", told) == href
    stage.settle()
    assert "已约定" in stage.words("han", href)
    assert "14:00" in stage.words("han", href)


def test_giving_up_and_cancelling_leave_the_lists(stage: Stage) -> None:
    publish(stage, "08:30")
    patient = stage.world.patient("han")
    page = stage.get("han", f"/bookings/new?about={patient}")
    href = stage.post("han", "/bookings/new", form(patient, page, slots_of(page)[0]))
    stage.settle()
    shown = stage.get("lu", href)
    stage.post("lu", f"{href}/cancel", {"reason": "staff", "exchange": exchange(shown)})
    stage.settle()
    assert "没有会诊预约" in stage.words("han", "/bookings")
    assert "已取消" in stage.words("han", "/bookings?done=1")
    assert "医生有事" in stage.words("han", href)


def test_an_open_page_is_told_when_the_hub_has_confirmed(stage: Stage) -> None:
    publish(stage, "08:30")
    patient = stage.world.patient("han")
    page = stage.get("han", f"/bookings/new?about={patient}")
    href = stage.post("han", "/bookings/new", form(patient, page, slots_of(page)[0]))
    shown = stage.get("han", href)
    assert "part=booking" in shown
    node = stage.site("han").node
    look = Look("zh", stage.world.clock.now())

    def live(part: str, argument: str) -> str:
        with written(look), node.database.read() as session:
            moment = Moment(node, session, stage.world.actor("han"), look, "slots", -1)
            return events.PARTS[part](moment, argument)

    case = href.removeprefix("/bookings/")
    assert "已签名，等中心确认" in live("booking", case)
    with node.database.read() as session:
        before = desk.version(session)
    stage.settle()
    with node.database.read() as session:
        assert desk.version(session) > before
    assert "已约定" in live("booking", case)
    assert "已约定" in live("bookings", "0 0")
    assert live("booking", "another") == ""


def test_an_open_week_is_told_when_the_hub_has_confirmed(stage: Stage) -> None:
    at = day(stage)
    spot = f'id="at-{at}-0830"'
    publish(stage, "10:00")
    page = stage.get("lu", f"/slots?week={at}")
    assert "part=week" in page
    node = stage.site("lu").node
    look = Look("zh", stage.world.clock.now())

    def live() -> list[str]:
        with written(look), node.database.read() as session:
            moment = Moment(node, session, stage.world.actor("lu"), look, "my_slots", -1)
            return events.PARTS["week"](moment, at).split("<!--cut-->")

    assert not any(spot in piece for piece in live())
    told = {"start": [f"{at} 08:30"], "service": "cardiology", "kind": "teleconsult",
            "minutes": "30", "week": at, "exchange": exchange(page)}  # fmt: skip
    stage.post("lu", "/slots", told)
    before = live()
    assert "等账本登记" in words(before[0])
    place = next(piece for piece in before if spot in piece)
    assert "sl held" in place
    assert live() == before
    stage.settle()
    after = live()
    assert "等账本登记" not in words(after[0])
    assert "sl free" in next(piece for piece in after if spot in piece)
    # a place without a session is left alone: somebody may have ticked it
    assert len(after) == 3
    assert all('type="checkbox"' not in piece for piece in after)


def test_a_specialist_books_nothing_and_a_doctor_publishes_nothing(stage: Stage) -> None:
    assert stage.browsers["lu"].get("/bookings/new?about=p").status_code == 404
    assert stage.browsers["han"].get("/slots").status_code == 404
