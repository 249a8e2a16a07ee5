"""The fixtures themselves: both databases are real, and what tests rely on holds."""

import random
from collections.abc import Callable

import pytest
from sqlalchemy import text

from consortium.kernel.database import Database
from tests.support.clock import VirtualClock


def test_the_server_is_the_one_that_the_test_names(database: Database) -> None:
    functions = {"sqlite": "sqlite_version()", "postgresql": "version()"}
    with database.read() as session:
        version = session.scalar(text(f"SELECT {functions[database.dialect]}"))
    assert "PostgreSQL 18" in version if database.dialect == "postgresql" else version >= "3.52"


def test_two_databases_of_one_test_are_two(new_database: Callable[[], Database]) -> None:
    one, other = new_database(), new_database()
    with one.write() as session:
        session.execute(text("CREATE TABLE only_here (id INTEGER)"))
    with one.read() as session:
        assert session.scalar(text("SELECT count(*) FROM only_here")) == 0
    with pytest.raises(Exception, match="only_here"), other.read() as session:
        session.execute(text("SELECT count(*) FROM only_here"))


def test_time_passes_on_both_clocks_and_jumps_on_one(clock: VirtualClock) -> None:
    now, monotonic = clock.now(), clock.monotonic()
    clock.advance(minutes=2)
    assert (clock.now() - now).total_seconds() == clock.monotonic() - monotonic == 120
    clock.jump(hours=-1)
    assert clock.now() < now
    assert clock.monotonic() - monotonic == 120
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(seconds=-1)


def test_chance_is_the_same_in_every_run(rng: random.Random) -> None:
    assert rng.randrange(10**9) == 760337556
