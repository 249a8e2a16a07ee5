"""What a recipient answers by itself: a body that it cannot take, a verdict that it finds wrong.

A node from a backup takes a part of its feed a second time. What it answered then it has back in
its outbox, and does not answer again: the other side has gone on since.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import commitment
from consortium.exchange.outbox import Draft, Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.received import Entry
from consortium.exchange.tables import OutboxRow
from consortium.fhir import message as messages
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import new_id

QUIET = frozenset({"ack/1", "feed.heads/1"})
"""Kinds that are not acknowledged, and whose bodies are not refused: they would never end."""


def refuse_body(
    session: Session, post: Post, member: str, entry: Entry, code: str, *, now: datetime
) -> None:
    """Tell the sender that this member cannot take the body (PROTOCOL 4).

    Where that answer itself is refused, the entry's alarm stands alone.

    Raises:
        Refusal: `exchange.restored`: the entry is taken again when this node may sign.
    """
    header = entry.header
    if header.sender == member or header.everyone or header.kind in {"body.refuse/1", *QUIET}:
        return
    if answered(session, member, "body.refuse/1", case=header.case, of=header.id):
        return
    exchange = new_id(now)
    body = messages.build(
        "body.refuse",
        source=member,
        destinations=(header.sender,),
        resources=[messages.parameters(of=header.id, code=code)],
        exchange_id=exchange,
        now=now,
    )
    draft = Draft(
        id=exchange, kind="body.refuse/1", sender=member, to=(header.sender,), body=body,
        case=header.case,
    )  # fmt: skip
    try:
        post.send(session, draft, now=now)
    except Refusal as refusal:
        if refusal.code == "exchange.restored":
            raise


def dispute(
    session: Session, post: Post, member: str, *, index: int, verdict: str, found: str,
    now: datetime,
) -> None:  # fmt: skip
    """Tell the hub that this member finds another verdict than the leaf says.

    Raises:
        Refusal: as `refuse_body`.
    """
    if answered(session, member, "dispute.raise/1", index=index):
        return
    exchange = new_id(now)
    body = messages.build(
        "dispute.raise",
        source=member,
        destinations=(HUB_MEMBER,),
        resources=[
            messages.parameters(index=index, verdict=verdict.split(" ", maxsplit=1)[0], found=found)
        ],
        exchange_id=exchange,
        now=now,
    )
    draft = Draft(id=exchange, kind="dispute.raise/1", sender=member, to=(HUB_MEMBER,), body=body)
    try:
        post.send(session, draft, now=now)
    except Refusal as refusal:
        if refusal.code == "exchange.restored":
            raise


def answered(
    session: Session, member: str, kind: str, *, case: str = "", **about: str | int
) -> bool:
    """Whether this member sent such an exchange with these facts before."""
    sent = session.scalars(
        select(OutboxRow.facts).where(
            OutboxRow.case == case, OutboxRow.member == member, OutboxRow.kind == kind,
            OutboxRow.facts.is_not(None),
        )
    )  # fmt: skip
    return any(about.items() <= commitment.open_facts(facts).items() for facts in sent if facts)
