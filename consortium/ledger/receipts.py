"""Receipts and proofs: made from the published tree, checked by the code that `chain` ships."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chain import merkle, policy
from chain import receipt as chain_receipt
from chain.errors import ChainError
from consortium.kernel.errors import invalid, missing
from consortium.kernel.time import from_ms
from consortium.ledger import journal, store, tilework
from consortium.ledger.tables import SeenRow

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


def receipt(session: Session, index: int) -> bytes | None:
    """The receipt file (C2SP tlog-proof v1) of an entry; None until a checkpoint covers it."""
    return receipts(session, [index]).get(index)


def receipts(session: Session, indices: Iterable[int]) -> dict[int, bytes]:
    """Receipts of several entries under the newest checkpoint, in a few queries.

    Those that no checkpoint covers yet are left out.

    Raises:
        ValueError: more than 256 at once.
        Refusal: `ledger.damaged` when the database lacks a hash.
    """
    wanted = sorted(set(indices))
    if len(wanted) > RECEIPTS_MAX:
        raise ValueError(f"at most {RECEIPTS_MAX} receipts at once")
    last = store.newest(session)
    covered = [index for index in wanted if last is not None and 0 <= index < last.size]
    if last is None or not covered:
        return {}
    leaves = journal.leaves(session, covered)
    ranges = [merkle.inclusion_ranges(index, last.size) for index in covered]
    read = _reader(session, chain.from_iterable(ranges))
    return {
        index: chain_receipt.Receipt(
            index=index,
            leaf=leaves[index],
            proof=tuple(merkle.range_hash(start, end, read) for start, end in parts),
            checkpoint=last.note,
        ).data
        for index, parts in zip(covered, ranges, strict=True)
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


def policy_text(vkey: str, *more: str) -> bytes:
    """A policy (C2SP tlog-policy) that trusts one log, and no witness but by further lines.

    Raises:
        Refusal: `ledger.policy` when it does not read back as a policy.
    """
    lines = (f"log {vkey}", *more) if more else (f"log {vkey}", "quorum none")
    text = "".join(f"{line}\n" for line in lines).encode()
    read_policy(text)
    return text


def read_policy(data: bytes) -> policy.Policy:
    """Read a policy file. Raises Refusal `ledger.policy`."""
    try:
        return policy.parse(data)
    except ChainError as fault:
        raise invalid("ledger.policy", reason=fault.code) from fault


def check(data: bytes, policy_bytes: bytes, *, expect_leaf: bytes | None = None) -> Checked:
    """Check a receipt exactly as `python -m chain receipt FILE --policy P` does.

    Args:
        data: the receipt file.
        policy_bytes: the policy pinned at joining, never one that came with the receipt.
        expect_leaf: the leaf that this node holds for the entry.

    Raises:
        Refusal: `ledger.receipt` with `reason`, the code of `chain` (words: `ledger.reason`);
            `ledger.policy` when the policy itself cannot be read.
    """
    rules = read_policy(policy_bytes)
    try:
        held = chain_receipt.verify(data, rules, expect_leaf=expect_leaf)
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
    )


def _reader(session: Session, ranges: Iterable[Sequence[int]]) -> merkle.HashReader:
    return tilework.reader(
        session, chain.from_iterable(merkle.cover(start, end) for start, end in ranges)
    )
