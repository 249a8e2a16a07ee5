"""A clinic's pages, and browsers that speak HTTP only."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from consortium.kernel.database import Database
from tests.support.clock import VirtualClock
from tests.support.databases import SqliteFiles
from tests.support.web_stage import PASSWORD, Stage, stage

BASE = "http://127.0.0.1:8001"


@pytest.fixture
def web_database(sqlite_files: SqliteFiles, tmp_path: Path) -> Iterator[Database]:
    """Pages are the same on both databases: their services are tested on both."""
    with sqlite_files.one(tmp_path) as database:
        yield database


@pytest.fixture
def clinic(web_database: Database, tmp_path: Path, clock: VirtualClock) -> Stage:
    """A clinic with one doctor, who signs in as `han`."""
    made = stage(web_database, tmp_path / "home", clock)
    made.person("han", "韩素云")
    return made


Browse = Callable[[], TestClient]


@pytest.fixture
def browser(clinic: Stage) -> Iterator[Browse]:
    """Makes browsers, each with cookies of its own; faults of the program become answers."""
    with ExitStack() as stack:

        def make() -> TestClient:
            client = TestClient(
                clinic.app, base_url=BASE, raise_server_exceptions=False, follow_redirects=False
            )
            return stack.enter_context(client)

        yield make


@pytest.fixture
def doctor(browser: Browse) -> TestClient:
    """A browser in which the doctor is signed in."""
    client = browser()
    sign_in(client)
    return client


def sign_in(client: TestClient, name: str = "han", password: str = PASSWORD) -> None:
    """Sign in, and fail the test when that does not work."""
    answer = client.post("/sign-in", data={"name": name, "password": password})
    assert answer.status_code == 303, answer.text


def csrf(client: TestClient) -> str:
    """The token of this browser's forms."""
    page = client.get("/account").text
    return page.split('name="csrf" value="', 1)[1].split('"', 1)[0]
