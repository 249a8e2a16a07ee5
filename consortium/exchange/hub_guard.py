"""Guard files of a hub: checkpoints and leaves, kept outside the database and every backup.

PROTOCOL 5 ("Hub's guard file"). A database that is behind it was restored from a copy.
"""

import base64
import glob
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from consortium.exchange.guard import GuardDamaged
from consortium.kernel.system import one_writer, sync_folder, write_durably

_HUB_SUFFIX = ".guardlog"
_TAIL_BYTES = 64 * 1024
_SPANS_MAX = 10_000


def _records(path: Path) -> Iterator[dict[str, object]]:
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield orjson.loads(line)


@dataclass(frozen=True, slots=True)
class HubKept:
    """What the guards of a hub's processes hold together: roots by size, leaves by index."""

    roots: Mapping[int, bytes]
    leaves: Mapping[int, bytes]


def hub_kept(folder: Path) -> HubKept:
    """The union of the hub guards in a folder; nothing is written, and a torn last line left out.

    Raises:
        GuardDamaged: a whole line that is not as it was written.
    """
    roots: dict[int, bytes] = {}
    leaves: dict[int, bytes] = {}
    for path in sorted(folder.glob(f"*{_HUB_SUFFIX}")):
        try:
            for one in _records(path):
                if "size" in one:
                    roots[int(str(one["size"]))] = base64.b64decode(str(one["root"]), validate=True)
                elif "index" in one:
                    leaves[int(str(one["index"]))] = str(one["leaf"]).encode("ascii")
        except (ValueError, KeyError) as fault:
            raise GuardDamaged(path.name) from fault
    return HubKept(roots, leaves)


class HubGuard:
    """The hub's append-only guard: checkpoints before they are published, leaves before answers.

    Each web process of the hub appends to a file of its own, and what they hold together counts.
    A file may be trimmed by another process than its own: whoever writes holds it meanwhile.

    Args:
        process: number of the web process; 0 where there is one.
    """

    def __init__(self, folder: Path, *, name: str = "hub", process: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._name = folder, name
        own = f"{name}.{process}" if process else name
        self._path = folder / f"{own}{_HUB_SUFFIX}"
        self._lock = threading.Lock()
        fresh = not self._path.exists()
        self._handle = _opened(self._path)
        self._mine = _Spans()
        if fresh:
            sync_folder(folder)

    @property
    def _paths(self) -> list[Path]:
        """The files of all processes of this hub."""
        others = self._folder.glob(f"{glob.escape(self._name)}.*{_HUB_SUFFIX}")
        first = self._folder / f"{self._name}{_HUB_SUFFIX}"
        numbered = (
            one for one in others if one.name[len(self._name) + 1 :].split(".")[0].isdigit()
        )
        return [*([first] if first.exists() else []), *sorted(numbered)]

    def checkpoint(self, size: int, root: bytes) -> None:
        """Keep the size and root of a checkpoint that is about to be published."""
        self._append([{"size": size, "root": base64.b64encode(root).decode()}])

    def leaves(self, first: int, leaves: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep (leaf, facts) from index `first` on, in one fsync, before any answer is given."""
        self._append(
            [
                {
                    "index": first + offset,
                    "leaf": leaf.decode("ascii"),
                    "facts": base64.b64encode(facts).decode(),
                }
                for offset, (leaf, facts) in enumerate(leaves)
            ]
        )
        self._mine.add(first, first + len(leaves))

    def keeps(self, index: int) -> bool:
        """Whether this process knows that a leaf is kept; others may keep it all the same."""
        return self._mine.has(index)

    def gaps(self, size: int) -> list[tuple[int, int]]:
        """Ranges (first, after the last) of leaves below `size` that no process keeps.

        Afterwards this process knows of all others that they are kept.
        """
        floor, kept = 0, set()
        for record in self.records():
            if "from" in record:
                floor = max(floor, int(str(record["from"])))
            elif "index" in record:
                kept.add(int(str(record["index"])))
        found: list[tuple[int, int]] = []
        for index in range(floor, size):
            if index in kept:
                continue
            if found and found[-1][1] == index:
                found[-1] = (found[-1][0], index + 1)
            else:
                found.append((index, index + 1))
        self._mine.fill(size, found)
        return found

    def covered(self) -> int:
        """How far leaves are kept: the index after the last one."""
        ends = (
            int(str(record["from"])) if "from" in record else int(str(record["index"])) + 1
            for record in self.records()
            if "size" not in record
        )
        return max(ends, default=0)

    def _append(self, records: Sequence[Mapping[str, object]]) -> None:
        """Write lines as a whole or not at all: what follows a torn line would be lost with it."""
        content = b"".join(orjson.dumps(record) + b"\n" for record in records)
        with self._lock, self._held():
            start = self._whole_bytes()
            try:
                written = 0
                while written < len(content):
                    written += os.write(self._handle, content[written:])
                os.fsync(self._handle)
            except OSError:
                os.ftruncate(self._handle, start)
                raise

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold this process's file, the new one where another has trimmed it."""
        while True:
            with one_writer(self._handle):
                if _is_file(self._handle, self._path):
                    yield
                    return
            os.close(self._handle)
            self._handle = _opened(self._path)

    def _whole_bytes(self) -> int:
        """Where the last whole line ends; a power cut may have left a part of one behind it."""
        size = os.fstat(self._handle).st_size
        with self._path.open("rb") as file:
            at = size
            while at:
                # nearly always the last byte is the end of a line
                start = max(0, at - (_TAIL_BYTES if at < size else 1))
                file.seek(start)
                found = file.read(at - start).rfind(b"\n")
                if found >= 0:
                    at = start + found + 1
                    break
                at = start
        if at < size:
            os.ftruncate(self._handle, at)
        return at

    def records(self) -> Iterator[dict[str, object]]:
        """Every record kept, each file's oldest first; a torn last line (power cut) is left out."""
        for path in self._paths:
            yield from _records(path)

    def size(self) -> int:
        """The tree size that this guard can vouch for: what the database must not be short of."""
        sizes = (int(str(one["size"])) for one in self.records() if "size" in one)
        return max([self.covered(), *sizes])

    def trim(self, size: int) -> None:
        """Drop leaves below `size` (covered by a backup entry), keeping the last checkpoint.

        The files of all processes: of those that are no more as well.
        """
        floor = min(size, self.covered())
        for path in self._paths:
            if path != self._path:
                with _holding(path):
                    _trim(path, floor)
        with self._lock:
            with self._held():
                self._whole_bytes()
                if sys.platform != "win32":
                    _trim(self._path, floor)
            os.close(self._handle)
            # an open file cannot be replaced on every system
            if sys.platform == "win32":
                _trim(self._path, floor)
            self._handle = _opened(self._path)

    def close(self) -> None:
        os.close(self._handle)


class _Spans:
    """Ranges of indices; of very many the oldest are forgotten."""

    def __init__(self) -> None:
        self._spans: deque[tuple[int, int]] = deque(maxlen=_SPANS_MAX)

    def add(self, first: int, end: int) -> None:
        if self._spans and self._spans[-1][1] == first:
            first = self._spans.pop()[0]
        self._spans.append((first, end))

    def fill(self, size: int, gaps: Sequence[tuple[int, int]]) -> None:
        """Everything below `size` but the gaps."""
        self._spans.clear()
        at = 0
        for first, end in (*gaps, (size, size)):
            if at < first:
                self._spans.append((at, first))
            at = end

    def has(self, index: int) -> bool:
        return any(first <= index < end for first, end in reversed(self._spans))


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _is_file(handle: int, path: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _holding(path: Path) -> Iterator[None]:
    """Hold the file of another process, which may be replaced while this one waits."""
    while True:
        handle = _opened(path)
        try:
            with one_writer(handle):
                if _is_file(handle, path):
                    yield
                    return
        finally:
            os.close(handle)


def _trim(path: Path, floor: int) -> None:
    kept = [orjson.dumps({"from": floor}) + b"\n"]
    last = b""
    for record in _records(path):
        if "size" in record:
            last = orjson.dumps(record) + b"\n"
        elif "index" in record and int(str(record["index"])) >= floor:
            kept.append(orjson.dumps(record) + b"\n")
    write_durably(path, last + b"".join(kept))
