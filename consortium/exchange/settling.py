"""An own exchange gets its place on the ledger in the outbox."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import restored
from consortium.exchange.commitment import b64
from consortium.exchange.header import Header
from consortium.exchange.judgement import outcome_of
from consortium.exchange.tables import OutboxRow, OwnHeadRow

if TYPE_CHECKING:
    from consortium.exchange.received import Entry


@dataclass(frozen=True, slots=True)
class Place:
    """Index, leaf, verdict and ledger time of an entry."""

    index: int
    leaf: bytes
    verdict: str
    time: datetime


def settle(row: OutboxRow, place: Place) -> None:
    """Write an exchange's place and verdict into its outbox row; a duplicate counts as sent."""
    ok, words = outcome_of(place.verdict)
    row.index, row.leaf, row.verdict = place.index, place.leaf, place.verdict
    row.answered_at = place.time
    row.state = "sent" if ok or words[0] == "duplicate" else "refused"


def take_back(session: Session, member: str, entry: "Entry") -> None:
    """An entry of this node: its outbox row gets its place; a row and a head lost come back.

    One that stands under a number which this database gave to another was signed by a copy of it:
    two histories, so the node signs no more.
    """
    header = entry.header
    row = session.get(OutboxRow, header.id)
    if row is not None and row.jws_hash == entry.signed.digest:
        settle(row, entry.place)
    elif _number_given(session, header):
        restored.mark(session, header.node, restored.FORK)
    elif row is None and entry.item.facts is not None and entry.item.body is not None:
        session.add(_row(member, entry, facts=entry.item.facts, body=entry.item.body))
    head = session.get(OwnHeadRow, (header.node, header.lane.value))
    if head is None:
        head = OwnHeadRow(node=header.node, lane=header.lane.value, seq=0, hash="")
        session.add(head)
    if header.seq > head.seq:
        head.seq, head.hash = header.seq, b64(entry.signed.digest)
    session.flush()


def _number_given(session: Session, header: Header) -> bool:
    taken = select(OutboxRow.id).where(
        OutboxRow.node == header.node,
        OutboxRow.lane == header.lane.value,
        OutboxRow.seq == header.seq,
    )
    return session.scalar(taken) is not None


def _row(member: str, entry: "Entry", *, facts: bytes, body: bytes) -> OutboxRow:
    """An own exchange that a restored database no longer had, as the ledger shows it."""
    header = entry.header
    row = OutboxRow(
        id=header.id,
        member=member,
        node=header.node,
        lane=header.lane.value,
        seq=header.seq,
        kind=header.kind,
        case=header.case,
        recipients=orjson.dumps(header.to).decode(),
        after=orjson.dumps(header.after).decode(),
        jws=entry.signed.raw,
        jws_hash=entry.signed.digest,
        facts=facts,
        body=body,
        hint="",
        queued_at=entry.time,
    )
    settle(row, entry.place)
    return row
