"""Foreign hosts, foreign forms, large bodies: stopped before any page, in words."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.consortium.web.conftest import BASE, Browse, csrf
from tests.support.web_stage import Stage

HOSTS = ("evil.test", "127.0.0.1.evil.test", "", "[::1", "user@127.0.0.1:8001@evil.test")


@pytest.mark.parametrize("host", HOSTS)
def test_a_foreign_host_gets_no_page(browser: Browse, host: str) -> None:
    answer = browser().get("/sign-in", headers={"host": host})
    assert answer.status_code == 403
    assert "这台机器不用这个名字应答" in answer.text


def test_any_port_of_an_own_name_is_answered(browser: Browse) -> None:
    assert browser().get("/sign-in", headers={"host": "localhost:9999"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8002"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_a_foreign_page_is_stopped(doctor: TestClient, headers: dict[str, str]) -> None:
    form = {"csrf": csrf(doctor), "theme": "dark"}
    answer = doctor.post("/account", data=form, headers=headers)
    assert answer.status_code == 403
    assert "不是从本系统的页面发来的" in answer.text
    assert 'data-theme="dark"' not in doctor.get("/account").text


def test_a_page_may_be_opened_from_anywhere(browser: Browse) -> None:
    answer = browser().get("/sign-in", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_a_form_without_its_token_changes_nothing(doctor: TestClient, token: str) -> None:
    answer = doctor.post("/account", data={"csrf": token, "theme": "dark"})
    assert answer.status_code == 403
    assert 'data-theme="dark"' not in doctor.get("/account").text


def test_the_token_of_another_browser_is_worth_nothing(browser: Browse, clinic: Stage) -> None:
    from tests.consortium.web.conftest import sign_in

    one, other = browser(), browser()
    sign_in(one)
    sign_in(other)
    assert one.post("/account", data={"csrf": csrf(other)}).status_code == 403
    assert one.post("/account", data={"csrf": csrf(one)}).status_code == 303


def test_the_token_may_come_as_a_header(doctor: TestClient) -> None:
    answer = doctor.post("/account", data={}, headers={"x-csrf-token": csrf(doctor)})
    assert answer.status_code == 303


def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    doctor: TestClient, clinic: Stage
) -> None:
    limit = clinic.node.settings.request_max_bytes
    declared = doctor.post("/account", content=b"x", headers={"content-length": str(limit + 1)})
    assert declared.status_code == 413
    assert "8.4" in declared.text


def test_a_body_that_says_no_length_is_stopped_on_its_way(
    doctor: TestClient, clinic: Stage
) -> None:
    limit, sent = clinic.node.settings.request_max_bytes, 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 2 * limit:
            sent += 1024 * 1024
            yield b"a=" + b"x" * (1024 * 1024)

    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert doctor.post("/account", content=endless(), headers=headers).status_code == 413


@pytest.mark.parametrize("path", ["/sign-in", "/nothing", "/account", "/fault"])
def test_every_answer_carries_the_same_headers(
    doctor: TestClient, clinic: Stage, path: str
) -> None:
    @clinic.app.get("/fault")
    def fault() -> None:
        raise ZeroDivisionError

    headers = doctor.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_static_files_are_kept_for_ever_under_their_hash(browser: Browse) -> None:
    client = browser()
    page = client.get("/sign-in").text
    href = page.split('<link rel="stylesheet" href="', 1)[1].split('"', 1)[0]
    assert "immutable" in client.get(href).headers["cache-control"]
    assert client.get("/static/app.css").headers["cache-control"] == "no-cache"
    assert client.get("/static/../pages.py").status_code == 404


def test_cookies_of_three_nodes_in_one_browser_do_not_meet() -> None:
    from consortium.web.guard import session_cookie

    assert len({session_cookie(node) for node in ("a", "b", "c")}) == 3
    assert BASE.startswith("http://127.0.0.1")
