"""One batch of admission, in memory, under the head row's lock (PROTOCOL 4, "Set-based")."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from consortium.exchange import behind, closing
from consortium.exchange.answers import Answer, Status
from consortium.exchange.candidate import Candidate
from consortium.exchange.folding import Folding
from consortium.exchange.judgement import key_valid
from consortium.exchange.kinds import Registry
from consortium.kernel.time import from_ms
from consortium.ledger import journal


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
        behind.refuse(session)
        self.first = self._head.size
        self._folding = Folding(session, registry, [one.signed.header.node for one in candidates])
        self._new_leaves: list[journal.NewLeaf] = []
        self.leaves: list[tuple[bytes, bytes]] = []
        self.answers: dict[bytes, Answer] = {}
        self._load_answered(candidates)
        new = [one for one in candidates if one.signed.digest not in self.answers]
        # what has its answer gets it, whether or not an index may be given now
        self._time_ms = (
            journal.next_time(session, self._head, timekeeper) if new else self._head.last_ms
        )
        self._time = from_ms(self._time_ms)
        self._load(new)

    @property
    def answered(self) -> list[int]:
        """Indices below `first` whose stored answers are given again."""
        return [one.index for one in self.answers.values() if 0 <= one.index < self.first]

    @property
    def forks(self) -> list[tuple[bytes, bytes]]:
        """Pairs of JWS that no one chain holds: the one with a leaf, the other."""
        return self._folding.chains.forks

    def _load(self, new: Sequence[Candidate]) -> None:
        """Fetch in bulk all that judging these exchanges will read."""
        names: list[str] = []
        for one in new:
            names += one.name_subjects(self._registry, self._time)
        self._folding.load(new, names)

    def _load_answered(self, candidates: Sequence[Candidate]) -> None:
        """Whatever has its leaf gets its own stored answer, before any other check."""
        by_digest = {one.signed.digest: one.signed for one in candidates}
        for digest, entry in journal.find(self._session, by_digest).items():
            self.answers[digest] = Answer.of(
                by_digest[digest], Status.LEAF, index=entry.index, leaf=entry.leaf.decode("ascii")
            )

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
        if misfit := self._folding.chains.misfit(one.signed):
            return misfit
        if not one.final and any(parent not in self._folding.known for parent in header.after):
            return Answer.of(one.signed, Status.WAIT)
        return None

    def _key_valid(self, one: Candidate) -> bool:
        header, index = one.signed.header, self._next_index
        record = self._folding.held.get(f"key:{header.node}")
        if record is None:
            return index == 0
        return key_valid(record, member=header.sender, index=index)

    @property
    def _next_index(self) -> int:
        return self.first + len(self._new_leaves)

    def _leaf(self, one: Candidate) -> Answer:
        signed, index = one.signed, self._next_index
        kind = self._registry.kinds[signed.header.kind]
        text, moved = self._folding.decided(one, kind, self._time)
        leaf = journal.make_leaf(time_ms=self._time_ms, verdict=text, jws=signed.raw)
        self._new_leaves.append(journal.NewLeaf(leaf=leaf, jws_hash=signed.digest))
        self.leaves.append((leaf, one.envelope.facts))
        self._folding.take(one, moved, index=index, leaf=leaf, verdict=text, time=self._time)
        return Answer.of(signed, Status.LEAF, index=index, leaf=leaf.decode("ascii"))

    def flush(self) -> None:
        """Write leaves, entries, chains, feeds and shared state, each in bulk."""
        if not self._new_leaves:
            return
        if self._head.size and closing.turns(self._head.last_ms, self._time_ms):
            closing.keep(self._session, self._head)
        journal.append(self._session, self._head, self._new_leaves, time_ms=self._time_ms)
        self._folding.flush()
