"""Receipts and proofs: made from the published tree, checked by the code that `chain` ships."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chain import merkle
from chain import receipt as chain_receipt
from chain.checkpoint import Checkpoint
from chain.errors import ChainError
from consortium.kernel.errors import invalid, missing
from consortium.kernel.time import from_ms
from consortium.ledger import cosignatures, freezing, journal, policies, store, tilework
from consortium.ledger.policies import policy_text, read_policy
from consortium.ledger.tables import SeenRow

__all__ = [
    "RECEIPTS_MAX",
    "Checked",
    "believed",
    "check",
    "consistency",
    "policy_text",
    "read_policy",
    "receipt",
    "receipts",
    "seen_size",
]

RECEIPTS_MAX = 256


@dataclass(frozen=True, slots=True)
class Checked:
    """A receipt that holds, with what a page shows of it.

    `proof` leads from `leaf_hash` to `root`, leaf first; `cosigners` are the witnesses that the
    policy names, with the times of their signatures.
    """

    origin: str
    index: int
    size: int
    time: datetime
    verdict: str
    leaf: bytes
    jws: bytes
    leaf_hash: bytes
    proof: tuple[bytes, ...]
    root: bytes
    cosigners: Mapping[str, datetime]
    quorum: bool
    """Whether the witnesses are as many as the policy asks; False also where it asks for none."""


def receipt(session: Session, index: int) -> bytes | None:
    """The receipt file (C2SP tlog-proof v1) of an entry; None until a checkpoint covers it."""
    return receipts(session, [index]).get(index)


def receipts(session: Session, indices: Iterable[int]) -> dict[int, bytes]:
    """Receipts of several entries: under the newest witnessed checkpoint, else the newest.

    Those that no checkpoint covers yet are left out.

    Raises:
        ValueError: more than 256 at once.
        Refusal: `ledger.damaged` when the database lacks a hash.
    """
    wanted = sorted(set(indices))
    if len(wanted) > RECEIPTS_MAX:
        raise ValueError(f"at most {RECEIPTS_MAX} receipts at once")
    last = cosignatures.latest(session)
    sure = cosignatures.witnessed(session)
    found: dict[int, bytes] = {}
    for head in (sure, last):
        if head is not None:
            covered = [at for at in wanted if at not in found and 0 <= at < head.size]
            found |= _under(session, head, covered)
    return found


def _under(session: Session, head: store.Published, indices: Sequence[int]) -> dict[int, bytes]:
    """Receipts of entries under one checkpoint, in a few queries."""
    if not indices:
        return {}
    leaves = journal.leaves(session, indices)
    ranges = [merkle.inclusion_ranges(index, head.size) for index in indices]
    read = _reader(session, chain.from_iterable(ranges))
    return {
        index: chain_receipt.Receipt(
            index=index,
            leaf=leaves[index],
            proof=tuple(merkle.range_hash(start, end, read) for start, end in parts),
            checkpoint=head.note,
        ).data
        for index, parts in zip(indices, ranges, strict=True)
    }


def consistency(session: Session, *, old: int, new: int) -> tuple[bytes, ...]:
    """Proof that the tree of size `new` begins with that of size `old` (RFC 6962, 2.1.2).

    Raises:
        Refusal: `ledger.no_tree` unless 0 <= old <= new <= the published size.
    """
    last = store.newest(session)
    if not 0 <= old <= new <= (0 if last is None else last.size):
        raise missing("ledger.no_tree", old=old, new=new)
    ranges = merkle.consistency_ranges(old, new)
    read = _reader(session, ranges)
    return tuple(merkle.range_hash(start, end, read) for start, end in ranges)


def seen_size(session: Session) -> int:
    """How far this node has checked the ledger: the size of the largest checkpoint verified."""
    return session.scalar(select(func.max(SeenRow.size))) or 0


def check(data: bytes, policy_bytes: bytes, *, expect_leaf: bytes | None = None) -> Checked:
    """Check a receipt as `python -m chain receipt FILE --policy P` does, but for its quorum.

    In the product a receipt that the log has signed and too few witnesses is valid and says so
    (`quorum`); the command refuses it, as C2SP tlog-proof asks.

    Args:
        data: the receipt file.
        policy_bytes: the policy in force, never one that came with the receipt.
        expect_leaf: the leaf that this node holds for the entry.

    Raises:
        Refusal: `ledger.receipt` with `reason`, the code of `chain` (words: `ledger.reason`);
            `ledger.policy` when the policy itself cannot be read.
    """
    rules = read_policy(policy_bytes)
    try:
        held = chain_receipt.examine(data, rules, expect_leaf=expect_leaf)
    except ChainError as fault:
        raise invalid("ledger.receipt", reason=fault.code) from fault
    head = held.trusted.checkpoint
    return Checked(
        origin=head.origin,
        index=held.index,
        size=held.size,
        time=from_ms(held.leaf.time_ms),
        verdict=held.leaf.verdict,
        leaf=held.leaf.data,
        jws=held.leaf.jws,
        leaf_hash=held.leaf.hash,
        proof=held.receipt.proof,
        root=head.root,
        cosigners={name: from_ms(time_s * 1000) for name, time_s in held.trusted.cosigners.items()},
        quorum=policies.asks(rules) and held.trusted.quorum,
    )


def believed(
    session: Session, data: bytes, policy_bytes: bytes, *, expect_leaf: bytes | None = None
) -> Checked:
    """Check a receipt, as `check`, by what this node knows: of a frozen log nothing beyond its end.

    Raises:
        Refusal: as `check`; the reason is then `freeze.beyond`.
    """
    held = check(data, policy_bytes, expect_leaf=expect_leaf)
    if freezing.beyond(session, Checkpoint(held.origin, held.size, held.root)) is not None:
        raise invalid("ledger.receipt", reason="freeze.beyond")
    return held


def _reader(session: Session, ranges: Iterable[Sequence[int]]) -> merkle.HashReader:
    return tilework.reader(
        session, chain.from_iterable(merkle.cover(start, end) for start, end in ranges)
    )
