"""What a member can see of its exchanges: by case, by outbox, one opened again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consortium.exchange import bodies, jws
from consortium.exchange.identity import Identities
from consortium.exchange.judgement import outcome_of
from consortium.exchange.kinds import Registry
from consortium.exchange.outbox import PENDING
from consortium.exchange.tables import AckRow, EntryRow, InboxRow, OutboxRow
from consortium.fhir.message import Message
from consortium.kernel.errors import missing
from consortium.kernel.paging import Page, bounded, moment_of
from consortium.kernel.time import to_ms
from consortium.ledger import journal, receipts

OWN = ("ack/1", "feed.heads/1")
"""What a node sends about itself is no act of a person."""


@dataclass(frozen=True, slots=True)
class CaseEntry:
    """One exchange of a case as one member sees it.

    `state`: queued, held, sent, delivered, read, refused (own) or received, kept, alarm (others').
    `time` is ledger time, `at` when it was queued here (own) or its ledger time.
    """

    id: str
    kind: str
    case: str
    sender: str
    to: tuple[str, ...]
    mine: bool
    at: datetime
    state: str
    index: int | None = None
    time: datetime | None = None
    code: str = ""
    clause: str = ""
    words: tuple[str, ...] = ()
    alarm: str = ""
    receipt: bool = False
    lane: str = ""
    hint: str = ""


def of_case(session: Session, *, member: str, case: str, limit: int = 200) -> list[CaseEntry]:
    """Every exchange of a case at this member, newest first: not yet answered ones on top."""
    inbox = session.scalars(
        select(InboxRow)
        .where(InboxRow.member == member, InboxRow.case == case)
        .order_by(InboxRow.index.desc())
        .limit(bounded(limit, most=500))
    ).all()
    outbox = session.scalars(
        select(OutboxRow)
        .where(OutboxRow.member == member, OutboxRow.case == case)
        .order_by(OutboxRow.queued_at.desc(), OutboxRow.seq.desc())
        .limit(bounded(limit, most=500))
    ).all()
    own = {row.id: row for row in outbox}
    reads = _reads(session, member=member, case=case)
    acks = _acks(session)
    seen = {row.exchange for row in inbox}
    pending = [_own_entry(row, acks, reads) for row in outbox if row.id not in seen]
    placed = [
        _own_entry(own[row.exchange], acks, reads) if row.exchange in own else _received(row)
        for row in inbox
    ]
    return [*pending, *placed]


def outbox(
    session: Session, *, members: Sequence[str], state: str = "", after: str = "", limit: int = 50
) -> Page[CaseEntry]:
    """What this node sent, newest first, a keyset page; `state` narrows to one of its words."""
    limit = bounded(limit)
    query = select(OutboxRow).where(OutboxRow.member.in_(members), OutboxRow.kind.not_in(OWN))
    if state == "pending":
        query = query.where(OutboxRow.state.in_(PENDING))
    elif state:
        query = query.where(OutboxRow.state == state)
    if after:
        at_ms, _, key = after.partition(".")
        moment = moment_of(at_ms)
        query = query.where(
            (OutboxRow.queued_at < moment)
            | ((OutboxRow.queued_at == moment) & (OutboxRow.id < key))
        )
    rows = session.scalars(
        query.order_by(OutboxRow.queued_at.desc(), OutboxRow.id.desc()).limit(limit + 1)
    ).all()
    acks = _acks(session)
    entries = [_own_entry(row, acks, frozenset()) for row in rows[:limit]]
    more = f"{to_ms(rows[limit - 1].queued_at)}.{rows[limit - 1].id}" if len(rows) > limit else None
    return Page(entries, more)


def waiting_count(session: Session, *, members: Sequence[str]) -> int:
    """How many own exchanges the hub has not answered yet."""
    return int(
        session.scalar(
            select(func.count())
            .select_from(OutboxRow)
            .where(
                OutboxRow.member.in_(members),
                OutboxRow.state.in_(PENDING),
                OutboxRow.kind.not_in(OWN),
            )
        )
        or 0
    )


def alarms(session: Session, *, member: str, limit: int = 50) -> list[CaseEntry]:
    """Entries that this member keeps and does not apply, newest first."""
    rows = session.scalars(
        select(InboxRow)
        .where(InboxRow.member == member, InboxRow.state.in_(("alarm", "newer", "kept")))
        .order_by(InboxRow.index.desc())
        .limit(bounded(limit))
    )
    return [_received(row) for row in rows if row.alarm]


def one(session: Session, *, member: str, exchange_id: str) -> CaseEntry:
    """One exchange as this member sees it. Raises Refusal `exchange.unknown`."""
    row = session.get(OutboxRow, exchange_id)
    if row is not None and row.member == member:
        reads = _reads(session, member=member, case=row.case) if row.case else frozenset()
        return _own_entry(row, _acks(session), reads)
    return _received(_inbox_row(session, member, exchange_id))


def receipt_file(session: Session, *, member: str, exchange_id: str) -> bytes | None:
    """The tlog-proof file of an exchange, None until a checkpoint covers it."""
    inbox = session.scalar(
        select(InboxRow).where(InboxRow.member == member, InboxRow.exchange == exchange_id)
    )
    if inbox is not None and inbox.receipt:
        return inbox.receipt
    row = session.get(OutboxRow, exchange_id)
    if row is not None and row.member == member:
        return row.receipt
    if inbox is None:
        raise missing("exchange.unknown")
    return None


def hub_receipt(session: Session, exchange_id: str) -> bytes | None:
    """At the hub, the tlog-proof file of any entry by its exchange id.

    Raises:
        Refusal: `exchange.unknown`.
    """
    index = session.scalar(
        select(EntryRow.index).where(EntryRow.exchange == exchange_id).order_by(EntryRow.index)
    )
    if index is None:
        raise missing("exchange.unknown")
    return receipts.receipt(session, index)


def message(
    session: Session,
    registry: Registry,
    identities: Identities,
    *,
    member: str,
    exchange_id: str,
    now: datetime,
) -> Message | None:
    """Open a stored body again; None where this member does not hold it.

    Raises:
        Refusal: `exchange.unknown`, or why the body does not open.
    """
    own = session.get(OutboxRow, exchange_id)
    if own is not None and own.member == member and own.body is not None:
        raw, body = own.jws, own.body
    else:
        row = _inbox_row(session, member, exchange_id)
        if row.body is None:
            return None
        raw, body = journal.read_leaf(row.leaf)[2], row.body
    header = jws.parse(raw).header
    kind = registry.kind(header.kind)
    if kind is None:
        return None
    return bodies.open_message(kind, header, body, identities.of(member), now=now)


def _inbox_row(session: Session, member: str, exchange_id: str) -> InboxRow:
    row = session.scalar(
        select(InboxRow)
        .where(InboxRow.member == member, InboxRow.exchange == exchange_id)
        .order_by(InboxRow.index)
        .limit(1)
    )
    if row is None:
        raise missing("exchange.unknown")
    return row


def _acks(session: Session) -> dict[str, int]:
    return {row.member: row.index for row in session.scalars(select(AckRow))}


def _reads(session: Session, *, member: str, case: str) -> frozenset[str]:
    """Own exchanges of a case that a recipient's person has opened (`case.read`)."""
    rows = session.scalars(
        select(InboxRow.facts).where(
            InboxRow.member == member,
            InboxRow.case == case,
            InboxRow.kind == "case.read/1",
            InboxRow.sender != member,
        )
    )
    return frozenset(str(orjson.loads(facts[32:]).get("of", "")) for facts in rows if facts)


def _own_entry(row: OutboxRow, acks: dict[str, int], reads: frozenset[str]) -> CaseEntry:
    to = tuple(orjson.loads(row.recipients))
    shown, code, clause = row.state, "", ""
    ok, words = outcome_of(row.verdict) if row.verdict else (False, ())
    if row.state == "refused":
        code, clause = words[0], " ".join(words[1:])
    elif row.state == "sent" and row.index is not None:
        if row.id in reads:
            shown = "read"
        elif to and all(acks.get(member, -1) >= row.index for member in to if member != "all"):
            shown = "delivered" if to != ("all",) else "sent"
    return CaseEntry(
        id=row.id,
        kind=row.kind,
        case=row.case,
        sender=row.member,
        to=to,
        mine=True,
        at=row.queued_at,
        state=shown,
        index=row.index,
        time=row.answered_at,
        code=code,
        clause=clause,
        words=words if ok else (),
        receipt=row.receipt is not None,
        lane=row.lane,
        hint=row.hint,
    )


def _received(row: InboxRow) -> CaseEntry:
    ok, words = outcome_of(row.verdict)
    return CaseEntry(
        id=row.exchange,
        kind=row.kind,
        case=row.case,
        sender=row.sender,
        to=(row.member,),
        mine=row.sender == row.member,
        at=row.time,
        state="received" if row.state == "applied" else row.state,
        index=row.index,
        time=row.time,
        code="" if ok else words[0],
        words=words if ok else (),
        alarm=row.alarm,
        receipt=row.receipt is not None,
    )
