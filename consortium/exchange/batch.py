"""One batch of admission, in memory, under the head row's lock (PROTOCOL 4, "Set-based")."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from consortium.exchange.answers import Answer, Status
from consortium.exchange.candidate import Candidate
from consortium.exchange.chains import Chains
from consortium.exchange.facts import Value
from consortium.exchange.feed import Feeds
from consortium.exchange.judgement import (
    evaluate,
    fold,
    key_public,
    outcome_of,
    resolved,
    verdict_text,
)
from consortium.exchange.kinds import ExchangeKind, Registry, placed
from consortium.exchange.state import Held
from consortium.exchange.tables import EntryRow
from consortium.kernel.database import table_of
from consortium.kernel.errors import Refusal
from consortium.kernel.time import from_ms
from consortium.ledger import journal

_ENTRY = table_of(EntryRow)


@dataclass(frozen=True, slots=True)
class _Known:
    """An exchange that has a leaf."""

    index: int
    verdict: str
    same: bytes


class Batch:
    """Judges candidates one after the other; later ones see what earlier ones did.

    `first` is the index that its first leaf gets, `leaves` are (leaf, facts) from there on.
    """

    def __init__(
        self,
        session: Session,
        registry: Registry,
        candidates: Sequence[Candidate],
        *,
        timekeeper: journal.Timekeeper,
    ) -> None:
        self._session = session
        self._registry = registry
        self._head = journal.lock_head(session)
        self.first = self._head.size
        self._time_ms = journal.next_time(session, self._head, timekeeper)
        self._time = from_ms(self._time_ms)
        self._held = Held(session)
        self._feeds = Feeds(session)
        self._chains = Chains(session, [one.signed.header.node for one in candidates])
        self._by_id: dict[str, _Known] = {}
        self._rows: list[dict[str, object]] = []
        self._new_leaves: list[journal.NewLeaf] = []
        self._to_all: list[tuple[int, bytes]] = []
        self.leaves: list[tuple[bytes, bytes]] = []
        self.answers: dict[bytes, Answer] = {}
        self._load(candidates)

    @property
    def forks(self) -> list[tuple[bytes, bytes]]:
        """Pairs of JWS that no one chain holds: the one with a leaf, the other."""
        return self._chains.forks

    def _load(self, candidates: Sequence[Candidate]) -> None:
        """Fetch in bulk all that judging these exchanges will read."""
        self._load_answered(candidates)
        new = [one for one in candidates if one.signed.digest not in self.answers]
        self._load_known(new)
        names = [f"key:{one.signed.header.node}" for one in new]
        for one in new:
            names += one.name_subjects(self._registry, self._time)
        self._held.load(names)

    def _load_answered(self, candidates: Sequence[Candidate]) -> None:
        """Whatever has its leaf gets its own stored answer, before any other check."""
        by_digest = {one.signed.digest: one.signed for one in candidates}
        for digest, entry in journal.find(self._session, by_digest).items():
            self.answers[digest] = Answer.of(
                by_digest[digest], Status.LEAF, index=entry.index, leaf=entry.leaf.decode("ascii")
            )

    def _load_known(self, new: Sequence[Candidate]) -> None:
        """The first leaf of an id stands for it; later ones are duplicates or misuse of the id."""
        headers = [one.signed.header for one in new]
        ids = {one.id for one in headers} | {parent for one in headers for parent in one.after}
        columns = (_ENTRY.c.exchange, _ENTRY.c.entry, _ENTRY.c.verdict, _ENTRY.c.sameness)
        for exchange, index, verdict, same in self._session.execute(
            select(*columns).where(_ENTRY.c.exchange.in_(ids)).order_by(_ENTRY.c.entry)
        ):
            self._by_id.setdefault(exchange, _Known(index, verdict, same))

    def judge(self, one: Candidate) -> None:
        """Answer one exchange, appending its leaf unless the protocol answers without one."""
        if one.signed.digest not in self.answers:
            answer = self._without_leaf(one) or self._leaf(one)
            self.answers[one.signed.digest] = answer

    def _without_leaf(self, one: Candidate) -> Answer | None:
        header = one.signed.header
        if one.kind is None:
            return Answer.of(one.signed, Status.HELD, code="exchange.kind")
        if not self._key_valid(one):
            return Answer.of(one.signed, Status.NODE)
        if misfit := self._chains.misfit(one.signed):
            return misfit
        if not one.final and any(parent not in self._by_id for parent in header.after):
            return Answer.of(one.signed, Status.WAIT)
        return None

    def _key_valid(self, one: Candidate) -> bool:
        header, index = one.signed.header, self._next_index
        record = self._held.get(f"key:{header.node}")
        if record is None:
            return index == 0
        return key_public(record, member=header.sender, index=index) is not None

    @property
    def _next_index(self) -> int:
        return self.first + len(self._new_leaves)

    def _leaf(self, one: Candidate) -> Answer:
        signed, header, index = one.signed, one.signed.header, self._next_index
        kind = self._registry.kinds[header.kind]
        text, moved = self._decided(one, kind)
        leaf = journal.make_leaf(time_ms=self._time_ms, verdict=text, jws=signed.raw)
        ok = outcome_of(text)[0]
        self._new_leaves.append(journal.NewLeaf(leaf=leaf, jws_hash=signed.digest))
        self.leaves.append((leaf, one.envelope.facts))
        self._put(moved, index)
        self._feed(one, index, journal.hash_leaf(leaf), ok=ok)
        self._chains.put(signed)
        self._by_id.setdefault(header.id, _Known(index, text, one.same))
        self._rows.append(
            {
                "entry": index,
                "exchange": header.id,
                "jws_hash": signed.digest,
                "node": header.node,
                "lane": header.lane.value,
                "seq": header.seq,
                "sender": header.sender,
                "recipients": orjson.dumps(header.to).decode(),
                "kind": header.kind,
                "case_id": header.case,
                "sameness": one.same,
                "verdict": text,
                "time": self._time,
                "facts": one.envelope.facts,
                "body": one.envelope.body,
            }
        )
        return Answer.of(signed, Status.LEAF, index=index, leaf=leaf.decode("ascii"))

    def _decided(self, one: Candidate, kind: ExchangeKind) -> tuple[str, dict[str, Value]]:
        """The verdict and what an admitted exchange moves; refused where a rule breaks."""
        header = one.signed.header
        try:
            text = self._verdict(one, kind)
            ok, words = outcome_of(text)
            if not ok:
                return text, {}
            names = resolved(self._registry, self._held, one.names)
            return text, fold(
                self._registry, kind, header, one.facts, self._time, words, names, self._held
            )
        except Refusal as refusal:
            return verdict_text(refusal), {}

    def _verdict(self, one: Candidate, kind: ExchangeKind) -> str:
        header = one.signed.header
        if known := self._by_id.get(header.id):
            return f"duplicate {known.index}" if known.same == one.same else "id_reused"
        if one.misfit is not None:
            return verdict_text(one.misfit)
        return verdict_text(
            evaluate(
                self._registry,
                kind,
                header,
                one.facts,
                self._held,
                self._time,
                parents_refused=any(self._refused(parent) for parent in header.after),
            )
        )

    def _refused(self, parent: str) -> bool:
        """Whether a parent is missing for good or refused; a duplicate counts as its first."""
        known = self._by_id.get(parent)
        return known is None or not outcome_of(known.verdict)[0]

    def _put(self, moved: Mapping[str, Value], index: int) -> None:
        for name, value in moved.items():
            born = name.startswith("member:") and self._held.get(name) is None
            self._held.put(name, placed(value, index), index)
            if born:
                self._feeds.open(name.partition(":")[2], self._earlier())

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
        """Write leaves, entries, chains, feeds and shared state, each in bulk."""
        if not self._new_leaves:
            return
        journal.append(self._session, self._head, self._new_leaves, time_ms=self._time_ms)
        self._session.execute(insert(_ENTRY), self._rows)
        self._chains.flush()
        self._feeds.flush()
        self._held.flush()
