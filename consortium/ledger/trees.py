"""Merkle trees over short lists that entries of the ledger commit to (hashing of RFC 6962, 2.1)."""

from collections.abc import Iterable, Sequence

from chain import merkle
from chain.errors import ProofError

EMPTY_ROOT = merkle.EMPTY_ROOT


class ListTree:
    """The tree over some leaf hashes, held in memory."""

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        frontier = merkle.Frontier()
        self._nodes = {(0, at): one for at, one in enumerate(leaf_hashes)}
        self._nodes |= {(level, at): one for level, at, one in frontier.extend(list(leaf_hashes))}
        self.size = len(leaf_hashes)
        self.root = frontier.root()

    def path(self, place: int) -> list[bytes]:
        """The inclusion path of a leaf, leaf first (RFC 6962, 2.1.1)."""
        return merkle.inclusion_proof(place, self.size, lambda *at: self._nodes[at])


def root_of(leaf_hashes: Iterable[bytes]) -> tuple[bytes, int]:
    """Root over leaf hashes that are read once, and how many they were."""
    frontier = merkle.Frontier()
    for one in leaf_hashes:
        frontier.extend((one,))
    return frontier.root(), frontier.size


def leads_to(
    root: bytes, *, leaf_hash: bytes, place: int, size: int, path: Sequence[bytes]
) -> bool:
    """Whether a path leads from the leaf at this place to the root (RFC 9162, 2.1.3.2)."""
    try:
        merkle.verify_inclusion(place, size, leaf_hash, path, root=root)
    except ProofError:
        return False
    return True
