"""`consortium ledger`: beside a node, without changing it, with an exit code that says it."""

from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from chain import checkpoint
from chain.__main__ import main as chain_main
from chain.checkpoint import Checkpoint
from chain.log import LogWriter
from chain.note import SigningKey
from chain.store import Folder
from consortium.cli.app import app
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.recheck import Report
from consortium.exchange.tables import EntryRow, InboxRow, SharedStateRow
from consortium.kernel.database import Database
from consortium.ledger import publisher, receipts, store
from consortium.ledger.tables import TileRow
from consortium.settings import save
from tests.consortium.ledger.making import NOW, Memory, begin, grow, log_key
from tests.support import real_world
from tests.support.databases import SqliteFiles

KEY = log_key()


@pytest.fixture
def home(sqlite_files: SqliteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's folder with 300 entries, 290 of them published, and its guard beside it."""
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("CONSORTIUM_GUARD_DIR", str(tmp_path / "outside"))
    # these leaves hold no exchanges that could be replayed
    monkeypatch.setattr("consortium.cli.ledger.recheck", lambda *_: Report(300))
    folder = tmp_path / "hub"
    folder.mkdir()
    save(folder, role="hub")
    (folder / "policy").write_bytes(receipts.policy_text(KEY.vkey))
    guard = HubGuard(tmp_path / "outside")
    with sqlite_files.one(folder) as database:
        begin(database)
        grow(database, range(290))
        publisher.publish(database, KEY, guard, now=NOW)
        grow(database, range(290, 300))
        with database.read() as session:
            kept = store.leaves(session, 280, 20)
        guard.leaves(280, [(one.leaf, b"facts") for one in kept])
    guard.close()
    return folder


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["ledger", *words])
    return done.exit_code, done.output


def test_verify_finds_nothing_in_a_sound_ledger(home: Path) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    code, told = run("verify", "--home", str(home))
    assert (code, "300 entries, 290 of them published" in told) == (0, True)
    for path, data in before.items():
        assert path.read_bytes() == data


def _tile(home: Path) -> None:
    with Database(f"sqlite:///{home / 'node.db'}").write() as session:
        session.execute(update(TileRow).where(TileRow.level == 1).values(hashes=bytes(32)))


def _receipt(home: Path) -> None:
    with Database(f"sqlite:///{home / 'node.db'}").write() as session:
        raw = receipts.receipt(session, 7)
        entry = store.leaves(session, 8, 1)[0]
        session.add(
            InboxRow(
                member="lead", index=8, number=1, exchange="e", kind="k/1", case="c", sender="a",
                time=NOW, verdict="ok", leaf=entry.leaf, state="applied", receipt=raw,
                running=bytes(32),
            )
        )  # fmt: skip


def _guard_ahead(home: Path) -> None:
    guard = HubGuard(home.parent / "outside", name="second")
    guard.checkpoint(301, bytes(32))
    guard.close()


def _guard_root(home: Path) -> None:
    guard = HubGuard(home.parent / "outside", name="second")
    guard.checkpoint(200, bytes(32))
    guard.close()


def _guard_leaf(home: Path) -> None:
    file = home.parent / "outside" / "hub.guardlog"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b" ok", b" no")
    file.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("plant", "line"),
    [
        (_tile, "!!  0 ledger_tile.hashes"),
        (_receipt, "!!  8 inbox.receipt (proof.leaf)"),
        (_guard_ahead, "!!  300 guard.size"),
        (_guard_root, "!!  200 guard.root"),
        (_guard_leaf, "!!  284 guard.leaf"),
    ],
)
def test_verify_names_what_differs(home: Path, plant: object, line: str) -> None:
    assert callable(plant)
    plant(home)
    code, told = run("verify", "--home", str(home))
    assert (code, told.splitlines()[0]) == (1, line)


def test_verify_replays_every_entry(
    founded_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    real_world.copied(founded_home, tmp_path / "home")
    home = tmp_path / "home" / "hub"
    code, told = run("verify", "--home", str(home))
    assert (code, "!!" in told) == (0, False), told
    with Database(f"sqlite:///{home / 'node.db'}").write() as session:
        session.execute(
            update(SharedStateRow).where(SharedStateRow.subject == "charter:").values(value="{}")
        )
        session.execute(update(EntryRow).where(EntryRow.index == 2).values(facts=bytes(40)))
    code, told = run("verify", "--home", str(home))
    assert code == 1
    assert "!!  0 shared_state.value (charter:)" in told
    assert "!!  2 replay.verdict (ok | exchange.facts)" in told


# ---------------------------------------------------------------- export


def test_export_is_what_an_outsider_checks(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "log"
    assert run("export", str(folder), "--home", str(home))[0] == 0
    check = ["verify", str(folder), "--policy", str(folder / "policy")]
    assert chain_main(check) == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    database = Database(f"sqlite:///{home / 'node.db'}")
    grow(database, range(300, 560))
    publisher.publish(database, KEY, Memory(), now=NOW)
    database.close()
    code, told = run("export", str(folder), "--home", str(home))
    assert (code, told.splitlines()[0]) == (0, "560 270")
    assert chain_main(check) == 0
    kept = {path: path.read_bytes() for path in before if path.exists()}
    assert {path.name for path in before if before[path] != kept.get(path, before[path])} == {
        "checkpoint"
    }
    assert (folder / "vkeys").read_text() == f"{KEY.vkey}\n"
    (folder / "tile" / "0" / "000").write_bytes(bytes(8192))
    assert chain_main(check) == 1
    assert "0" in capsys.readouterr().out


def test_a_folder_of_another_log_is_left_alone(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    foreign = LogWriter.open(Folder(folder))
    foreign.append([b"another", b"log"])
    head = Checkpoint("other.example", 2, foreign.root())
    foreign.publish(checkpoint.sign(head, [SigningKey.make("other.example")]))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, told = run("export", str(folder), "--home", str(home))
    assert (code, "(ledger.export)" in told) == (1, True)
    assert (folder / "checkpoint").read_bytes() == before[folder / "checkpoint"]
    assert not (folder / "policy").exists()
