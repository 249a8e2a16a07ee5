"""Who is short of which entry, when a feed does not fit the heads that were signed.

Pure functions over (index, leaf hash) lists, for a member that compares its feed with another list
of it, and for whoever holds all feeds, made again from the leaves (hub, mirror).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import heads
from consortium.exchange.commitment import b64, unb64
from consortium.exchange.feed import ZERO, running_hash
from consortium.exchange.heads import Head, Heads
from consortium.exchange.tables import FeedRow
from consortium.kernel.errors import Refusal
from consortium.ledger import journal
from consortium.ledger.trees import leads_to

Item = tuple[int, bytes]
"""Index and leaf hash of one entry of a feed."""
TRIES_MAX = 20_000
"""Most omissions that are tried, and most hashes a feed costs for one of them: some seconds."""
PART_MAX = 2_000
MISSING, EXTRA, OTHER, SAME = "missing", "extra", "other", "same"


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two lists of one feed part: `missing`, `extra` or `other` content at an index.

    `same` (with index -1) when they do not.
    """

    what: str
    index: int


@dataclass(frozen=True, slots=True)
class Part:
    """A feed between two heads: where it stood at the earlier, and what came until the later."""

    number: int
    running: bytes
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Accused:
    """What is wrong with heads that do not fit the feeds: the first entry in question, and whose.

    `what`: `missing` (one entry was left out of `member`'s feed), `count` (heads of other members
    or more of them), `range` (none of the omissions that were tried; it lies in (after, upto]).
    """

    what: str
    member: str
    index: int
    after: int
    upto: int


def running_over(part: Part) -> tuple[int, bytes]:
    """Number and running hash after the items of a part."""
    running = part.running
    for index, leaf_hash in part.items:
        running = running_hash(running, index, leaf_hash)
    return part.number + len(part.items), running


def compare(mine: Sequence[Item], told: Sequence[Item]) -> Difference:
    """The first entry in which a member's feed differs from another list of it.

    Args:
        mine: what this member took from its feed.
        told: the list that the hub or a mirror gives for the same part.
    """
    for own, other in zip(mine, told, strict=False):
        if own == other:
            continue
        if own[0] == other[0]:
            return Difference(OTHER, own[0])
        return Difference(MISSING, other[0]) if other[0] < own[0] else Difference(EXTRA, own[0])
    if len(told) > len(mine):
        return Difference(MISSING, told[len(mine)][0])
    if len(mine) > len(told):
        return Difference(EXTRA, mine[len(told)][0])
    return Difference(SAME, -1)


def omissions(part: Part) -> Iterator[tuple[int, int, bytes]]:
    """For each item: its index, and number and running hash of the feed without it."""
    before = part.running
    for place, (index, leaf_hash) in enumerate(part.items):
        rest = Part(part.number + place, before, part.items[place + 1 :])
        number, running = running_over(rest)
        yield index, number, running
        before = running_hash(before, index, leaf_hash)


def accuse(
    root: bytes, *, count: int, honest: Heads, parts: Mapping[str, Part], after: int, upto: int
) -> Accused | None:
    """Why heads with this root do not fit the honest ones; None when they do.

    Tries to leave one entry out of one feed, newest first, until the root is met; bounded.

    Args:
        root, count: as the hub signed them for the index `upto`.
        honest: the heads as of `upto`, made again from the ledger.
        parts: each member's feed in (after, upto].
        after: the index of the last heads that fit, -1 for none.
    """
    if root == honest.root and count == honest.count:
        return None
    if count != honest.count:
        return Accused("count", "", -1, after, upto)
    tries = 0
    for member, part in sorted(parts.items()):
        placed = honest.of(member)
        if placed is None or len(part.items) > PART_MAX:
            continue
        place, path = placed[0], honest.path(placed[0])
        for index, number, running in omissions(part):
            tries += 1
            if tries > TRIES_MAX:
                return Accused("range", "", -1, after, upto)
            leaf_hash = Head(member, number, running).leaf_hash
            if leads_to(root, leaf_hash=leaf_hash, place=place, size=count, path=path):
                return Accused(MISSING, member, index, after, upto)
    return Accused("range", "", -1, after, upto)


def audit(session: Session, *, root: str, count: int, upto: int, after: int = -1) -> Accused | None:
    """Compare heads that were signed with the feeds as this node's tables have them (hub, mirror).

    Args:
        root, count, upto: facts of a `feed.heads/1`; the root in base64url.
        after: the index of the last heads that fitted.
    """
    honest = heads.as_of(session, upto)
    if (b64(honest.root), honest.count) == (root, count):
        return None
    try:
        signed = unb64(root)
    except Refusal:
        return Accused("range", "", -1, after, upto)
    parts = {one.member: _part(session, one.member, after, upto) for one in honest.all}
    return accuse(signed, count=count, honest=honest, parts=parts, after=after, upto=upto)


def _part(session: Session, member: str, after: int, upto: int) -> Part:
    """At most one entry more than `accuse` looks at."""
    earlier = session.execute(
        select(FeedRow.number, FeedRow.running)
        .where(FeedRow.member == member, FeedRow.index <= after)
        .order_by(FeedRow.index.desc())
        .limit(1)
    ).one_or_none()
    number, running = earlier or (0, ZERO)
    indices = session.scalars(
        select(FeedRow.index)
        .where(FeedRow.member == member, FeedRow.index > after, FeedRow.index <= upto)
        .order_by(FeedRow.index)
        .limit(PART_MAX + 1)
    ).all()
    leaves = journal.leaves(session, indices)
    items = [(index, journal.hash_leaf(leaves[index])) for index in indices]
    return Part(number, running, items)
