"""What differs between operating systems, and what a power cut makes of a file: only here.

Windows has no fsync of folders (its file system keeps renames in order itself), other locks and
other places for state.
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from consortium.kernel.errors import conflict

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def state_folder() -> Path:
    """Where this system keeps the state of programs, outside any node's folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "sharing-chain"
    if os.geteuid() == 0:
        return Path("/var/lib/sharing-chain")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "sharing-chain"


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that a power cut leaves the old or the new one, never a part.

    Only its owner can read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # half a file would take what room a full disk has left
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or a new file in this folder outlast a power cut."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file as the only process; the system lets go of it when the process ends.

    Raises Refusal `system.running` when another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("ab") as file:
        if not _lock(file):
            raise conflict("system.running")
        yield


@contextmanager
def one_writer(handle: int) -> Iterator[None]:
    """Hold an open file against other processes that hold it so too, waiting for them.

    Windows serves a node by one process: there is nobody to wait for.
    """
    if sys.platform == "win32":
        yield
        return
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def own_socket(path: Path) -> socket.socket | None:
    """A listening socket in the file system, for this user alone; None where there are none."""
    if sys.platform == "win32":
        return None
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    path.chmod(0o600)
    made.listen(512)
    return made


def _lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class UserPlaces:
    """Where this user's session looks: what starts with it, its menu, its desktop."""

    autostart: Path
    menu: Path
    desktop: Path


def user_places() -> UserPlaces | None:
    """Places of the user's session, None on a system that has neither kind."""
    if sys.platform == "win32":
        menu = Path(os.environ["APPDATA"]) / "Microsoft/Windows/Start Menu/Programs"
        return UserPlaces(menu / "Startup", menu, Path.home() / "Desktop")
    if sys.platform != "linux":
        return None
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    desktop = Path(os.environ.get("XDG_DESKTOP_DIR") or Path.home() / "Desktop")
    return UserPlaces(config / "systemd/user", data / "applications", desktop)
