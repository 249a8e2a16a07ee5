"""The hash chains of nodes as the ledger has them: what comes next, and what cannot be true."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange.answers import Answer, Status
from consortium.exchange.commitment import b64
from consortium.exchange.jws import FIRST_PREV, Signed
from consortium.exchange.tables import ChainHeadRow, EntryRow
from consortium.kernel.bulk import upsert_rows
from consortium.kernel.database import table_of
from consortium.ledger import journal

_CHAIN = table_of(ChainHeadRow)


@dataclass(slots=True)
class _Chain:
    seq: int
    hash: str
    moved: bool = False


class Chains:
    """Heads of the chains that one batch goes on with, under the head row's lock."""

    def __init__(self, session: Session, nodes: Sequence[str]) -> None:
        self._session = session
        self._chains: dict[tuple[str, str], _Chain] = {}
        self._new: dict[tuple[str, str, int], bytes] = {}
        self.forks: list[tuple[bytes, bytes]] = []
        for node, lane, seq, digest in session.execute(
            select(_CHAIN.c.node, _CHAIN.c.lane, _CHAIN.c.seq, _CHAIN.c.hash).where(
                _CHAIN.c.node.in_(set(nodes))
            )
        ):
            self._chains[(node, lane)] = _Chain(seq, digest)

    def head(self, signed: Signed) -> tuple[int, str]:
        """Where the chain of an exchange stands: number and hash of its last one."""
        chain = self._chains.get((signed.header.node, signed.header.lane.value))
        return (chain.seq, chain.hash) if chain is not None else (0, FIRST_PREV)

    def goes_on(self, signed: Signed) -> bool:
        """Whether it is the next one of its chain."""
        seq, digest = self.head(signed)
        return signed.header.seq == seq + 1 and signed.header.prev == digest

    def misfit(self, signed: Signed) -> Answer | None:
        """Why it does not follow its chain's head: a gap, or a second history (PROTOCOL 4, 1)."""
        header = signed.header
        if self.goes_on(signed):
            return None
        seq, digest = self.head(signed)
        if header.seq > seq + 1:
            return Answer.of(signed, Status.GAP, expected=seq + 1, head=digest)
        if seq:
            first = self._at(header.node, header.lane.value, min(header.seq, seq))
            self.forks.append((first, signed.raw))
        return Answer.of(signed, Status.FORK, expected=seq + 1, head=digest)

    def _at(self, node: str, lane: str, seq: int) -> bytes:
        """The JWS that has its leaf under a number."""
        if raw := self._new.get((node, lane, seq)):
            return raw
        index = self._session.scalars(
            select(EntryRow.index).where(
                EntryRow.node == node, EntryRow.lane == lane, EntryRow.seq == seq
            )
        ).one()
        return journal.read_leaf(journal.leaves(self._session, [index])[index]).jws

    def put(self, signed: Signed) -> None:
        """It has its leaf: it is the head now."""
        header = signed.header
        key = (header.node, header.lane.value)
        chain = self._chains.setdefault(key, _Chain(0, FIRST_PREV))
        chain.seq, chain.hash, chain.moved = header.seq, b64(signed.digest), True
        self._new[(*key, header.seq)] = signed.raw

    def flush(self) -> None:
        """Write the heads that moved."""
        upsert_rows(
            self._session,
            _CHAIN,
            [
                (node, lane, chain.seq, chain.hash)
                for (node, lane), chain in self._chains.items()
                if chain.moved
            ],
        )
