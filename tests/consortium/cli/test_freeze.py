"""`consortium hub freeze` on a hub that is stopped: it publishes the end itself, and says it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.app import app
from consortium.cli.demo_people import HUB, place
from consortium.exchange import freeze
from consortium.kernel.database import Database
from consortium.ledger import journal, policies, publisher
from tests.support import real_world


def test_the_seal_ends_the_log_and_a_second_run_says_the_same(
    founded_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    real_world.copied(founded_home, tmp_path / "home")
    home = tmp_path / "home" / "hub"
    seal = tmp_path / "home" / "consortium-seal"
    database = Database(f"sqlite:///{home / 'node.db'}")

    def run(passphrase: str) -> tuple[int, str, str]:
        command = ["hub", "freeze", "--home", str(home), "--seal", str(seal)]
        told = CliRunner().invoke(app, command, input=f"{passphrase}\n")
        return told.exit_code, told.stdout, told.stderr

    code, out, told = run("not the passphrase")
    assert (code, out) == (1, "")
    assert "(members.seal_wrong)" in told
    with database.read() as session:
        assert not journal.lock_head(session).frozen
    code, out, told = run(place(HUB).seal_passphrase)
    assert code == 0, told
    with database.read() as session:
        head, last = journal.lock_head(session), publisher.latest(session)
        origin = policies.read_policy((home / "policy").read_bytes()).logs[0].name
        assert freeze.read(session, freeze.told(session)).origin == origin
    database.close()
    assert last is not None
    assert head.frozen
    assert (head.size, out) == (last.size, f"{origin} {last.size} {last.root.hex()}\n")
    assert run(place(HUB).seal_passphrase)[:2] == (0, out)
