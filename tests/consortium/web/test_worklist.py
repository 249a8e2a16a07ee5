"""The first screen: what waits for me, by when, whose turn it is, and what changed meanwhile."""

import re
from datetime import datetime, timedelta

import pytest
from starlette.testclient import TestClient

from consortium.desk import service as desk
from consortium.exchange.tables import OutboxRow
from consortium.kernel.actor import Role
from consortium.kernel.time import from_ms
from consortium.web.wording import Look, written
from consortium.web.worklist import View, due_of
from tests.consortium.web.conftest import Browse, csrf, sign_in
from tests.support.web_stage import MEMBER, Stage, a_row

NOW = from_ms(1_795_486_320_000)


def _rows(page: str) -> list[str]:
    return re.findall(r'id="row-([^"]+)"', page)


def test_my_turn_first_then_urgent_then_oldest(doctor: TestClient, clinic: Stage) -> None:
    now = clinic.node.clock.now()
    clinic.put(
        a_row("theirs", "赵巧云", now, turn="theirs", urgency="emergency", turn_name="神经内科"),
        a_row("young", "何秀莲", now, started_at=now - timedelta(hours=1)),
        a_row("old", "陈水根", now, started_at=now - timedelta(hours=9)),
        a_row("urgent", "钟秀英", now, urgency="urgent"),
    )
    page = doctor.get("/").text
    assert _rows(page) == ["urgent", "old", "young", "theirs"]
    assert page.index("轮到我") < page.index('id="row-urgent"') < page.index("等对方")


def test_a_late_row_says_so_and_its_button_is_solid(doctor: TestClient, clinic: Stage) -> None:
    now = clinic.node.clock.now()
    clinic.put(a_row("c1", "钟秀英", now, due_at=now - timedelta(minutes=102)))
    page = doctor.get("/").text
    assert "超时 1 小时 42 分" in page
    assert '<tr id="row-c1" class="late">' in page
    assert 'class="btn sm main" href="/referrals/c1"' in page


def test_an_empty_screen_says_what_comes_next(doctor: TestClient) -> None:
    page = doctor.get("/").text
    assert "没有等您处理的事" in page
    assert "不用刷新" in page


def test_a_list_of_one_state_and_of_the_whole_clinic(doctor: TestClient, clinic: Stage) -> None:
    now = clinic.node.clock.now()
    clinic.put(
        a_row("c1", "甲", now),
        a_row("c2", "乙", now, state="outbox.state.read"),
        a_row("c3", "丙", now, roles=frozenset({Role.SPECIALIST})),
    )
    assert _rows(doctor.get("/").text) == ["c1", "c2"]
    assert _rows(doctor.get("/?scope=member").text) == ["c1", "c2", "c3"]
    page = doctor.get("/?state=outbox.state.read").text
    assert _rows(page) == ["c2"]
    assert (
        '<a href="/?state=outbox.state.read" id="tab-outbox.state.read" aria-current="true">'
        in page
    )
    nothing = doctor.get("/?state=outbox.state.held").text
    assert "这一栏没有事" in nothing


def test_more_than_fifty_rows_go_on_on_the_next_page(doctor: TestClient, clinic: Stage) -> None:
    now = clinic.node.clock.now()
    clinic.put(*(a_row(f"c{n:02}", "甲", now - timedelta(minutes=n)) for n in range(53)))
    first = doctor.get("/").text
    older = re.search(r'href="(/\?after=[^"]+)"', first)
    assert older is not None
    assert len(_rows(first)) == 50
    rest = _rows(doctor.get(older[1].replace("&amp;", "&")).text)
    assert len(rest) == 3
    assert not set(rest) & set(_rows(first))


def test_a_made_up_place_in_the_list_is_refused(doctor: TestClient) -> None:
    assert doctor.get("/?after=nonsense").status_code == 422


def test_a_name_is_text_and_nothing_else(doctor: TestClient, clinic: Stage) -> None:
    clinic.put(a_row("c1", '<img src=x onerror="x">', clinic.node.clock.now()))
    assert "<img" not in doctor.get("/").text


def test_the_morning_says_what_changed_and_what_is_not_sent(
    doctor: TestClient, clinic: Stage
) -> None:
    clinic.put(a_row("c1", "马德顺", clinic.node.clock.now()))
    assert "您离开以后" not in doctor.get("/").text
    morning = clinic.node.clock.advance(hours=11)
    clinic.put(a_row("c2", "钱玉梅", morning))
    with clinic.node.database.write() as session:
        session.add(a_queued(morning))
    clinic.node.link.online = False
    sign_in(doctor)
    page = doctor.get("/").text
    assert "您离开以后（今日\N{NO-BREAK SPACE}09:00）" in page
    assert "钱玉梅" in page.split('id="changed"', 1)[1].split("</section>", 1)[0]
    assert "还没送出 1 件" in page
    assert "现在断网，链路恢复后自动送出。" in page
    doctor.post("/caught-up", data={"csrf": csrf(doctor)})
    assert "您离开以后" not in doctor.get("/").text


def test_a_reminder_is_shown_until_it_is_put_aside(doctor: TestClient, clinic: Stage) -> None:
    now = clinic.node.clock.now()
    with clinic.node.database.write() as session:
        desk.notify(
            session, member=MEMBER, case="c1", word="shell.work.closed", params={},
            link="/referrals/c1", roles=frozenset({Role.TOWNSHIP_DOCTOR}), now=now,
        )  # fmt: skip
    page = doctor.get("/").text
    action = re.search(r'action="(/notices/[^"]+/read)"', page)
    assert action is not None
    doctor.post(action[1], data={"csrf": csrf(doctor)})
    assert "/notices/" not in doctor.get("/").text


def test_a_specialist_refers_nobody(browser: Browse, clinic: Stage) -> None:
    clinic.person("lu", "陆怀安", frozenset({Role.SPECIALIST}))
    client = browser()
    sign_in(client, "lu")
    page = client.get("/").text
    assert "新建上转" not in page
    assert "分诊台" in page
    assert 'href="/contracts"' not in page


@pytest.mark.parametrize(
    ("left", "used", "turn", "words", "note", "tone"),
    [
        (22.5, 1.5, "mine", "还剩 22 小时", "明日 08:42 前", ""),
        (0.3, 2.0, "mine", "还剩 18 分", "今日 10:30 前", "soon"),
        (0.3, 2.0, "theirs", "对方还剩 18 分", "今日 10:30 前", ""),
        (-1.7, 4.0, "theirs", "对方超时 1 小时 42 分", "今日 08:30 到期", "late"),
    ],
)
def test_a_deadline_in_words(
    left: float, used: float, turn: str, words: str, note: str, tone: str
) -> None:
    row = a_row(
        "c", "甲", NOW, turn=turn, due_at=NOW + timedelta(hours=left),
        started_at=NOW - timedelta(hours=used),
    )  # fmt: skip
    with written(Look("zh", NOW)):
        due = due_of(row, now=NOW)
    assert due is not None
    assert (due.words, due.note.replace("\N{NO-BREAK SPACE}", " "), due.tone) == (words, note, tone)


def test_a_view_travels_in_its_address() -> None:
    for view in (View(), View("member"), View("mine", "a.b", "0.1.2.c"), View("member", "x")):
        from urllib.parse import parse_qsl

        assert View.parse(dict(parse_qsl(view.query))) == view


def a_queued(now: datetime) -> OutboxRow:
    """An exchange that the hub has not answered."""
    return OutboxRow(
        id="e1", member=MEMBER, node="n", lane="routine", seq=1, kind="referral.request/1",
        case="c1", recipients='["city"]', jws=b"", jws_hash=b"x" * 32, facts=b"", body=b"",
        state="queued", queued_at=now,
    )  # fmt: skip
