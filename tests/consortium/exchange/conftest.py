"""A database of the cheap kind, for what no database could make different."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium.kernel.database import Database
from tests.support.databases import SqliteFiles


@pytest.fixture
def sqlite(sqlite_files: SqliteFiles, tmp_path: Path) -> Iterator[Database]:
    """A SQLite database with every table."""
    with sqlite_files.one(tmp_path, "hub.db") as database:
        yield database
