"""Backup and the way back: everything of the node but its guard, for the key in the safe only."""

import io
import stat
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest
import zstandard
from sqlalchemy import text

from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.settings import Settings, save
from consortium.upkeep import backups
from tests.support.databases import PostgresDatabases, SqliteFiles

NOW = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)  # 02:30 in Asia/Shanghai
BLOB = "ab" + "0" * 62


@pytest.fixture(scope="module")
def recovery() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node's folder with something of every kind in it."""
    folder = tmp_path / "home"
    save(folder, role="hub", port=8123)
    for name, content in {
        "keys/hospital/node.key": b"secret seed",
        "policy": b"log hub.example",
        "log.key": b"log key",
        "guard/node-1.guard": b"heads",
        f"blobs/ab/{BLOB}": b"sealed picture",
        f"blobs/ab/{BLOB}.12ab.new": b"half",
        "serving.lock": b"",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def node(home: Path, sqlite_files: SqliteFiles) -> Iterator[Database]:
    """The node's database with one row."""
    with sqlite_files.one(home) as database:
        with database.write() as session:
            session.execute(text("INSERT INTO node_mark VALUES ('patient', '张三')"))
        yield database


def _backup(node: Database, home: Path, file: Path, key: pyrage.x25519.Identity) -> None:
    backups.backup(node, file, home=home, recipients=[str(key.to_public())])


def test_what_was_backed_up_comes_back_without_the_guard(
    node: Database, home: Path, tmp_path: Path, recovery: pyrage.x25519.Identity
) -> None:
    file, again = tmp_path / "safe" / "node.age", tmp_path / "again"
    made = backups.backup(node, file, home=home, recipients=[str(recovery.to_public())])
    assert (made.size_bytes, made.attachments) == (file.stat().st_size, 1)
    backups.restore(file, again, identity=str(recovery))
    assert Settings.read(again).port == 8123
    found = {str(path.relative_to(again)) for path in again.rglob("*") if path.is_file()}
    assert found == {
        "node.toml", "node.db", "policy", "log.key", "keys/hospital/node.key", f"blobs/ab/{BLOB}",
    }  # fmt: skip
    assert (again / "keys/hospital/node.key").read_bytes() == b"secret seed"
    assert (again / f"blobs/ab/{BLOB}").read_bytes() == b"sealed picture"
    restored = Database(f"sqlite:///{again / 'node.db'}")
    with restored.read() as session:
        assert session.scalar(text("SELECT value FROM node_mark")) == "张三"
    restored.close()


def test_nothing_of_it_can_be_read_without_the_key(
    node: Database, home: Path, tmp_path: Path, recovery: pyrage.x25519.Identity
) -> None:
    file = tmp_path / "safe" / "node.age"
    _backup(node, home, file, recovery)
    sealed = file.read_bytes()
    assert sealed.startswith(b"age-encryption.org/v1\n")
    assert all(word not in sealed for word in ("张三".encode(), b"SQLite format", b"secret seed"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # and nothing plain is left beside it
    assert sorted(path.name for path in file.parent.iterdir()) == ["blobs", "node.age"]
    other = pyrage.x25519.Identity.generate()
    for wrong in (str(other), "AGE-SECRET-KEY-1NOT", ""):
        with pytest.raises(Refusal, match=r"upkeep\.recovery_key"):
            backups.restore(file, tmp_path / "again", identity=wrong)
    assert list((tmp_path / "again").iterdir()) == []


def test_the_node_goes_on_writing_while_it_is_backed_up(
    node: Database, home: Path, tmp_path: Path, recovery: pyrage.x25519.Identity
) -> None:
    with node.write() as session:
        session.execute(text("INSERT INTO node_mark VALUES ('later', 'not committed')"))
        session.flush()
        _backup(node, home, tmp_path / "node.age", recovery)
    backups.restore(tmp_path / "node.age", tmp_path / "again", identity=str(recovery))
    restored = Database(f"sqlite:///{tmp_path / 'again' / 'node.db'}")
    with restored.read() as session:
        assert session.scalars(text("SELECT name FROM node_mark")).all() == ["patient"]
    restored.close()


@pytest.mark.parametrize("place", [0.3, 0.6, 0.99])
def test_a_damaged_file_is_told_and_leaves_no_node(
    node: Database, home: Path, tmp_path: Path, recovery: pyrage.x25519.Identity, place: float
) -> None:
    file = tmp_path / "node.age"
    _backup(node, home, file, recovery)
    whole = file.read_bytes()
    at = int(len(whole) * place)
    for broken in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
        file.write_bytes(broken)
        with pytest.raises(Refusal, match=r"upkeep\.backup_damaged"):
            backups.restore(file, tmp_path / "again", identity=str(recovery))
        assert list((tmp_path / "again").iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "keys/../../evil", "/evil", "guard/n.guard", ".ssh/x"])
def test_a_file_sealed_by_another_hand_writes_nowhere_else(
    tmp_path: Path, recovery: pyrage.x25519.Identity, name: str
) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    packed = zstandard.compress(plain.getvalue())
    (tmp_path / "node.age").write_bytes(pyrage.encrypt(packed, [recovery.to_public()]))
    with pytest.raises(Refusal, match=r"upkeep\.backup_damaged"):
        backups.restore(tmp_path / "node.age", tmp_path / "again", identity=str(recovery))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "node.age"]


def test_a_node_s_folder_is_never_overwritten(
    node: Database, home: Path, tmp_path: Path, recovery: pyrage.x25519.Identity
) -> None:
    _backup(node, home, tmp_path / "node.age", recovery)
    with pytest.raises(Refusal, match=r"upkeep\.home_exists"):
        backups.restore(tmp_path / "node.age", home, identity=str(recovery))
    with pytest.raises(Refusal, match=r"upkeep\.backup_exists"):
        _backup(node, home, tmp_path / "node.age", recovery)
    with pytest.raises(Refusal, match=r"upkeep\.backup_missing"):
        backups.restore(tmp_path / "no.age", tmp_path / "again", identity=str(recovery))


def test_a_damaged_database_is_not_called_a_backup(
    node: Database, home: Path, tmp_path: Path, recovery: pyrage.x25519.Identity
) -> None:
    with node.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        page_bytes = int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    node.close()
    with (home / "node.db").open("r+b") as file:
        file.seek(page_bytes * 3)
        file.write(b"\xff" * page_bytes * 2)
    with pytest.raises(Refusal, match=r"upkeep\.backup_damaged"):
        _backup(node, home, tmp_path / "node.age", recovery)
    assert not (tmp_path / "node.age").exists()


def test_without_a_recovery_key_there_is_no_backup(
    node: Database, home: Path, tmp_path: Path
) -> None:
    for recipients in ([], ["age1nothing"]):
        with pytest.raises(Refusal, match=r"upkeep\.backup_key"):
            backups.backup(node, tmp_path / "node.age", home=home, recipients=recipients)


def test_a_disk_that_refuses_is_named_and_leaves_nothing(
    node: Database,
    home: Path,
    tmp_path: Path,
    recovery: pyrage.x25519.Identity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("consortium.upkeep.backups.os.fsync", full)
    with pytest.raises(Refusal) as refused:
        _backup(node, home, tmp_path / "safe" / "node.age", recovery)
    assert (refused.value.code, refused.value.facts) == ("upkeep.backup_write", {"errno": 28})
    assert list((tmp_path / "safe").iterdir()) == []


def test_one_backup_a_night_and_the_newest_are_kept(
    node: Database, home: Path, tmp_path: Path, recovery: pyrage.x25519.Identity
) -> None:
    folder, recipients = tmp_path / "backups", [str(recovery.to_public())]
    (tmp_path / "backups").mkdir()
    (folder / "by-hand.backup.age").write_bytes(b"left alone")
    for night in range(4):
        now = NOW + timedelta(days=night)
        assert backups.due(folder, hour=2, now=now)
        backups.nightly(node, folder, home=home, recipients=recipients, keep=3, now=now)
        assert not backups.due(folder, hour=2, now=now + timedelta(hours=20))
    assert [made.day for made, _ in backups.kept(folder)] == [25, 26, 27]
    assert (folder / "by-hand.backup.age").exists()


@pytest.mark.parametrize(
    ("hour", "made", "now", "expected"),
    [
        (2, None, "2026-11-24T18:00", True),
        (2, "2026-11-23T18:00", "2026-11-24T17:59", False),  # one minute to two
        (2, "2026-11-23T18:00", "2026-11-24T18:00", True),
        (2, "2026-11-20T18:00", "2026-11-24T01:00", True),  # was off for nights: made up by day
        (23, "2026-11-24T14:59", "2026-11-24T15:00", True),
        (0, "2026-11-23T16:00", "2026-11-24T15:59", False),
    ],
)
def test_a_night_that_was_missed_is_made_up(
    tmp_path: Path, hour: int, made: str | None, now: str, expected: bool
) -> None:
    if made:
        stamp = datetime.fromisoformat(f"{made}+00:00").strftime("%Y%m%dT%H%M%SZ")
        (tmp_path / f"{stamp}.backup.age").touch()
    moment = datetime.fromisoformat(f"{now}+00:00")
    assert backups.due(tmp_path, hour=hour, now=moment) is expected


@pytest.mark.postgres
def test_a_server_s_database_is_backed_up_by_its_own_tools(
    postgres_databases: PostgresDatabases, tmp_path: Path, recovery: pyrage.x25519.Identity
) -> None:
    with (
        postgres_databases.one() as database,
        pytest.raises(Refusal, match=r"upkeep\.backup_engine"),
    ):
        _backup(database, tmp_path, tmp_path / "node.age", recovery)
