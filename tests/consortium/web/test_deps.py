"""One route, one transaction, committed before the answer; a full thread pool is no deadlock."""

import asyncio

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import event, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from consortium.desk.tables import VersionTable
from consortium.web.deps import PageRoute, Reading, Writing
from tests.support.web_stage import Stage

ROUTER = APIRouter(route_class=PageRoute)


@ROUTER.get("/count")
def count(session: Reading) -> int:
    """The version as it is committed."""
    return session.scalar(select(VersionTable.version)) or 0


@ROUTER.get("/raise")
def raise_it(session: Reading, by: int = 1, also: int = 0) -> int:
    """A plain query parameter beside a session."""
    return by + also + (session.scalar(select(VersionTable.version)) or 0)


@ROUTER.post("/add")
def add(session: Writing, fail: bool = False) -> int:
    """Add one; with `fail` the route itself fails after writing."""
    row = session.get(VersionTable, 1) or VersionTable(id=1, version=0)
    row.version += 1
    session.add(row)
    session.flush()
    if fail:
        raise ZeroDivisionError
    return row.version


@pytest.fixture
def counting(clinic: Stage) -> FastAPI:
    clinic.app.include_router(ROUTER)
    return clinic.app


@pytest.fixture
def client(counting: FastAPI) -> TestClient:
    return TestClient(counting, base_url="http://127.0.0.1:8001", raise_server_exceptions=False)


def test_what_a_route_wrote_is_there_when_it_answers(client: TestClient) -> None:
    assert client.post("/add").json() == 1
    assert client.get("/count").json() == 1


def test_a_route_that_fails_wrote_nothing(client: TestClient) -> None:
    assert client.post("/add?fail=true").status_code == 500
    assert client.get("/count").json() == 0


def test_nobody_is_told_yes_when_the_commit_fails(client: TestClient, clinic: Stage) -> None:
    def disk_full(_session: Session) -> None:
        raise OSError

    event.listen(Session, "before_commit", disk_full)
    try:
        assert client.post("/add").status_code == 500
    finally:
        event.remove(Session, "before_commit", disk_full)
    assert client.get("/count").json() == 0


def test_other_parameters_stay_what_they_are(client: TestClient) -> None:
    assert client.get("/raise?by=2&also=3").json() == 5


def test_more_writers_than_threads_all_get_through(counting: FastAPI) -> None:
    """The pool has forty threads: a lock taken before the route runs would hang here for ever."""

    async def all_at_once() -> list[int]:
        transport = httpx2.ASGITransport(app=counting)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8001"
        ) as browser:
            answers = await asyncio.gather(*(browser.post("/add") for _ in range(100)))
        return sorted(answer.json() for answer in answers)

    assert asyncio.run(asyncio.wait_for(all_at_once(), 30)) == list(range(1, 101))
