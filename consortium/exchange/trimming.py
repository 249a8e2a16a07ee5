"""Envelopes whose sealed bodies nobody needs any more lose them (PROTOCOL 3, 5).

The hub drops the sealed body of an entry that is over 90 days old, that a `backup` entry covers,
and that every member in whose feed it stands has acknowledged. Open bodies stay: they are the
charter, keys, contracts that a replay reads. A node's outbox lets go of a body that its inbox holds
as well, when all recipients have acknowledged it and a backup covers it; it comes back from there
if the hub asks for that number again. Leaf, facts and receipt stay everywhere.

Each step is one bounded transaction, may be cut anywhere, and is counted in the audit.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.orm import Session

from consortium.audit import service as audit
from consortium.exchange import state
from consortium.exchange.blobs import HERE, BlobStore
from consortium.exchange.header import EVERYONE
from consortium.exchange.judgement import outcome_of
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.sealing import MAGIC
from consortium.exchange.tables import (
    AckRow,
    BlobRow,
    BlobUseRow,
    EntryRow,
    FeedCursorRow,
    FeedHeadRow,
    InboxRow,
    OutboxRow,
)
from consortium.kernel.database import Database, table_of
from consortium.ledger import journal

KEPT = timedelta(days=90)
_ACTOR = "upkeep"
_AT_ONCE = 500
_BLOBS_AT_ONCE = 100
_IN_CHUNK = 400
_ENTRY = table_of(EntryRow)
_OUTBOX = table_of(OutboxRow)
_INBOX = table_of(InboxRow)
_USE = table_of(BlobUseRow)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """How many bodies or files, and how many bytes they have."""

    count: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Trimmed") -> "Trimmed":
        return Trimmed(self.count + other.count, self.size_bytes + other.size_bytes)


class _Reached:
    """Up to which entry members have what their feeds hold."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, int] = {}
        covered = state.read(session, "backup:hub")
        self.covered: int = covered["size"] if covered is not None else 0
        """Entries below it stand in a backup of the hub."""

    def all_of(self, members: Collection[str], index: int) -> bool:
        """Whether each of these members has this entry."""
        self._load([one for one in members if one not in self._known])
        return all(self._known[one] >= index for one in members)

    def _load(self, members: Sequence[str]) -> None:
        """Acks; the cursor of a local member, which needs none."""
        for start in range(0, len(members), _IN_CHUNK):
            some = members[start : start + _IN_CHUNK]
            found = dict.fromkeys(some, -1)
            told = state.read_many(self._session, [f"ack:{one}" for one in some])
            for name, value in told.items():
                found[name.partition(":")[2]] = value["index"]
            for row in (AckRow, FeedCursorRow):
                for member, index in self._session.execute(
                    select(row.member, row.index).where(row.member.in_(some))
                ):
                    found[member] = max(found[member], index)
            self._known.update(found)

    def everyone(self) -> list[str]:
        """Every member that has a feed; none are known but at the hub."""
        return list(self._session.scalars(select(FeedHeadRow.member)))


# ---------------------------------------------------------------- bodies at the hub


def _page(session: Session, *, after: int, upto: int, before: datetime) -> list[Any]:
    sealed = func.substr(_ENTRY.c.body, 1, len(MAGIC)) == MAGIC
    return list(
        session.execute(
            select(
                _ENTRY.c.entry, _ENTRY.c.sender, _ENTRY.c.recipients, _ENTRY.c.verdict,
                func.length(_ENTRY.c.body),
            )
            .where(
                _ENTRY.c.entry > after, _ENTRY.c.entry < upto, _ENTRY.c.time < before,
                _ENTRY.c.body.is_not(None), sealed,
            )
            .order_by(_ENTRY.c.entry)
            .limit(_AT_ONCE)
        )
    )  # fmt: skip


def _going(rows: Sequence[Any], reached: _Reached) -> dict[int, int]:
    """Of a page, the entries that all have, with the size of their bodies."""
    found: dict[int, int] = {}
    for index, sender, recipients, verdict, size in rows:
        # what was refused is in its sender's feed alone
        members = {sender, *orjson.loads(recipients)} if outcome_of(verdict)[0] else {sender}
        if EVERYONE not in members and reached.all_of(members, index):
            found[index] = size
    return found


def due(session: Session, *, now: datetime) -> Trimmed:
    """At the hub: what `trim` would drop now; changes nothing."""
    reached, found, after = _Reached(session), Trimmed(), -1
    while True:
        rows = _page(session, after=after, upto=reached.covered, before=now - KEPT)
        going = _going(rows, reached)
        found += Trimmed(len(going), sum(going.values()))
        if len(rows) < _AT_ONCE:
            return found
        after = rows[-1][0]


def trim(database: Database, *, now: datetime) -> Trimmed:
    """At the hub: drop the sealed bodies that nobody needs any more."""
    found, after, more = Trimmed(), -1, True
    while more:
        with database.write() as session:
            reached = _Reached(session)
            rows = _page(session, after=after, upto=reached.covered, before=now - KEPT)
            going = _going(rows, reached)
            if going:
                session.execute(
                    update(_ENTRY).where(_ENTRY.c.entry.in_(list(going))).values(body=None)
                )
            found += _counted(session, "bodies", going.values(), now=now)
            more = len(rows) == _AT_ONCE
            after = rows[-1][0] if rows else after
    return found


def _counted(session: Session, what: str, sizes: Collection[int], *, now: datetime) -> Trimmed:
    done = Trimmed(len(sizes), sum(sizes))
    if done.count:
        audit.record(
            session, actor=_ACTOR, action="exchange.trim", subject=f"trimmed:{what}", now=now,
            count=done.count, bytes=done.size_bytes,
        )  # fmt: skip
    return done


# ---------------------------------------------------------------- files at the hub


def trim_files(
    database: Database, store: BlobStore, *, local: Collection[str], now: datetime
) -> Trimmed:
    """At the hub: drop attachments of exchanges whose bodies have all been dropped.

    Args:
        local: members whose own records lie in this store too; what is theirs stays.
    """
    found, after, more = Trimmed(), "", True
    while more:
        with database.write() as session:
            journal.lock_head(session)  # as who keeps a file does: no new use meanwhile
            rows = session.execute(
                select(BlobRow.sha256, BlobRow.size)
                .where(BlobRow.sha256 > after, BlobRow.state == HERE, BlobRow.at < now - KEPT)
                .order_by(BlobRow.sha256)
                .limit(_BLOBS_AT_ONCE)
            ).all()
            going = {one.sha256: one.size for one in rows if _over(session, one.sha256, local)}
            for digest in going:
                store.drop(digest)
            if going:
                session.execute(delete(_USE).where(_USE.c.sha256.in_(list(going))))
                session.execute(delete(BlobRow).where(BlobRow.sha256.in_(list(going))))
            found += _counted(session, "files", going.values(), now=now)
            more = len(rows) == _BLOBS_AT_ONCE
            after = rows[-1].sha256 if rows else after
    return found


def _over(session: Session, digest: str, local: Collection[str]) -> bool:
    """Whether all that carry a file have lost their bodies, and none is a local member's."""
    uses = set(session.scalars(select(_USE.c.exchange).where(_USE.c.sha256 == digest)))
    rows = session.execute(
        select(_ENTRY.c.exchange, _ENTRY.c.sender, _ENTRY.c.recipients, _ENTRY.c.body.is_(None))
        .where(_ENTRY.c.exchange.in_(uses))
    ).all()  # fmt: skip
    return {row[0] for row in rows} == uses != set() and all(
        gone and not {sender, *orjson.loads(to)} & set(local) for _, sender, to, gone in rows
    )


# ---------------------------------------------------------------- a node's outbox


def trim_outbox(database: Database, *, now: datetime) -> Trimmed:
    """At any node: let go of sent bodies that the inbox holds as well."""
    found, after, more = Trimmed(), "", True
    while more:
        with database.write() as session:
            reached = _Reached(session)
            rows = _sent(session, after=after, upto=reached.covered)
            everyone = reached.everyone()
            going = {
                row.id: row[4]
                for row in rows
                if row.state == "refused" or _all_have(row, reached, everyone)
            }
            if going:
                session.execute(
                    update(_OUTBOX).where(_OUTBOX.c.id.in_(list(going))).values(body=None)
                )
            found += _counted(session, "outbox", going.values(), now=now)
            more = len(rows) == _AT_ONCE
            after = rows[-1].id if rows else after
    return found


def _sent(session: Session, *, after: str, upto: int) -> list[Any]:
    return list(
        session.execute(
            select(
                _OUTBOX.c.id, _OUTBOX.c.recipients, _OUTBOX.c.state, _OUTBOX.c.entry,
                func.length(_OUTBOX.c.body),
            )
            .join(
                _INBOX,
                and_(_INBOX.c.member == _OUTBOX.c.member, _INBOX.c.entry == _OUTBOX.c.entry),
            )
            .where(
                _OUTBOX.c.id > after, _OUTBOX.c.body.is_not(None), _OUTBOX.c.entry < upto,
                _OUTBOX.c.state.in_(("sent", "refused")), _INBOX.c.body.is_not(None),
                _INBOX.c.exchange == _OUTBOX.c.id,
            )
            .order_by(_OUTBOX.c.id)
            .limit(_AT_ONCE)
        )
    )  # fmt: skip


def _all_have(row: Any, reached: _Reached, everyone: Sequence[str]) -> bool:
    recipients = set(orjson.loads(row.recipients))
    if EVERYONE in recipients:
        return bool(everyone) and reached.all_of(everyone, row.entry)
    # what the hub itself is sent it has when it gives the index
    return reached.all_of(recipients - {HUB_MEMBER}, row.entry)
