"""What a member has seen of the log: it only ever grows, and each view begins with the last.

Every node keeps the largest checkpoint that it has verified. A checkpoint that is smaller, or
that does not begin with what was seen, is refused; both are kept as evidence (PROTOCOL 5).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from chain import checkpoint, merkle
from chain import note as chain_note
from chain.checkpoint import Checkpoint
from chain.errors import ChainError, ProofError
from consortium.kernel.errors import Refusal, conflict, invalid
from consortium.kernel.paging import bounded
from consortium.ledger import freezing, policies, store
from consortium.ledger.tables import EvidenceRow, SeenRow

EVIDENCE_MAX = 1000


@dataclass(frozen=True, slots=True)
class View:
    """The largest checkpoint of a log that this node has verified."""

    origin: str
    size: int
    root: bytes
    note: bytes
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two signed checkpoints of one log that do not fit together, and the proof offered, if any.

    `code`: `ledger.smaller`, `ledger.split` (one size, two roots), `ledger.unproven`, or
    `ledger.beyond` (signed beyond the end of a frozen log; what was held may be the same).
    """

    code: str
    held: bytes
    offered: bytes
    proof: tuple[bytes, ...]
    at: datetime

    @property
    def digest(self) -> bytes:
        """SHA-256 that tells it from other evidence."""
        whole = hashlib.sha256()
        for part in (self.code.encode(), self.held, self.offered):
            whole.update(len(part).to_bytes(8, "big") + part)
        return whole.digest()


def checkpoint_view(session: Session) -> View | None:
    """What this node has seen of the log, None before the first checkpoint."""
    row = session.execute(
        select(SeenRow.origin, SeenRow.size, SeenRow.root, SeenRow.note, SeenRow.seen_at)
        .order_by(SeenRow.seen_at.desc(), SeenRow.origin)
        .limit(1)
    ).one_or_none()
    return None if row is None else View(*row)


def advance(
    session: Session,
    note: bytes,
    proof: Sequence[bytes],
    *,
    policy_bytes: bytes,
    now: datetime,
) -> View | Refusal:
    """Take a signed checkpoint as the new view if it extends the old one.

    A refusal is given as a value, so that the evidence in this transaction is committed.

    Args:
        session: the transaction in which the view, or the evidence, is written.
        note: the signed checkpoint.
        proof: consistency proof from the size seen (0 at first) to the checkpoint's size.
        policy_bytes: the policy in force; its log must have signed, its witnesses need not.
        now: when it was seen.

    Returns:
        The new view, or a Refusal: `ledger.note` with `reason` (not signed as the policy asks;
        no evidence, anyone can make such a file), `ledger.smaller`, `ledger.split`,
        `ledger.unproven` or `ledger.beyond` (kept as evidence: raise the alarm).

    Raises:
        Refusal: `ledger.policy` when the policy cannot be read.
    """
    try:
        head = policies.read_policy(policy_bytes).examine(note).checkpoint
    except ChainError as fault:
        return invalid("ledger.note", reason=fault.code)
    held = view_for_update(session, head.origin)
    if refusal := freezing.beyond(session, head):
        before = held.note if held is not None else b""
        keep(session, Evidence(refusal.code, before, note, tuple(proof), now))
        return refusal
    if held is not None and (code := _misfit(held, head, proof)):
        keep(session, Evidence(code, held.note, note, tuple(proof), now))
        return conflict(code, held=held.size, offered=head.size)
    view = View(head.origin, head.size, head.root, note, now)
    _put(session, view, fresh=held is None)
    return view


def take_back(session: Session, note: bytes, *, policy_bytes: bytes, now: datetime) -> None:
    """Take the view from this node's guard, which is ahead of a database that was restored.

    Nothing is taken that the policy in force does not know: the feed brings a later one.
    """
    try:
        head = policies.read_policy(policy_bytes).examine(note).checkpoint
    except ChainError:
        return
    held = view_for_update(session, head.origin)
    if held is None or held.size < head.size:
        view = View(head.origin, head.size, head.root, note, now)
        _put(session, view, fresh=held is None)


def same(view: View, note: bytes) -> bool:
    """Whether a signed checkpoint is the one that this node has verified."""
    try:
        head = checkpoint.parse(chain_note.parse(note).text)
    except ChainError:
        return False
    return (head.origin, head.size, head.root) == (view.origin, view.size, view.root)


def evidence(session: Session, *, limit: int = 50) -> list[Evidence]:
    """The newest evidence against the log, newest first, at most 100."""
    rows = session.execute(
        select(
            EvidenceRow.code,
            EvidenceRow.held,
            EvidenceRow.offered,
            EvidenceRow.proof,
            EvidenceRow.at,
        )
        .order_by(EvidenceRow.at.desc(), EvidenceRow.digest)
        .limit(bounded(limit))
    )
    return [
        Evidence(code, held, offered, _split(proof), at) for code, held, offered, proof, at in rows
    ]


def _put(session: Session, view: View, *, fresh: bool) -> None:
    values = {"size": view.size, "root": view.root, "note": view.note, "seen_at": view.seen_at}
    values["checksum"] = store.checksum(view.origin, *values.values())
    if fresh:
        session.execute(insert(SeenRow).values(origin=view.origin, **values))
    else:
        session.execute(update(SeenRow).where(SeenRow.origin == view.origin).values(**values))


def accuse(session: Session, code: str, *, offered: bytes, now: datetime) -> None:
    """Keep a signed checkpoint that does not fit this node's own copy, beside the view it has."""
    view = checkpoint_view(session)
    keep(session, Evidence(code, view.note if view is not None else b"", offered, (), now))


def view_for_update(session: Session, origin: str) -> View | None:
    """What this node has seen of a log, locked until the transaction ends."""
    row = session.execute(
        select(SeenRow.origin, SeenRow.size, SeenRow.root, SeenRow.note, SeenRow.seen_at)
        .where(SeenRow.origin == origin)
        .with_for_update()
    ).one_or_none()
    return None if row is None else View(*row)


def _misfit(held: View, head: Checkpoint, proof: Sequence[bytes]) -> str:
    if head.size < held.size:
        return "ledger.smaller"
    if head.size == held.size:
        return "" if head.root == held.root else "ledger.split"
    try:
        merkle.verify_consistency(
            held.size, head.size, proof, old_root=held.root, new_root=head.root
        )
    except ProofError:
        return "ledger.unproven"
    return ""


def keep(session: Session, found: Evidence) -> None:
    """Keep evidence against the log, the same once, at most 1,000 in all."""
    sound = len(found.proof) <= merkle.PROOF_MAX and all(
        len(node) == merkle.HASH_BYTES for node in found.proof
    )
    known = select(EvidenceRow.code).where(EvidenceRow.digest == found.digest)
    count = select(func.count()).select_from(EvidenceRow)
    if session.scalar(known) is None and (session.scalar(count) or 0) < EVIDENCE_MAX:
        values = {
            "digest": found.digest,
            "code": found.code,
            "held": found.held,
            "offered": found.offered,
            "proof": b"".join(found.proof) if sound else b"",
            "at": found.at,
        }
        checksum = store.checksum(*values.values())
        session.execute(insert(EvidenceRow).values(**values, checksum=checksum))


def _split(proof: bytes) -> tuple[bytes, ...]:
    size = merkle.HASH_BYTES
    return tuple(proof[start : start + size] for start in range(0, len(proof), size))
