"""Passwords and boxes at least cost: argon2 is slow on purpose, most tests ask nothing of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from consortium.kernel import box
from consortium.members import passwords

_REAL = (box._PASSES, box._MEMORY_KIB, passwords._hasher)
_CHEAP = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))


@contextmanager
def _cost(passes: int, memory_kib: int, hasher: object) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(box, "_PASSES", passes)
        patch.setattr(box, "_MEMORY_KIB", memory_kib)
        patch.setattr(passwords, "_hasher", hasher)
        passwords._nobodys.cache_clear()
        yield
    passwords._nobodys.cache_clear()


@contextmanager
def least_cost() -> Iterator[None]:
    """Argon2 at least cost."""
    with _cost(1, 64, lambda: _CHEAP):
        yield


@contextmanager
def real_cost() -> Iterator[None]:
    """Argon2 as the product has it, inside of `least_cost` too."""
    with _cost(*_REAL):
        yield
