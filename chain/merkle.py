"""The Merkle tree of RFC 6962, section 2.1.

SHA-256 with 0x00 before a leaf and 0x01 before two children (RFC 9162, 2.1.1), split at the
largest power of two below the size.

A tree is read through a `HashReader`: the hash of a *complete* subtree, named by its level (0 is
the leaves) and its index in that level. Coordinates are listed before they are read, so a store
can fetch all the hashes of a proof in one query; a proof reads O(log n) of them.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from chain.encoding import INT_MAX
from chain.errors import ProofError

Coordinate = tuple[int, int]
"""Level and index of a complete subtree: leaves [index * 2^level, (index + 1) * 2^level)."""
Node = tuple[int, int, bytes]
"""Level, index and hash of a complete subtree."""
HashReader = Callable[[int, int], bytes]

HASH_BYTES = 32
PROOF_MAX = 63
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one entry (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two children (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


# ---------------------------------------------------------------- coordinates


def cover(start: int, end: int) -> list[Coordinate]:
    """Complete subtrees that together are leaves [start, end), left to right.

    Meant for the ranges that RFC 6962 names: `start` is a multiple of a power of two that is not
    smaller than the range, so sizes fall from left to right.
    """
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Ranges of leaves whose roots are the inclusion proof (RFC 6962, 2.1.1), leaf first.

    Raises:
        ProofError: `proof.range` unless 0 <= index < size < 2^63.
    """
    if not 0 <= index < size <= INT_MAX:
        raise ProofError("proof.range", "The tree has no such entry.")
    low, high, ranges = 0, size, []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Ranges of leaves whose roots are the consistency proof (RFC 6962, 2.1.2), in its order.

    Empty when the sizes are equal or the old tree is empty.

    Raises:
        ProofError: `proof.range` unless 0 <= old <= new < 2^63.
    """
    if not 0 <= old <= new <= INT_MAX:
        raise ProofError("proof.range", "The newer tree must not be the smaller one.")
    return subtree_ranges(0, old, new)


def valid_subtree(start: int, end: int) -> bool:
    """Whether [start, end) is a subtree (draft-ietf-plants-merkle-tree-certs, 4.1).

    Its start is a multiple of the smallest power of two that is not below its length.
    """
    return 0 <= start <= end and not start % (1 << max(0, end - start - 1).bit_length())


def subtree_ranges(start: int, end: int, size: int) -> list[tuple[int, int]]:
    """Ranges of leaves whose roots prove that [start, end) is part of the first `size` leaves.

    In the order of draft-ietf-plants-merkle-tree-certs, 4.4.1; with start 0 this is a
    consistency proof. Empty for an empty subtree and for the whole tree.

    Raises:
        ProofError: `proof.range` when the range is no subtree, or ends beyond the tree.
    """
    steps, seed = _descent(start, end, size)
    ranges = [(step.low, step.high) for step in steps]
    return ranges if seed is None else [seed, *ranges]


class _Step(NamedTuple):
    """One sibling on the way up: leaves [low, high), and whether they are left, or inside."""

    low: int
    high: int
    left: bool
    inside: bool


def _descent(start: int, end: int, size: int) -> tuple[list[_Step], tuple[int, int] | None]:
    """Siblings from the subtree up to the root; first the piece of it that is whole in the tree.

    That piece is None when it is the subtree itself, which whoever checks the proof knows.
    """
    if not valid_subtree(start, end) or not end <= size <= INT_MAX:
        raise ProofError("proof.range", "The range is no subtree of the tree.")
    low, high, steps, whole = 0, size, [], True
    while start < end and (low, high) != (start, end):
        middle = low + _split(high - low)
        if end <= middle:
            steps.append(_Step(middle, high, left=False, inside=False))
            high = middle
            continue
        # a range that goes on past the middle is inside from there
        inside = start < middle
        steps.append(_Step(low, middle, left=True, inside=inside))
        low = middle
        if inside:
            start, whole = middle, False
    return steps[::-1], None if whole else (low, high)


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


# ---------------------------------------------------------------- reading a tree


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root of neighbouring subtrees whose sizes fall from left to right."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def range_hash(start: int, end: int, read: HashReader) -> bytes:
    """Root of leaves [start, end), one of the ranges above."""
    return fold([read(level, index) for level, index in cover(start, end)])


def root(size: int, read: HashReader) -> bytes:
    """Root of the first `size` leaves."""
    return range_hash(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """Inclusion proof of entry `index` in the first `size` leaves (RFC 6962, 2.1.1).

    Raises as `inclusion_ranges`.
    """
    return [range_hash(start, end, read) for start, end in inclusion_ranges(index, size)]


def consistency_proof(old: int, new: int, read: HashReader) -> list[bytes]:
    """Proof that the first `new` leaves begin with the first `old` (RFC 6962, 2.1.2).

    Raises as `consistency_ranges`.
    """
    return [range_hash(start, end, read) for start, end in consistency_ranges(old, new)]


def subtree_proof(start: int, end: int, size: int, read: HashReader) -> list[bytes]:
    """Proof that [start, end) is part of the first `size` leaves. Raises as `subtree_ranges`."""
    return [range_hash(low, high, read) for low, high in subtree_ranges(start, end, size)]


# ---------------------------------------------------------------- verifying


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], *, root: bytes
) -> None:
    """Check that `leaf` (a leaf hash) is entry `index` of the tree of this size and root.

    Source: RFC 9162, 2.1.3.2.

    Raises:
        ProofError: `proof.inclusion`.
    """
    _sound("proof.inclusion", root)
    if inclusion_root(index, size, leaf, proof) != root:
        raise ProofError("proof.inclusion", "The inclusion proof does not lead to the root.")


def inclusion_root(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root to which a proof leads from `leaf` (a leaf hash), entry `index` of `size`.

    Raises:
        ProofError: `proof.inclusion` when the proof has not the length of such an entry.
    """
    _sound("proof.inclusion", leaf, *proof)
    if not 0 <= index < size <= INT_MAX:
        raise ProofError("proof.inclusion", "The tree has no such entry.")
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if not last:
            raise ProofError("proof.inclusion", "The inclusion proof is too long.")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            # a last node without a right sibling rises until it has one on its left
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("proof.inclusion", "The inclusion proof is too short.")
    return found


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], *, old_root: bytes, new_root: bytes
) -> None:
    """Check that the tree (`new`, `new_root`) begins with the tree (`old`, `old_root`).

    Source: RFC 9162, 2.1.4.2. From an empty tree the proof is empty.

    Raises:
        ProofError: `proof.consistency`.
    """
    _sound("proof.consistency", old_root, new_root, *proof)
    if not 0 <= old <= new <= INT_MAX:
        raise ProofError("proof.consistency", "The newer tree must not be the smaller one.")
    if old in (0, new):
        first = old_root if old else EMPTY_ROOT
        if proof or old_root != first or (old == new and old_root != new_root):
            raise ProofError("proof.consistency", "Two roots of one size differ.")
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofError("proof.consistency", "The consistency proof is too short.")
    if _walk(old, new, path) != (old_root, new_root):
        raise ProofError("proof.consistency", "The consistency proof does not lead to both roots.")


def verify_subtree(
    start: int, end: int, size: int, proof: Sequence[bytes], *, subtree_root: bytes, root: bytes
) -> None:
    """Check that leaves [start, end), whose root is `subtree_root`, are part of a tree.

    Source: draft-ietf-plants-merkle-tree-certs, 4.4.3; C2SP tlog-mirror and tlog-witness use it.

    Raises:
        ProofError: `proof.consistency`, also when the range is no subtree of the tree.
    """
    _sound("proof.consistency", subtree_root, root, *proof)
    try:
        steps, seed = _descent(start, end, size)
    except ProofError as fault:
        raise ProofError("proof.consistency", str(fault)) from fault
    if start == end:
        # the empty tree is part of any tree, and says nothing about its root
        whole = EMPTY_ROOT if not size else root
        if proof or (subtree_root, root) != (EMPTY_ROOT, whole):
            raise ProofError("proof.consistency", "An empty subtree has one root and no proof.")
        return
    if len(proof) != len(steps) + (seed is not None):
        raise ProofError("proof.consistency", "The consistency proof has the wrong length.")
    path = iter(proof)
    part = tree = subtree_root if seed is None else next(path)
    for step, sibling in zip(steps, path, strict=True):
        if step.inside:
            part = node_hash(sibling, part)
        tree = node_hash(sibling, tree) if step.left else node_hash(tree, sibling)
    if (part, tree) != (subtree_root, root):
        raise ProofError("proof.consistency", "The consistency proof does not lead to both roots.")


def _walk(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if not last:
            raise ProofError("proof.consistency", "The consistency proof is too long.")
        if node & 1 or node == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("proof.consistency", "The consistency proof is too short.")
    return older, newer


def _sound(code: str, *hashes: bytes) -> None:
    # without this an empty hash would equal an empty root
    if len(hashes) > PROOF_MAX + 2 or any(len(value) != HASH_BYTES for value in hashes):
        raise ProofError(code, "A proof holds at most 63 hashes of 32 bytes.")


# ---------------------------------------------------------------- growing


class Frontier:
    """The right edge of a growing tree (RFC 6962, 2.1): one subtree for each bit of its size.

    `hashes` stand largest subtree first. Raises ValueError when their number does not fit.
    """

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)
        if len(self._hashes) != size.bit_count():
            raise ValueError("a frontier holds one hash for each bit of its size")

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The hashes of the edge, largest subtree first."""
        return tuple(self._hashes)

    def extend(self, leaves: Iterable[bytes]) -> list[Node]:
        """Append leaf hashes; give every complete subtree above the leaves that this makes."""
        made: list[Node] = []
        edge, size = self._hashes, self.size
        for found in leaves:
            level, index, value = 0, size, found
            while index & 1:
                value = node_hash(edge.pop(), value)
                level, index = level + 1, index >> 1
                made.append((level, index, value))
            edge.append(value)
            size += 1
        self.size = size
        return made

    def root(self) -> bytes:
        """Root of the tree so far."""
        return fold(self._hashes) if self._hashes else EMPTY_ROOT


def root_after(size: int, edge: Sequence[bytes], leaves: Sequence[bytes]) -> bytes:
    """Root of a tree of `size` leaves with this edge, after more leaf hashes.

    Goes level by level over all leaves instead of leaf by leaf, and shares no code with
    `Frontier`: a publisher compares the two before it signs, because a root with one flipped bit
    cannot be taken back (CT log Yeti 2022, research/ledger.md section 1).
    """
    if not leaves:
        return fold(edge) if edge else EMPTY_ROOT
    waiting, row, below = list(edge), list(leaves), size
    while below or len(row) > 1:
        if below & 1:
            row.insert(0, waiting.pop())
        odd = row.pop() if len(row) & 1 else None
        row = [
            hashlib.sha256(b"\x01%b%b" % pair).digest()
            for pair in zip(row[::2], row[1::2], strict=True)
        ]
        if odd is not None:
            row.append(odd)
        below >>= 1
    return row[0]
