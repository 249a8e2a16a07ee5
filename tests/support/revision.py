"""Writes the next steps of the database from what the tables say and the steps so far do not.

`python -m tests.support.revision`: one file for each room that changed, lowest floor first, one
function for each table. Then read them: Alembic guesses. `--anew` throws all steps away
first; only a program that nobody runs yet may do that.
"""

import ast
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from alembic import command

from consortium.kernel.database import Base, Database
from consortium.migrations import FOLDER, steps
from consortium.upkeep.revisions import migrate
from tests.support.databases import load_tables
from tests.support.source import ROOT

VERSIONS = FOLDER / "versions"


def _rooms() -> list[str]:
    """Rooms from the ground up, as the import walls order them."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (floors,) = (c for c in config["tool"]["importlinter"]["contracts"] if c["id"] == "floors")
    return [room for floor in reversed(floors["layers"]) for room in re.findall(r"\w+", floor)]


def _tables(room: str) -> set[str]:
    return {
        str(mapper.class_.__tablename__)
        for mapper in Base.registry.mappers
        if mapper.class_.__module__.split(".")[1] == room
    }


def _write_room(room: str, number: str) -> Path | None:
    tables = _tables(room)

    def ours(thing: Any, name: str, kind: str, _reflected: bool, _other: Any) -> bool:
        return (name if kind == "table" else thing.table.name) in tables

    def only_changes(_context: Any, _revision: Any, directives: list[Any]) -> None:
        if directives[0].upgrade_ops.is_empty():
            directives[:] = []

    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/node.db")
        migrate(database, needed="head")
        with database.engine.connect() as connection:
            config = steps(connection, metadata=Base.metadata)
            config.attributes["include_object"] = ours
            command.revision(
                config,
                message=room,
                autogenerate=True,
                rev_id=number,
                process_revision_directives=only_changes,
            )
        database.close()
    return next(VERSIONS.glob(f"{number}_*.py"), None)


def _by_table(file: Path) -> None:
    """Give each table its own function, in the order in which they are made."""
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    (upgrade,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    parts: dict[str, list[str]] = {}
    for statement in upgrade.body:
        source = "\n".join(text.splitlines()[statement.lineno - 1 : statement.end_lineno])
        found = re.search(r'op\.\w+\(\s*["\'](\w+)["\']', source)
        assert found is not None, source
        parts.setdefault(found[1], []).append(source)
    head = "\n".join(text.splitlines()[: upgrade.lineno - 1])
    calls = "\n".join(f"    _{table}()" for table in parts)
    bodies = "\n\n\n".join(
        f"def _{table}() -> None:\n" + "\n".join(sources) for table, sources in parts.items()
    )
    file.write_text(f"{head}\ndef upgrade() -> None:\n{calls}\n\n\n{bodies}\n", encoding="utf-8")


def _tidy(file: Path) -> None:
    ruff = Path(sys.executable).parent / "ruff"
    for arguments in (["format"], ["check", "--fix"], ["format"]):
        subprocess.run([ruff, *arguments, "--quiet", file], check=True)


def write_revisions() -> list[Path]:
    """Write `versions/NNNN_room.py` for each room that changed; set NEEDED to the last number."""
    load_tables()
    made = []
    for room in _rooms():
        number = f"{len(list(VERSIONS.glob('*.py'))) + 1:04}"
        if _tables(room) and (file := _write_room(room, number)) is not None:
            _by_table(file)
            _tidy(file)
            made.append(file)
            package = FOLDER / "__init__.py"
            needed = f'NEEDED: Final = "{number}"'
            package.write_text(re.sub(r'NEEDED: Final = ".*"', needed, package.read_text()))
    return made


if __name__ == "__main__":
    if "--anew" in sys.argv[1:]:
        for old in VERSIONS.glob("*.py"):
            old.unlink()
    for made_file in write_revisions():
        print(made_file.name)
