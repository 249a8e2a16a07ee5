"""A ledger that is filled again: the tree that it would have, and who has signed what it must have.

PROTOCOL 5 ("Restore"). Nothing here writes: roots are compared before an entry is taken.
"""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from chain import merkle
from chain.errors import ChainError
from consortium.kernel.errors import Refusal
from consortium.ledger import policies, store, tilework

_CHUNK = 4096


class Growing:
    """The tree over leaves that are here and leaves that are about to be; a copy costs nothing."""

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        self._frontier = merkle.Frontier(size, edge)

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return self._frontier.size

    def add(self, hashes: Sequence[bytes]) -> None:
        """Append leaf hashes (RFC 6962, 2.1)."""
        self._frontier.extend(hashes)

    def root(self) -> bytes:
        """Its root now."""
        return self._frontier.root()

    def copy(self) -> "Growing":
        """Another one that stands where this one stands."""
        return Growing(self.size, self._frontier.hashes)


def growing(session: Session) -> Growing:
    """The tree over every leaf of this database, published or not."""
    last = store.newest(session)
    base = last.size if last is not None else 0
    tree = Growing(base, tilework.subtrees(tilework.edge(session, base)) if base else ())
    size = store.size(session)
    while tree.size < size:
        rows = store.leaves(session, tree.size, min(_CHUNK, size - tree.size))
        if not rows:
            raise store.damaged("index", index=tree.size)
        tree.add([row.leaf_hash for row in rows])
    return tree


def promised(note: bytes, rules: Sequence[bytes]) -> tuple[int, bytes] | None:
    """Size and root of a checkpoint that the log has signed; None for any other text.

    Args:
        note: a signed note (C2SP tlog-checkpoint), cosigned or not.
        rules: texts of policies, of which one must know the log's key.
    """
    for text in rules:
        try:
            head = policies.read_policy(text).examine(note).checkpoint
        except (ChainError, Refusal):
            continue
        return head.size, head.root
    return None
