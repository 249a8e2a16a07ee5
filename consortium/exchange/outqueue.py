"""Which exchanges go next, and what an answer without a leaf means for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import orjson
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from consortium.exchange import restored
from consortium.exchange.answers import Answer, Status
from consortium.exchange.envelope import Envelope
from consortium.exchange.header import EVERYONE, Lane
from consortium.exchange.jws import digest_text
from consortium.exchange.limits import PUSH_MAX_EXCHANGES
from consortium.exchange.outbox import HELD, PENDING, QUEUED
from consortium.exchange.tables import AckRow, InboxRow, OutboxRow

GIVE_UP = timedelta(hours=24)
HELD_AGAIN = timedelta(minutes=5)
_PRIORITY = (Lane.CONTROL, Lane.URGENT, Lane.ROUTINE, Lane.RECORDS)
_BATCH_BYTES = 256 * 1024
_TROUBLE = {
    Status.HELD: "sync.held",
    Status.NODE: "sync.node_withdrawn",
    Status.SIGNATURE: "sync.signature",
    Status.MALFORMED: "sync.malformed",
    Status.GAP: "sync.gap",
    Status.FORK: "sync.fork",
    Status.WAIT: "sync.wait",
}


def next_batch(session: Session, node: str, *, now: datetime) -> list[OutboxRow]:
    """What to push now: lanes by priority, each in its order, a parent's lane before its child.

    At most 256 exchanges and 256 KiB, at least one when there is any.
    """
    waiting = set(
        session.scalars(
            select(OutboxRow.lane)
            .where(OutboxRow.node == node, OutboxRow.state.in_(PENDING))
            .distinct()
        )
    )
    lanes = {
        lane: list(
            session.scalars(
                select(OutboxRow)
                .where(
                    OutboxRow.node == node,
                    OutboxRow.lane == lane.value,
                    OutboxRow.state.in_(PENDING),
                )
                .order_by(OutboxRow.seq)
                .limit(PUSH_MAX_EXCHANGES)
            )
        )
        for lane in _PRIORITY
        if lane.value in waiting
    }
    lanes = {lane: _with_bodies(rows) for lane, rows in lanes.items()}
    lanes = {lane: rows for lane, rows in lanes.items() if rows and not _resting(rows[0], now)}
    order: list[OutboxRow] = []
    placed: set[str] = set()
    where = {
        row.id: (lane, place) for lane, rows in lanes.items() for place, row in enumerate(rows)
    }

    def put(lane: Lane, upto: int) -> None:
        for row in lanes[lane][: upto + 1]:
            if row.id in placed:
                continue
            placed.add(row.id)
            for parent in orjson.loads(row.after):
                if parent in where and parent not in placed:
                    put(*where[parent])
            order.append(row)

    for lane, rows in lanes.items():
        put(lane, len(rows) - 1)
    return _bounded(order)


def _with_bodies(rows: list[OutboxRow]) -> list[OutboxRow]:
    """A lane up to the first that is no longer whole: the hub's backup has that one."""
    for place, row in enumerate(rows):
        if row.body is None or row.facts is None:
            return rows[:place]
    return rows


def _bounded(order: Sequence[OutboxRow]) -> list[OutboxRow]:
    batch: list[OutboxRow] = []
    size = 0
    for row in order[:PUSH_MAX_EXCHANGES]:
        size += len(row.jws) + len(row.facts or b"") + len(row.body or b"")
        if batch and size > _BATCH_BYTES:
            break
        batch.append(row)
    return batch


def _resting(row: OutboxRow, now: datetime) -> bool:
    """A lane whose head the hub holds back is tried again every five minutes, not in a loop."""
    return row.state == HELD and row.answered_at is not None and now < row.answered_at + HELD_AGAIN


def envelope_of(row: OutboxRow) -> Envelope:
    return Envelope(row.jws, row.facts or b"", row.body or b"")


def heads_of(rows: Sequence[OutboxRow]) -> dict[str, tuple[int, str]]:
    """The heads that the guard must hold before these rows are sent."""
    heads: dict[str, tuple[int, str]] = {}
    for row in rows:
        if row.seq > heads.get(row.lane, (0, ""))[0]:
            heads[row.lane] = (row.seq, digest_text(row.jws))
    return heads


def covered(rows: Sequence[OutboxRow], heads: Mapping[str, tuple[int, str]]) -> list[OutboxRow]:
    """What a restored node may still push: numbers that its guard knows to be promised."""
    return [row for row in rows if row.seq <= heads.get(row.lane, (0, ""))[0]]


def given_up(rows: Sequence[OutboxRow], *, now: datetime) -> list[str]:
    """Digests of exchanges that have waited 24 h for a parent (PROTOCOL 4, `final`)."""
    return [
        digest_text(row.jws)
        for row in rows
        if row.waiting_since is not None and now >= row.waiting_since + GIVE_UP
    ]


def without_leaf(session: Session, row: OutboxRow, answer: Answer, *, now: datetime) -> str:
    """Note an answer without a leaf; gives the trouble's code. Nothing is ever dropped."""
    match answer.status:
        case Status.HELD:
            row.state, row.answered_at = HELD, now
        case Status.WAIT:
            row.waiting_since = row.waiting_since or now
        case Status.GAP:
            # the hub stands earlier in this chain than this node believes: it is pushed again
            _take_bodies_back(session, row, answer.expected)
            session.execute(
                update(OutboxRow)
                .where(
                    OutboxRow.node == row.node,
                    OutboxRow.lane == row.lane,
                    OutboxRow.seq >= answer.expected,
                    OutboxRow.state.in_(("sent", "refused")),
                )
                .values(state=QUEUED)
            )
        case Status.FORK:
            restored.mark(session, row.node, restored.FORK)
            row.state, row.answered_at = HELD, now
        case _:
            row.state, row.answered_at = HELD, now
    return _TROUBLE[answer.status]


def _take_bodies_back(session: Session, row: OutboxRow, seq: int) -> None:
    """What the outbox let go of the inbox still holds (`trimming`)."""
    held = select(InboxRow.body).where(
        InboxRow.member == OutboxRow.member, InboxRow.index == OutboxRow.index
    )
    session.execute(
        update(OutboxRow)
        .where(
            OutboxRow.node == row.node,
            OutboxRow.lane == row.lane,
            OutboxRow.seq >= seq,
            OutboxRow.body.is_(None),
        )
        .values(body=held.correlate(OutboxRow).scalar_subquery())
    )


def acks_of(session: Session, members: Sequence[str]) -> dict[str, int]:
    """The index of the newest ack of each of these members, as far as one is known."""
    if not members:
        return {}
    rows = session.execute(select(AckRow.member, AckRow.index).where(AckRow.member.in_(members)))
    return {member: index for member, index in rows}  # noqa: C416 - a Row is no pair


def undelivered(session: Session, member: str, *, limit: int = 200) -> list[str]:
    """Members whose newest ack does not cover an own exchange to them yet."""
    acks = {row.member: row.index for row in session.scalars(select(AckRow))}
    rows = session.execute(
        select(OutboxRow.recipients, OutboxRow.index)
        .where(OutboxRow.member == member, OutboxRow.index.is_not(None))
        .order_by(OutboxRow.index.desc())
        .limit(limit)
    )
    wanted: set[str] = set()
    for recipients, index in rows:
        for one in orjson.loads(recipients):
            if one != EVERYONE and acks.get(one, -1) < (index or 0):
                wanted.add(one)
    return sorted(wanted)
