"""A clinic with pages and the FHIR door, a doctor, and programs that ask as that doctor."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from fastapi import Request
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from consortium.api import fhir
from consortium.fhir.face import Query, Resource
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.patients import fhir as patients
from consortium.patients import service
from consortium.patients.model import Entry, Patient
from consortium.web.guard import recognise
from consortium.web.signed import known
from tests.support.clock import VirtualClock
from tests.support.databases import SqliteFiles
from tests.support.web_stage import PASSWORD, Stage, furnish, stage

BASE = "http://127.0.0.1:8001"
ROOT = f"{BASE}/fhir/R4"


class Shelf:
    """A room of its own kind: what a test lays on it."""

    def __init__(self) -> None:
        self.kept: list[Resource] = []
        self.fails = False

    def resources(
        self, session: Session, *, actor: Actor, query: Query, now: datetime
    ) -> Sequence[Resource]:
        if self.fails:
            raise RuntimeError("王秀英")
        return [
            one
            for one in sorted(self.kept, key=lambda one: one.id)
            if one.type == query.type and one.id > query.after and query.id in {"", one.id}
        ][: query.limit]


def browser_actor(request: Request) -> Actor | None:
    recognise(request)
    found = known(request)
    return found.actor if found is not None and not found.session.locked else None


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def other_shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="session")
def staffed_file(sqlite_files: SqliteFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a clinic with a doctor and an admin; made once, passwords being slow."""
    folder = tmp_path_factory.mktemp("staffed")
    with sqlite_files.one(folder, "clinic.db") as database:
        furnish(database)
        made = stage(database, folder / "home", VirtualClock())
        made.person("han", "韩素云")
        made.person("gao", "高主任", frozenset({Role.MEMBER_ADMIN, Role.HEAD}))
    return folder / "clinic.db"


@pytest.fixture
def clinic(
    staffed_file: Path, tmp_path: Path, clock: VirtualClock, shelf: Shelf, other_shelf: Shelf
) -> Iterator[Stage]:
    shutil.copyfile(staffed_file, tmp_path / "clinic.db")
    database = Database(f"sqlite:///{tmp_path / 'clinic.db'}")
    made = stage(database, tmp_path / "home", clock)
    table = {
        "Patient": (patients.resources,),
        "Observation": (shelf.resources, other_shelf.resources),
    }
    fhir.install(made.app, made.node, table=table, browser=browser_actor)  # type: ignore[arg-type]
    yield made
    database.close()


Ask = Callable[..., TestClient]


@pytest.fixture
def ask(clinic: Stage) -> Iterator[Ask]:
    """Makes clients; with a name they send it with the password at every request."""
    with ExitStack() as stack:

        def make(name: str = "", password: str = PASSWORD) -> TestClient:
            client = TestClient(clinic.app, base_url=BASE, raise_server_exceptions=False)
            if name:
                client.auth = (name, password)
            return stack.enter_context(client)

        yield make


@pytest.fixture
def doctor(ask: Ask) -> TestClient:
    return ask("han")


@pytest.fixture
def register(clinic: Stage) -> Callable[[Entry], Patient]:
    """Registers a patient as the doctor."""

    def make(entry: Entry) -> Patient:
        with clinic.node.database.write() as session:
            return service.register(
                session,
                actor=clinic.actor(session, "han"),
                entry=entry,
                now=clinic.node.clock.now(),
                confirmed=True,
            ).patient

    return make
