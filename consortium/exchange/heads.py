"""Feed heads: where every member's feed stands as of one index, under one Merkle root (PROTOCOL 5).

    leaf = "sharing-chain/feed-head/1" 00, member id as u32 length and UTF-8, u64 number, running

All integers are big-endian. Leaves stand in order of the bytes of the member id and are hashed as
RFC 6962, 2.1, hashes entries. A member is there from the index that opened its feed. Vectors:
tests/vectors/exchange-v1.json.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from consortium.exchange.feed import ZERO
from consortium.exchange.tables import FeedHeadRow, FeedRow
from consortium.kernel.database import table_of
from consortium.ledger import journal
from consortium.ledger.trees import ListTree, leads_to

SUBJECT = "heads:hub"
"""Shared state: the newest `feed.heads/1` as `{index, root, count, at, entry}`."""
_TAG = b"sharing-chain/feed-head/1\0"
_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")
_HEAD = table_of(FeedHeadRow)
_FEED = table_of(FeedRow)


@dataclass(frozen=True, slots=True)
class Head:
    """Where one member's feed stands: its last number and the running hash there."""

    member: str
    number: int
    running: bytes

    @property
    def leaf_hash(self) -> bytes:
        name = self.member.encode()
        data = _TAG + _U32.pack(len(name)) + name + _U64.pack(self.number) + self.running
        return journal.hash_leaf(data)


class Heads:
    """The heads of all members as of one index, and the tree over them."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self.all = sorted(heads, key=lambda one: one.member.encode())
        self._tree = ListTree([one.leaf_hash for one in self.all])
        self._places = {one.member: place for place, one in enumerate(self.all)}

    @property
    def root(self) -> bytes:
        return self._tree.root

    @property
    def count(self) -> int:
        return len(self.all)

    def of(self, member: str) -> tuple[int, Head] | None:
        """A member's place and head; None for one whose feed was not open yet."""
        place = self._places.get(member)
        return None if place is None else (place, self.all[place])

    def path(self, place: int) -> list[bytes]:
        """The inclusion path of the head at this place."""
        return self._tree.path(place)


def stands_under(root: bytes, head: Head, *, place: int, count: int, path: Sequence[bytes]) -> bool:
    """Whether a head stands at this place under the root of `count` heads."""
    return leads_to(root, leaf_hash=head.leaf_hash, place=place, size=count, path=path)


def as_of(session: Session, index: int) -> Heads:
    """The heads of all feeds as they stood when the entry `index` had been fed (hub, mirror)."""
    inner = _FEED.alias()
    last = (
        select(func.max(inner.c.entry))
        .where(inner.c.member == _HEAD.c.member, inner.c.entry <= index)
        .correlate(_HEAD)
        .scalar_subquery()
    )
    rows = session.execute(
        select(_HEAD.c.member, _FEED.c.number, _FEED.c.running)
        .select_from(_HEAD)
        .outerjoin(_FEED, and_(_FEED.c.member == _HEAD.c.member, _FEED.c.entry == last))
        .where(_HEAD.c.begun <= index)
    )
    return Heads([Head(member, number or 0, running or ZERO) for member, number, running in rows])
