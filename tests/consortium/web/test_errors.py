"""What a refusal becomes: three lines for a person, problem details for a program, no traceback."""

import re

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from consortium import words
from consortium.kernel.errors import Refusal, RefusalKind, conflict, missing
from consortium.web.errors import STATUS
from tests.consortium.web.conftest import Browse
from tests.support.web_stage import Stage

LINES = ("发生了", "还在", "怎么办")


@pytest.fixture
def refusing(clinic: Stage, doctor: TestClient) -> TestClient:
    """The doctor's browser, before a node with a page that refuses."""

    @clinic.app.get("/refuse/{code}")
    def refuse(request: Request, code: str) -> None:
        raise conflict(code, clause="2.3", limit=5_000_000)

    @clinic.app.get("/fault")
    def fault() -> None:
        raise RuntimeError("patient 李长庚 secret")

    return doctor


def test_a_refusal_is_three_lines_and_a_code(refusing: TestClient) -> None:
    answer = refusing.get("/refuse/web.csrf")
    assert answer.status_code == 409
    assert all(f"<dt>{line}</dt>" in answer.text for line in LINES)
    assert "web.csrf" in answer.text
    assert "（协议第 2.3 款）" in answer.text


def test_a_size_is_said_with_its_unit(refusing: TestClient) -> None:
    assert "5.0\N{NO-BREAK SPACE}MB" in refusing.get("/refuse/web.too_large").text


def test_a_code_without_words_is_still_told(refusing: TestClient) -> None:
    answer = refusing.get("/refuse/nobody.wrote_this")
    assert answer.status_code == 409
    assert "这一步按规则不能办（nobody.wrote_this）" in answer.text


def test_the_way_back_is_the_page_one_came_from(refusing: TestClient) -> None:
    came = {"referer": "http://127.0.0.1:8001/outbox?state=pending"}
    answer = refusing.get("/refuse/web.csrf", headers=came)
    assert '<a class="btn sm main" href="/outbox?state=pending">' in answer.text
    foreign = {"referer": "https://evil.test/trap"}
    assert "/trap" not in refusing.get("/refuse/web.csrf", headers=foreign).text


def test_a_piece_of_a_page_gets_its_refusal_above_the_page(refusing: TestClient) -> None:
    answer = refusing.get("/refuse/web.csrf", headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert answer.headers["HX-Retarget"] == "#notice"
    assert "<html" not in answer.text
    assert "发生了" in answer.text


def test_a_program_gets_problem_details(refusing: TestClient) -> None:
    answer = refusing.get("/refuse/web.csrf", headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "status": 409,
        "title": "Conflict",
        "code": "web.csrf",
        "facts": {"clause": "2.3", "limit": "5000000"},
    }


def test_a_fault_shows_a_number_and_nothing_of_itself(refusing: TestClient) -> None:
    answer = refusing.get("/fault")
    assert answer.status_code == 500
    assert re.search(r"已经记下（[0-9a-f]{8}）", answer.text)
    for secret in ("Traceback", "RuntimeError", "李长庚", "secret"):
        assert secret not in answer.text


def test_a_page_that_is_not_there_keeps_the_shell(refusing: TestClient, browser: Browse) -> None:
    answer = refusing.get("/no/such/page")
    assert answer.status_code == 404
    assert 'class="rail"' in answer.text
    stranger = browser().get("/no/such/page")
    assert stranger.status_code == 404
    assert 'class="rail"' not in stranger.text


def test_a_field_that_does_not_fit_is_named(doctor: TestClient) -> None:
    answer = doctor.get("/events?seen=abc")
    assert answer.status_code == 422
    assert "seen" in answer.text


def test_every_kind_of_refusal_has_a_status() -> None:
    assert set(STATUS) == set(RefusalKind)
    assert STATUS[missing("x").kind] == 404


def test_every_refusal_of_pages_has_its_words_in_both_languages() -> None:
    for area in ("web", "receipt"):
        codes = {
            key.removeprefix("refusal.").rpartition(".")[0]
            for key in words.areas()[area]
            if key.startswith("refusal.")
        }
        for code in codes:
            facts = {"number": "1", "size": "1", "field": "x", "what": "y"}
            for lang in words.LANGS:
                assert len(words.refusal(code, lang, **facts)) == 3


@pytest.mark.parametrize("code", ["record.body", "booking.unsigned", "exchange.facts"])
def test_a_code_that_came_back_without_its_facts_is_told_in_its_own_words(
    refusing: TestClient, code: str
) -> None:
    answer = refusing.get(f"/refuse/{code}")
    assert words.refusal_told(code, "zh")[0] in answer.text


def test_pieces_ask_for_signing_in_over_the_page(browser: Browse) -> None:
    answer = browser().post("/caught-up", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Trigger"] == "locked"


def test_a_refusal_has_no_place_for_names() -> None:
    refusal = Refusal(RefusalKind.INVALID, "a.b", clause="1")
    assert set(refusal.facts) == {"clause"}
