"""A node gives back what it kept to a hub that lost it: its own exchanges, and its feed.

PROTOCOL 5 ("Restore"). It gives as it has it: sealed bodies stay sealed, its own with the copy that
it sent. The files of its own exchanges are carried again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from consortium.exchange import evidencefile, recheck
from consortium.exchange.blobs import DONE, QUEUED
from consortium.exchange.caller import Caller
from consortium.exchange.identity import Identities
from consortium.exchange.kinds import Registry
from consortium.exchange.pieces import Piece
from consortium.exchange.tables import BlobUseRow, InboxRow, OutboxRow
from consortium.kernel.database import Database
from consortium.ledger import gossip, journal

PATH = "/sync/recover"
RECORDS_MAX = 128
_PAGE_BYTES = 512 * 1024
_ROWS = 64


def pieces_after(session: Session, member: str, index: int, *, limit: int = _ROWS) -> list[Piece]:
    """What a member kept of entries after an index, in order, at most `limit`."""
    own = {
        row.index: row
        for row in session.scalars(
            select(OutboxRow)
            .where(OutboxRow.member == member, OutboxRow.index > index, OutboxRow.leaf.is_not(None))
            .order_by(OutboxRow.index)
            .limit(limit)
        )
    }
    fed = {
        row.index: row
        for row in session.scalars(
            select(InboxRow)
            .where(InboxRow.member == member, InboxRow.index > index)
            .order_by(InboxRow.index)
            .limit(limit)
        )
    }
    wanted = sorted(one for one in own.keys() | fed.keys() if one is not None)[:limit]
    return [_piece(at, own.get(at), fed.get(at)) for at in wanted]


def pieces_at(session: Session, member: str, indices: Sequence[int]) -> list[Piece]:
    """What a member kept of these entries."""
    return [
        one
        for index in indices
        for one in pieces_after(session, member, index - 1, limit=1)
        if one.index == index
    ]


def _piece(index: int, own: OutboxRow | None, fed: InboxRow | None) -> Piece:
    if own is not None and own.leaf is not None:
        # its copy in the outbox goes when all have it; that in the feed stays
        body = own.body or (fed.body if fed is not None else None)
        return Piece(index, own.leaf, own.facts, body, own.receipt)
    assert fed is not None  # noqa: S101 - each index is of one of the two
    return Piece(index, fed.leaf, fed.facts, fed.body, fed.receipt)


def _fitting(found: Sequence[Piece]) -> list[bytes]:
    """As many records as fit a request, at least one if there is any."""
    records: list[bytes] = []
    room = _PAGE_BYTES
    for one in found[:RECORDS_MAX]:
        record = evidencefile.packed(one)
        room -= len(record)
        if records and room < 0:
            break
        records.append(record)
    return records


@dataclass(slots=True)
class Giver:
    """Gives what a hub wants, each thing once while this process lives."""

    _turn: int = -1
    _upto: int = -1

    def give(self, database: Database, caller: Caller, member: str) -> int:
        """Give everything that the hub lacks, then each body that it asks for; gives how many.

        Raises:
            LinkDown, Refusal: as `Caller.request`; what was given stays given.
        """
        wants, given = caller.wants, 0
        if wants is None:
            return 0
        if wants.turn != self._turn:
            self._turn, self._upto = wants.turn, -1
        while True:
            after = max(wants.after, self._upto)
            with database.read() as session:
                found = pieces_after(session, member, after)
            records = _fitting(found)
            if not records:
                break
            caller.ask(PATH, records)
            part = found[: len(records)]
            with database.write() as session:
                _carry_files_again(session, member, part)
            given += len(part)
            self._upto = part[-1].index
        given += _give_bodies(database, caller, member)
        caller.wants = None
        return given


def _give_bodies(database: Database, caller: Caller, member: str) -> int:
    given, after = 0, -1
    while True:
        wanted = caller.ask(PATH, [], bodies_after=after).get("bodies", [])
        if not isinstance(wanted, list) or not wanted:
            return given
        with database.read() as session:
            found = pieces_at(session, member, [int(one) for one in wanted[:RECORDS_MAX]])
        while found:
            records = _fitting(found)
            caller.ask(PATH, records)
            given += len(records)
            found = found[len(records) :]
        if int(wanted[-1]) <= after:
            return given
        after = int(wanted[-1])


def _carry_files_again(session: Session, member: str, part: Sequence[Piece]) -> None:
    """The hub's folder of files may be gone with its database."""
    own = select(OutboxRow.id).where(
        OutboxRow.member == member, OutboxRow.index.in_([one.index for one in part])
    )
    session.execute(
        update(BlobUseRow)
        .where(BlobUseRow.exchange.in_(own), BlobUseRow.state == DONE)
        .values(state=QUEUED)
    )


def records(database: Database, registry: Registry, identities: Identities) -> Iterator[bytes]:
    """Everything that this node can give, as records of a file of evidence."""
    with database.read() as session:
        note = gossip.own_newest(session)
        size = journal.size(session)
    if note:
        yield evidencefile.packed_note(note)
    at = 0
    while at < size:
        with database.read() as session:
            page = recheck.shown(session, registry, at, limit=_ROWS)
        for offset, one in enumerate(page):
            yield evidencefile.packed(Piece(at + offset, one.leaf, one.facts, one.body))
        if not page:
            break
        at += len(page)
    for member in sorted(identities.members):
        after = -1
        while True:
            with database.read() as session:
                found = pieces_after(session, member, after)
            yield from map(evidencefile.packed, found)
            if not found:
                break
            after = found[-1].index
