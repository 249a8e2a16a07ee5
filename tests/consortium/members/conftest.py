"""Cheap password hashing, and a consortium set up for real."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from consortium.kernel.database import Database
from consortium.members import box, passwords
from tests.consortium.members.consortium_made import World


@pytest.fixture(autouse=True, scope="session")
def _cheap() -> object:
    """Least cost for boxes and password hashes, except where a test asks for the real one."""
    patch = pytest.MonkeyPatch()
    patch.setattr(box, "_PASSES", 1)
    patch.setattr(box, "_MEMORY_KIB", 64)
    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    patch.setattr(passwords, "_hasher", lambda: cheap)
    passwords._nobodys.cache_clear()
    yield
    patch.undo()
    passwords._nobodys.cache_clear()


@pytest.fixture
def world(
    tmp_path: Path, new_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setenv("CONSORTIUM_GUARD_DIR", str(tmp_path / "guards"))
    made = World(tmp_path, new_database)
    yield made
    made.close()
