"""Fills a hub's ledger again from pieces, entry by entry, each verified (PROTOCOL 5, "Restore").

    pieces -> one for each index -> roots of every checkpoint known -> replay -> written

Roots are compared before anything is written; a replay's finding in what no checkpoint covers
refuses the piece. Each step is a transaction of its own, so it may be cut anywhere and done again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, product

import orjson
from sqlalchemy import delete
from sqlalchemy.orm import Session

from consortium.exchange import pieces, replay
from consortium.exchange.kinds import Registry
from consortium.exchange.limits import BATCH_MAX
from consortium.exchange.pieces import Piece
from consortium.exchange.replay import Finding, Replay, Shown
from consortium.exchange.tables import PieceRow
from consortium.kernel.database import Database
from consortium.kernel.time import to_ms
from consortium.ledger import journal, refill
from consortium.ledger.refill import Growing

_TRIES_MAX = 256
_AHEAD_MAX = timedelta(minutes=5)
_HALTED = frozenset({"newer", "leaf", "again"})


@dataclass(frozen=True, slots=True)
class Span:
    """Entries from `first` up to, not including, `end`, and who gave them."""

    first: int
    end: int
    giver: str


@dataclass(slots=True)
class Refilled:
    """What a refill came to.

    `size`: entries that the ledger holds now. `stopped`: why it goes no further: `""` (all pieces
    are taken), `hole` (nobody gave entry `size`), `facts` (its facts are missing), `root` (no
    choice of pieces makes the root that was signed for `upto`), `several` (two pieces, nothing to
    choose by), or the replay's `newer`, `leaf`, `again`.
    """

    size: int = 0
    taken: list[Span] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    stopped: str = ""
    upto: int = 0

    def add(self, index: int, giver: str) -> None:
        """One more entry was taken."""
        last = self.taken[-1] if self.taken else None
        if last is not None and last.end == index and last.giver == giver:
            self.taken[-1] = Span(last.first, index + 1, giver)
        else:
            self.taken.append(Span(index, index + 1, giver))


@dataclass(slots=True)
class _Plan:
    """Leaf hashes chosen from `start` on; below `proven` a checkpoint's root has met them."""

    start: int
    chosen: list[bytes]
    proven: int
    stopped: str = ""
    upto: int = 0


@dataclass(frozen=True, slots=True)
class _Choice:
    leaf_hash: bytes
    rank: tuple[int, int]
    whole: bool
    """Whether it has the facts from which its effect follows."""

    @classmethod
    def of(cls, row: PieceRow) -> "_Choice":
        return cls(row.leaf_hash, pieces.rank(row), row.facts is not None)


class Refill:
    """Takes every piece that can be taken.

    Args:
        roots: by size, of every checkpoint known: the guard's and those that the log has signed.
    """

    def __init__(
        self, database: Database, registry: Registry, roots: Mapping[int, bytes], *, now: datetime
    ) -> None:
        self._database = database
        self._registry = registry
        self._roots = dict(roots)
        self._now = now

    def run(self) -> Refilled:
        """Take what can be taken; run again when more pieces have come.

        Raises:
            Refusal: `ledger.damaged`; `ledger.absent` where no ledger was begun.
        """
        told = Refilled()
        while True:
            with self._database.read() as session:
                tree = refill.growing(session)
                plan = _Planner(session, self._roots, tree).plan()
            told.size, told.stopped, told.upto = plan.start, plan.stopped, plan.upto
            if plan.chosen:
                self._take_all(plan, told)
            if not plan.chosen or told.stopped in _HALTED:
                return told

    def _take_all(self, plan: _Plan, told: Refilled) -> None:
        """Take what was planned, up to the first piece that is refused."""
        at = 0
        while at < len(plan.chosen):
            first = plan.start + at
            part = plan.chosen[at : at + BATCH_MAX]
            # what a checkpoint covers and what none does are taken apart
            if first < plan.proven:
                part = part[: plan.proven - first]
            count = self._take(first, part, proven=first < plan.proven, told=told)
            at += count
            if count < len(part):
                return

    def _take(self, first: int, chosen: Sequence[bytes], *, proven: bool, told: Refilled) -> int:
        with self._database.write() as session:
            rows = [session.get_one(PieceRow, (first + at, one)) for at, one in enumerate(chosen)]
            shown = [Shown(row.leaf, row.facts, row.body) for row in rows]
            taken = Replay(session, self._registry).take(shown)
            bad = [] if proven else [*self._early(rows), *taken.findings]
            if not bad:
                replay.keep(session, taken.findings, now=self._now)
                self._after(session, rows[: taken.count])
                for row in rows[: taken.count]:
                    told.add(row.index, "+".join(orjson.loads(row.givers)[:2]))
                told.size, told.stopped = first + taken.count, taken.halted or told.stopped
                session.flush()
                pieces.drop_below(session, told.size)
                return taken.count
            session.rollback()
        told.refused += bad
        wrong = min(one.index for one in bad)
        with self._database.write() as session:
            session.execute(
                delete(PieceRow).where(
                    PieceRow.index == wrong, PieceRow.leaf_hash == chosen[wrong - first]
                )
            )
        if wrong == first:
            return 0
        return self._take(first, chosen[: wrong - first], proven=False, told=told)

    def _early(self, rows: Sequence[PieceRow]) -> list[Finding]:
        """Pieces that nothing proves and that claim a time to come: no later entry could follow."""
        most = to_ms(self._now + _AHEAD_MAX)
        times = [(row.index, journal.read_leaf(row.leaf).time_ms) for row in rows]
        return [Finding(at, "time", "", str(ms), str(most)) for at, ms in times if ms > most]

    def _after(self, session: Session, rows: Sequence[PieceRow]) -> None:
        """Feeds wait before what was filled in without its body."""
        waits = []
        for row in rows:
            found = pieces.sound(self._registry, Piece(row.index, row.leaf))
            if found is not None and found.ok and row.body is None:
                waits.append(row.index)
        pieces.without_body(session, waits)


class _Planner:
    """Chooses a piece for each index so that every root that is known is met."""

    def __init__(self, session: Session, roots: Mapping[int, bytes], tree: Growing) -> None:
        self._session = session
        self._bounds = sorted(size for size in roots if size > tree.size)
        self._roots = roots
        self._tree = tree
        self._plan = _Plan(tree.size, [], tree.size)
        self._segment: list[list[_Choice]] = []
        self._ended = False

    def plan(self) -> _Plan:
        """Up to where there is nothing, or nothing that fits."""
        index = self._tree.size
        while not self._plan.stopped and not self._ended:
            page = pieces.variants(self._session, index, BATCH_MAX)
            self._page({at: [_Choice.of(row) for row in rows] for at, rows in page.items()}, index)
            self._session.expunge_all()
            index += BATCH_MAX
        return self._plan

    def _page(self, page: Mapping[int, Sequence[_Choice]], first: int) -> None:
        for at in range(first, first + BATCH_MAX):
            several = [one for one in page.get(at, ()) if one.whole]
            if not several:
                self._end("facts" if page.get(at) else "hole", at)
                return
            self._segment.append(several)
            if self._bounds and at + 1 == self._bounds[0] and not self._meets(at + 1):
                return

    def _meets(self, size: int) -> bool:
        """Whether some choice for this segment makes the root that was signed for `size`."""
        self._bounds.pop(0)
        for choice in islice(product(*self._segment), _TRIES_MAX):
            tree = self._tree.copy()
            tree.add([one.leaf_hash for one in choice])
            if tree.root() == self._roots[size]:
                self._plan.chosen += [one.leaf_hash for one in choice]
                self._tree, self._plan.proven, self._segment = tree, size, []
                return True
        self._plan.stopped, self._plan.upto = "root", size
        return False

    def _end(self, why: str, index: int) -> None:
        """The pieces end at `index`: of those since the last root take what needs none."""
        plan, self._ended = self._plan, True
        covered = bool(self._bounds)
        plan.stopped, plan.upto = (why if covered or why != "hole" else ""), index
        for several in self._segment:
            best = several[0]
            if len(several) > 1 and several[1].rank == best.rank:
                plan.stopped, plan.upto = "several", plan.start + len(plan.chosen)
                return
            if covered and best.rank >= pieces.UNSURE:
                return
            plan.chosen.append(best.leaf_hash)
