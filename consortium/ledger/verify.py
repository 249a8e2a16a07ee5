"""The ledger's database against itself: everything that can be derived is derived again.

Leaves are hashed again, the tree is built again from them, and what the database says beside that
is compared: hashes, tiles, checkpoints and their signatures, the head, the checksums of rows.
A leaf's hash stands in three places (its bytes, its row, its tile); where one differs the other
two are right, so that the rest of the tree is still checked and the damage is named where it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType

from sqlalchemy import and_, func, not_, or_, select
from sqlalchemy.orm import Session

from chain import checkpoint, leaf, merkle, note, tiles
from chain.errors import ChainError
from chain.merkle import HASH_BYTES, Frontier
from chain.note import VerifierKey
from consortium.ledger import store, tilework
from consortium.ledger.store import HEAD, HEADS, LEAF, LEAVES, TILE, Entry
from consortium.ledger.tables import CheckpointRow, ClockRow, EvidenceRow, FreezeRow, SeenRow

CHUNK = 16 * tiles.WIDTH
FAULTS_MAX = 100
_SIZE = ("ledger_checkpoint", "size")


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What does not fit. `index`: the first entry that it puts in doubt, -1 if none."""

    index: int
    table: str
    column: str


Examine = Callable[[Sequence[Entry]], Sequence[Fault]]
"""A further check of sound entries, in order, such as against what a guard file keeps."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How much was checked, and at most 100 faults, lowest index first, those without one last."""

    size: int
    published: int
    checkpoints: int
    faults: tuple[Fault, ...]


def verify(
    session: Session,
    *,
    logs: Sequence[VerifierKey],
    roots: Mapping[int, bytes] = MappingProxyType({}),
    examine: Examine = lambda _: (),
) -> Verified:
    """Check the whole ledger in one reading transaction; nothing is written.

    Args:
        session: a fresh session for reading; a node may serve and publish meanwhile.
        logs: every key that ever signed checkpoints of this log.
        roots: by size, what is kept outside the database (guard files); none may be beyond it.
        examine: a further check of each chunk of entries.
    """
    if session.get_bind().dialect.name == "postgresql":
        # every statement sees what the first one saw, whatever is admitted meanwhile
        session.connection().exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    work = _Work(session, tuple(logs), dict(sorted(roots.items())), examine)
    work.head()
    for start in range(0, work.size, CHUNK):
        work.chunk(start, min(start + CHUNK, work.size))
    work.ends()
    work.rows()
    order = sorted(set(work.faults), key=lambda one: (one.index < 0, one))
    return Verified(work.size, work.published, work.signed, tuple(order[:FAULTS_MAX]))


@dataclass(slots=True)
class _Work:
    session: Session
    logs: tuple[VerifierKey, ...]
    roots: dict[int, bytes]
    examine: Examine
    faults: list[Fault] = field(default_factory=list)
    size: int = 0
    published: int = 0
    signed: int = 0
    last_ms: int = 0
    edge: dict[int, bytes] = field(default_factory=dict)
    tree: Frontier = field(default_factory=Frontier)
    # sizes of the rows read last: the one it is kept under, and the one that was signed
    passed: int = 0
    previous: int = 0

    def wrong(self, index: int, table: str, column: str) -> None:
        self.faults.append(Fault(index, table, column))

    # ------------------------------------------------------------ where it ends

    def head(self) -> None:
        """Find the true size: the head's, unless the rows agree on another one."""
        kept = self.session.scalar(select(HEAD.size))
        count = store.count(self.session, LEAVES)
        end = (self.session.scalar(select(func.max(LEAF.entry))) or 0) + 1 if count else 0
        self.size = count if count == end or kept is None else kept
        if kept != self.size and (kept is not None or count):
            self.wrong(min(kept or 0, self.size), "ledger_head", "size")
        # of the two largest, for one of them may stand under a wrong size
        for row in store.largest(self.session, 2):
            signed = self._read(row.note)
            size = row.size if signed is None else signed.size
            self.published = max(self.published, min(size, self.size))

    # ------------------------------------------------------------ leaves and tiles

    def chunk(self, start: int, end: int) -> None:
        """Check leaves [start, end), the tiles above them and the checkpoints at their sizes."""
        rows = {one.index: one for one in store.leaves(self.session, start, end - start)}
        covered = max(start, min(end, self.published))
        places = [(0, position) for position in range(start // 256, -(-covered // 256))]
        held = store.tiles(self.session, places)
        known = b"".join(held.get(place, b"").ljust(tilework.TILE_BYTES, b"\0") for place in places)
        hashes, sound = [], []
        for index in range(start, end):
            at = (index - start) * HASH_BYTES
            tiled = known[at : at + HASH_BYTES] if index < covered else b""
            row = rows.get(index)
            hashes.append(self._leaf(index, row, tiled))
            if row is not None:
                sound.append(row)
        self.faults += self.examine(sound)
        self._tiles(start, hashes[: covered - start], held)
        self._checkpoints(start, end, hashes)

    def _leaf(self, index: int, row: Entry | None, tiled: bytes) -> bytes:
        """The hash that two of three places agree on; the tile's where there is nothing else."""
        if row is None:
            self.wrong(index, "ledger_entry", "entry")
            return tiled or bytes(HASH_BYTES)
        made = merkle.leaf_hash(row.leaf)
        if made not in (row.leaf_hash, tiled):
            self.wrong(index, "ledger_entry", "leaf")
            return row.leaf_hash
        if made != row.leaf_hash:
            self.wrong(index, "ledger_entry", "leaf_hash")
        self._content(row)
        return made

    def _content(self, row: Entry) -> None:
        try:
            found = leaf.parse(row.leaf)
        except ChainError:
            self.wrong(row.index, "ledger_entry", "leaf")
            return
        if found.time_ms < self.last_ms:
            self.wrong(row.index, "ledger_entry", "leaf")
        self.last_ms = max(self.last_ms, found.time_ms)
        if sha256(found.jws).digest() != row.jws_hash:
            self.wrong(row.index, "ledger_entry", "jws_hash")

    def _tiles(self, start: int, hashes: Sequence[bytes], held: dict[store.Place, bytes]) -> None:
        self.edge, made = tilework.grow(self.edge, start, hashes)
        full = {
            (level, position): row
            for level, position, row in made
            if len(row) == tilework.TILE_BYTES
        }
        held |= store.tiles(self.session, [place for place in full if place[0]])
        self._compare(full, held)

    def _compare(self, made: dict[store.Place, bytes], held: dict[store.Place, bytes]) -> None:
        for place, row in made.items():
            if (kept := held.get(place)) == row:
                continue
            at = 0 if kept is None else _first_difference(row, kept)
            first = (place[1] * tiles.WIDTH + at) << (place[0] * tiles.HEIGHT)
            self.wrong(first, "ledger_tile", "position" if kept is None else "hashes")

    # ------------------------------------------------------------ checkpoints

    def _checkpoints(self, start: int, end: int, hashes: Sequence[bytes]) -> None:
        rows = {row.size: row for row in store.checkpoints(self.session, start, end)}
        kept = {size: self.roots.pop(size) for size in list(self.roots) if size <= end}
        for size in sorted({*rows, *kept}):
            self.tree.extend(hashes[self.tree.size - start : size - start])
            if size in kept and kept[size] != self.tree.root():
                self.wrong(size, "guard", "root")
            if size in rows:
                self._checkpoint(rows[size])
        self.session.expunge_all()
        self.tree.extend(hashes[self.tree.size - start :])

    def _checkpoint(self, row: CheckpointRow) -> None:
        head, table, before = self._read(row.note), "ledger_checkpoint", len(self.faults)
        self.signed += 1
        size = row.size if head is None else head.size
        at = min(row.size, size)
        if head is None:
            self.wrong(at, table, "note")
        elif head.size != row.size:
            self.wrong(at, table, "size")
        elif head.root != self.tree.root():
            self.wrong(at, table, "note" if row.root == self.tree.root() else "root")
        if head is not None and row.root != head.root:
            self.wrong(at, table, "root")
        moved = head is not None and head.size != row.size
        if not moved and row.previous not in (self.previous, self.passed):
            self.wrong(at, table, "previous")
        values = (row.size, row.previous, row.root, row.note, row.published_at)
        if len(self.faults) == before and row.checksum != store.checksum(*values):
            self.wrong(at, table, "checksum")
        self.passed, self.previous = row.size, size

    def _read(self, data: bytes) -> checkpoint.Checkpoint | None:
        """What a note says, None when it is not signed by this log."""
        try:
            read, signed = note.verify(data, self.logs)
            head = checkpoint.parse(read.text)
        except ChainError:
            return None
        return head if any(one.key.name == head.origin for one in signed) else None

    # ------------------------------------------------------------ the rest

    def ends(self) -> None:
        """Check the right edge of the tree, and that nothing lies beyond it."""
        places = {
            (level, self.published >> 8 * (level + 1)): row for level, row in self.edge.items()
        }
        self._compare(places, store.tiles(self.session, places))
        counts = {level: self.published >> (8 * level) for level in range(8)}
        within = or_(
            *(
                and_(TILE.level == level, TILE.position >= 0, TILE.position < -(-count // 256))
                for level, count in counts.items()
            )
        )
        for level, position in self.session.execute(
            select(TILE.level, TILE.position).where(not_(within)).limit(FAULTS_MAX)
        ):
            sane = 0 <= level < 8 and position >= 0
            first = position << 8 * (level + 1) if sane else self.size
            self.wrong(min(first, self.size), "ledger_tile", "position")
        inside = and_(LEAF.entry >= 0, LEAF.entry < self.size)
        for index in self.session.scalars(select(LEAF.entry).where(not_(inside)).limit(FAULTS_MAX)):
            self.wrong(max(0, index), "ledger_entry", "entry")
        strays = select(CheckpointRow).where(
            or_(CheckpointRow.size <= 0, CheckpointRow.size > self.size)
        )
        for row in self.session.scalars(strays.limit(FAULTS_MAX)):
            head = self._read(row.note)
            self.wrong(min(self.size, row.size if head is None else head.size), *_SIZE)
        for size in self.roots:
            self.wrong(min(self.size, size), "guard", "size")
        last_ms = self.session.scalar(select(HEADS.c.last_ms))
        if last_ms is not None and last_ms != self.last_ms:
            self.wrong(max(0, self.size - 1), "ledger_head", "last_ms")

    def rows(self) -> None:
        """Check the rows that belong to no entry by their checksums."""
        stopped = {0}
        for kind in (ClockRow, SeenRow, EvidenceRow, FreezeRow):
            columns = [one.name for one in kind.__table__.columns]
            for row in self.session.execute(select(kind.__table__)).yield_per(CHUNK):
                *values, kept = row
                if kept != store.checksum(*values):
                    self.wrong(-1, kind.__tablename__, columns[-1])
                    stopped |= {0, 1} if kind is FreezeRow else set()
                elif kind is FreezeRow and row.here:
                    stopped = {1}
        if (self.session.scalar(select(HEAD.frozen)) or 0) not in stopped:
            self.wrong(self.size, "ledger_head", "frozen")


def _first_difference(one: bytes, other: bytes) -> int:
    """Number of the first hash that differs."""
    width = min(len(one), len(other)) // HASH_BYTES
    return next(
        (
            at
            for at in range(width)
            if one[at * HASH_BYTES : (at + 1) * HASH_BYTES]
            != other[at * HASH_BYTES : (at + 1) * HASH_BYTES]
        ),
        width,
    )
