"""Guard files of a node: what it has promised, kept outside the database and every backup.

PROTOCOL 2 ("Guard file"). A database that is behind its guard was restored from a copy and may not
sign.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from consortium.kernel.system import one_writer, write_durably

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
        kept = _newest(self._paths)
        if kept is None and any(path.exists() for path in self._paths):
            raise GuardDamaged(str(self._paths[0]))
        return kept

    def advance(self, heads: Heads) -> None:
        """Keep newer heads in both places, fsynced. Nothing is sent or confirmed before this."""
        with self._lock, _alone(self._paths[0]):
            # another web process of this node may have gone on meanwhile
            merged = self._heads if (kept := _newest(self._paths)) is None else dict(kept.heads)
            merged = _ahead(_ahead(merged, self._heads), heads)
            if merged == self._heads and all(path.exists() for path in self._paths):
                return
            content = orjson.dumps({"node": self.node, "machine": self.machine, "heads": merged})
            for path in self._paths:
                write_durably(path, content)
            self._heads = merged

    def take_over(self, heads: Heads) -> None:
        """Begin to vouch on this machine, from heads that the ledger holds, for a guard lost.

        Only where the ledger is known to hold all that this node ever sent (`hub recover`).
        """
        with self._lock, _alone(self._paths[0]):
            content = {"node": self.node, "machine": self.machine, "heads": dict(heads)}
            for path in self._paths:
                write_durably(path, orjson.dumps(content))
            self._heads = dict(heads)

    @property
    def heads(self) -> Heads:
        return dict(self._heads)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time at this guard."""
    path = path.with_name(f"{path.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("ab") as file, one_writer(file.fileno()):
        yield


def _newest(paths: Sequence[Path]) -> Kept | None:
    """Of the copies that can be read the one that is further ahead."""
    found = [kept for path in paths if (kept := _read(path)) is not None]
    return max(found, key=lambda kept: sum(seq for seq, _ in kept.heads.values()), default=None)


def _ahead(heads: Heads, others: Heads) -> dict[str, tuple[int, str]]:
    """Of each lane the head that is further ahead."""
    merged = dict(heads)
    for lane, (seq, digest) in others.items():
        if seq > merged.get(lane, (0, ""))[0]:
            merged[lane] = (seq, digest)
    return merged


def _read(path: Path) -> Kept | None:
    try:
        value = orjson.loads(path.read_bytes())
        heads = {lane: (int(seq), str(digest)) for lane, (seq, digest) in value["heads"].items()}
        return Kept(node=str(value["node"]), machine=str(value["machine"]), heads=heads)
    except (OSError, ValueError, KeyError, TypeError):
        return None


class WitnessGuard:
    """The two copies of what one node has cosigned last: the size, and the checkpoint as signed.

    A database that is behind it was restored, and takes its view from here: no node ever cosigns a
    tree that is smaller than one that it has cosigned (C2SP tlog-witness, rollback).
    """

    def __init__(self, node: str, *, inside: Path, outside: Path) -> None:
        self._paths = (inside / f"{node}.witness", outside / f"{node}.witness")
        self._lock = threading.Lock()
        self.size, self.note = self._kept()

    def _kept(self) -> tuple[int, bytes]:
        found = [kept for path in self._paths if (kept := _cosigned(path)) is not None]
        return max(found, default=(0, b""))

    def read(self) -> tuple[int, bytes]:
        """Size and checkpoint as kept now, by whatever process of this node; (0, b"") for none."""
        with self._lock:
            self.size, self.note = max((self.size, self.note), self._kept())
            return self.size, self.note

    def advance(self, size: int, note: bytes) -> None:
        """Keep a checkpoint in both places, fsynced, before it is cosigned.

        Raises:
            ValueError: it is smaller than the one kept.
        """
        with self._lock, _alone(self._paths[0]):
            # another web process of this node may have gone on meanwhile
            kept = max((self.size, self.note), self._kept())
            if size < kept[0]:
                self.size, self.note = kept
                raise ValueError("a witness never goes back")
            if (size, note) == kept and all(path.exists() for path in self._paths):
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
