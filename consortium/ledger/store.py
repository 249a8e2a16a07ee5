"""Queries of the ledger. Private to this room."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Select, Table, and_, bindparam, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from consortium.kernel.bulk import insert_rows
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.time import to_ms
from consortium.ledger.tables import CheckpointRow, HeadRow, LeafRow, TileRow

HEADS = cast("Table", HeadRow.__table__)
LEAVES = cast("Table", LeafRow.__table__)
TILES = cast("Table", TileRow.__table__)
CHECKPOINTS = cast("Table", CheckpointRow.__table__)
HEAD, LEAF, TILE, CHECKPOINT = HEADS.c, LEAVES.c, TILES.c, CHECKPOINTS.c
CHUNK = 400

Place = tuple[int, int]
"""Level and position of a tile."""
TileHashes = tuple[int, int, bytes]
"""Level and position of a tile, and its hashes side by side."""


_LEAVES = (
    select(LEAF.entry, LEAF.leaf, LEAF.leaf_hash, LEAF.jws_hash)
    .where(LEAF.entry >= bindparam("start"), LEAF.entry < bindparam("end"))
    .order_by(LEAF.entry)
)
_NEWEST = (
    select(CHECKPOINT.size, CHECKPOINT.root, CHECKPOINT.note, CHECKPOINT.published_at)
    .order_by(CHECKPOINT.size.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf that has an index, as it stands in the database."""

    index: int
    leaf: bytes
    leaf_hash: bytes
    jws_hash: bytes


def damaged(what: str, **facts: int) -> Refusal:
    """The database does not hold what it must: nothing may be signed on top of it."""
    return Refusal(RefusalKind.UNAVAILABLE, "ledger.damaged", what=what, **facts)


def checksum(*values: object) -> bytes:
    """SHA-256 over the other columns of a row, in their order."""
    digest = hashlib.sha256()
    for value in values:
        plain = to_ms(value) if isinstance(value, datetime) else value
        data = plain if isinstance(plain, bytes) else str(plain).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def size(session: Session) -> int:
    """How many leaves there are; 0 where no ledger was begun."""
    return session.scalar(select(HEAD.size)) or 0


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that was published; `note` is it as signed."""

    size: int
    root: bytes
    note: bytes
    published_at: datetime


def leaves(session: Session, start: int, limit: int) -> list[Entry]:
    """Leaves from `start` on, in order."""
    found = session.connection().execute(_LEAVES, {"start": start, "end": start + limit})
    return [Entry(*row) for row in found.all()]


def tiles(session: Session, wanted: Iterable[Place]) -> dict[Place, bytes]:
    """Rows of hash tiles by level and position; absent ones are left out."""
    places = sorted(set(wanted))
    found: dict[Place, bytes] = {}
    for start in range(0, len(places), CHUNK):
        by_level: dict[int, list[int]] = {}
        for level, position in places[start : start + CHUNK]:
            by_level.setdefault(level, []).append(position)
        given = {f"positions{level}": positions for level, positions in by_level.items()}
        rows = session.connection().execute(_tiles(tuple(by_level)), given).all()
        found.update(((level, position), hashes) for level, position, hashes in rows)
    return found


@lru_cache(maxsize=256)
def _tiles(levels: tuple[int, ...]) -> Select[Any]:
    """Made once for each set of levels: half the time of a proof goes into making statements."""
    places = (
        and_(TILE.level == level, TILE.position.in_(bindparam(f"positions{level}", expanding=True)))
        for level in levels
    )
    return select(TILE.level, TILE.position, TILE.hashes).where(or_(*places))


def put_tiles(session: Session, rows: Sequence[TileHashes]) -> None:
    """Write tiles in bulk, in place of those that they make longer."""
    firsts: dict[int, int] = {}
    for level, position, _ in rows:
        firsts.setdefault(level, position)
    for level, position in firsts.items():
        session.execute(delete(TILES).where(TILE.level == level, TILE.position >= position))
    insert_rows(session, TILES, rows)


def put_checkpoint(session: Session, made: Published, *, previous: int) -> None:
    """Write a checkpoint.

    Raises:
        sqlalchemy.exc.IntegrityError: when another one grows the same tree, of size `previous`.
    """
    values = {
        "size": made.size,
        "previous": previous,
        "root": made.root,
        "note": made.note,
        "published_at": made.published_at,
    }
    session.execute(insert(CHECKPOINTS).values(**values, checksum=checksum(*values.values())))


def newest(session: Session) -> Published | None:
    """The largest published checkpoint."""
    row = session.connection().execute(_NEWEST).one_or_none()
    return None if row is None else Published(*row)


def checkpoints(session: Session, after: int, end: int) -> list[CheckpointRow]:
    """Rows of checkpoints with a size in (after, end], in order."""
    wanted = select(CheckpointRow).where(CHECKPOINT.size > after, CHECKPOINT.size <= end)
    return list(session.scalars(wanted.order_by(CHECKPOINT.size)))


def largest(session: Session, limit: int) -> list[CheckpointRow]:
    """The rows of the largest checkpoints."""
    return list(
        session.scalars(select(CheckpointRow).order_by(CHECKPOINT.size.desc()).limit(limit))
    )


def count(session: Session, table: Table) -> int:
    """How many rows a table has."""
    return session.scalar(select(func.count()).select_from(table)) or 0
