"""Who says what of a month that is over: the hub closes it, a mirror agrees or disputes it."""

from datetime import datetime

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import closing, state
from consortium.exchange.closing_kind import AGREED, CLOSED, FIGURES, agreement
from consortium.exchange.header import EVERYONE
from consortium.exchange.objections import answered, dispute
from consortium.exchange.outbox import Draft, Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.tables import ClosingRow
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id


def close(database: Database, post: Post, *, now: datetime) -> str:
    """At the hub: close the oldest month that is over and not closed; gives it, "" if none is.

    A month of which no copy is left (the hub was idle for three) stays as it is; the next says it.

    Raises:
        Refusal: as `Post.send`.
    """
    with database.read() as session:
        month = _next(session)
    if not month:
        return ""
    with database.write() as session:
        found = closing.closed(session, month)
        if found is None:
            return ""
        exchange = new_id(now)
        told = {name: value for name, value in found.facts.items() if name != FIGURES}
        body = messages.build(
            CLOSED.partition("/")[0],
            source=HUB_MEMBER,
            destinations=(),
            resources=[
                messages.parameters(**told),
                messages.json_part(FIGURES, orjson.loads(found.figures)),
            ],
            exchange_id=exchange,
            now=now,
        )
        draft = Draft(id=exchange, kind=CLOSED, sender=HUB_MEMBER, to=(EVERYONE,), body=body)
        post.send(session, draft, now=now)
    return month


def _next(session: Session) -> str:
    newest = state.read(session, closing.NEWEST) or {"index": -1}
    months = session.scalars(
        select(ClosingRow.month)
        .where(ClosingRow.index > newest["index"], closing.copied())
        .order_by(ClosingRow.index)
        .limit(1)
    )
    month = next(iter(months), "")
    return "" if answered(session, HUB_MEMBER, CLOSED, month=month) else month


def answer(database: Database, post: Post, member: str, *, now: datetime) -> str:
    """At a mirror: agree to the newest closed month, or dispute it; gives what was sent.

    Each month once; what differs is an alarm already (`replay`, aspect `closed`).

    Raises:
        Refusal: as `Post.send`.
    """
    with database.write() as session:
        newest = state.read(session, closing.NEWEST)
        said = state.read(session, closing.subject(newest["month"])) if newest else None
        if newest is None or said is None or member in said["agreed"]:
            return ""
        found = closing.closed(session, newest["month"])
        if found is None:
            return ""
        if any(said[name] != value for name, value in found.facts.items()):
            entry: int = newest["entry"]
            dispute(
                session, post, member, index=entry, verdict="ok", found="closing.differs", now=now
            )
            return "dispute"
        facts = agreement(found)
        if answered(session, member, AGREED, month=newest["month"]):
            return ""
        exchange = new_id(now)
        body = messages.build(
            AGREED.partition("/")[0],
            source=member,
            destinations=(),
            resources=[messages.parameters(**facts)],
            exchange_id=exchange,
            now=now,
        )
        draft = Draft(id=exchange, kind=AGREED, sender=member, to=(EVERYONE,), body=body)
        post.send(session, draft, now=now)
        return "agreed"
