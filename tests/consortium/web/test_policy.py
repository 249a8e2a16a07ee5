"""Every page at once: nobody in without signing in, nothing changed without the form's token."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from consortium.web.deps import PageRoute
from consortium.web.install import ROUTERS
from tests.consortium.web.conftest import Browse, client_of, opened, sign_in
from tests.support.clock import VirtualClock

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
PAGES = sorted({route.path for route in ROUTES if "GET" in (route.methods or ())})
ACTS = sorted({route.path for route in ROUTES if "POST" in (route.methods or ())})
OPEN_PAGES = {"/sign-in", "/welcome/{token}", "/referrals/report", "/referrals/resend"}
"""Pages for people who are not signed in, and addresses that only send on to another page."""
OPEN_ACTS = {"/sign-in", "/sign-out", "/language", "/hand-over", "/welcome/{token}"}


@pytest.fixture(scope="module")
def common(clinic_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browse]:
    """Makes browsers of one clinic for all these tests: each of them is turned away."""
    folder = tmp_path_factory.mktemp("clinic")
    with ExitStack() as stack:
        made = opened(clinic_file, folder, VirtualClock())
        stack.callback(made.node.database.close)
        yield lambda: stack.enter_context(client_of(made))


@pytest.fixture(scope="module")
def known_doctor(common: Browse) -> TestClient:
    client = common()
    sign_in(client)
    return client


def _filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "0", path)


@pytest.mark.parametrize("path", sorted(set(PAGES) - OPEN_PAGES))
def test_a_stranger_is_asked_to_sign_in(common: Browse, path: str) -> None:
    answer = common().get(_filled(path))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("path", sorted(set(ACTS) - OPEN_ACTS))
def test_a_stranger_changes_nothing(common: Browse, path: str) -> None:
    answer = common().post(_filled(path))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("path", sorted(set(ACTS) - {"/sign-in"}))
def test_a_form_without_its_token_is_refused_everywhere(
    known_doctor: TestClient, path: str
) -> None:
    assert known_doctor.post(_filled(path)).status_code == 403


def test_who_was_refused_everywhere_is_still_signed_in(known_doctor: TestClient) -> None:
    assert known_doctor.get("/account").status_code == 200


def test_every_route_but_the_stream_opens_its_own_transaction() -> None:
    others = [route.path for route in ROUTES if not isinstance(route, PageRoute)]
    assert others == ["/events"]


def test_what_is_not_there_and_what_is_not_ours_look_the_same(doctor: TestClient) -> None:
    for path in ("/receipts/0", "/people/0", "/receipts/0/file"):
        assert doctor.get(path).status_code == 404
