"""Feeds: for each member, numbered, the entries that concern it; a running hash (PROTOCOL 5)."""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from consortium.exchange.tables import EntryRow, FeedHeadRow, FeedRow, MissingBodyRow
from consortium.kernel.bulk import insert_rows, upsert_rows
from consortium.kernel.database import table_of

ZERO = bytes(32)
_TAG = b"sharing-chain/feed/1\0"
_INDEX = struct.Struct(">Q")
_HEAD = table_of(FeedHeadRow)
_FEED = table_of(FeedRow)
_CHUNK = 400


def running_hash(previous: bytes, index: int, leaf_hash: bytes) -> bytes:
    """The hash of a feed after one more entry; number 0 is 32 zero bytes."""
    return hashlib.sha256(_TAG + previous + _INDEX.pack(index) + leaf_hash).digest()


@dataclass(slots=True)
class _Head:
    number: int
    running: bytes
    begun: int


class Feeds:
    """The feeds that one batch of admission appends to; held under the head row's lock."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._heads: dict[str, _Head | None] = {}
        self._moved: set[str] = set()
        self._rows: list[tuple[str, int, int, bytes]] = []
        self._whole = False

    def load(self, members: Iterable[str]) -> None:
        """Fetch in one SELECT the heads of members whom exchanges name."""
        new = sorted(set(members) - self._heads.keys())
        if self._whole:
            return
        for start in range(0, len(new), _CHUNK):
            part = new[start : start + _CHUNK]
            self._fetch(_HEAD.c.member.in_(part))
            for member in part:
                self._heads.setdefault(member, None)

    def _fetch(self, *where: ColumnElement[bool]) -> None:
        columns = (_HEAD.c.member, _HEAD.c.number, _HEAD.c.running, _HEAD.c.begun)
        for member, *head in self._session.execute(select(*columns).where(*where)):
            self._heads.setdefault(member, _Head(*head))

    def _head(self, member: str) -> _Head | None:
        if member not in self._heads:
            self.load((member,))
        return self._heads.get(member)

    @property
    def members(self) -> frozenset[str]:
        """Everybody who has a feed."""
        if not self._whole:
            self._fetch()
            self._whole = True
        return frozenset(member for member, head in self._heads.items() if head is not None)

    def open(self, member: str, earlier: Sequence[tuple[int, bytes]], *, at: int) -> None:
        """Begin a new member's feed with the (index, leaf hash) of earlier entries to all.

        `at` is the index of the entry that brings the member in.
        """
        if self._head(member) is not None:
            return
        self._heads[member] = _Head(0, ZERO, at)
        for index, leaf_hash in earlier:
            self.append((member,), index, leaf_hash)
        self._moved.add(member)

    def append(self, members: Iterable[str], index: int, leaf_hash: bytes) -> None:
        """Put one entry at the end of each of these members' feeds."""
        for member in members:
            head = self._head(member)
            if head is None:
                continue
            head.number += 1
            head.running = running_hash(head.running, index, leaf_hash)
            self._moved.add(member)
            self._rows.append((member, head.number, index, head.running))

    def flush(self) -> None:
        """Write rows and heads into the session, in bulk."""
        insert_rows(self._session, _FEED, self._rows)
        self._rows = []
        moved = [(member, head) for member in sorted(self._moved) if (head := self._heads[member])]
        upsert_rows(
            self._session,
            _HEAD,
            [(member, head.begun, head.number, head.running) for member, head in moved],
        )
        self._moved.clear()


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One entry of a feed with what the member may see of it."""

    number: int
    index: int
    running: bytes
    facts: bytes | None
    body: bytes | None


def among(session: Session, member: str, indices: Sequence[int]) -> list[int]:
    """Which of these entries are in a member's feed."""
    return list(
        session.scalars(
            select(_FEED.c.entry).where(_FEED.c.member == member, _FEED.c.entry.in_(indices))
        )
    )


def page(
    session: Session, member: str, *, after: int, limit: int, most_bytes: int
) -> list[FeedItem]:
    """The entries after a number, bounded by count and by bytes (at least one if there is any).

    They end before the first that was filled in without its body, until somebody gives it.
    """
    rows = session.execute(
        select(FeedRow.number, FeedRow.index, FeedRow.running, EntryRow.facts, EntryRow.body)
        .join(EntryRow, EntryRow.index == FeedRow.index)
        .where(FeedRow.member == member, FeedRow.number > after)
        .order_by(FeedRow.number)
        .limit(limit)
    )
    items: list[FeedItem] = []
    size = 0
    for number, index, running, facts, body in rows:
        size += len(facts or b"") + len(body or b"") + 1024
        if items and size > most_bytes:
            break
        items.append(FeedItem(number, index, running, facts, body))
    return _with_bodies(session, items)


def waits(session: Session, member: str) -> bool:
    """Whether a member's feed ends before an entry that came back without its body."""
    beyond = select(MissingBodyRow.index).join(_FEED, _FEED.c.entry == MissingBodyRow.index)
    return session.scalar(beyond.where(_FEED.c.member == member).limit(1)) is not None


def _with_bodies(session: Session, items: list[FeedItem]) -> list[FeedItem]:
    bare = [item.index for item in items if item.body is None]
    if not bare:
        return items
    waits = session.scalar(
        select(func.min(MissingBodyRow.index)).where(MissingBodyRow.index.in_(bare))
    )
    return items if waits is None else [item for item in items if item.index < waits]
