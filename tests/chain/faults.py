"""A disk that fails at one step, in each way in which disks and power fail."""

import errno
from enum import StrEnum
from pathlib import Path

from chain.store import Disk


class Fault(StrEnum):
    """What happens at the step."""

    REFUSED = "it fails, and nothing is done"
    DONE = "it fails, and yet is done"
    TORN = "it fails with half of the bytes written"
    FULL = "no room is left: this and every later write fails"
    KILLED = "the process dies before it"
    KILLED_AFTER = "the process dies after it"


class KilledError(BaseException):
    """Where a process would have ended; nothing that runs may catch it."""


class FailingDisk(Disk):
    """Fails at step `at`, counted over writes, syncs, renames, folders and removals."""

    def __init__(self, at: int, fault: Fault) -> None:
        self.steps = 0
        self._at, self._fault, self._full = at, fault, False

    def _step(self) -> Fault | None:
        self.steps += 1
        return self._fault if self.steps - 1 == self._at else None

    def _fail(self, fault: Fault | None, *, before: bool) -> None:
        if fault is Fault.KILLED and before:
            raise KilledError
        if fault is Fault.KILLED_AFTER and not before:
            raise KilledError
        if fault is Fault.FULL:
            self._full = True
        if fault in (Fault.REFUSED, Fault.FULL, Fault.TORN) and before:
            raise OSError(errno.EIO, "it failed")
        if fault is Fault.DONE and not before:
            raise OSError(errno.EIO, "it failed")

    def write(self, path: Path, data: bytes) -> None:
        if self._full:
            path.write_bytes(b"")
            raise OSError(errno.ENOSPC, "no room")
        fault = self._step()
        if fault in (Fault.TORN, Fault.KILLED):
            path.write_bytes(data[: len(data) // 2])
        self._fail(fault, before=True)
        super().write(path, data)
        self._fail(fault, before=False)

    def sync(self, handle: int) -> None:
        fault = self._step()
        self._fail(fault, before=True)
        self._fail(fault, before=False)

    def rename(self, old: Path, new: Path) -> None:
        fault = self._step()
        self._fail(fault, before=True)
        super().rename(old, new)
        self._fail(fault, before=False)

    def make_folder(self, folder: Path) -> None:
        fault = self._step()
        self._fail(fault, before=True)
        super().make_folder(folder)
        self._fail(fault, before=False)

    def remove(self, path: Path) -> None:
        fault = self._step()
        self._fail(fault, before=True)
        super().remove(path)
        self._fail(fault, before=False)
