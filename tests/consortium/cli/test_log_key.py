"""`consortium hub log-key`: a change of keys as the operator does it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.app import app
from consortium.ledger.keys import load_log_keys, make_log_key
from consortium.settings import save
from tests.support.cheap import least_cost
from tests.support.databases import SqliteFiles

ORIGIN = "hub.example/ledger"


def run(home: Path, word: str, typed: str = "") -> tuple[int, str]:
    given = ["hub", "log-key", word, "--home", str(home)]
    done = CliRunner().invoke(app, given, input=typed)
    return done.exit_code, done.output


def test_add_retire_and_lock(
    sqlite_files: SqliteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_files.one(tmp_path):
        pass
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    save(tmp_path, role="hub")
    old = make_log_key(tmp_path / "log.key", origin=ORIGIN).vkey
    policy = tmp_path / "policy"
    policy.write_text(f"log {old}\nquorum none\n")
    code, told = run(tmp_path, "add")
    lines = [line for line in told.splitlines() if line.startswith("log ")]
    new = lines[1].removeprefix("log ")
    assert (code, lines[0]) == (0, f"log {old}")
    assert run(tmp_path, "show") == (0, f"{old}\n{new}\n")
    code, told = run(tmp_path, "retire")
    assert (code, "(ledger.key_unknown)" in told) == (1, True)
    policy.write_text("".join(f"{line}\n" for line in (*lines, "quorum none")))
    code, told = run(tmp_path, "retire")
    assert (code, told.splitlines()[0]) == (0, new)
    with least_cost():
        code, told = run(tmp_path, "lock", "short\n")
        assert (code, "(ledger.passphrase_short)" in told) == (1, True)
        assert run(tmp_path, "lock", "a long passphrase\n")[0] == 0
        code, told = run(tmp_path, "show")
        assert (code, "(ledger.key_locked)" in told) == (1, True)
        (tmp_path / "log.passphrase").write_text("a long passphrase")
        assert load_log_keys(tmp_path).vkey == new
