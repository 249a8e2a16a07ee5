"""What a cosigner has seen of each log, kept so that it can never sign less than it signed.

    keys                      vkeys of the cosigner, whose state this is
    <origin hash>/checkpoint  the newest checkpoint, as C2SP tlog-witness lets monitors fetch it
    evidence/<hash>/          two signed checkpoints that do not fit together

Origin hash: SHA-256 of the origin in lower-case hex. Beside the key, not in this folder, lies a
second record of sizes and roots (`Seen`). A cosigner whose folder is lost, restored from an older
copy, or of another key does not start: from a state that forgets it could sign a second history.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, TypeVar

from chain import checkpoint, note
from chain.checkpoint import Checkpoint
from chain.encoding import b64, decimal, hash_of
from chain.errors import ChainError, FormatError, SignatureError
from chain.note import VerifierKey
from chain.store import CHECKPOINT, Disk

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_KEYS = "keys"
_EVIDENCE_MAX = 1000
_Answer = TypeVar("_Answer")


class StateError(ChainError):
    """A state that a cosigner must not go on from."""


def origin_hash(origin: str) -> str:
    """Name of a log in paths (C2SP tlog-witness, "Monitor Retrieval Mechanism")."""
    return sha256(origin.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class View:
    """The newest checkpoint of a log that was verified, with the signatures that are served."""

    head: Checkpoint
    data: bytes


class Seen:
    """Sizes and roots signed, one line each, appended and fsynced; lies beside the key."""

    def __init__(self, path: Path, *, disk: Disk | None = None) -> None:
        self._path = path
        self._disk = disk or Disk()

    def create(self) -> None:
        """Begin an empty record. Raises FileExistsError when there is one."""
        with self._path.open("xb") as file:
            self._disk.sync(file.fileno())
        self._disk.sync_folder(self._path.parent)

    def keep(self, name: str, head: Checkpoint) -> None:
        """Record a head before anything over it is given out. Raises OSError."""
        line = f"{name} {head.size} {b64(head.root)}\n".encode()
        with self._path.open("r+b") as file:
            # a line that a crash cut short is cut off, or the next would run into it
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
            file.seek(whole)
            file.write(line)
            file.flush()
            self._disk.sync(file.fileno())

    def newest(self) -> dict[str, tuple[int, bytes]]:
        """Size and root by origin hash. The last line may be cut: nothing was given out for it.

        Raises:
            StateError: `state.lost` when there is no record.
            FormatError: `state.format`.
        """
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError as fault:
            raise StateError("state.lost", "The record beside the key is gone.") from fault
        found: dict[str, tuple[int, bytes]] = {}
        for line in lines:
            words = line.decode("ascii", "replace").split(" ")
            if len(words) != 3:
                raise FormatError("state.format", "The record beside the key is damaged.")
            size = decimal(words[1], code="state.format")
            root = hash_of(words[2], code="state.format")
            if size >= found.get(words[0], (0, b""))[0]:
                found[words[0]] = (size, root)
        return found

    def compact(self) -> None:
        """Keep only the newest line of each log. Raises as `newest`, and OSError."""
        lines = [f"{name} {size} {b64(root)}\n" for name, (size, root) in self.newest().items()]
        fresh = self._path.with_name(self._path.name + ".new")
        self._disk.write(fresh, "".join(lines).encode())
        self._disk.rename(fresh, self._path)
        self._disk.sync_folder(self._path.parent)


class Views:
    """The views in one folder, held by one process. Use `Views.create` once, `Views.open` after.

    Args:
        root: the folder.
        keys: the cosigner's public keys; none for a state that signs nothing.
        checks: a view that none of these keys has signed is damaged.
        seen: the record beside the key; None where nothing is signed.
        disk: what the files are written with.
    """

    def __init__(
        self,
        root: Path,
        keys: Sequence[VerifierKey],
        *,
        checks: Sequence[VerifierKey],
        seen: Seen | None,
        disk: Disk | None = None,
    ) -> None:
        self._root, self._keys, self._checks = root, tuple(keys), tuple(checks)
        self._seen, self._disk = seen, disk or Disk()
        self._lock = threading.Lock()
        self._held: IO[bytes] | None = None

    def create(self) -> None:
        """Begin the state of keys that have never signed anything, in a folder without one.

        Raises:
            StateError: `state.exists`.
            OSError: when the disk cannot.
        """
        if (self._root / _KEYS).exists():
            raise StateError("state.exists", "There is a state in this folder already.")
        self._root.mkdir(parents=True, exist_ok=True)
        if self._seen is not None:
            self._seen.create()
        self._place(self._root / _KEYS, self._vkeys())
        self._hold()

    def open(self) -> None:
        """Go on with a state.

        Raises:
            StateError: `state.lost` without one, `state.key` when it is of other keys,
                `state.behind` when more was signed than it knows of, `state.running` when another
                process holds it.
            FormatError, SignatureError: when what it holds is damaged.
        """
        try:
            held = (self._root / _KEYS).read_bytes()
        except FileNotFoundError as fault:
            raise StateError("state.lost", "The state of this key is gone.") from fault
        if held != self._vkeys():
            raise StateError("state.key", "The state is that of another key.")
        self._hold()
        try:
            self._not_behind()
        except (ChainError, OSError):
            self.close()
            raise

    def _not_behind(self) -> None:
        if self._seen is None:
            return
        for name, (size, root) in self._seen.newest().items():
            view = self._read(name)
            if view is None or view.head.size < size:
                raise StateError("state.behind", "This key has signed more than the state has.")
            if view.head.size == size and view.head.root != root:
                raise StateError("state.behind", "This key has signed another tree.")
        self._seen.compact()

    def close(self) -> None:
        """Let another process have the folder."""
        if self._held is not None:
            self._held.close()
            self._held = None

    # ------------------------------------------------------------ views

    def read(self, origin: str) -> View | None:
        """The newest view of a log.

        Raises:
            FormatError, SignatureError: when the file is damaged.
            OSError: when the disk cannot give it.
        """
        return self._read(origin_hash(origin))

    def update(
        self, origin: str, decide: Callable[[View | None], tuple[_Answer, View | None]]
    ) -> _Answer:
        """Look at the view and replace it in one step; durable when this returns.

        Two at once would roll a log back (C2SP tlog-witness, "add-checkpoint", last paragraph):
        `decide` sees the newest view, and nobody else sees or writes one meanwhile.

        Args:
            origin: the log.
            decide: gives the answer, and the next view if there is one.

        Raises:
            OSError: when it could not be made durable; the answer must not be given then.
        """
        name = origin_hash(origin)
        with self._lock:
            answer, view = decide(self._read(name))
            if view is not None:
                folder = self._root / name
                self._disk.make_folder(folder)
                self._disk.sync_folder(self._root)
                self._place(folder / CHECKPOINT, view.data)
                if self._seen is not None:
                    self._seen.keep(name, view.head)
            return answer

    def keep_evidence(self, held: bytes, offered: bytes) -> None:
        """Keep two signed checkpoints that do not fit together, at most 1,000 pairs."""
        place = self._root / "evidence" / sha256(held + offered).hexdigest()
        with self._lock:
            if place.exists() or len(list(self.evidence())) >= _EVIDENCE_MAX:
                return
            place.mkdir(parents=True)
            self._place(place / "held", held)
            self._place(place / "offered", offered)

    def evidence(self) -> Iterator[tuple[bytes, bytes]]:
        """The pairs kept."""
        folder = self._root / "evidence"
        for place in sorted(folder.iterdir()) if folder.is_dir() else ():
            yield (place / "held").read_bytes(), (place / "offered").read_bytes()

    # ------------------------------------------------------------ inside

    def _vkeys(self) -> bytes:
        return "".join(f"{text}\n" for text in sorted(key.text for key in self._keys)).encode()

    def _read(self, name: str) -> View | None:
        try:
            data = (self._root / name / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return None
        head = checkpoint.parse(note.verify(data, self._checks)[0].text)
        if origin_hash(head.origin) != name:
            raise SignatureError("state.format", "A view lies in the place of another log.")
        return View(head, data)

    def _place(self, path: Path, data: bytes) -> None:
        fresh = path.with_name(path.name + ".new")
        self._disk.write(fresh, data)
        self._disk.rename(fresh, path)
        self._disk.sync_folder(path.parent)

    def _hold(self) -> None:
        file = (self._root / "lock").open("ab")
        try:
            if sys.platform == "win32":
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            file.close()
            raise StateError("state.running", "Another process holds this state.") from fault
        self._held = file
