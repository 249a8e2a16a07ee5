"""What the command line says when a file or a folder is not there: sentences, never a trace."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.app import app


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("doctor --home {home}", "system.not_set_up"),
        ("user reset han --home {home}", "system.not_set_up"),
        ("serve --home {home}", "system.not_set_up"),
        ("restore {home}/none.scb --home {home}/x --recovery {home}/none", "system.file"),
        ("restore {home}/none.scb --home {home}/x --recovery {home}", "system.file"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, command: str, code: str) -> None:
    done = CliRunner().invoke(app, command.format(home=tmp_path).split())
    assert done.exit_code == 1
    assert f"({code})" in done.output
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
