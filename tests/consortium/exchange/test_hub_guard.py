"""The hub's guard file: whole lines, on disk before anybody is answered, ahead of no database."""

import os
from pathlib import Path

import pytest

from consortium.exchange.hub_guard import HubGuard
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal
from consortium.wiring import refuse_behind_guard
from tests.consortium.exchange.copies import copy_of, put_back
from tests.consortium.exchange.pens import Hub, verdict
from tests.support.databases import SqliteFiles

LEAF = b"1 ok\na.b.c"


def file_of(folder: Path) -> Path:
    return folder / "hub.guardlog"


@pytest.fixture
def kept(tmp_path: Path) -> HubGuard:
    guard = HubGuard(tmp_path)
    guard.leaves(0, [(LEAF, b"f0"), (LEAF, b"f1"), (LEAF, b"f2")])
    guard.checkpoint(3, bytes(32))
    return guard


def test_it_vouches_for_what_it_holds(tmp_path: Path, kept: HubGuard) -> None:
    assert (kept.size(), kept.covered()) == (3, 3)
    again = HubGuard(tmp_path)
    assert (again.size(), again.covered()) == (3, 3)
    assert [record.get("index") for record in again.records()] == [0, 1, 2, None]


def test_a_checkpoint_ahead_of_the_leaves_counts_for_the_size_alone(kept: HubGuard) -> None:
    kept.checkpoint(5, bytes(32))
    assert (kept.size(), kept.covered()) == (5, 3)


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_torn_last_line_is_left_out_and_swallows_nothing_after_it(
    tmp_path: Path, kept: HubGuard, cut: int
) -> None:
    """A power cut in the middle of a line, then the next start goes on behind it."""
    kept.leaves(3, [(LEAF, b"torn")])
    whole = file_of(tmp_path).read_bytes()
    file_of(tmp_path).write_bytes(whole[:-cut])
    again = HubGuard(tmp_path)
    assert again.covered() == 3
    again.leaves(3, [(LEAF, b"f3"), (LEAF, b"f4")])
    assert HubGuard(tmp_path).covered() == 5
    assert [one.get("index") for one in again.records() if "size" not in one] == [0, 1, 2, 3, 4]


def test_a_disk_that_takes_only_a_part_keeps_none_of_it(
    tmp_path: Path, kept: HubGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(handle: int, content: bytes) -> int:
        if len(content) > 20:
            return real(handle, content[:20])
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="no space"):
        kept.leaves(3, [(LEAF, b"f3")])
    monkeypatch.undo()
    assert kept.covered() == 3
    kept.leaves(3, [(LEAF, b"f3")])
    assert HubGuard(tmp_path).covered() == 4


def test_a_write_that_the_system_splits_is_finished(
    tmp_path: Path, kept: HubGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: real(handle, content[:7]))
    kept.leaves(3, [(LEAF, b"f3")])
    monkeypatch.undo()
    assert HubGuard(tmp_path).covered() == 4


def test_trimmed_to_a_backup_it_still_vouches(tmp_path: Path, kept: HubGuard) -> None:
    kept.leaves(3, [(LEAF, b"f3"), (LEAF, b"f4")])
    kept.trim(4)
    assert [one["index"] for one in kept.records() if "index" in one] == [4]
    kept.trim(9)
    assert [one for one in kept.records() if "index" in one] == []
    again = HubGuard(tmp_path)
    assert (again.size(), again.covered()) == (5, 5)
    again.leaves(5, [(LEAF, b"f5")])
    assert HubGuard(tmp_path).covered() == 6


# ---------------------------------------------------------------- with a hub


@pytest.fixture
def hub(tmp_path: Path, sqlite: Database) -> Hub:
    return Hub(sqlite, tmp_path)


def test_every_leaf_with_its_facts_is_kept_before_the_answer(hub: Hub) -> None:
    hub.admit(hub.pens["a"].open("c1"), hub.pens["a"].say("c1"), hub.pens["b"].say("c1"))
    records = [one for one in hub.guard.records() if "index" in one]
    assert [one["index"] for one in records] == list(range(hub.size()))


def test_a_guard_that_cannot_write_answers_nobody_and_is_caught_up_first(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit stands; a later push of the same gets its answer only once the guard holds it."""
    raw = hub.pens["a"].open("c1")

    def full(first: int, leaves: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(hub.guard, "leaves", full)
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            hub.admit(raw)
    monkeypatch.undo()
    assert (hub.size(), hub.guard.covered()) == (2, 1)
    [answer] = hub.admit(raw)
    assert (answer.index, verdict(answer)) == (1, "ok")
    assert hub.guard.covered() == 2


def test_what_a_crash_left_out_of_the_guard_is_filled_in(hub: Hub, tmp_path: Path) -> None:
    """Killed between commit and guard: the next start's first answer waits for the refill."""
    pen = hub.pens["a"]
    hub.admit(pen.open("c1"), pen.say("c1"))
    lines = file_of(tmp_path / "hub-guard").read_bytes().splitlines(keepends=True)
    file_of(tmp_path / "hub-guard").write_bytes(b"".join(lines[:1]))
    hub.guard = HubGuard(tmp_path / "hub-guard")
    hub.start()
    assert hub.guard.covered() == 1
    hub.admit(pen.say("c1"))
    assert [one["index"] for one in hub.guard.records() if "index" in one] == [0, 1, 2, 3]


def test_the_hub_refuses_to_start_behind_its_guard(
    sqlite_files: SqliteFiles, tmp_path: Path
) -> None:
    """An old copy of its database is put back: it would give the last index to another leaf."""
    with sqlite_files.one(tmp_path, "hub.db") as database:
        hub = Hub(database, tmp_path)
        hub.admit(hub.pens["a"].open("c1"))
        copied = copy_of(database, tmp_path / "old.db")
        refuse_behind_guard(hub.size(), hub.guard.size())
        hub.admit(hub.pens["a"].say("c1"))
        kept = HubGuard(tmp_path / "hub-guard").size()
        refuse_behind_guard(hub.size(), kept)
        hub.close()
    old = put_back(copied, tmp_path / "hub.db")
    with old.read() as session:
        size = journal.size(session)
    old.close()
    assert (size, kept) == (2, 3)
    with pytest.raises(Refusal, match="behind_guard"):
        refuse_behind_guard(size, kept)
