"""`consortium demo --check`: the proof that the journeys hold, run as anybody would run it."""

import json
from pathlib import Path

import pytest

from consortium.cli.check_nodes import free_ports
from consortium.cli.check_walk import HUB, RECIPIENT, SENDER
from tests.processes.conftest import command, ledger_size

pytestmark = pytest.mark.process

FIELDS = [
    "journeys", "exchanges", "leaves", "refused", "receipts_checked", "replayed", "differences",
    "killed_at", "seconds",
]  # fmt: skip


def test_the_three_journeys_hold_through_cuts_and_kills(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    told = command("demo", "--check", "--port", str(free_ports()), "--keep", kept)
    assert told.code == 0, told.err
    line = json.loads(told.out)
    assert list(line) == FIELDS
    assert line["journeys"] == 3
    assert line["killed_at"] == [SENDER, RECIPIENT, HUB]
    # counted, not claimed: the ledger that was left says the same
    assert line["leaves"] == ledger_size(kept / "hub")
    assert line["exchanges"] == line["leaves"] > 100
    assert line["refused"] == 1
    assert line["receipts_checked"] > line["leaves"]
    assert (line["replayed"], line["differences"]) == (line["leaves"], 0)
    assert line["seconds"] < 120


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    told = command("demo", "--check", "--keep", tmp_path)
    assert (told.code, told.out, "(demo.folder)" in told.err) == (1, "", True)
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]
