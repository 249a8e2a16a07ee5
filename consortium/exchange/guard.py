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
        if kept := self.read():
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


class HubGuard:
    """The hub's append-only guard: checkpoints before they are published, leaves before answers."""

    def __init__(self, folder: Path, *, name: str = "hub") -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / f"{name}.guardlog"
        self._lock = threading.Lock()
        fresh = not self._path.exists()
        self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if fresh:
            sync_folder(folder)

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

    def _append(self, records: Sequence[Mapping[str, object]]) -> None:
        content = b"".join(orjson.dumps(record) + b"\n" for record in records)
        with self._lock:
            os.write(self._handle, content)
            os.fsync(self._handle)

    def records(self) -> Iterator[dict[str, object]]:
        """Every record kept, oldest first; a torn last line (power cut) is left out."""
        with self._path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield orjson.loads(line)

    def size(self) -> int:
        """The tree size that this guard can vouch for: what the database must not be short of."""
        most = 0
        for record in self.records():
            if isinstance(record.get("size"), int):
                most = max(most, int(str(record["size"])))
            else:
                most = max(most, int(str(record["index"])) + 1)
        return most

    def trim(self, size: int) -> None:
        """Drop leaves below `size` (covered by a backup entry), keeping the last checkpoint."""
        with self._lock:
            kept: list[bytes] = []
            last: bytes = b""
            for record in self.records():
                line = orjson.dumps(record) + b"\n"
                if "size" in record:
                    last = line
                elif int(str(record["index"])) >= size:
                    kept.append(line)
            write_durably(self._path, last + b"".join(kept))
            os.close(self._handle)
            self._handle = os.open(self._path, os.O_WRONLY | os.O_APPEND, 0o600)

    def close(self) -> None:
        os.close(self._handle)
