"""Sign-in, lock, hand-over: who gets in, and that nothing typed is lost."""

from datetime import timedelta

from starlette.testclient import TestClient

from tests.consortium.web.conftest import BASE, Browse, csrf, sign_in
from tests.support.web_stage import PASSWORD, Stage


def test_without_a_session_the_answer_is_the_sign_in_page(browser: Browse) -> None:
    client = browser()
    answer = client.get("/outbox?state=pending")
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
