"""The ledger as a list for people: what was exchanged, when, by whom, under which contract.

Everything is read from the leaves themselves. A member lists its own feed; the hub, which holds
every leaf, can list them all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import jws
from consortium.exchange.judgement import outcome_of
from consortium.exchange.tables import EntryRow, FeedCursorRow, InboxRow
from consortium.exchange.timeline import OWN
from consortium.kernel.errors import invalid
from consortium.kernel.paging import Page, bounded
from consortium.kernel.time import from_ms
from consortium.ledger import journal

WITNESSED = 3
_DIGITS_MAX = 18


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry. `time` is ledger time; `code` and `clause` say why it was refused, if it was."""

    index: int
    exchange: str
    kind: str
    sender: str
    to: tuple[str, ...]
    contract: str
    time: datetime
    code: str = ""
    clause: str = ""


@dataclass(frozen=True, slots=True)
class FeedEnd:
    """How far a member has taken its feed: number, index of that entry, running hash."""

    number: int
    index: int
    running: bytes


def of_member(session: Session, *, member: str, after: str = "", limit: int = 50) -> Page[Listed]:
    """The entries of a member's feed, newest first, a keyset page.

    Raises:
        Refusal: `paging.after` for a key that no page gave.
    """
    limit = bounded(limit)
    query = select(InboxRow.index, InboxRow.leaf).where(
        InboxRow.member == member, InboxRow.kind.not_in(OWN)
    )
    if after:
        query = query.where(InboxRow.index < _key(after))
    rows = session.execute(query.order_by(InboxRow.index.desc()).limit(limit + 1)).all()
    return _page(((index, leaf) for index, leaf in rows[:limit]), more=len(rows) > limit)


def of_ledger(session: Session, *, after: str = "", limit: int = 50) -> Page[Listed]:
    """The entries of the whole ledger, newest first, where this node holds it. As `of_member`."""
    limit = bounded(limit)
    query = select(EntryRow.index).where(EntryRow.kind.not_in(OWN))
    if after:
        query = query.where(EntryRow.index < _key(after))
    found = session.scalars(query.order_by(EntryRow.index.desc()).limit(limit + 1)).all()
    leaves = journal.leaves(session, found[:limit])
    return _page(((index, leaves[index]) for index in found[:limit]), more=len(found) > limit)


def feed_end(session: Session, *, member: str) -> FeedEnd | None:
    """Where a local member stands in its feed; None before its first entry."""
    row = session.get(FeedCursorRow, member)
    return None if row is None or not row.number else FeedEnd(row.number, row.index, row.running)


def witnessed(session: Session, *, member: str) -> list[bytes]:
    """The newest receipts of a member that witnesses have cosigned as the policy asks."""
    rows = session.scalars(
        select(InboxRow.receipt)
        .where(InboxRow.member == member, InboxRow.witnessed.is_(True))
        .order_by(InboxRow.index.desc())
        .limit(WITNESSED)
    )
    return [receipt for receipt in rows if receipt is not None]


def _page(leaves: Iterable[tuple[int, bytes]], *, more: bool) -> Page[Listed]:
    rows = [_listed(index, leaf) for index, leaf in leaves]
    return Page(rows, str(rows[-1].index) if more else None)


def _listed(index: int, leaf: bytes) -> Listed:
    time_ms, verdict, raw = journal.read_leaf(leaf)
    header = jws.parse(raw).header
    ok, words = outcome_of(verdict)
    return Listed(
        index=index,
        exchange=header.id,
        kind=header.kind,
        sender=header.sender,
        to=tuple(header.to),
        contract=header.contract or "",
        time=from_ms(time_ms),
        code="" if ok else words[0],
        clause="" if ok else " ".join(words[1:]),
    )


def _key(after: str) -> int:
    if not (after.isascii() and after.isdigit() and len(after) <= _DIGITS_MAX):
        raise invalid("paging.after")
    return int(after)
