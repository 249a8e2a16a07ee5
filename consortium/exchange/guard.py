"""Guard files: what a node or hub has promised, kept outside the database and every backup.

PROTOCOL 2 ("Guard file" of a node) and 5 ("Hub's guard file"). A database that is behind its guard
was restored from a copy and may not sign.
"""

import base64
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from consortium.kernel.system import sync_folder, write_durably

_HUB_SUFFIX = ".guardlog"
_TAIL_BYTES = 64 * 1024

Heads = Mapping[str, tuple[int, str]]
"""Last (seq, hash) signed, by lane."""


class GuardDamaged(Exception):  # noqa: N818 - a state of the disk
    """A guard file that cannot be read."""


def machine_id() -> str:
    """An id of this machine that a copied disk folder does not carry along; empty if unknown."""
    for name in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
    return ""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a node's guard file holds."""

    node: str
    machine: str
    heads: Heads


class NodeGuard:
    """The two copies of one node's guard: in its data folder and outside of it."""

    def __init__(self, node: str, *, inside: Path, outside: Path, machine: str) -> None:
        self.node = node
        self.machine = machine
        self._paths = (inside / f"{node}.guard", outside / f"{node}.guard")
        self._lock = threading.Lock()
        self._heads: dict[str, tuple[int, str]] = {}
        try:
            kept = self.read()
        except GuardDamaged:
            kept = None  # the node starts all the same, to show what it holds; it signs nothing
        if kept is not None:
            self._heads = dict(kept.heads)

    def read(self) -> Kept | None:
        """The guard as kept: of two copies the one that is further ahead; None when there is none.

        Raises:
            GuardDamaged: a copy is there and cannot be read, and no other can.
        """
        found = [kept for path in self._paths if (kept := _read(path)) is not None]
        if not found:
            if any(path.exists() for path in self._paths):
                raise GuardDamaged(str(self._paths[0]))
            return None
        return max(found, key=lambda kept: sum(seq for seq, _ in kept.heads.values()))

    def advance(self, heads: Heads) -> None:
        """Keep newer heads in both places, fsynced. Nothing is sent or confirmed before this."""
        with self._lock:
            merged = dict(self._heads)
            for lane, (seq, digest) in heads.items():
                if seq > merged.get(lane, (0, ""))[0]:
                    merged[lane] = (seq, digest)
            if merged == self._heads and all(path.exists() for path in self._paths):
                return
            content = orjson.dumps({"node": self.node, "machine": self.machine, "heads": merged})
            for path in self._paths:
                write_durably(path, content)
            self._heads = merged

    @property
    def heads(self) -> Heads:
        return dict(self._heads)


def _read(path: Path) -> Kept | None:
    try:
        value = orjson.loads(path.read_bytes())
        heads = {lane: (int(seq), str(digest)) for lane, (seq, digest) in value["heads"].items()}
        return Kept(node=str(value["node"]), machine=str(value["machine"]), heads=heads)
    except (OSError, ValueError, KeyError, TypeError):
        return None


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

    One process appends; others may read beside it.
    """

    def __init__(self, folder: Path, *, name: str = "hub") -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / f"{name}{_HUB_SUFFIX}"
        self._lock = threading.Lock()
        fresh = not self._path.exists()
        self._handle = self._open()
        self._covered = -1
        self._end: int | None = None
        if fresh:
            sync_folder(folder)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def checkpoint(self, size: int, root: bytes) -> None:
        """Keep the size and root of a checkpoint that is about to be published."""
        self._append([{"size": size, "root": base64.b64encode(root).decode()}])

    def leaves(self, first: int, leaves: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep (leaf, facts) from index `first` on, in one fsync, before any answer is given."""
        covered = self.covered()
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
        self._covered = max(covered, first + len(leaves))

    def covered(self) -> int:
        """How far leaves are kept: the index after the last one."""
        if self._covered < 0:
            ends = (
                int(str(record["from"])) if "from" in record else int(str(record["index"])) + 1
                for record in self.records()
                if "size" not in record
            )
            self._covered = max(ends, default=0)
        return self._covered

    def _append(self, records: Sequence[Mapping[str, object]]) -> None:
        """Write lines as a whole or not at all: what follows a torn line would be lost with it."""
        content = b"".join(orjson.dumps(record) + b"\n" for record in records)
        with self._lock:
            start = self._whole_bytes() if self._end is None else self._end
            try:
                written = 0
                while written < len(content):
                    written += os.write(self._handle, content[written:])
                os.fsync(self._handle)
            except OSError:
                self._end = None
                os.ftruncate(self._handle, start)
                raise
            self._end = start + len(content)

    def _whole_bytes(self) -> int:
        """Where the last whole line ends; a power cut may have left a part of one behind it."""
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            at = size
            while at:
                start = max(0, at - _TAIL_BYTES)
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
        """Every record kept, oldest first; a torn last line (power cut) is left out."""
        return _records(self._path)

    def size(self) -> int:
        """The tree size that this guard can vouch for: what the database must not be short of."""
        sizes = (int(str(one["size"])) for one in self.records() if "size" in one)
        return max([self.covered(), *sizes])

    def trim(self, size: int) -> None:
        """Drop leaves below `size` (covered by a backup entry), keeping the last checkpoint."""
        covered = self.covered()
        with self._lock:
            self._whole_bytes()
            kept = [orjson.dumps({"from": min(size, covered)}) + b"\n"]
            last = b""
            for record in self.records():
                line = orjson.dumps(record) + b"\n"
                if "size" in record:
                    last = line
                elif "index" in record and int(str(record["index"])) >= size:
                    kept.append(line)
            # an open file cannot be replaced on every system
            os.close(self._handle)
            try:
                write_durably(self._path, last + b"".join(kept))
            finally:
                self._handle, self._end = self._open(), None

    def close(self) -> None:
        os.close(self._handle)


class WitnessGuard:
    """The two copies of what one node has cosigned last: the size, and the checkpoint as signed.

    A database that is behind it was restored, and takes its view from here: no node ever cosigns a
    tree that is smaller than one that it has cosigned (C2SP tlog-witness, rollback).
    """

    def __init__(self, node: str, *, inside: Path, outside: Path) -> None:
        self._paths = (inside / f"{node}.witness", outside / f"{node}.witness")
        found = [kept for path in self._paths if (kept := _cosigned(path)) is not None]
        self.size, self.note = max(found, default=(0, b""))

    def advance(self, size: int, note: bytes) -> None:
        """Keep a checkpoint in both places, fsynced, before it is cosigned.

        Raises:
            ValueError: it is smaller than the one kept.
        """
        if size < self.size:
            raise ValueError("a witness never goes back")
        if (size, note) == (self.size, self.note) and all(path.exists() for path in self._paths):
            return
        content = orjson.dumps({"size": size, "note": note.decode()})
        for path in self._paths:
            write_durably(path, content)
        self.size, self.note = size, note


def _cosigned(path: Path) -> tuple[int, bytes] | None:
    try:
        value = orjson.loads(path.read_bytes())
        return int(value["size"]), str(value["note"]).encode()
    except (OSError, ValueError, KeyError, TypeError):
        return None
