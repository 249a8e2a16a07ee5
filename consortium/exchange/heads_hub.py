"""The hub's side of feed heads: when they are sent, and what each pull answer says of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import alarms, heads, state
from consortium.exchange.commitment import b64
from consortium.exchange.heads import Heads
from consortium.exchange.heads_kind import NAME
from consortium.exchange.objections import QUIET
from consortium.exchange.outbox import PENDING, Draft, Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.tables import EntryRow, OutboxRow
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from consortium.kernel.time import to_ms
from consortium.ledger import journal, receipts

EVERY = timedelta(hours=1)


def send(database: Database, post: Post, *, now: datetime) -> bool:
    """Send the heads of all feeds if they are due; whether they were.

    Due: an hour after the last ones, when the tree has grown by more than acks and heads. Before
    that the feeds are compared with what was said of them last: where they no longer fit, nothing
    new is said over it, and the alarm `feed.changed` is raised.

    Raises:
        Refusal: as `Post.send`.
    """
    with database.read() as session:
        if not _due(session, now=now):
            return False
    with database.write() as session:
        index = journal.lock_head(session).size - 1
        last = state.read(session, heads.SUBJECT)
        if last is not None and b64(heads.as_of(session, last["index"]).root) != last["root"]:
            alarms.put(session, "feed.changed", now=now, entry=last["entry"], upto=last["index"])
            return False
        post.send(session, _draft(heads.as_of(session, index), index, now=now), now=now)
    return True


def _due(session: Session, *, now: datetime) -> bool:
    last = state.read(session, heads.SUBJECT) or {"at": 0, "entry": -1, "index": -1}
    if to_ms(now) < last["at"] + EVERY // timedelta(milliseconds=1):
        return False
    waiting = select(OutboxRow.id).where(OutboxRow.kind == NAME, OutboxRow.state.in_(PENDING))
    if session.scalar(waiting.limit(1)) is not None:
        return False
    grown = select(EntryRow.index).where(
        EntryRow.index > last["index"], EntryRow.kind.not_in(sorted(QUIET))
    )
    return session.scalar(grown.limit(1)) is not None


def _draft(found: Heads, index: int, *, now: datetime) -> Draft:
    exchange = new_id(now)
    body = messages.build(
        "feed.heads",
        source=HUB_MEMBER,
        destinations=(),
        resources=[messages.parameters(index=index, root=b64(found.root), count=found.count)],
        exchange_id=exchange,
        now=now,
    )
    return Draft(id=exchange, kind=NAME, sender=HUB_MEMBER, to=("all",), body=body)


class HeadsTold:
    """What pull answers say of the newest heads; keeps the tree of those in memory.

    Called by several threads: the kept tree is replaced as a whole.
    """

    def __init__(self) -> None:
        self._kept: tuple[int, Heads] | None = None

    def answer(self, session: Session, member: str, *, known: int) -> dict[str, Any]:
        """The newest heads as one member can check them; empty where there are none for it yet.

        Receipt and facts of the entry, and this member's number, running hash, place and path.
        A member that has checked this entry already (`known`) is told its index alone.
        """
        newest = state.read(session, heads.SUBJECT)
        if newest is None:
            return {}
        entry: int = newest["entry"]
        if known == entry:
            return {"entry": entry}
        found = self._heads(session, newest)
        mine = found.of(member)
        proof = receipts.receipts(session, [entry]).get(entry)
        facts = session.scalar(select(EntryRow.facts).where(EntryRow.index == entry))
        if mine is None or proof is None or facts is None:
            return {}
        place, head = mine
        return {
            "entry": entry,
            "receipt": b64(proof),
            "facts": b64(facts),
            "place": place,
            "number": head.number,
            "running": b64(head.running),
            "path": [b64(one) for one in found.path(place)],
        }

    def _heads(self, session: Session, newest: Mapping[str, Any]) -> Heads:
        kept = self._kept
        if kept is None or kept[0] != newest["entry"]:
            kept = self._kept = (newest["entry"], heads.as_of(session, newest["index"]))
        return kept[1]
