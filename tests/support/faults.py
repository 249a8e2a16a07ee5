"""One fault at one place: a write, an fsync, a rename or a commit that fails, or the power with it.

    refused   it fails and nothing was done      done      it fails, but was done
    full      no room                            torn      half of a write, then no room
    cut       the process ends before it         cut after the process ends right after it
    cut torn  half of a write, then the end      lost      the end, and what no fsync kept is gone

After a cut nothing more reaches the disk, not even what cleans up.
"""

import errno
import os
import stat
from collections.abc import Callable
from typing import Any

import pytest

from consortium.kernel.database import Database

MODES = ("refused", "done", "full", "torn", "cut", "cut after", "cut torn", "lost")


class Cut(BaseException):
    """The process is no more; no handler of errors sees it."""


class Faults:
    """Counts what reaches the disk, and lets the operation number `at` (from 1) go wrong.

    `hit`: the name of what went wrong, empty while nothing has.
    """

    def __init__(self, *, at: int, mode: str) -> None:
        self.at, self.mode = at, mode
        self.count = 0
        self.hit = ""
        self.dead = False
        self._synced: dict[int, int] = {}

    def plant(self, patch: pytest.MonkeyPatch, database: Database) -> None:
        """Stand between the program and the system until the patch is undone."""
        write, fsync, truncate, replace = os.write, os.fsync, os.ftruncate, os.replace
        commit: Callable[[Any], None] = database.engine.dialect.do_commit

        def written(fd: int, data: bytes) -> int:
            half = lambda: write(fd, data[: len(data) // 2])  # noqa: E731 - one thing twice
            return int(self._do("write", lambda: write(fd, data), torn=half))

        def synced(fd: int) -> None:
            def lose() -> None:
                truncate(fd, self._synced.get(os.fstat(fd).st_ino, 0))

            regular = stat.S_ISREG(os.fstat(fd).st_mode)
            self._do("fsync", lambda: fsync(fd), lost=lose if regular else None)
            self._synced[os.fstat(fd).st_ino] = os.fstat(fd).st_size

        patch.setattr(os, "write", written)
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "ftruncate", lambda *given: self._do("cut off", lambda: truncate(*given)))
        patch.setattr(os, "replace", lambda *given: self._do("rename", lambda: replace(*given)))
        patch.setattr(
            database.engine.dialect,
            "do_commit",
            lambda connection: self._do("commit", lambda: commit(connection)),
        )

    def _do(
        self,
        name: str,
        run: Callable[[], Any],
        *,
        torn: Callable[[], Any] | None = None,
        lost: Callable[[], None] | None = None,
    ) -> Any:
        if self.dead:
            raise Cut
        self.count += 1
        if self.count != self.at:
            return run()
        self.hit = f"{self.mode} {name}"
        if self.mode in ("done", "cut after"):
            run()
        elif self.mode in ("torn", "cut torn") and torn is not None:
            torn()
        elif self.mode == "lost" and lost is not None:
            lost()
        if self.mode in ("cut", "cut after", "cut torn", "lost"):
            self.dead = True
            raise Cut
        raise OSError(errno.EIO if self.mode in ("refused", "done") else errno.ENOSPC, "planted")
