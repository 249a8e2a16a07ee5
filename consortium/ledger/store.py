"""Queries of the ledger. Private to this room."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, and_, func, insert, or_, select
from sqlalchemy.orm import Session

from chain.merkle import Coordinate, HashReader, Node
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.ledger.tables import CheckpointRow, HeadRow, LeafRow, NodeRow

HEADS = cast("Table", HeadRow.__table__)
LEAVES = cast("Table", LeafRow.__table__)
NODES = cast("Table", NodeRow.__table__)
CHECKPOINTS = cast("Table", CheckpointRow.__table__)
HEAD, LEAF, NODE, CHECKPOINT = HEADS.c, LEAVES.c, NODES.c, CHECKPOINTS.c
CHUNK = 400


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


def hashes(session: Session, wanted: Iterable[Coordinate]) -> dict[Coordinate, bytes]:
    """Hashes of complete subtrees, leaves among them.

    Raises:
        Refusal: `ledger.damaged` when one is not there.
    """
    coordinates = sorted(set(wanted))
    found: dict[Coordinate, bytes] = {}
    for start in range(0, len(coordinates), CHUNK):
        part = coordinates[start : start + CHUNK]
        found.update(_leaf_hashes(session, [index for level, index in part if not level]))
        found.update(_node_hashes(session, [one for one in part if one[0]]))
    for level, index in coordinates:
        if (level, index) not in found:
            raise damaged("hash", level=level, index=index)
    return found


def reader(session: Session, wanted: Iterable[Coordinate]) -> HashReader:
    """A reader of hashes that were fetched at once. Raises as `hashes`."""
    found = hashes(session, wanted)
    return lambda level, index: found[level, index]


def _leaf_hashes(session: Session, indices: Sequence[int]) -> Iterable[tuple[Coordinate, bytes]]:
    if not indices:
        return []
    rows = session.execute(select(LEAF.entry, LEAF.leaf_hash).where(LEAF.entry.in_(indices)))
    return [((0, index), value) for index, value in rows]


def _node_hashes(
    session: Session, coordinates: Sequence[Coordinate]
) -> Iterable[tuple[Coordinate, bytes]]:
    by_level: dict[int, list[int]] = {}
    for level, index in coordinates:
        by_level.setdefault(level, []).append(index)
    if not by_level:
        return []
    rows = session.execute(
        select(NODE.level, NODE.position, NODE.hash).where(
            or_(
                *(
                    and_(NODE.level == level, NODE.position.in_(indices))
                    for level, indices in by_level.items()
                )
            )
        )
    )
    return [((level, index), value) for level, index, value in rows]


def add_nodes(session: Session, nodes: Sequence[Node]) -> None:
    """Write hashes of complete subtrees in bulk."""
    if nodes:
        session.execute(
            insert(NODES),
            [{"level": level, "position": index, "hash": value} for level, index, value in nodes],
        )


def newest(session: Session) -> Published | None:
    """The largest published checkpoint."""
    row = session.execute(
        select(CHECKPOINT.size, CHECKPOINT.root, CHECKPOINT.note, CHECKPOINT.published_at).where(
            CHECKPOINT.size == select(func.max(CHECKPOINT.size)).scalar_subquery()
        )
    ).one_or_none()
    return None if row is None else Published(*row)
