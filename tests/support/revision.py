"""Writes the next step of the database from what the tables say and the steps so far do not.

`python -m tests.support.revision "what changes"`, then read the file: Alembic guesses.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command

from consortium.kernel.database import Base, Database
from consortium.migrations import FOLDER, steps
from consortium.upkeep.revisions import migrate
from tests.support.databases import load_tables


def write_revision(message: str) -> Path:
    """Compare and write `versions/NNNN_message.py`; set NEEDED to its number."""
    load_tables()
    number = f"{len(list((FOLDER / 'versions').glob('*.py'))) + 1:04}"
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/node.db")
        migrate(database, needed="head")
        with database.engine.connect() as connection:
            command.revision(
                steps(connection, metadata=Base.metadata),
                message=message,
                autogenerate=True,
                rev_id=number,
            )
        database.close()
    (file,) = (FOLDER / "versions").glob(f"{number}_*.py")
    ruff = Path(sys.executable).parent / "ruff"
    subprocess.run([ruff, "check", "--quiet", "--fix", file], check=True)
    subprocess.run([ruff, "format", "--quiet", file], check=True)
    package = FOLDER / "__init__.py"
    package.write_text(
        re.sub(r'NEEDED: Final = ".*"', f'NEEDED: Final = "{number}"', package.read_text())
    )
    return file


if __name__ == "__main__":
    print(write_revision(sys.argv[1]))
