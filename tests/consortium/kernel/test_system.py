"""Files that outlast a power cut, and a folder that one process holds."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from consortium.kernel import system
from consortium.kernel.errors import Refusal


def test_a_file_is_replaced_whole_and_is_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "node.key"
    system.write_durably(file, b"one")
    system.write_durably(file, b"other")
    assert file.read_bytes() == b"other"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["node.key"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "node.key"
    system.write_durably(file, b"one")

    def full(_: int) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        system.write_durably(file, b"other")
    assert file.read_bytes() == b"one"


def test_one_process_holds_a_folder_until_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "serving"
    hold = (
        "import sys, pathlib, consortium.kernel.system as s\n"
        "with s.alone(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Refusal, match=r"system\.running"), system.alone(lock):
            pass
        other.kill()
        other.wait()
    with system.alone(lock):
        pass


def test_the_state_of_programs_lies_where_the_system_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert system.state_folder() == tmp_path / "sharing-chain"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert system.state_folder() == Path("/var/lib/sharing-chain")
