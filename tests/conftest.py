"""Fixtures of the whole suite: both databases, a clock that tests move, seeded chance."""

import os
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from consortium.kernel.database import Database
from tests import run
from tests.support.clock import VirtualClock
from tests.support.databases import PostgresDatabases, SqliteFiles
from tests.support.engines import share_compiled
from tests.support.postgres import PostgresServer

GROUPS = frozenset({"postgres", "process", "browser", "simulation", "slow"})
BOTH = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))
LATE_ON_POSTGRES = frozenset(
    f"consortium/{name}.py"
    for name in (
        "contracts/test_journey",
        "exchange/test_inbox_unfit", "exchange/test_unforeseen", "members/test_people_keys",
        "records/test_consent", "records/test_deciding", "records/test_most",
        "records/test_picture", "records/test_steered", "records/test_viewed",
        "records/test_withdrawing", "referrals/test_at_once", "referrals/test_beside",
        "referrals/test_cancelled_session", "referrals/test_node_signature",
        "referrals/test_serving", "teleconsult/test_moved_on", "teleconsult/test_viewing",
    )
)  # fmt: skip
"""Each of these builds a consortium of nodes for every test. On PostgreSQL they run in the long
tier; in the short one the walks of their rooms and all tests of rows and locks do."""

share_compiled()
settings.register_profile(
    "short",
    deadline=None,
    max_examples=60,
    print_blob=True,
    # a database made for the test function is cleared or made anew by the example itself
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("long", settings.get_profile("short"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test that names no group the mark `unit`, so that the groups split the suite."""
    for item in items:
        if GROUPS.isdisjoint(mark.name for mark in item.iter_markers()):
            item.add_marker("unit")
        late = item.path.relative_to(run.TESTS).as_posix() in LATE_ON_POSTGRES
        if late and item.get_closest_marker("postgres"):
            item.add_marker("slow")
    lost = {
        f"{item.nodeid}: {group}"
        for group, mark in run.NAMED.items()
        for item in items
        if item.get_closest_marker(mark) and not _found(item.path, group)
    }
    if lost:
        raise pytest.UsageError(f"tests.run would not find {sorted(lost)}")


@cache
def _places(group: str) -> frozenset[Path]:
    return frozenset(map(Path, run.places(group)))


def _found(file: Path, group: str) -> bool:
    return not _places(group).isdisjoint((file, *file.parents))


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    """Makes SQLite files with every table."""
    return SqliteFiles(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL, one for each test process."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: PostgresServer) -> PostgresDatabases:
    """Makes PostgreSQL databases with every table."""
    return PostgresDatabases(postgres_server)


@pytest.fixture(params=BOTH)
def new_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], Database]]:
    """Makes as many databases of one kind as a test needs nodes, closed at the end."""
    with ExitStack() as stack:
        made: list[Database] = []

        def make() -> Database:
            if request.param == "postgres":
                databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
                made.append(stack.enter_context(databases.one()))
            else:
                files: SqliteFiles = request.getfixturevalue("sqlite_files")
                made.append(stack.enter_context(files.one(tmp_path, f"node{len(made)}.db")))
            return made[-1]

        yield make


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    """A database with every table; the test runs once on SQLite and once on PostgreSQL."""
    return new_database()


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that moves only when the test moves it."""
    return VirtualClock()


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Chance that is the same in every run of this test."""
    return random.Random(zlib.crc32(request.node.nodeid.encode()))
