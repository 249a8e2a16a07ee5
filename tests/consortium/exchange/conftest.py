"""A database of the cheap kind, for what no database could make different."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from consortium.kernel.database import Database
from tests.consortium.exchange.world import World
from tests.support.databases import SqliteFiles


@pytest.fixture
def sqlite(sqlite_files: SqliteFiles, tmp_path: Path) -> Iterator[Database]:
    """A SQLite database with every table."""
    with sqlite_files.one(tmp_path, "hub.db") as database:
        yield database


@pytest.fixture
def make_world(sqlite_files: SqliteFiles, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes a consortium with these clinics, each node on a SQLite file of its own."""
    with ExitStack() as stack:
        made = 0

        def make() -> Database:
            nonlocal made
            made += 1
            return stack.enter_context(sqlite_files.one(tmp_path, f"n{made}.db"))

        def world(*clinics: str, witnesses: bool = False, mirror: bool = False) -> World:
            built = World(tmp_path, make, clinics or ("a", "b"), witnesses=witnesses, mirror=mirror)
            stack.callback(built.close)
            return built

        yield world
