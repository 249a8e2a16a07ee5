"""Steps of the database: from nothing to what the tables say, all or none, checked at start."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from consortium import migrations
from consortium.kernel.database import Base, Database
from consortium.kernel.errors import Refusal
from consortium.upkeep import revisions
from tests.support.databases import load_tables
from tests.support.postgres import PostgresServer

STEP = """
import sqlalchemy as sa
from alembic import op
revision = "{number}"
down_revision = {before}
def upgrade():
{body}
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = Database(server.url(server.create()))
    else:
        database = Database(f"sqlite:///{tmp_path / 'node.db'}")
    yield database
    database.close()


@pytest.fixture
def steps_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of steps of the test's own."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (folder / name).write_text((migrations.FOLDER / name).read_text())
    monkeypatch.setattr(migrations, "FOLDER", folder)
    return folder / "versions"


def _step(folder: Path, number: str, *lines: str, before: str | None = None) -> None:
    body = "\n".join(f"    {line}" for line in lines)
    (folder / f"{number}.py").write_text(STEP.format(number=number, before=repr(before), body=body))


TABLES = (
    'op.create_table("a", sa.Column("id", sa.Integer, primary_key=True))',
    'op.create_table("b", sa.Column("a", sa.Integer, sa.ForeignKey("a.id", ondelete="CASCADE")))',
)


def test_the_steps_lead_to_what_the_tables_say(empty: Database) -> None:
    load_tables()
    revisions.migrate(empty)
    # other tests may have tables of their own
    ours = {
        mapper.class_.__tablename__
        for mapper in Base.registry.mappers
        if mapper.class_.__module__.startswith("consortium.")
    }
    assert len(ours) > 30
    only = {"include_object": lambda _, name, kind, *__: kind != "table" or name in ours}
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, **only})
        assert compare_metadata(context, Base.metadata) == []
    revisions.check_revision(empty)


def test_the_needed_revision_is_the_last_step() -> None:
    with create_engine("sqlite://").connect() as connection:
        scripts = ScriptDirectory.from_config(migrations.steps(connection))
    assert (scripts.get_current_head() or "") == migrations.NEEDED


def test_a_failed_step_undoes_all_of_them(empty: Database, steps_in: Path) -> None:
    _step(steps_in, "0001", *TABLES)
    _step(steps_in, "0002", 'op.execute("SELECT * FROM nowhere")', before="0001")
    with pytest.raises(Exception, match="nowhere"):
        revisions.migrate(empty, needed="0002")
    with empty.engine.connect() as connection:
        assert migrations.revision_of(connection) == ""
        assert inspect(connection).get_table_names() == []


def test_a_rebuilt_table_keeps_the_rows_that_point_to_it(empty: Database, steps_in: Path) -> None:
    _step(steps_in, "0001", *TABLES)
    revisions.migrate(empty, needed="0001")
    with empty.write() as session:
        session.execute(text("INSERT INTO a VALUES (1)"))
        session.execute(text("INSERT INTO b VALUES (1)"))
    _step(
        steps_in, "0002",
        'with op.batch_alter_table("a", recreate="auto") as table:',
        '    table.alter_column("id", existing_type=sa.Integer, type_=sa.BigInteger)',
        before="0001",
    )  # fmt: skip
    revisions.migrate(empty, needed="0002")
    with empty.read() as session:
        assert session.scalar(text("SELECT count(*) FROM b")) == 1
    if empty.dialect == "sqlite":
        with empty.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_step_that_leaves_orphans_is_undone(tmp_path: Path, steps_in: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'node.db'}")
    _step(steps_in, "0001", *TABLES, 'op.execute("INSERT INTO b VALUES (7)")')
    with pytest.raises(Refusal, match=r"upkeep\.step_orphans"):
        revisions.migrate(database, needed="0001")
    with database.engine.connect() as connection:
        assert migrations.revision_of(connection) == ""
    database.close()


def test_another_release_s_database_is_refused_at_start(
    empty: Database, steps_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _step(steps_in, "0001", *TABLES)
    revisions.migrate(empty, needed="0001")
    monkeypatch.setattr(revisions, "NEEDED", "0002")
    with pytest.raises(Refusal) as refused:
        revisions.check_revision(empty)
    assert refused.value.facts == {"found": "0001", "needed": "0002"}


def test_the_check_at_start_loads_no_alembic(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from consortium.kernel.database import Database\n"
        "from consortium.upkeep.revisions import check_revision\n"
        "try: check_revision(Database(sys.argv[1]))\n"
        "except Exception as refused: print(refused)\n"
        "assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, f"sqlite:///{tmp_path / 'node.db'}"], check=True)
