"""Sign-in, lock, hand-over: who gets in, and that nothing typed is lost."""

import re

from starlette.testclient import TestClient

from consortium.desk import drafts
from consortium.kernel.actor import Role
from consortium.members import people
from tests.consortium.web.conftest import Browse, csrf, sign_in
from tests.support.web_stage import PASSWORD, Stage, a_row

OTHER = frozenset({Role.TOWNSHIP_DOCTOR})


def test_without_a_session_the_answer_is_the_sign_in_page(browser: Browse) -> None:
    answer = browser().get("/outbox?state=pending")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?back=%2Foutbox%3Fstate%3Dpending"


def test_after_signing_in_one_is_where_one_wanted_to_be(browser: Browse) -> None:
    client = browser()
    answer = client.post("/sign-in", data={"name": "HAN", "password": PASSWORD, "back": "/outbox"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/outbox")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("session-node1=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/outbox").status_code == 200


def test_a_link_elsewhere_leads_nowhere(browser: Browse) -> None:
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "a"):
        answer = browser().post(
            "/sign-in", data={"name": "han", "password": PASSWORD, "back": back}
        )
        assert answer.headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_name_are_told_alike(browser: Browse) -> None:
    client = browser()
    wrong = client.post("/sign-in", data={"name": "han", "password": "not this one"})
    nobody = client.post("/sign-in", data={"name": "nobody", "password": "not this one"})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.text.replace('value="han"', "") == nobody.text.replace('value="nobody"', "")


def test_the_sixth_try_waits_a_quarter_of_an_hour(browser: Browse, clinic: Stage) -> None:
    client = browser()
    for _ in range(5):
        client.post("/sign-in", data={"name": "han", "password": "not this one"})
    paused = client.post("/sign-in", data={"name": "han", "password": PASSWORD})
    assert paused.status_code == 429
    assert "15 分钟后再试" in paused.text
    clinic.node.clock.advance(minutes=16)
    sign_in(client)


def test_one_machine_guesses_names_thirty_times(browser: Browse, clinic: Stage) -> None:
    client = browser()
    for number in range(30):
        wrong = client.post("/sign-in", data={"name": f"nobody{number}", "password": "x" * 12})
        assert wrong.status_code == 401
    paused = client.post("/sign-in", data={"name": "han", "password": PASSWORD})
    assert paused.status_code == 429
    clinic.node.clock.advance(minutes=16)
    sign_in(client)


def test_signing_out_ends_session_and_key(doctor: TestClient, clinic: Stage) -> None:
    token = csrf(doctor)
    assert clinic.node.keyring._open
    doctor.post("/sign-out", data={"csrf": token})
    assert doctor.get("/").headers["location"] == "/sign-in"
    assert not clinic.node.keyring._open


def test_the_old_cookie_is_worth_nothing_after_signing_out(doctor: TestClient) -> None:
    cookies = dict(doctor.cookies)
    doctor.post("/sign-out", data={"csrf": csrf(doctor)})
    for name, value in cookies.items():
        doctor.cookies.set(name, value)
    assert doctor.get("/").status_code == 303


def test_after_five_minutes_nobody_reads_the_page(doctor: TestClient, clinic: Stage) -> None:
    clinic.put(a_row("c1", "马德顺", clinic.node.clock.now()))
    assert "马德顺" in doctor.get("/").text
    clinic.node.clock.advance(minutes=5)
    locked = doctor.get("/")
    assert locked.status_code == 401
    assert "马德顺" not in locked.text
    assert not clinic.node.keyring._open
    unlocked = doctor.post(
        "/lock", data={"csrf": _token(locked.text), "password": PASSWORD, "back": "/"}
    )
    assert unlocked.headers["location"] == "/"
    assert "马德顺" in doctor.get("/").text


def test_a_form_sent_from_a_locked_page_loses_nothing(doctor: TestClient, clinic: Stage) -> None:
    fields = {"csrf": csrf(doctor), "question": "胸闷 3 周", "file": ["a", "b"]}
    clinic.node.clock.advance(minutes=6)
    locked = doctor.post("/drafts/referral?back=/", data=fields)
    assert locked.status_code == 401
    own_form = locked.text.split("<main", 1)[1]
    kept = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', own_form)
    assert ("question", "胸闷 3 周") in kept
    assert [value for name, value in kept if name == "file"] == ["a", "b"]
    again: dict[str, list[str]] = {}
    for name, value in kept:
        again.setdefault(name, []).append(value)
    action = own_form.split('action="/drafts', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    wrong = doctor.post(f"/drafts{action}", data={**again, "lock_password": "not this one"})
    assert wrong.status_code == 401
    assert "胸闷 3 周" in wrong.text
    assert "密码不对" in wrong.text
    done = doctor.post(f"/drafts{action}", data={**again, "lock_password": PASSWORD})
    assert done.status_code == 303
    with clinic.node.database.read() as session:
        actor = clinic.actor(session, "han")
        saved = drafts.read(session, actor=actor, form="referral")
    assert saved is not None
    assert saved.fields == {"question": "胸闷 3 周", "file": ["a", "b"]}


def test_a_script_locks_and_unlocks_without_leaving_the_page(doctor: TestClient) -> None:
    headers = {"x-csrf-token": csrf(doctor), "accept": "application/json"}
    assert doctor.post("/lock", headers=headers).status_code == 204
    assert doctor.get("/").status_code == 401
    wrong = doctor.post("/lock", headers=headers, data={"password": "not this one"})
    assert wrong.status_code == 401
    assert wrong.json() == {"error": "密码不对，请再输一次。"}
    assert doctor.post("/lock", headers=headers, data={"password": PASSWORD}).status_code == 204
    assert doctor.get("/").status_code == 200


def test_a_page_goes_on_after_the_node_was_started_again(doctor: TestClient, clinic: Stage) -> None:
    old = csrf(doctor)
    headers = {"x-csrf-token": old, "accept": "application/json"}
    with clinic.node.database.read() as session:
        user = clinic.actor(session, "han").user
    clinic.app.state.sessions.close_all(user)
    clinic.node.keyring.drop(user)
    fields = {"who": "han", "password": PASSWORD}
    for told in ({}, {"password": PASSWORD}, {"who": "han"}):
        assert doctor.post("/lock", headers=headers, data=told).json()["code"] == "web.sign_in"
    wrong = doctor.post("/lock", headers=headers, data={**fields, "password": "not this one"})
    assert (wrong.status_code, wrong.json()) == (401, {"error": "密码不对，请再输一次。"})
    foreign = {**headers, "origin": "http://evil.example"}
    assert doctor.post("/lock", headers=foreign, data=fields).status_code == 403
    right = doctor.post("/lock", headers=headers, data=fields)
    assert right.status_code == 204
    fresh = right.headers["x-csrf-token"]
    assert fresh not in {"", old}
    assert "HttpOnly" in right.headers["set-cookie"]
    assert clinic.node.keyring.holds(user)
    draft = {"question": "胸闷 3 周"}
    assert doctor.post("/drafts/referral", headers=headers, data=draft).status_code == 403
    headers["x-csrf-token"] = fresh
    assert doctor.post("/drafts/referral", headers=headers, data=draft).status_code == 200


def test_a_page_of_before_has_the_token_for_the_password_alone(
    doctor: TestClient, clinic: Stage
) -> None:
    stale = {"x-csrf-token": "of-before", "accept": "application/json"}
    assert doctor.post("/lock", headers=stale).json()["code"] == "web.csrf"
    assert doctor.get("/").status_code == 200
    fields = {"who": "han", "password": PASSWORD}
    right = doctor.post("/lock", headers=stale, data=fields)
    assert right.headers["x-csrf-token"] == csrf(doctor)
    assert "set-cookie" not in right.headers


def test_the_page_of_another_person_is_opened_by_that_person_alone(
    doctor: TestClient, clinic: Stage
) -> None:
    clinic.person("deng", "邓一鸣", OTHER)
    headers = {"accept": "application/json", "x-csrf-token": csrf(doctor)}
    wrong = doctor.post("/lock", headers=headers, data={"who": "deng", "password": "not this one"})
    assert wrong.status_code == 401
    assert "韩素云" in doctor.get("/account").text
    fields = {"who": "deng", "password": PASSWORD}
    assert doctor.post("/lock", headers=headers, data=fields).status_code == 204
    assert "邓一鸣" in doctor.get("/account").text


def test_guesses_over_a_page_are_counted_as_at_the_sign_in(browser: Browse) -> None:
    client = browser()
    for _ in range(5):
        client.post("/sign-in", data={"name": "han", "password": "not this one"})
    headers = {"accept": "application/json"}
    fields = {"who": "han", "password": PASSWORD}
    paused = client.post("/lock", headers=headers, data=fields)
    assert paused.status_code == 429
    assert "15 分钟后再试" in paused.json()["error"]


def test_reading_keeps_the_page_open(doctor: TestClient, clinic: Stage) -> None:
    headers = {"x-csrf-token": csrf(doctor), "accept": "application/json"}
    for _ in range(4):
        clinic.node.clock.advance(minutes=3)
        assert doctor.post("/alive", headers=headers).status_code == 204
    assert doctor.get("/").status_code == 200


def test_hand_over_changes_the_person_and_keeps_the_drafts(
    doctor: TestClient, clinic: Stage
) -> None:
    clinic.person("deng", "邓一鸣", OTHER)
    doctor.post("/drafts/referral", data={"csrf": csrf(doctor), "question": "胸闷"})
    page = doctor.get("/hand-over?back=/outbox")
    assert "1 份草稿" in page.text
    form = {"csrf": _token(page.text), "name": "deng", "password": PASSWORD, "back": "/outbox"}
    assert doctor.post("/hand-over", data=form).headers["location"] == "/outbox"
    assert "邓一鸣" in doctor.get("/outbox").text
    with clinic.node.database.read() as session:
        assert drafts.of(session, actor=clinic.actor(session, "han"))


def test_a_person_who_is_locked_is_out_at_once(browser: Browse, clinic: Stage) -> None:
    clinic.person("deng", "邓一鸣", OTHER)
    other, admin = browser(), browser()
    sign_in(other, "deng")
    sign_in(admin)
    with clinic.node.database.read() as session:
        user = clinic.actor(session, "deng").user
    admin.post(f"/people/{user}/lock", data={"csrf": csrf(admin)})
    assert other.get("/").headers["location"] == "/sign-in"


def test_another_password_ends_the_other_sign_ins(browser: Browse) -> None:
    here, there = browser(), browser()
    sign_in(here)
    sign_in(there)
    new = "another long and quiet sentence"
    form = {"csrf": csrf(here), "old": PASSWORD, "password": new, "again": new}
    assert here.post("/account/password", data=form).status_code == 303
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303
    sign_in(there, password=new)


def test_a_one_time_link_sets_a_password_once(browser: Browse, clinic: Stage) -> None:
    with clinic.node.database.write() as session:
        admin = clinic.actor(session, "han")
        link = people.create(
            session, actor=admin, login="deng", name="邓一鸣", roles=OTHER,
            now=clinic.node.clock.now(),
        )  # fmt: skip
    client = browser()
    assert "邓一鸣" in client.get(link.path).text
    differ = client.post(link.path, data={"password": PASSWORD, "again": "something else here"})
    assert differ.status_code == 422
    short = client.post(link.path, data={"password": "short", "again": "short"})
    assert short.status_code == 422
    done = client.post(link.path, data={"password": PASSWORD, "again": PASSWORD})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert client.get("/").status_code == 200
    assert browser().get(link.path).status_code == 404


def test_the_language_is_the_persons_then_the_browsers(browser: Browse) -> None:
    client = browser()
    assert 'lang="zh-CN"' in client.get("/sign-in").text
    english = {"accept-language": "de;q=0.9, en-GB;q=0.8, zh;q=0.5"}
    assert 'lang="en"' in client.get("/sign-in", headers=english).text
    client.post("/language", data={"to": "en", "back": "/sign-in"})
    assert 'lang="en"' in client.get("/sign-in").text
    sign_in(client)
    assert 'lang="zh-CN"' in client.get("/account").text
    client.post("/language", data={"csrf": csrf(client), "to": "en", "back": "/account"})
    assert 'lang="en"' in client.get("/account").text


def _token(page: str) -> str:
    return page.split('name="csrf" value="', 1)[1].split('"', 1)[0]
