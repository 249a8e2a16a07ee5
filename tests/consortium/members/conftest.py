"""Cheap password hashing: what is tested here is not its cost."""

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from consortium.members import box, passwords


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
