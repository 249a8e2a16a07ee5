"""The journal: gives leaves their index, in the caller's transaction, under the head row's lock.

An index is never given twice: it comes from the head row, which moves in the same transaction as
the leaf (PROTOCOL 5). Tree hashes and signatures are the publisher's work, afterwards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from chain import leaf as chain_leaf
from chain.errors import FormatError
from chain.merkle import leaf_hash as hash_leaf
from consortium.kernel.bulk import insert_rows
from consortium.kernel.errors import Refusal, RefusalKind, conflict, invalid
from consortium.kernel.paging import bounded
from consortium.ledger import clock as clocks
from consortium.ledger import store
from consortium.ledger.clock import Timekeeper, confirm_clock
from consortium.ledger.store import CHUNK, HEAD, HEADS, LEAF, LEAVES, Entry

__all__ = [
    "TABLES",
    "Entry",
    "Head",
    "LeafView",
    "NewLeaf",
    "Timekeeper",
    "append",
    "begun",
    "confirm_clock",
    "copy",
    "create",
    "entries",
    "find",
    "hash_leaf",
    "leaves",
    "lock_head",
    "make_leaf",
    "next_time",
    "read_leaf",
    "size",
]

ENTRIES_MAX = 1024
_LEAVES_AT = select(LEAF.entry, LEAF.leaf).where(
    LEAF.entry.in_(bindparam("wanted", expanding=True))
)
TABLES = (HEADS, LEAVES)
"""What holds a ledger's leaves, for whoever keeps a copy of it beside."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the ledger ends, as locked: number of leaves, time of the last one in ms.

    `frozen`: no index is given any more (`freezing.stop`).
    """

    size: int
    last_ms: int
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class NewLeaf:
    """A leaf that is to get an index, and the SHA-256 of the JWS in it."""

    leaf: bytes
    jws_hash: bytes


class LeafView(NamedTuple):
    """What a leaf says: ledger time in ms, verdict (`ok moved`), the JWS as signed."""

    time_ms: int
    verdict: str
    jws: bytes


def create(session: Session) -> None:
    """Begin the ledger of a new hub. Only `hub init` does; nothing else ever makes a head row.

    Raises:
        Refusal: `ledger.exists`.
    """
    if begun(session):
        raise conflict("ledger.exists")
    session.execute(insert(HEADS).values(id=1, size=0, last_ms=0, frozen=0))


def begun(session: Session) -> bool:
    """Whether a ledger was begun here."""
    return session.scalar(select(HEAD.id)) is not None


def lock_head(session: Session) -> Head:
    """Lock the head row until the transaction ends. On SQLite `Database.write` holds the lock.

    Raises:
        Refusal: `ledger.absent` where no ledger was begun.
    """
    row = session.execute(
        select(HEAD.size, HEAD.last_ms, HEAD.frozen).with_for_update()
    ).one_or_none()
    if row is None:
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.absent")
    return Head(row.size, row.last_ms, bool(row.frozen))


def size(session: Session) -> int:
    """How many leaves the ledger holds."""
    return store.size(session)


def next_time(session: Session, head: Head, timekeeper: Timekeeper) -> int:
    """Ledger time in ms for leaves that are appended now, under the head's lock.

    Raises:
        Refusal: `ledger.frozen`; `ledger.clock`, as `clock.next_ms`.
    """
    if head.frozen:
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.frozen", size=head.size)
    reading = timekeeper.read()
    time_ms = clocks.next_ms(
        reading,
        last=timekeeper.last,
        start=timekeeper.start,
        last_leaf_ms=head.last_ms if head.size else None,
        confirmed_ms=clocks.confirmed_ms(session) if timekeeper.last is None else None,
    )
    timekeeper.last = reading
    return time_ms


def make_leaf(*, time_ms: int, verdict: str, jws: bytes) -> bytes:
    """The bytes of a leaf. Raises Refusal `ledger.leaf` for a malformed verdict or JWS."""
    try:
        return chain_leaf.make(time_ms=time_ms, verdict=verdict, jws=jws).data
    except FormatError as fault:
        raise invalid("ledger.leaf") from fault


def read_leaf(data: bytes) -> LeafView:
    """Read a leaf strictly. Raises Refusal `ledger.leaf`."""
    try:
        leaf = chain_leaf.parse(data)
    except FormatError as fault:
        raise invalid("ledger.leaf") from fault
    return LeafView(leaf.time_ms, leaf.verdict, leaf.jws)


def append(session: Session, head: Head, new: Sequence[NewLeaf], *, time_ms: int) -> range:
    """Append leaves in this transaction; give their indices. Once for each locked head.

    Args:
        session: the transaction that holds the head's lock.
        head: as `lock_head` gave it.
        new: leaves of this time, made by `make_leaf`.
        time_ms: as `next_time` gave it.

    Raises:
        ValueError: a leaf of another time, or a time before the last leaf's.
        RuntimeError: the head moved, so its lock was not held.
        sqlalchemy.exc.IntegrityError: a JWS is on the ledger already.
    """
    start = b"%d " % time_ms
    if time_ms < head.last_ms or not all(one.leaf.startswith(start) for one in new):
        raise ValueError("leaves are appended at one time, not before the last leaf's")
    return copy(session, head, new, last_ms=time_ms)


def copy(session: Session, head: Head, new: Sequence[NewLeaf], *, last_ms: int) -> range:
    """Append leaves that got their time from another keeper of this ledger; give their indices.

    Args:
        session: the transaction that holds the head's lock.
        head: as `lock_head` gave it.
        last_ms: the latest time of any leaf up to the last of these.

    Raises:
        RuntimeError, sqlalchemy.exc.IntegrityError: as `append`.
    """
    stop = head.size + len(new)
    if not new:
        return range(head.size, stop)
    insert_rows(
        session,
        LEAVES,
        [
            (index, one.leaf, hash_leaf(one.leaf), one.jws_hash)
            for index, one in enumerate(new, head.size)
        ],
    )
    moved = session.execute(
        update(HEADS)
        .where(HEAD.id == 1, HEAD.size == head.size)
        .values(size=stop, last_ms=last_ms)
        .returning(HEAD.size)
    ).all()
    if len(moved) != 1:
        raise RuntimeError("the ledger's head moved while it was thought locked")
    return range(head.size, stop)


def find(session: Session, jws_hashes: Iterable[bytes]) -> dict[bytes, Entry]:
    """The entries that hold these JWS, by the SHA-256 of the JWS; absent ones are left out."""
    wanted = list(dict.fromkeys(jws_hashes))
    found: dict[bytes, Entry] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = session.execute(
            select(LEAF.entry, LEAF.leaf, LEAF.leaf_hash, LEAF.jws_hash).where(
                LEAF.jws_hash.in_(wanted[start : start + CHUNK])
            )
        )
        found.update((row.jws_hash, Entry(*row)) for row in rows)
    return found


def leaves(session: Session, indices: Iterable[int]) -> dict[int, bytes]:
    """Leaves by index; absent ones are left out."""
    wanted = list(dict.fromkeys(indices))
    found: dict[int, bytes] = {}
    for start in range(0, len(wanted), CHUNK):
        given = {"wanted": wanted[start : start + CHUNK]}
        rows = session.connection().execute(_LEAVES_AT, given).all()
        found.update((index, leaf) for index, leaf in rows)
    return found


def entries(session: Session, start: int, *, limit: int = ENTRIES_MAX) -> list[Entry]:
    """Entries from an index on, at most 1,024, in order."""
    return store.leaves(session, start, bounded(limit, most=ENTRIES_MAX))
