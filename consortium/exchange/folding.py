"""What leaves do, one after the other: verdict, shared state, chains, feeds, rows.

Admission (`batch.Batch`) gives leaves their verdict here; whoever replays the ledger
(`replay.Replay`) comes by the same functions to the verdict that each leaf must have.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange.candidate import Candidate
from consortium.exchange.chains import Chains
from consortium.exchange.facts import Value
from consortium.exchange.feed import Feeds
from consortium.exchange.judgement import evaluate, fold, outcome_of, resolved, verdict_text
from consortium.exchange.kinds import ExchangeKind, Registry, placed
from consortium.exchange.state import Held
from consortium.exchange.tables import EntryRow
from consortium.kernel.bulk import insert_rows
from consortium.kernel.database import table_of
from consortium.kernel.errors import Refusal
from consortium.ledger import journal

_ENTRY = table_of(EntryRow)


@dataclass(frozen=True, slots=True)
class Known:
    """An exchange that has a leaf."""

    index: int
    verdict: str
    same: bytes


class Folding:
    """Entries that are judged and folded in memory, in index order, over what was stored before.

    Held under the lock of the head row; `flush` writes everything in bulk.
    """

    def __init__(self, session: Session, registry: Registry, nodes: Sequence[str]) -> None:
        self._session = session
        self._registry = registry
        self.held = Held(session)
        self.chains = Chains(session, nodes)
        self.known: dict[str, Known] = {}
        self._feeds = Feeds(session)
        self._rows: list[tuple[object, ...]] = []
        self._to_all: list[tuple[int, bytes]] = []

    def load(self, candidates: Sequence[Candidate], names: Iterable[str]) -> None:
        """Fetch in bulk all that judging these exchanges will read.

        Args:
            names: every subject that they name.
        """
        headers = [one.signed.header for one in candidates]
        ids = {one.id for one in headers} | {parent for one in headers for parent in one.after}
        columns = (_ENTRY.c.exchange, _ENTRY.c.entry, _ENTRY.c.verdict, _ENTRY.c.sameness)
        for exchange, index, verdict, same in self._session.execute(
            select(*columns).where(_ENTRY.c.exchange.in_(ids)).order_by(_ENTRY.c.entry)
        ):
            # the first leaf of an id stands for it; later ones are duplicates or misuse of the id
            self.known.setdefault(exchange, Known(index, verdict, same))
        self._feeds.load(member for one in headers for member in one.members)
        self.held.load([*(f"key:{one.node}" for one in headers), *names])

    def decided(
        self, one: Candidate, kind: ExchangeKind, time: datetime
    ) -> tuple[str, dict[str, Value]]:
        """The verdict, and what an admitted exchange moves; refused where a rule breaks."""
        try:
            text = self._verdict(one, kind, time)
            ok, words = outcome_of(text)
            return text, self.moves(one, kind, words, time) if ok else {}
        except Refusal as refusal:
            return verdict_text(refusal), {}

    def moves(
        self, one: Candidate, kind: ExchangeKind, words: Sequence[str], time: datetime
    ) -> dict[str, Value]:
        """The new values of what it moves, admitted with these outcome words.

        Raises:
            Refusal: `exchange.unjudged`.
        """
        names = resolved(self._registry, self.held, one.names)
        header = one.signed.header
        return fold(self._registry, kind, header, one.facts, time, words, names, self.held)

    def _verdict(self, one: Candidate, kind: ExchangeKind, time: datetime) -> str:
        header = one.signed.header
        if known := self.known.get(header.id):
            return f"duplicate {known.index}" if known.same == one.same else "id_reused"
        if one.misfit is not None:
            return verdict_text(one.misfit)
        return verdict_text(
            evaluate(
                self._registry,
                kind,
                header,
                one.facts,
                self.held,
                time,
                parents_refused=any(self._refused(parent) for parent in header.after),
            )
        )

    def _refused(self, parent: str) -> bool:
        """Whether a parent is missing for good or refused; a duplicate counts as its first."""
        known = self.known.get(parent)
        return known is None or not outcome_of(known.verdict)[0]

    def begin(self, member: str, *, at: int) -> None:
        """Open a member's feed at an entry, by the word of a copy of shared state."""
        self._feeds.open(member, self._earlier(), at=at)

    def take(
        self,
        one: Candidate,
        moved: Mapping[str, Value],
        *,
        index: int,
        leaf: bytes,
        verdict: str,
        time: datetime,
        beside: bool = False,
        erased: bool = False,
    ) -> None:
        """It has its leaf: fold it, put it into its feeds, go on with its chain.

        Args:
            beside: it stands under a number of its chain that has a leaf already, which no
                admission does: it has no row, and its chain does not go on from it.
            erased: its facts are no more, at whoever showed it.
        """
        self._put(moved, index)
        self._feed(one, index, journal.hash_leaf(leaf), ok=outcome_of(verdict)[0])
        header = one.signed.header
        self.known.setdefault(header.id, Known(index, verdict, one.same))
        if beside:
            return
        self.chains.put(one.signed)
        self._rows.append(_row(one, index, verdict=verdict, time=time, erased=erased))

    def _put(self, moved: Mapping[str, Value], index: int) -> None:
        for name, value in moved.items():
            born = name.startswith("member:") and self.held.get(name) is None
            self.held.put(name, placed(value, index), index)
            if born:
                self._feeds.open(name.partition(":")[2], self._earlier(), at=index)

    def _earlier(self) -> list[tuple[int, bytes]]:
        """(index, leaf hash) of what went to all members before this entry."""
        indices = list(
            self._session.scalars(
                select(_ENTRY.c.entry)
                .where(_ENTRY.c.recipients == '["all"]', _ENTRY.c.verdict.like("ok%"))
                .order_by(_ENTRY.c.entry)
            )
        )
        leaves = journal.leaves(self._session, indices)
        return [(i, journal.hash_leaf(leaves[i])) for i in indices] + self._to_all

    def _feed(self, one: Candidate, index: int, leaf_hash: bytes, *, ok: bool) -> None:
        header = one.signed.header
        if ok and header.everyone:
            self._feeds.append(sorted(self._feeds.members | {header.sender}), index, leaf_hash)
            self._to_all.append((index, leaf_hash))
            return
        members = header.members if ok else frozenset({header.sender})
        self._feeds.append(sorted(members), index, leaf_hash)

    def flush(self) -> None:
        """Write entries, chains, feeds and shared state, each in bulk."""
        insert_rows(self._session, _ENTRY, self._rows)
        self._rows = []
        self.chains.flush()
        self._feeds.flush()
        self.held.flush()


def _row(
    one: Candidate, index: int, *, verdict: str, time: datetime, erased: bool
) -> tuple[object, ...]:
    """The columns of `EntryRow`, in their order."""
    header = one.signed.header
    return (
        index,
        header.id,
        one.signed.digest,
        header.node,
        header.lane.value,
        header.seq,
        header.sender,
        orjson.dumps(header.to).decode(),
        header.kind,
        header.case,
        one.same,
        verdict,
        time,
        None if erased else one.envelope.facts,
        one.envelope.body if one.shown else None,
    )
