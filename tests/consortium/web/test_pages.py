"""The other pages of the shell: people, account, search, help, drafts, the drawing of a proof."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Template
from markupsafe import escape
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from consortium.desk import drafts
from consortium.kernel.actor import Role
from consortium.web import drafts as draft_pages
from consortium.web import search, tree
from consortium.web.icons import icon
from consortium.web.search import Hit
from tests.consortium.web.conftest import Browse, csrf, sign_in
from tests.support.web_stage import PASSWORD, Stage, a_row

DOCTOR = frozenset({Role.TOWNSHIP_DOCTOR})

# ---------------------------------------------------------------- people


def test_who_is_added_gets_a_link_that_is_shown_once(doctor: TestClient, browser: Browse) -> None:
    form = {"csrf": csrf(doctor), "name": "邓一鸣", "login": "deng", "roles": ["township_doctor"]}
    shown = doctor.post("/people", data=form).text
    path = re.search(r"http://127\.0\.0\.1:\d+(/welcome/[\w-]+)", shown)
    assert path is not None
    assert "/welcome/" not in doctor.get("/people").text
    assert "邓一鸣" in doctor.get("/people").text
    assert browser().get(path[1]).status_code == 200


def test_a_name_that_is_taken_keeps_what_was_typed(doctor: TestClient) -> None:
    form = {"csrf": csrf(doctor), "name": "邓一鸣", "login": "han", "roles": ["township_doctor"]}
    answer = doctor.post("/people", data=form)
    assert answer.status_code == 409
    assert 'value="邓一鸣"' in answer.text
    assert "发生了" in answer.text


def test_a_colleague_is_locked_and_let_in_again(doctor: TestClient, clinic: Stage) -> None:
    user = clinic.person("deng", "邓一鸣", DOCTOR).user
    token = csrf(doctor)
    doctor.post(f"/people/{user}/lock", data={"csrf": token})
    assert "已停用" in doctor.get(f"/people/{user}").text
    doctor.post(f"/people/{user}/unlock", data={"csrf": token})
    assert "已停用" not in doctor.get(f"/people/{user}").text
    roles = {"csrf": token, "roles": ["consult_desk", "township_doctor", "made_up"]}
    doctor.post(f"/people/{user}/roles", data=roles)
    assert "乡镇医生，转诊办" in doctor.get("/people").text
    assert "/welcome/" in doctor.post(f"/people/{user}/reset", data={"csrf": token}).text


def test_the_last_admin_cannot_lock_himself_out(doctor: TestClient, clinic: Stage) -> None:
    with clinic.node.database.read() as session:
        user = clinic.actor(session, "han").user
    answer = doctor.post(f"/people/{user}/lock", data={"csrf": csrf(doctor)})
    assert answer.status_code == 409
    assert doctor.get("/").status_code == 200


def test_keys_are_confirmed_under_the_seal_or_not_at_all(doctor: TestClient) -> None:
    page = doctor.get("/people").text
    assert "等负责人确认的密钥" in page
    user = re.search(r'name="users" value="([^"]+)" checked', page)
    assert user is not None
    form = {"csrf": csrf(doctor), "users": [user[1]], "passphrase": "a wrong passphrase"}
    answer = doctor.post("/people/keys/confirm", data=form)
    assert answer.status_code in {403, 422}
    assert "发生了" in answer.text


def test_people_are_nobodys_business_but_their_admins(browser: Browse, clinic: Stage) -> None:
    user = clinic.person("deng", "邓一鸣", DOCTOR).user
    client = browser()
    sign_in(client, "deng")
    token = csrf(client)
    assert client.get("/people").status_code == 404
    assert client.get(f"/people/{user}").status_code == 404
    for act in ("lock", "unlock", "reset", "roles"):
        assert client.post(f"/people/{user}/{act}", data={"csrf": token}).status_code == 404
    assert client.post("/people", data={"csrf": token, "name": "x"}).status_code == 404


# ---------------------------------------------------------------- account


def test_theme_and_size_are_the_persons_own(doctor: TestClient, browser: Browse) -> None:
    form = {"csrf": csrf(doctor), "language": "zh", "theme": "dark", "large": "true"}
    doctor.post("/account", data=form)
    elsewhere = browser()
    sign_in(elsewhere)
    page = elsewhere.get("/help").text
    assert 'class="large" data-theme="dark"' in page
    assert elsewhere.post(
        "/account", data={"csrf": csrf(elsewhere), "theme": "pink"}
    ).status_code == 422  # fmt: skip


def test_a_weak_password_is_told_in_words(doctor: TestClient) -> None:
    form = {"csrf": csrf(doctor), "old": PASSWORD, "password": "short", "again": "short"}
    answer = doctor.post("/account/password", data=form)
    assert answer.status_code == 422
    assert "发生了" in answer.text


# ---------------------------------------------------------------- search, help


def test_search_finds_by_name_initials_and_number(doctor: TestClient, clinic: Stage) -> None:
    now = clinic.node.clock.now()
    clinic.put(a_row("c1", "马德顺", now, numbers=("SQ-1124-03",)), a_row("c2", "钟秀英", now))
    for text in ("马德", "mds", "madeshun", "4-03"):
        page = doctor.get("/search", params={"q": text}).text
        assert "马德顺" in page, text
        assert "钟秀英" not in page, text


def test_search_says_when_there_is_nothing(browser: Browse, clinic: Stage) -> None:
    clinic.person("deng", "邓一鸣", frozenset({Role.MEMBER_ADMIN}))
    client = browser()
    sign_in(client, "deng")
    assert "没有找到" in client.get("/search?q=zzzz").text


def test_search_finds_pages_and_what_rooms_add(
    doctor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        search.SOURCES, "web.search.patients", lambda *_: [Hit("蒋月娥", "1963", "/patients/1")]
    )
    page = doctor.get("/search", params={"q": "回执"}).text
    assert 'href="/outbox"' in page
    assert 'href="/patients/1"' in page


def test_search_does_not_repeat_what_it_is_given_as_html(doctor: TestClient) -> None:
    text = '"><script>x</script>'
    page = doctor.get("/search", params={"q": text}).text
    assert text not in page
    assert str(escape(text)) in page


def test_help_names_the_emergency_desk(doctor: TestClient) -> None:
    page = doctor.get("/help").text
    assert 'href="tel:0550-555 0120"' in page
    assert "<kbd>Ctrl Enter</kbd>" in page


# ---------------------------------------------------------------- drafts


def test_a_draft_is_kept_by_the_script_and_by_the_button(
    doctor: TestClient, clinic: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"csrf": csrf(doctor), "exchange": "e", "question": "胸闷", "file": ["a", "b"]}
    headers = {"accept": "application/json"}
    answer = doctor.post("/drafts/referral%3Ac1", data=form, headers=headers)
    assert answer.json()["at"] == "09:00"
    assert 'id="meter"' in answer.json()["gauge"]
    assert 'href="#question"' not in answer.json()["gauge"]
    pressed = doctor.post("/drafts/referral%3Ac1?back=/referrals", data={**form, "keep": "1"})
    assert pressed.headers["location"] == "/referrals"
    with clinic.node.database.read() as session:
        actor = clinic.actor(session, "han")
        saved = drafts.read(session, actor=actor, form="referral:c1")
    assert saved is not None
    assert saved.fields == {"question": "胸闷", "file": ["a", "b"]}
    monkeypatch.setitem(draft_pages.FORMS, "referral", "/referrals/new")
    monkeypatch.setattr(draft_pages, "t", lambda key, **_: key)
    assert 'href="/referrals/new?about=c1"' in doctor.get("/").text


def test_a_word_after_an_act_is_said_once(doctor: TestClient) -> None:
    doctor.post("/account", data={"csrf": csrf(doctor)})
    assert "设置已保存" in doctor.get("/account").text
    assert "设置已保存" not in doctor.get("/account").text
    doctor.cookies.set("toast-node1", "no.such.key")
    assert doctor.get("/account").status_code == 200


# ---------------------------------------------------------------- drawings


@given(st.integers(0, 2**30), st.integers(1, 40))
def test_a_proof_is_drawn_as_one_way_up_with_one_neighbour_a_level(index: int, steps: int) -> None:
    drawing = tree.draw(index=index, size=index + 1, steps=steps)
    kinds = [kind for _, _, kind in drawing.nodes]
    assert kinds.count("own") == kinds.count("given") == drawing.levels == min(steps, 4)
    assert sum(own for _, own in drawing.edges) == drawing.levels
    assert len(drawing.nodes) == 2 ** (drawing.levels + 1) - 2
    lowest = max(y for _, y, _ in drawing.nodes)
    own = [x for x, y, kind in drawing.nodes if kind == "own" and y == lowest]
    assert own == [drawing.leaf_x]


def test_no_page_is_drawn_while_the_write_lock_is_held(
    doctor: TestClient, clinic: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[str, bool]] = []
    database, writing, draw = clinic.node.database, threading.local(), Template.render
    write = database.write

    @contextmanager
    def watched() -> Iterator[Session]:
        with write() as session:
            writing.now = True
            try:
                yield session
            finally:
                writing.now = False

    def noted(self: Template, *args: Any, **values: Any) -> str:
        drawn.append((str(self.name), getattr(writing, "now", False)))
        return draw(self, *args, **values)

    given = {"csrf": csrf(doctor), "name": "马德顺", "sex": "male", "birth": "1958-03-04",
             "no_number_reason": "not_at_hand"}  # fmt: skip
    made = doctor.post("/patients/new", data=given)
    patient = made.headers.get("location", "")
    assert patient.startswith("/patients/"), made.text
    monkeypatch.setattr(database, "write", watched)
    monkeypatch.setattr(Template, "render", noted)
    for path in ("/", patient, f"{patient}/correct"):
        assert doctor.get(path).status_code == 200
    assert {name for name, _ in drawn} >= {"worklist.html", "patients/show.html"}
    assert not [name for name, held in drawn if held]


def test_an_icon_is_drawn_and_never_speaks() -> None:
    drawn = icon("lock", "s")
    assert drawn.startswith('<svg class="i s"')
    assert 'aria-hidden="true"' in drawn
    assert "license" not in drawn
    with pytest.raises(FileNotFoundError):
        icon("no-such-icon")
