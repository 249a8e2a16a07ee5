"""Databases for tests: every table of every room, made once, then copied for each test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import consortium
from consortium.kernel.database import Base, Database
from tests.support.postgres import PostgresServer


def load_tables() -> None:
    """Import the tables of every room, so that `Base.metadata` is whole."""
    for file in sorted(Path(consortium.__file__).parent.glob("*/tables.py")):
        import_module(f"consortium.{file.parent.name}.tables")


def fill(url: str) -> None:
    """Make every table in an empty database."""
    load_tables()
    database = Database(url)
    Base.metadata.create_all(database.engine)
    database.close()


class SqliteFiles:
    """Copies of one SQLite file with every table."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        fill(f"sqlite:///{self._template}")

    @contextmanager
    def one(self, folder: Path, name: str = "node.db") -> Iterator[Database]:
        """A new database in `folder`, closed at the end."""
        file = folder / name
        shutil.copyfile(self._template, file)
        database = Database(f"sqlite:///{file}")
        yield database
        database.close()


class PostgresDatabases:
    """Copies of one PostgreSQL database with every table."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._template = server.create()
        fill(server.url(self._template))

    @contextmanager
    def one(self) -> Iterator[Database]:
        """A new database, dropped at the end."""
        name = self._server.create(template=self._template)
        database = Database(self._server.url(name))
        yield database
        database.close()
        self._server.drop(name)
