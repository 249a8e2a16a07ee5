"""The publisher: signs what the journal has taken, and only what is still as it was taken.

    read new leaves -> hash them from their bytes -> root by two ways, joined to the last root
    -> sign, verify -> guard (fsync) -> checkpoint and tiles in one transaction

Whatever stops it between two steps, it begins again: until the last step nothing was stored, and
the guard only ever holds roots of leaves that have their index for good (PROTOCOL 5).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from chain import checkpoint, merkle, note
from chain.checkpoint import Checkpoint
from chain.encoding import b64
from chain.errors import ChainError
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, RefusalKind, conflict, invalid
from consortium.ledger import freezing, store, tilework
from consortium.ledger.policies import read_policy
from consortium.ledger.store import Entry, Published, TileHashes, damaged
from consortium.ledger.tilework import Edge

__all__ = [
    "Guard",
    "LogSigner",
    "Published",
    "adopt",
    "check_tail",
    "covering",
    "latest",
    "publish",
]

LEAVES_MAX = 16_384
"""Most leaves between two checkpoints: bounds the memory of one round."""


class Guard(Protocol):
    """Keeps size and root of a checkpoint outside the database, on disk when it returns."""

    def checkpoint(self, size: int, root: bytes) -> None: ...


class LogSigner(Protocol):
    """The log's keys (`keys.LogKey`): one, and during a change its successor."""

    @property
    def origin(self) -> str: ...
    @property
    def signers(self) -> Sequence[note.Signer]: ...


@dataclass(frozen=True, slots=True)
class _Base:
    """The tree as published last: its size, the tiles of its right edge, their subtrees."""

    size: int
    edge: Edge
    subtrees: tuple[bytes, ...]


def publish(
    database: Database, signer: LogSigner, guard: Guard, *, now: datetime
) -> Published | None:
    """Publish a checkpoint of the leaves that have none, at most 16,384; None if there are none.

    Call again while it gives one. Two publishers at once do no harm.

    Raises:
        Refusal: `ledger.damaged` when the database no longer holds what it must (nothing is
            signed then, and nothing ever will be until it is whole again), `ledger.signer` when
            the signer's signature does not verify.
        OSError: the guard could not be written; nothing was published.
    """
    with database.read() as session:
        base = _base(session)
        end = min(store.size(session), base.size + LEAVES_MAX)
        fresh = store.leaves(session, base.size, end - base.size)
    if end <= base.size:
        return None
    root, rows = _grow(base, fresh, end=end)
    published = _signed(Checkpoint(signer.origin, end, root), signer, now=now)
    guard.checkpoint(end, root)
    return _store(database, published, rows, previous=base.size)


def adopt(
    session: Session, note: bytes, *, policy_bytes: bytes, now: datetime
) -> Published | Refusal:
    """At a mirror: take the log's checkpoint for its own leaves, if they have the root that it has.

    A refusal is given as a value: what was written in this transaction stays the caller's business.

    Args:
        session: the transaction in which tiles and checkpoint are written.
        note: the checkpoint as signed, of a size that this database has leaves for.

    Returns:
        The checkpoint as kept (one of a size that is kept already changes nothing), or a Refusal:
        `ledger.note` with `reason` (no log key of the policy signed it), `ledger.other_root` with
        `size`, `signed` and `found` (base64), when the leaves have another root; `ledger.beyond`
        for one that lies beyond the end of a frozen log.

    Raises:
        Refusal: `ledger.damaged` when the database no longer holds what it must.
    """
    try:
        head = read_policy(policy_bytes).examine(note).checkpoint
    except ChainError as fault:
        return invalid("ledger.note", reason=fault.code)
    if refusal := freezing.beyond(session, head):
        return refusal
    base = _base(session)
    published = Published(head.size, head.root, note, now)
    if head.size <= base.size:
        return published
    fresh = store.leaves(session, base.size, head.size - base.size)
    root, rows = _grow(base, fresh, end=head.size)
    if root != head.root:
        return conflict("ledger.other_root", size=head.size, signed=b64(head.root), found=b64(root))
    store.put_checkpoint(session, published, previous=base.size)
    store.put_tiles(session, rows)
    return published


def covering(session: Session, *, after: int, end: int) -> Published | None:
    """The largest checkpoint with a size over `after` and at most `end`."""
    found = store.checkpoints(session, after, end)
    if not found:
        return None
    last = found[-1]
    return Published(last.size, last.root, last.note, last.published_at)


def latest(session: Session) -> Published | None:
    """The newest published checkpoint, None before the first."""
    return store.newest(session)


def check_tail(session: Session, *, limit: int = 256) -> None:
    """Check at start that the ledger ends where it must and its last leaves are as hashed.

    Raises:
        Refusal: `ledger.damaged`.
    """
    size = store.size(session)
    start = max(0, size - limit)
    found = store.leaves(session, start, limit + 1)
    _rehashed(found, start=start, end=size)
    base = _base(session)
    if base.size > size:
        raise damaged("size", index=base.size)


def _base(session: Session) -> _Base:
    last = store.newest(session)
    if last is None:
        return _Base(0, {}, ())
    edge = tilework.edge(session, last.size)
    subtrees = tilework.subtrees(edge)
    if merkle.fold(subtrees) != last.root:
        raise damaged("root", index=last.size)
    return _Base(last.size, edge, subtrees)


def _rehashed(entries: Sequence[Entry], *, start: int, end: int) -> list[bytes]:
    """Leaf hashes, made again from the stored bytes."""
    if [entry.index for entry in entries] != list(range(start, end)):
        raise damaged("index", index=start)
    hashes = []
    for entry in entries:
        found = merkle.leaf_hash(entry.leaf)
        jws = entry.leaf.partition(b"\n")[2]
        if found != entry.leaf_hash or hashlib.sha256(jws).digest() != entry.jws_hash:
            raise damaged("leaf", index=entry.index)
        hashes.append(found)
    return hashes


def _grow(base: _Base, fresh: Sequence[Entry], *, end: int) -> tuple[bytes, list[TileHashes]]:
    """The new root, found by two ways that agree, and the tiles that are new or longer.

    One way goes tile by tile over the hashes that the journal stored, the other level by level
    over hashes made again from the leaves; they share no code.
    """
    hashes = _rehashed(fresh, start=base.size, end=end)
    edge, rows = tilework.grow(base.edge, base.size, [entry.leaf_hash for entry in fresh])
    root = merkle.fold(tilework.subtrees(edge))
    if root != merkle.root_after(base.size, base.subtrees, hashes):
        raise damaged("root", index=end)
    return root, rows


def _signed(head: Checkpoint, signer: LogSigner, *, now: datetime) -> Published:
    try:
        signed = checkpoint.sign(head, signer.signers)
    except ChainError as fault:
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.signer", reason=fault.code) from fault
    return Published(head.size, head.root, signed, now)


def _store(
    database: Database, published: Published, rows: Sequence[TileHashes], *, previous: int
) -> Published:
    try:
        with database.write() as session:
            # first: of two publishers with one base it lets one through, before any tile is changed
            store.put_checkpoint(session, published, previous=previous)
            store.put_tiles(session, rows)
    except IntegrityError:
        # another publisher was faster; the tree is the same, so its checkpoint stands
        with database.read() as session:
            last = store.newest(session)
        if last is None or last.size <= previous:
            raise
        return last
    return published
