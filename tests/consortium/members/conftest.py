"""A consortium set up for real."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consortium.kernel.database import Database
from tests.consortium.members.consortium_made import World


@pytest.fixture
def world(
    tmp_path: Path, new_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setenv("CONSORTIUM_GUARD_DIR", str(tmp_path / "guards"))
    made = World(tmp_path, new_database)
    yield made
    made.close()
