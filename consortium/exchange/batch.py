"""One batch of admission, in memory, under the head row's lock (PROTOCOL 4, "Set-based")."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from consortium.exchange.answers import Answer, Status
from consortium.exchange.commitment import commit_body, open_body
from consortium.exchange.envelope import Envelope
from consortium.exchange.facts import Facts
from consortium.exchange.feed import Feeds
from consortium.exchange.judgement import (
    evaluate,
    fold,
    key_public,
    open_checked,
    outcome_of,
    sameness,
    subjects_of,
    verdict_text,
)
from consortium.exchange.jws import FIRST_PREV, Signed, digest_text
from consortium.exchange.kinds import ExchangeKind, Registry, placed
from consortium.exchange.sealing import looks_sealed
from consortium.exchange.state import Held
from consortium.exchange.tables import ChainHeadRow, EntryRow
from consortium.kernel.database import table_of
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.time import from_ms
from consortium.ledger import journal

_ENTRY = table_of(EntryRow)
_CHAIN = table_of(ChainHeadRow)


@dataclass(slots=True)
class _Chain:
    seq: int
    hash: str
    stored: bool
    moved: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """An exchange that has a leaf."""

    index: int
    verdict: str
    sameness: bytes


class Batch:
    """Judges candidates one after the other; later ones see what earlier ones did."""

    def __init__(
        self, session: Session, registry: Registry, *, timekeeper: journal.Timekeeper
    ) -> None:
        self._session = session
        self._registry = registry
        head = journal.lock_head(session)
        self._head = head
        self.first = head.size
        self._time_ms = journal.next_time(session, head, timekeeper)
        self._time = from_ms(self._time_ms)
        self._held = Held(session)
        self._feeds = Feeds(session)
        self._chains: dict[tuple[str, str], _Chain] = {}
        self._by_jws: dict[bytes, Answer] = {}
        self._by_id: dict[str, _Known] = {}
        self._rows: list[dict[str, object]] = []
        self._new_leaves: list[journal.NewLeaf] = []
        self._to_all: list[tuple[int, bytes]] = []
        self.leaves: list[tuple[bytes, bytes]] = []
        self.forks: list[tuple[bytes, bytes]] = []
        self.answers: dict[bytes, Answer] = {}

    def load(self, signed: Sequence[Signed], envelopes: Sequence[Envelope]) -> None:
        """Fetch in bulk all that judging these exchanges will read."""
        self._load_known(signed)
        self._load_chains(signed)
        names = [f"key:{one.header.node}" for one in signed]
        for one, envelope in zip(signed, envelopes, strict=True):
            kind = self._registry.kind(one.header.kind)
            if kind is None:
                continue
            facts = open_checked(kind, one.header, envelope.facts)
            if not isinstance(facts, Refusal):
                names += subjects_of(self._registry, kind, one.header, facts, self._time)
        self._held.load(names)

    def _load_known(self, signed: Sequence[Signed]) -> None:
        digests = [one.digest for one in signed]
        ids = {one.header.id for one in signed} | {a for one in signed for a in one.header.after}
        columns = (
            _ENTRY.c.entry, _ENTRY.c.jws_hash, _ENTRY.c.exchange, _ENTRY.c.verdict,
            _ENTRY.c.sameness,
        )  # fmt: skip
        for index, digest, exchange, verdict, same in self._session.execute(
            select(*columns)
            .where(_ENTRY.c.jws_hash.in_(digests) | _ENTRY.c.exchange.in_(ids))
            .order_by(_ENTRY.c.entry)
        ):
            self._by_jws[digest] = Answer(jws="", status=Status.LEAF, index=index)
            self._remember(exchange, _Known(index, verdict, same))

    def _remember(self, exchange: str, known: _Known) -> None:
        """The first leaf of an id stands for it; later ones are duplicates or misuse of the id."""
        self._by_id.setdefault(exchange, known)

    def _load_chains(self, signed: Sequence[Signed]) -> None:
        nodes = {one.header.node for one in signed}
        for node, lane, seq, digest in self._session.execute(
            select(_CHAIN.c.node, _CHAIN.c.lane, _CHAIN.c.seq, _CHAIN.c.hash).where(
                _CHAIN.c.node.in_(nodes)
            )
        ):
            self._chains[(node, lane)] = _Chain(seq, digest, stored=True)

    def judge(self, envelope: Envelope, signed: Signed, *, final: bool) -> None:
        """Answer one exchange, appending its leaf unless the protocol answers without one."""
        if signed.digest in self.answers:
            return
        answer = self._answered_before(signed) or self._without_leaf(signed, final=final)
        if answer is None:
            answer = self._leaf(envelope, signed)
        self.answers[signed.digest] = answer

    def _answered_before(self, signed: Signed) -> Answer | None:
        known = self._by_jws.get(signed.digest)
        if known is None:
            return None
        leaf = journal.leaves(self._session, [known.index])[known.index]
        return Answer.of(signed, Status.LEAF, index=known.index, leaf=leaf.decode("ascii"))

    def _without_leaf(self, signed: Signed, *, final: bool) -> Answer | None:
        header = signed.header
        kind = self._registry.kind(header.kind)
        if kind is None:
            return Answer.of(signed, Status.HELD, code="exchange.kind")
        if not self._key_valid(signed, kind):
            return Answer.of(signed, Status.NODE)
        chain = self._chains.get((header.node, header.lane)) or _Chain(0, FIRST_PREV, stored=False)
        if header.seq <= chain.seq:
            self._fork(signed)
            return Answer.of(signed, Status.FORK, expected=chain.seq + 1, head=chain.hash)
        if header.seq > chain.seq + 1:
            return Answer.of(signed, Status.GAP, expected=chain.seq + 1, head=chain.hash)
        if header.prev != chain.hash:
            self._fork(signed)
            return Answer.of(signed, Status.FORK, expected=chain.seq + 1, head=chain.hash)
        if not final and any(parent not in self._by_id for parent in header.after):
            return Answer.of(signed, Status.WAIT)
        return None

    def _key_valid(self, signed: Signed, kind: ExchangeKind) -> bool:
        header, index = signed.header, self._next_index
        record = self._held.get(f"key:{header.node}")
        if record is None:
            return index == 0
        return key_public(record, member=header.sender, index=index) is not None

    @property
    def _next_index(self) -> int:
        return self.first + len(self._new_leaves)

    def _fork(self, signed: Signed) -> None:
        """Two exchanges under one number: both are evidence for the suspension of the node."""
        header = signed.header
        chain = self._chains.get((header.node, header.lane))
        if chain is None or chain.seq == 0:
            return
        seq = min(header.seq, chain.seq)
        index = self._session.scalar(
            select(_ENTRY.c.entry).where(
                _ENTRY.c.node == header.node,
                _ENTRY.c.lane == header.lane.value,
                _ENTRY.c.seq == seq,
            )
        )
        if index is not None:
            leaf = journal.leaves(self._session, [index])[index]
        else:
            place = next(
                number for number, row in enumerate(self._rows)
                if (row["node"], row["lane"], row["seq"]) == (header.node, header.lane.value, seq)
            )  # fmt: skip
            leaf = self._new_leaves[place].leaf
        self.forks.append((leaf.partition(b"\n")[2], signed.raw))

    def _leaf(self, envelope: Envelope, signed: Signed) -> Answer:
        header, index = signed.header, self._next_index
        kind = self._registry.kinds[header.kind]
        text, facts = self._verdict(envelope, signed, kind)
        leaf = journal.make_leaf(time_ms=self._time_ms, verdict=text, jws=signed.raw)
        ok, words = outcome_of(text)
        self._new_leaves.append(journal.NewLeaf(leaf=leaf, jws_hash=signed.digest))
        self.leaves.append((leaf, envelope.facts))
        if ok:
            self._step(kind, header_words=words, signed=signed, facts=facts, index=index)
        self._feed(signed, index, journal.hash_leaf(leaf), ok=ok)
        self._chain(signed)
        known = _Known(index, text, sameness(header))
        self._remember(header.id, known)
        self._rows.append(
            {
                "entry": index,
                "exchange": header.id,
                "jws_hash": signed.digest,
                "node": header.node,
                "lane": header.lane.value,
                "seq": header.seq,
                "sender": header.sender,
                "recipients": orjson.dumps(list(header.to)).decode(),
                "kind": header.kind,
                "case_id": header.case,
                "sameness": known.sameness,
                "verdict": text,
                "time": self._time,
                "facts": envelope.facts,
                "body": envelope.body,
            }
        )
        return Answer.of(signed, Status.LEAF, index=index, leaf=leaf.decode("ascii"))

    def _verdict(self, envelope: Envelope, signed: Signed, kind: ExchangeKind) -> tuple[str, Facts]:
        header = signed.header
        if known := self._by_id.get(header.id):
            if known.sameness == sameness(header):
                return f"duplicate {known.index}", {}
            return "id_reused", {}
        facts = open_checked(kind, header, envelope.facts)
        if isinstance(facts, Refusal):
            return verdict_text(facts), {}
        if refusal := _body_refusal(kind, signed, envelope):
            return verdict_text(refusal), facts
        verdict = evaluate(
            self._registry,
            kind,
            header,
            facts,
            self._held,
            self._time,
            parents_refused=any(self._refused(parent) for parent in header.after),
        )
        return verdict_text(verdict), facts

    def _refused(self, parent: str) -> bool:
        """Whether a parent is missing for good or refused; a duplicate counts as its first."""
        known = self._by_id.get(parent)
        return known is None or not outcome_of(known.verdict)[0]

    def _step(
        self, kind: ExchangeKind, *, header_words: Sequence[str], signed: Signed, facts: Facts,
        index: int,
    ) -> None:  # fmt: skip
        names = self._held.resolve(
            subjects_of(self._registry, kind, signed.header, facts, self._time)
        )
        moved = fold(
            self._registry, kind, signed.header, facts, self._time, header_words, names,
            self._held,
        )  # fmt: skip
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

    def _feed(self, signed: Signed, index: int, leaf_hash: bytes, *, ok: bool) -> None:
        header = signed.header
        if ok and header.everyone:
            self._feeds.append(sorted(self._feeds.members | {header.sender}), index, leaf_hash)
            self._to_all.append((index, leaf_hash))
            return
        members = header.members if ok else frozenset({header.sender})
        self._feeds.append(sorted(members), index, leaf_hash)

    def _chain(self, signed: Signed) -> None:
        key = (signed.header.node, signed.header.lane.value)
        chain = self._chains.setdefault(key, _Chain(0, FIRST_PREV, stored=False))
        chain.seq, chain.hash, chain.moved = signed.header.seq, digest_text(signed.raw), True

    def flush(self) -> None:
        """Write leaves, entries, chains, feeds and shared state, each in bulk."""
        if not self._new_leaves:
            return
        journal.append(self._session, self._head, self._new_leaves, time_ms=self._time_ms)
        self._session.execute(insert(_ENTRY), self._rows)
        for (node, lane), chain in self._chains.items():
            if not chain.moved:
                continue
            values = {"seq": chain.seq, "hash": chain.hash}
            if chain.stored:
                where = (_CHAIN.c.node == node, _CHAIN.c.lane == lane)
                self._session.execute(update(_CHAIN).where(*where).values(values))
            else:
                self._session.execute(insert(_CHAIN).values(node=node, lane=lane, **values))
        self._feeds.flush()
        self._held.flush()


def _body_refusal(kind: ExchangeKind, signed: Signed, envelope: Envelope) -> Refusal | None:
    """An open body must open its commitment; a sealed one must be an age file."""
    if kind.sealed:
        return None if looks_sealed(envelope.body) else invalid("exchange.body")
    try:
        salt, bundle = open_body(envelope.body)
    except Refusal:
        return invalid("exchange.body")
    if commit_body(bundle, salt) != signed.header.body:
        return invalid("exchange.body")
    return None
