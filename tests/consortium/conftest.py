"""The real app over the demo's consortium, for tests of a whole node (tests/support/real_world)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.real_world import World


@pytest.fixture(autouse=True, scope="session")
def _cheap() -> Iterator[None]:
    """Least cost of passwords, except where a test asks for the real one."""
    from tests.support.cheap import least_cost

    with least_cost():
        yield


@pytest.fixture(scope="session")
def founded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's consortium with a short story, founded once for all test processes."""
    from tests.support import real_world

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    return real_world.founded(base / "short-story" / "home")


@pytest.fixture(scope="module")
def common_world(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[World]":
    """The real app over a copy that the tests of a file share; they leave it usable."""
    from tests.support import real_world

    with real_world.open_copy(founded_home, tmp_path_factory.mktemp("common") / "home") as world:
        yield world


@pytest.fixture
def own_world(founded_home: Path, tmp_path: Path) -> "Iterator[World]":
    """The real app over a copy of the test's own."""
    from tests.support import real_world

    with real_world.open_copy(founded_home, tmp_path / "home") as world:
        yield world
