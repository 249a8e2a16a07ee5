"""Checkpoints heard past the hub: from members, mirrors, a file on a stick (PROTOCOL 5).

One log signs one history. A checkpoint that was heard is compared with what this node saw; one of
another size waits until the hub has proven both to be of one tree. What it cannot prove twice, or
two roots of one size, is evidence.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chain import checkpoint, merkle, note
from chain.checkpoint import Checkpoint
from chain.errors import ChainError, FormatError, ProofError
from chain.receipt import HEADER as RECEIPT_HEADER
from chain.receipt import parse as parse_receipt
from consortium.kernel.errors import Refusal, conflict, invalid
from consortium.ledger import cosignatures, freezing, policies, store, tilework, witness
from consortium.ledger.tables import HeardRow
from consortium.ledger.witness import Evidence, View

HEARD_MAX = 16
TRIES = 2
SPLIT, UNPROVEN = "ledger.split", "ledger.unproven"


def hear(session: Session, offered: bytes, *, policy_bytes: bytes, now: datetime) -> Refusal | None:
    """Compare a signed checkpoint that was heard with what this node saw.

    Args:
        session: the transaction in which it, or the evidence, is kept.
        offered: the signed checkpoint.
        policy_bytes: the policy in force.

    Returns:
        None when it fits, or waits for its proof; `ledger.note` with `reason` when the log has
        not signed it (no evidence); `ledger.split`, `ledger.unproven` or `ledger.beyond`, kept as
        evidence.
    """
    try:
        head = policies.read_policy(policy_bytes).examine(offered).checkpoint
    except ChainError as fault:
        return invalid("ledger.note", reason=fault.code)
    if not head.size:
        return None
    if refusal := freezing.beyond(session, head):
        witness.accuse(session, refusal.code, offered=offered, now=now)
        return refusal
    newest = store.newest(session)
    if newest is not None and head.size <= newest.size:
        return _beside_own_tree(session, head, offered, newest, now)
    view = witness.checkpoint_view(session)
    if view is not None and view.size == head.size:
        return _same_size(session, (view.root, view.note), head.root, offered, now)
    row = session.get(HeardRow, head.size)
    if row is not None:
        return _same_size(session, (row.root, row.note), head.root, offered, now)
    count = session.scalar(select(func.count()).select_from(HeardRow)) or 0
    if count < HEARD_MAX:
        session.add(HeardRow(size=head.size, root=head.root, note=offered, tried=0, at=now))
        session.flush()
    return None


def unproven(session: Session) -> list[int]:
    """Sizes that were heard and wait for the hub's proof, at most 16."""
    return list(session.scalars(select(HeardRow.size).order_by(HeardRow.size).limit(HEARD_MAX)))


def prove(
    session: Session,
    view: View,
    proofs: Mapping[int, Sequence[bytes]],
    *,
    asked: Sequence[int],
    now: datetime,
) -> Refusal | None:
    """Hold the hub's proofs against what was heard.

    Args:
        view: the checkpoint that the hub told, as verified.
        proofs: by heard size, the consistency proof between that size and the view's.
        asked: the sizes that it was asked to prove.

    Returns:
        `ledger.split`, or `ledger.unproven` for what it could not prove twice; kept as evidence.
    """
    worst: Refusal | None = None
    rows = session.scalars(select(HeardRow).where(HeardRow.size.in_(asked)).limit(HEARD_MAX))
    for row in rows.all():
        if _one_tree(view, row.size, row.root, proofs.get(row.size)):
            session.delete(row)
            continue
        row.tried += 1
        code = SPLIT if row.size == view.size else UNPROVEN
        if code == SPLIT or row.tried >= TRIES:
            proof = tuple(proofs.get(row.size, ()))
            witness.keep(session, Evidence(code, view.note, row.note, proof, now))
            worst = _against(code, held=view.size, offered=row.size)
            session.delete(row)
    return worst


def own_newest(session: Session) -> bytes:
    """The newest checkpoint that this node can show; empty before the first."""
    published = cosignatures.latest(session)
    if published is not None:
        return published.note
    view = witness.checkpoint_view(session)
    return view.note if view is not None else b""


def checkpoint_in(data: bytes) -> bytes:
    """The signed checkpoint in a file that is one, or a receipt.

    Raises:
        Refusal: `ledger.receipt` with `reason` for any other file.
    """
    try:
        if data.startswith(RECEIPT_HEADER.encode()):
            return parse_receipt(data).checkpoint
        checkpoint.parse(note.parse(data).text)
    except ChainError as fault:
        raise invalid("ledger.receipt", reason=fault.code) from fault
    return data


def _beside_own_tree(
    session: Session, head: Checkpoint, offered: bytes, newest: store.Published, now: datetime
) -> Refusal | None:
    """At the hub: its own tree says what root it had at any size."""
    if _own_root(session, head.size) == head.root:
        return None
    code = SPLIT if head.size == newest.size else UNPROVEN
    held = cosignatures.published(session, head.size)
    if held is not None:
        code = SPLIT
    witness.keep(session, Evidence(code, (held or newest).note, offered, (), now))
    return _against(code, held=(held or newest).size, offered=head.size)


def _own_root(session: Session, size: int) -> bytes:
    at = merkle.cover(0, size)
    found = tilework.hashes(session, at)
    return merkle.fold(tuple(found[one] for one in at))


def _same_size(
    session: Session, held: tuple[bytes, bytes], root: bytes, offered: bytes, now: datetime
) -> Refusal | None:
    if held[0] == root:
        return None
    witness.keep(session, Evidence(SPLIT, held[1], offered, (), now))
    size = _size(offered)
    return _against(SPLIT, held=size, offered=size)


def _against(code: str, *, held: int, offered: int) -> Refusal:
    if code == SPLIT:
        return conflict("ledger.split", held=held, offered=offered)
    return conflict("ledger.unproven", held=held, offered=offered)


def _size(signed: bytes) -> int:
    return checkpoint.parse(note.parse(signed).text).size


def _one_tree(view: View, size: int, root: bytes, proof: Sequence[bytes] | None) -> bool:
    if size == view.size:
        return root == view.root
    if proof is None:
        return False
    small, large = sorted(((size, root), (view.size, view.root)))
    try:
        merkle.verify_consistency(small[0], large[0], proof, old_root=small[1], new_root=large[1])
    except (ProofError, FormatError):
        return False
    return True
