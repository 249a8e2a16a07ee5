"""Steps of the database from one release to the next, one file a change.

The start compares `NEEDED` with one row and loads no Alembic (DESIGN 4, Start); `consortium
upgrade` runs the steps.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, MetaData, inspect, text

FOLDER: Final = Path(__file__).parent
NEEDED: Final = "0012"
"""The revision that this program works with: the last of the steps. Empty before the first."""


def revision_of(connection: Connection) -> str:
    """The revision that a database is at; empty for one without tables."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")) or "")


def steps(connection: Connection, *, metadata: MetaData | None = None) -> Any:
    """Alembic's configuration over an open connection; env.py finds both in its attributes."""
    from alembic.config import Config

    given: Mapping[str, object] = {"connection": connection, "metadata": metadata}
    config = Config(attributes=dict(given))
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
