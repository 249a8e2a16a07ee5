"""Hubs that lie about feeds; all but the lie is the shipped code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.orm import Session

from consortium.exchange import feed
from consortium.exchange.envelope import frames, unframe
from consortium.exchange.feed import FeedItem, running_hash
from consortium.ledger import journal
from consortium.ports import Link, Reply
from tests.consortium.exchange.world import World

Frames = list[bytes]
Change = Callable[[dict[str, Any], Frames], tuple[dict[str, Any], Frames]]
_page = feed.page


@dataclass
class LyingLink:
    """A link whose hub changes its answers to pulls."""

    link: Link
    change: Change

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        reply = self.link.call(path, body, headers)
        if path != "/sync/pull" or reply.status != 200:
            return reply
        raw, *parts = unframe(reply.body, most=3 * 256 + 1)
        meta, parts = self.change(orjson.loads(raw), parts)
        return Reply(200, frames([orjson.dumps(meta), *parts]), reply.headers)


def lies(world: World, member: str, change: Change) -> None:
    """From now on this member's hub answers through `change`."""
    courier = world.members[member].courier
    assert courier is not None
    courier.caller.link = LyingLink(world.members[member].link, change)


def shown(session: Session, member: str, *, hidden: int) -> list[FeedItem]:
    """A feed without one entry, with numbers and running hashes that look whole."""
    items: list[FeedItem] = []
    running = feed.ZERO
    for one in _page(session, member, after=0, limit=100_000, most_bytes=10**9):
        if one.index != hidden:
            (leaf,) = journal.leaves(session, [one.index]).values()
            running = running_hash(running, one.index, journal.hash_leaf(leaf))
            items.append(FeedItem(len(items) + 1, one.index, running, one.facts, one.body))
    return items


def withholding(victim: str, hidden: int) -> Callable[..., list[FeedItem]]:
    """Stands for `feed.page`: a hub that never shows one entry to one member."""

    def page(
        session: Session, member: str, *, after: int, limit: int, most_bytes: int
    ) -> list[FeedItem]:
        if member != victim:
            return _page(session, member, after=after, limit=limit, most_bytes=most_bytes)
        return shown(session, member, hidden=hidden)[after : after + limit]

    return page
