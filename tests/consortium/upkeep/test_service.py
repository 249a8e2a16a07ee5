"""Upkeep as doors and jobs use it: one process at a time, the night's backup, the upgrade."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyrage
import pytest
from sqlalchemy import inspect, text

from consortium import migrations
from consortium.exchange import state
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, invalid
from consortium.members.keys import KeyFolder
from consortium.settings import Settings
from consortium.upkeep import backups, service
from tests.consortium.exchange.world import HUB, World
from tests.support.clock import VirtualClock
from tests.support.databases import SqliteFiles

STEP = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "{number}", {before!r}
def upgrade():
    {body}
"""


@pytest.fixture
def recovery() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    return Settings(home=home, role="hub", guard_dir=tmp_path / "guard", backups_kept=2)


def _tell_recovery(database: Database, member: str, key: pyrage.x25519.Identity) -> None:
    with database.write() as session:
        name = f"member:{member}"
        old = state.read(session, name)
        value = {**(old or {}), "recovery": str(key.to_public())}
        state.write(session, {name: (value, 1)}, frozenset({name} if old else ()))


def test_one_process_serves_a_folder(settings: Settings) -> None:
    with service.serving(settings):
        with pytest.raises(Refusal, match=r"system\.running"), service.serving(settings):
            pass
        with pytest.raises(Refusal, match=r"system\.running"):
            service.upgrade(settings)


# ---------------------------------------------------------------- backup


@pytest.fixture
def node(settings: Settings, sqlite_files: SqliteFiles) -> Iterator[Database]:
    with sqlite_files.one(settings.home) as database:
        KeyFolder(settings.home).make("lead")
        yield database


def test_the_recovery_keys_of_the_ledger_open_the_backup(
    settings: Settings, node: Database, recovery: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match=r"upkeep\.backup_key"):
        service.backup(settings, node, tmp_path / "node.age")
    _tell_recovery(node, "lead", recovery)
    service.backup(settings, node, tmp_path / "node.age")
    backups.restore(tmp_path / "node.age", tmp_path / "again", identity=str(recovery))
    assert KeyFolder(tmp_path / "again").members() == ["lead"]


def test_the_night_s_backup_is_made_once(
    settings: Settings, node: Database, recovery: pyrage.x25519.Identity, clock: VirtualClock
) -> None:
    _tell_recovery(node, "lead", recovery)
    made = [service.nightly(settings, node, now=clock.advance(hours=1)) for _ in range(24 * 4)]
    assert sum(one is not None for one in made) == 5
    assert len(backups.kept(settings.backup_dir)) == 2


def test_the_hub_tells_the_ledger_and_trims_its_guard_a_night_later(
    settings: Settings,
    sqlite_files: SqliteFiles,
    recovery: pyrage.x25519.Identity,
    tmp_path: Path,
) -> None:
    count = iter(range(9))

    def make() -> Database:
        return Database(f"sqlite:///{_copied(sqlite_files, tmp_path, next(count))}")

    world = World(tmp_path, make)
    hub = world.members[HUB]
    KeyFolder(settings.home).make("lead")
    _tell_recovery(world.hub_database, "lead", recovery)

    def night() -> None:
        made = service.hub_nightly(
            settings, world.hub_database, post=hub.post, guard=world.hub_guard,
            now=world.clock.advance(days=1),
        )  # fmt: skip
        assert made is not None
        hub.sync()

    def guarded() -> list[object]:
        return [record["index"] for record in world.hub_guard.records() if "index" in record]

    before = guarded()
    night()
    with world.hub_database.read() as session:
        assert state.read(session, "backup:hub") == {"size": len(before)}
    assert guarded() == [*before, len(before)]
    night()
    assert guarded() == [len(before), len(before) + 1]
    assert world.hub_guard.size() == len(before) + 2


def _copied(files: SqliteFiles, folder: Path, number: int) -> Path:
    with files.one(folder, f"world{number}.db"):
        return folder / f"world{number}.db"


# ---------------------------------------------------------------- upgrade

Plan = Callable[[str, str | None, str], None]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Adds a step of the test's own and makes it the one that the program needs."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text((migrations.FOLDER / "env.py").read_text())
    monkeypatch.setattr(migrations, "FOLDER", folder)

    def add(number: str, before: str | None, body: str) -> None:
        step = STEP.format(number=number, before=before, body=body)
        (folder / "versions" / f"{number}.py").write_text(step)
        monkeypatch.setattr(service, "NEEDED", number)

    return add


def _tables(settings: Settings) -> tuple[str, list[str]]:
    database = Database(settings.database_url)
    with database.engine.connect() as connection:
        found = migrations.revision_of(connection), inspect(connection).get_table_names()
    database.close()
    return found


ONE = 'op.create_table("one", sa.Column("id", sa.Integer, primary_key=True))'
TWO = 'op.create_table("two", sa.Column("id", sa.Integer, primary_key=True))'


def test_an_upgrade_takes_every_step_once(settings: Settings, plan: Plan) -> None:
    plan("0001", None, ONE)
    assert service.upgrade(settings) == ""
    plan("0002", "0001", TWO)
    assert service.upgrade(settings) == "0001"
    assert service.upgrade(settings) == "0002"
    assert _tables(settings) == ("0002", ["alembic_version", "one", "two"])
    assert not (settings.home / "before-upgrade.db").exists()


def test_a_failed_upgrade_leaves_the_database_as_it_was(
    settings: Settings, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan("0001", None, ONE)
    service.upgrade(settings)
    database = Database(settings.database_url)
    with database.write() as session:
        session.execute(text("INSERT INTO one VALUES (7)"))
    database.close()

    plan("0002", "0001", 'op.execute("SELECT * FROM nowhere")')
    with pytest.raises(Exception, match="nowhere"):
        service.upgrade(settings)
    assert _tables(settings) == ("0001", ["alembic_version", "one"])

    # the steps went well and what they left did not pass its check
    plan("0002", "0001", 'op.execute("DELETE FROM one")')

    def spoilt(file: Path) -> None:
        if file.name == backups.DATABASE:
            raise invalid("upkeep.backup_damaged")

    monkeypatch.setattr(backups, "check_file", spoilt)
    with pytest.raises(Refusal):
        service.upgrade(settings)
    database = Database(settings.database_url)
    with database.read() as session:
        assert session.scalars(text("SELECT id FROM one")).all() == [7]
    database.close()
    assert _tables(settings)[0] == "0001"
