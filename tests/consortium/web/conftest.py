"""A clinic's pages, and browsers that speak HTTP only."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from consortium.kernel.database import Database
from tests.support.clock import VirtualClock
from tests.support.databases import SqliteFiles
from tests.support.web_stage import PASSWORD, Stage, furnish, stage

if TYPE_CHECKING:
    from tests.consortium.web.receipt_world import Sent

BASE = "http://127.0.0.1:8001"


@pytest.fixture(scope="session")
def clinic_file(sqlite_files: SqliteFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a clinic with one doctor; made once, for passwords are slow by design."""
    folder = tmp_path_factory.mktemp("clinic")
    with sqlite_files.one(folder, "clinic.db") as database:
        furnish(database)
        stage(database, folder / "home", VirtualClock()).person("han", "韩素云")
    return folder / "clinic.db"


@pytest.fixture
def clinic(clinic_file: Path, tmp_path: Path, clock: VirtualClock) -> Iterator[Stage]:
    """A clinic with one doctor, who signs in as `han`. Pages are the same on both databases:
    their services are tested on both."""
    made = opened(clinic_file, tmp_path, clock)
    yield made
    made.node.database.close()


def opened(clinic_file: Path, folder: Path, clock: VirtualClock) -> Stage:
    """A copy of the clinic in a folder."""
    shutil.copyfile(clinic_file, folder / "clinic.db")
    return stage(Database(f"sqlite:///{folder / 'clinic.db'}"), folder / "home", clock)


def client_of(clinic: Stage) -> TestClient:
    """A browser with cookies of its own; faults of the program become answers."""
    return TestClient(
        clinic.app, base_url=BASE, raise_server_exceptions=False, follow_redirects=False
    )


@pytest.fixture(scope="session")
def sent(sqlite_files: SqliteFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Sent"]:
    """A clinic with receipts of its own. Tests that change it put it back."""
    from tests.consortium.web.receipt_world import receipts_of

    with receipts_of(sqlite_files, tmp_path_factory.mktemp("receipts")) as made:
        yield made


Browse = Callable[[], TestClient]


@pytest.fixture
def browser(clinic: Stage) -> Iterator[Browse]:
    """Makes browsers, each with cookies of its own; faults of the program become answers."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(client_of(clinic))


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
