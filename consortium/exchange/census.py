"""What one node's database holds, whole and in order: for evidence, never for a page.

Each is read in pages by key, so that a long ledger costs no memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consortium.exchange.facts import Value
from consortium.exchange.judgement import outcome_of
from consortium.exchange.tables import EntryRow, FeedRow, InboxRow, OutboxRow, SharedStateRow

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry at the hub."""

    index: int
    exchange: str
    kind: str
    case: str
    sender: str
    ok: bool
    code: str


@dataclass(frozen=True, slots=True)
class Signed:
    """An exchange that this node signed. `index` is None until the hub has answered."""

    exchange: str
    kind: str
    member: str
    state: str
    index: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry that a local member took from its feed, and what became of it here."""

    number: int
    index: int
    exchange: str
    kind: str
    state: str
    alarm: str
    leaf: bytes
    receipt: bytes | None
    ok: bool


def subjects(session: Session) -> Iterator[tuple[str, Value]]:
    """Every subject that this node has folded, by name."""
    last = ""
    while True:
        rows = session.execute(
            select(SharedStateRow.subject, SharedStateRow.value)
            .where(SharedStateRow.subject > last)
            .order_by(SharedStateRow.subject)
            .limit(_AT_ONCE)
        ).all()
        for subject, value in rows:
            yield subject, orjson.loads(value)
        if len(rows) < _AT_ONCE:
            return
        last = rows[-1].subject


def entries(session: Session) -> Iterator[Entered]:
    """Hub: every entry of the ledger, by index."""
    last = -1
    while True:
        rows = session.execute(
            select(
                EntryRow.index,
                EntryRow.exchange,
                EntryRow.kind,
                EntryRow.case,
                EntryRow.sender,
                EntryRow.verdict,
            )
            .where(EntryRow.index > last)
            .order_by(EntryRow.index)
            .limit(_AT_ONCE)
        )
        found = [Entered(*row[:-1], *_outcome(row.verdict)) for row in rows]
        yield from found
        if len(found) < _AT_ONCE:
            return
        last = found[-1].index


def feed(session: Session, member: str) -> Iterator[tuple[int, int]]:
    """Hub: the number and index of every entry of a member's feed."""
    last = 0
    while True:
        rows = session.execute(
            select(FeedRow.number, FeedRow.index)
            .where(FeedRow.member == member, FeedRow.number > last)
            .order_by(FeedRow.number)
            .limit(_AT_ONCE)
        ).all()
        yield from ((number, index) for number, index in rows)
        if len(rows) < _AT_ONCE:
            return
        last = rows[-1].number


def signed(session: Session) -> Iterator[Signed]:
    """Every exchange that this installation signed, by id."""
    last = ""
    while True:
        rows = session.execute(
            select(OutboxRow.id, OutboxRow.kind, OutboxRow.member, OutboxRow.state, OutboxRow.index)
            .where(OutboxRow.id > last)
            .order_by(OutboxRow.id)
            .limit(_AT_ONCE)
        ).all()
        yield from (Signed(*row) for row in rows)
        if len(rows) < _AT_ONCE:
            return
        last = rows[-1].id


def taken(session: Session, member: str) -> Iterator[Taken]:
    """Every entry that a local member has taken from its feed, by number."""
    last = 0
    while True:
        rows = session.execute(
            select(
                InboxRow.number,
                InboxRow.index,
                InboxRow.exchange,
                InboxRow.kind,
                InboxRow.state,
                InboxRow.alarm,
                InboxRow.leaf,
                InboxRow.receipt,
                InboxRow.verdict,
            )
            .where(InboxRow.member == member, InboxRow.number > last)
            .order_by(InboxRow.number)
            .limit(_AT_ONCE)
        )
        found = [Taken(*row[:-1], _outcome(row.verdict)[0]) for row in rows]
        yield from found
        if len(found) < _AT_ONCE:
            return
        last = found[-1].number


def offered(session: Session, member: str) -> int:
    """Hub: how many entries a member's feed holds."""
    return session.scalar(select(func.max(FeedRow.number)).where(FeedRow.member == member)) or 0


def reached(session: Session, member: str) -> int:
    """How many entries of its feed a local member has taken."""
    taken_upto = select(func.max(InboxRow.number)).where(InboxRow.member == member)
    return session.scalar(taken_upto) or 0


def bare(session: Session, member: str) -> int | None:
    """The index of the first entry of a local member that has no receipt yet."""
    return session.scalar(
        select(func.min(InboxRow.index)).where(
            InboxRow.member == member, InboxRow.receipt.is_(None)
        )
    )


def unanswered(session: Session) -> str:
    """The kind of an exchange that the hub has not answered yet; empty when there is none."""
    return session.scalar(select(OutboxRow.kind).where(OutboxRow.index.is_(None)).limit(1)) or ""


def entered(session: Session, exchange: str) -> bool:
    """Hub: whether an exchange stands on the ledger."""
    found = select(EntryRow.index).where(EntryRow.exchange == exchange).limit(1)
    return session.scalar(found) is not None


def _outcome(verdict: str) -> tuple[bool, str]:
    """Whether it was admitted, and the code if it was not."""
    ok, words = outcome_of(verdict)
    return ok, "" if ok else words[0]
