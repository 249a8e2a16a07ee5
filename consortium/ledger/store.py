"""Queries of the ledger. Private to this room."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, and_, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from consortium.kernel.errors import Refusal, RefusalKind
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
    return [
        Entry(*row)
        for row in session.execute(
            select(LEAF.entry, LEAF.leaf, LEAF.leaf_hash, LEAF.jws_hash)
            .where(LEAF.entry >= start, LEAF.entry < start + limit)
            .order_by(LEAF.entry)
        )
    ]


def tiles(session: Session, wanted: Iterable[Place]) -> dict[Place, bytes]:
    """Rows of hash tiles by level and position; absent ones are left out."""
    places = sorted(set(wanted))
    found: dict[Place, bytes] = {}
    for start in range(0, len(places), CHUNK):
        by_level: dict[int, list[int]] = {}
        for level, position in places[start : start + CHUNK]:
            by_level.setdefault(level, []).append(position)
        rows = session.execute(
            select(TILE.level, TILE.position, TILE.hashes).where(
                or_(
                    *(
                        and_(TILE.level == level, TILE.position.in_(positions))
                        for level, positions in by_level.items()
                    )
                )
            )
        )
        found.update(((level, position), hashes) for level, position, hashes in rows)
    return found


def put_tiles(session: Session, rows: Sequence[TileHashes]) -> None:
    """Write tiles in bulk, in place of those that they make longer."""
    firsts: dict[int, int] = {}
    for level, position, _ in rows:
        firsts.setdefault(level, position)
    for level, position in firsts.items():
        session.execute(delete(TILES).where(TILE.level == level, TILE.position >= position))
    if rows:
        session.execute(
            insert(TILES),
            [
                {"level": level, "position": position, "hashes": hashes}
                for level, position, hashes in rows
            ],
        )


def newest(session: Session) -> Published | None:
    """The largest published checkpoint."""
    row = session.execute(
        select(CHECKPOINT.size, CHECKPOINT.root, CHECKPOINT.note, CHECKPOINT.published_at).where(
            CHECKPOINT.size == select(func.max(CHECKPOINT.size)).scalar_subquery()
        )
    ).one_or_none()
    return None if row is None else Published(*row)
