"""Copies of a node's SQLite file, and putting an old one back, as people do with backups."""

import shutil
from pathlib import Path

from consortium.kernel.database import Database


def copy_of(database: Database, place: Path) -> Path:
    """A whole copy of a database that is in use, as SQLite's own backup makes it."""
    place.unlink(missing_ok=True)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(place),))
    return place


def put_back(copied: Path, file: Path) -> Database:
    """Open `file` after the copy has been put in its place; whoever had it open has closed it."""
    for tail in ("-wal", "-shm"):
        file.with_name(file.name + tail).unlink(missing_ok=True)
    shutil.copyfile(copied, file)
    return Database(f"sqlite:///{file}")
