"""Entries of a lost ledger that nobody has given, and who may have them (PROTOCOL 5, "Restore").

A chain has no gaps: where the pieces of a node go from number 7 to number 9, its number 8 stands
on the ledger, and its sender has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import jws, pieces
from consortium.exchange.tables import ChainHeadRow, PieceRow
from consortium.kernel.errors import Refusal
from consortium.ledger import journal

_PAGE = 256


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers of one chain, `first` to `last`, that are on the ledger and in nobody's pieces."""

    member: str
    node: str
    lane: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Holes:
    """Ranges (first, after the last) of indices without a piece, and chains that miss numbers."""

    ranges: tuple[tuple[int, int], ...]
    gaps: tuple[Gap, ...]

    @property
    def count(self) -> int:
        """How many indices are missing."""
        return sum(end - first for first, end in self.ranges)


def holes(session: Session, *, upto: int) -> Holes:
    """What is missing below the largest size that is known."""
    at = journal.size(session)
    ranges: list[tuple[int, int]] = []
    chains: dict[tuple[str, str, str], set[int]] = {}
    while at < upto:
        page = pieces.variants(session, at, _PAGE)
        for index in range(at, min(at + _PAGE, upto)):
            whole = [row for row in page.get(index, ()) if row.facts is not None]
            if not whole:
                first = ranges.pop()[0] if ranges and ranges[-1][1] == index else index
                ranges.append((first, index + 1))
            for row in whole:
                _note(chains, row)
        session.expunge_all()
        at += _PAGE
    return Holes(tuple(ranges), tuple(_gaps(session, chains)))


def _note(chains: dict[tuple[str, str, str], set[int]], row: PieceRow) -> None:
    try:
        header = jws.parse(journal.read_leaf(row.leaf).jws).header
    except Refusal:
        return
    chains.setdefault((header.sender, header.node, header.lane.value), set()).add(header.seq)


def _gaps(session: Session, chains: Mapping[tuple[str, str, str], set[int]]) -> list[Gap]:
    found: list[Gap] = []
    for (member, node, lane), numbers in sorted(chains.items()):
        head = session.scalar(
            select(ChainHeadRow.seq).where(ChainHeadRow.node == node, ChainHeadRow.lane == lane)
        )
        before = head or 0
        for number in sorted(numbers):
            if number > before + 1:
                found.append(Gap(member, node, lane, before + 1, number - 1))
            before = max(before, number)
    return found
