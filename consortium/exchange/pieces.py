"""Entries that others kept of a ledger whose database is lost, as they give them back.

PROTOCOL 5 ("Restore"): guard files, mirrors, senders and recipients. A piece is worth what it
proves: the leaf its form, the facts their commitment, an open body its own, a receipt its place.
What does not fit is left out, so that a lie costs its teller's piece and no more.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from consortium.exchange import jws
from consortium.exchange.commitment import commit_body, commit_facts, open_body
from consortium.exchange.header import Header
from consortium.exchange.judgement import outcome_of
from consortium.exchange.kinds import Registry
from consortium.exchange.limits import FACTS_MAX_BYTES, LEAF_MAX_BYTES, SEALED_MAX_BYTES
from consortium.exchange.sealing import looks_sealed
from consortium.exchange.tables import EntryRow, MissingBodyRow, PieceRow, PromisedRow
from consortium.kernel.database import table_of
from consortium.kernel.errors import Refusal
from consortium.ledger import journal, receipts, refill

GUARD = "guard"
MIRROR = "mirror "
MEMBER = "member "
FILE = "file "
GIVERS_MAX = 16
UNSURE = (2, -GIVERS_MAX)
"""From this rank on a piece needs a checkpoint's root, or that nothing speaks against it."""
VARIANTS_MAX = 4
_ENTRY = table_of(EntryRow)
_EVERY, _CHUNK = 1_000_000, 400
_FACTS = "exchange.facts"
_FIT, _KNOWN, _STRANGE = "", "known", "strange"


@dataclass(frozen=True, slots=True)
class Piece:
    """An entry as somebody kept it; None what it does not hold."""

    index: int
    leaf: bytes
    facts: bytes | None = None
    body: bytes | None = None
    receipt: bytes | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece whose parts have been held against each other."""

    piece: Piece
    header: Header
    verdict: str
    facts: bytes | None
    body: bytes | None

    @property
    def ok(self) -> bool:
        return outcome_of(self.verdict)[0]


def sound(registry: Registry, piece: Piece) -> Sound | None:
    """What of a piece fits together; None where the leaf itself is none."""
    if not 0 <= piece.index < 2**53 or len(piece.leaf) > LEAF_MAX_BYTES:
        return None
    try:
        view = journal.read_leaf(piece.leaf)
        header = jws.parse(view.jws).header
    except Refusal:
        return None
    facts = piece.facts if _facts_fit(header, view.verdict, piece.facts) else None
    body = piece.body if _body_fits(registry, header, piece.body) else None
    return Sound(piece, header, view.verdict, facts, body)


def _facts_fit(header: Header, verdict: str, facts: bytes | None) -> bool:
    """Refused for its facts an entry may hold any: nothing follows from them."""
    if facts is None or len(facts) > FACTS_MAX_BYTES:
        return False
    return commit_facts(facts) == header.facts or verdict.split(" ", maxsplit=1)[0] == _FACTS


def _body_fits(registry: Registry, header: Header, body: bytes | None) -> bool:
    if body is None or not 0 < len(body) <= SEALED_MAX_BYTES:
        return False
    kind = registry.kind(header.kind)
    if kind is None or kind.sealed:
        return looks_sealed(body)
    try:
        salt, bundle = open_body(body)
    except Refusal:
        return False
    return commit_body(bundle, salt) == header.body


def keep(
    session: Session, registry: Registry, piece: Piece, *, giver: str, rules: Sequence[bytes] = ()
) -> str:
    """Keep a piece until it can be taken, or add what it holds to an entry that has its place.

    Args:
        giver: `guard`, `mirror URL`, `file NAME`, `member ID`.
        rules: policies under one of which a receipt must hold.

    Returns:
        "" when it was kept, `known` when it says nothing new, `strange` when it cannot be true.
    """
    found = sound(registry, piece)
    if found is None or (giver.startswith(MEMBER) and not _may_hold(found, giver)):
        return _STRANGE
    if piece.index < journal.size(session):
        return _add_body(session, found)
    proven = _proven(piece, rules)
    leaf_hash = journal.hash_leaf(piece.leaf)
    row = session.get(PieceRow, (piece.index, leaf_hash))
    if row is None:
        if not proven and giver != GUARD and _crowded(session, piece.index):
            return _STRANGE
        row = PieceRow(index=piece.index, leaf_hash=leaf_hash, leaf=piece.leaf, givers="[]")
        row.sender_body, row.proven = False, False
        session.add(row)
    known = orjson.loads(row.givers)
    if giver not in known and len(known) < GIVERS_MAX:
        row.givers = orjson.dumps([*known, giver]).decode()
    row.proven = row.proven or proven
    row.facts = found.facts if row.facts is None else row.facts
    by_sender = giver == MEMBER + found.header.sender
    if found.body is not None and (row.body is None or (by_sender and not row.sender_body)):
        row.body, row.sender_body = found.body, by_sender
    session.flush()
    return _FIT


def _may_hold(found: Sound, giver: str) -> bool:
    """A member is shown its own feed: what it sent, and what was admitted to it or to all."""
    member, header = giver.removeprefix(MEMBER), found.header
    mine = header.sender == member
    return mine or (found.ok and (header.everyone or member in header.members))


def _proven(piece: Piece, rules: Sequence[bytes]) -> bool:
    for text in rules if piece.receipt is not None else ():
        try:
            held = receipts.check(piece.receipt or b"", text, expect_leaf=piece.leaf)
        except Refusal:
            continue
        return held.index == piece.index
    return False


def _crowded(session: Session, index: int) -> bool:
    rows = session.scalars(select(PieceRow.leaf_hash).where(PieceRow.index == index)).all()
    return len(rows) >= VARIANTS_MAX


def _add_body(session: Session, found: Sound) -> str:
    """Give an entry that was filled in without its body the one that belongs to it."""
    index = found.piece.index
    row = session.get(MissingBodyRow, index)
    if row is None or found.body is None:
        return _KNOWN
    if journal.leaves(session, [index]).get(index) != found.piece.leaf:
        return _STRANGE
    session.execute(update(EntryRow).where(EntryRow.index == index).values(body=found.body))
    session.delete(row)
    session.flush()
    return _FIT


def promise(session: Session, note: bytes, *, giver: str, rules: Sequence[bytes]) -> int:
    """Keep a checkpoint that the log signed for more than there is here; gives its size, else 0."""
    held = refill.promised(note, rules)
    if held is None or held[0] <= journal.size(session):
        return 0
    size, root = held
    if session.get(PromisedRow, size) is None:
        session.add(PromisedRow(size=size, root=root, note=note, giver=giver[:200]))
        session.flush()
    return size


def promises(session: Session) -> dict[int, bytes]:
    """Roots by size of every checkpoint above the end that somebody showed."""
    size = journal.size(session)
    rows = session.execute(
        select(PromisedRow.size, PromisedRow.root).where(PromisedRow.size > size)
    )
    return {at: root for at, root in rows}  # noqa: C416 - a Row is no pair


def variants(session: Session, start: int, limit: int) -> dict[int, list[PieceRow]]:
    """Pieces by index from `start` on, the most believable first."""
    rows = session.scalars(
        select(PieceRow).where(PieceRow.index >= start, PieceRow.index < start + limit)
    )
    found: dict[int, list[PieceRow]] = {}
    for row in rows:
        found.setdefault(row.index, []).append(row)
    for several in found.values():
        several.sort(key=lambda row: (rank(row), row.leaf_hash))
    return found


def rank(row: PieceRow) -> tuple[int, int]:
    """How believable a piece is, the smaller the more: receipt, guard, mirror, several givers."""
    givers = orjson.loads(row.givers)
    if row.proven:
        return (0, 0)
    if GUARD in givers:
        return (1, 0)
    mirrored = any(one.startswith(MIRROR) for one in givers)
    return (2 if mirrored else 3, -len(givers))


def drop_below(session: Session, size: int) -> None:
    """What has its place is waited for no longer."""
    session.execute(delete(PieceRow).where(PieceRow.index < size))
    session.execute(delete(PromisedRow).where(PromisedRow.size <= size))


def waiting(session: Session) -> bool:
    """Whether any entry waits for its body."""
    return session.scalar(select(MissingBodyRow.index).limit(1)) is not None


def missing_bodies(
    session: Session, member: str = "", *, after: int = -1, limit: int = 256
) -> list[int]:
    """Entries whose body nobody has given yet; with a member those that it sent or received."""
    query = select(MissingBodyRow.index).where(MissingBodyRow.index > after)
    query = query.order_by(MissingBodyRow.index).limit(limit)
    if member:
        mine = _ENTRY.c.recipients.contains(orjson.dumps(member).decode(), autoescape=True)
        query = query.join(_ENTRY, _ENTRY.c.entry == MissingBodyRow.index).where(
            (_ENTRY.c.sender == member) | mine | (_ENTRY.c.recipients == '["all"]')
        )
    return list(session.scalars(query))


def without_body(session: Session, indices: Iterable[int]) -> None:
    """These entries were filled in without their bodies."""
    session.add_all([MissingBodyRow(index=index) for index in indices])
    session.flush()


def give_up_bodies(session: Session, *, among: Collection[str] = ()) -> int:
    """Nobody will ever give them: each recipient is told by a body that does not open.

    Args:
        among: only what these members sent to each other; all that is missing without.
    """
    indices = missing_bodies(session, limit=_EVERY)
    if among:
        rows = session.execute(
            select(_ENTRY.c.entry, _ENTRY.c.sender, _ENTRY.c.recipients).where(
                _ENTRY.c.sender.in_(list(among)), _ENTRY.c.entry.in_(select(MissingBodyRow.index))
            )
        )
        indices = [at for at, _, to in rows if set(orjson.loads(to)) <= set(among)]
    for start in range(0, len(indices), _CHUNK):
        part = indices[start : start + _CHUNK]
        session.execute(update(EntryRow).where(EntryRow.index.in_(part)).values(body=b""))
        session.execute(delete(MissingBodyRow).where(MissingBodyRow.index.in_(part)))
    return len(indices)
