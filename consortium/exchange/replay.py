"""The replay: goes through the ledger in index order and comes to every verdict again (PROTOCOL 4).

It calls the functions that admission calls, over the same tables, so that it can stop anywhere and
go on. What differs is a finding, a wrong refusal as surely as a wrong admission; the leaf's own
verdict is folded all the same, so that one wrong entry is one finding and not all that follow.

What it cannot know it takes from the leaf: that a body did not open (`exchange.body`) where the
body is not shown. Sealed bodies never are, and a body that opens nothing proves nothing: whoever
shows it may have made it. The sender sees such a refusal, and knows what it sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consortium.exchange import (
    alarms,
    beginning,
    candidate,
    closing,
    heads,
    heads_audit,
    jws,
    state,
)
from consortium.exchange.beginning import Base
from consortium.exchange.candidate import Candidate
from consortium.exchange.closing_kind import CLOSED as CLOSED_KIND
from consortium.exchange.envelope import Envelope, check_sizes
from consortium.exchange.facts import Value
from consortium.exchange.folding import Folding
from consortium.exchange.heads_kind import NAME as HEADS_KIND
from consortium.exchange.judgement import key_public, outcome_of
from consortium.exchange.jws import Signed
from consortium.exchange.kinds import ExchangeKind, Registry
from consortium.exchange.limits import BATCH_MAX
from consortium.exchange.tables import ReplayFindingRow
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.paging import bounded
from consortium.kernel.time import from_ms
from consortium.ledger import journal

_BODY = "exchange.body"
_TEXT_MAX = 200
_HEADS = "heads"
_CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as it is shown: leaf, facts with their salt, body; None what is not shown."""

    leaf: bytes
    facts: bytes | None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Where an entry says something else than what follows from the ledger before it.

    `aspect`: leaf (cannot be read), again (its JWS has a leaf), time (goes back), key (not valid
    at this index), signature, chain, body (not shown), verdict, heads (of feeds: what, member,
    entry, and the range); state and root are found by whoever compares with the hub.
    `said`: the leaf's own; `found`: what it must be.
    """

    index: int
    aspect: str
    kind: str
    said: str
    found: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of entries that were shown: how many were taken, and what was found.

    `halted`: why no entry is taken after these: `leaf` or `again` (a finding), or `newer`, a kind
    or version that this program does not know, or `erased`, facts that are no more and stand under
    no copy; empty when all were taken.
    """

    count: int
    findings: tuple[Finding, ...]
    halted: str = ""


@dataclass(slots=True)
class _Read:
    """An entry whose leaf has been read."""

    index: int
    leaf: bytes
    time_ms: int
    verdict: str
    one: Candidate
    kind: ExchangeKind
    erased: bool = False

    @property
    def signed(self) -> Signed:
        return self.one.signed

    @property
    def time(self) -> datetime:
        return from_ms(self.time_ms)


class Replay:
    """Takes the next entries of a ledger in the caller's transaction, at most 256.

    Args:
        session: a transaction that may write.
        open_bodies: whether every open body of an admitted exchange must be shown.
        base: shared state that begins with the copy of a closed month. Entries up to its last are
            not judged, because their facts may be erased: leaf, time, key, signature and chain are
            checked, feeds and chains made again, and the verdict is taken.
    """

    def __init__(
        self,
        session: Session,
        registry: Registry,
        *,
        open_bodies: bool = False,
        base: Base | None = None,
    ) -> None:
        self._base = base
        self._session = session
        self._registry = registry
        self._open_bodies = open_bodies
        self._head = journal.lock_head(session)
        self._last_ms = self._head.last_ms
        self._findings: list[Finding] = []

    def take(self, entries: Sequence[Shown]) -> Taken:
        """Judge and fold entries that follow the last one taken; all that they change is written.

        Raises:
            ValueError: more than 256 at once.
        """
        if len(entries) > BATCH_MAX:
            raise ValueError(f"at most {BATCH_MAX} entries at once")
        read, halted = self._read_all(entries)
        for part in self._parts(read):
            self._fold(part)
        return Taken(len(read), tuple(self._findings), halted)

    def _covered(self, index: int) -> bool:
        return self._base is not None and index <= self._base.index

    def _parts(self, read: Sequence[_Read]) -> Iterator[list[_Read]]:
        """The entries, cut where the base ends and where a month is over.

        What stood at the end of a month is kept before any more.
        """
        part: list[_Read] = []
        last_ms, begun = self._head.last_ms, self._head.size > 0
        for entry in read:
            turned = begun and entry.time_ms > last_ms and closing.turns(last_ms, entry.time_ms)
            if turned or self._covered(entry.index - 1) != self._covered(entry.index):
                yield part
                part = []
            if turned and not self._covered(entry.index - 1):
                closing.keep(self._session, self._head)
            part.append(entry)
            last_ms, begun = max(last_ms, entry.time_ms), True
        yield part

    def _fold(self, read: Sequence[_Read]) -> None:
        folding = Folding(self._session, self._registry, [one.signed.header.node for one in read])
        names: list[str] = []
        for entry in read:
            if not self._covered(entry.index):
                names += entry.one.name_subjects(self._registry, entry.time)
        folding.load([entry.one for entry in read], names)
        for entry in read:
            self._one(folding, entry)
        new = [journal.NewLeaf(entry.leaf, entry.signed.digest) for entry in read]
        journal.copy(self._session, self._head, new, last_ms=self._last_ms)
        told = state.read(self._session, heads.SUBJECT) or {"index": -1}
        folding.flush()
        self._head = journal.Head(self._head.size + len(new), self._last_ms)
        if self._base is not None and read and read[-1].index == self._base.index:
            beginning.load(self._session, self._base)
        self._check_heads(read, after=told["index"])
        self._check_closed(read)

    # ------------------------------------------------------------ reading

    def _read_all(self, entries: Sequence[Shown]) -> tuple[list[_Read], str]:
        """The entries up to the first that cannot be followed, and why it cannot."""
        read: list[_Read] = []
        digests: dict[bytes, int] = {}
        for index, shown in enumerate(entries, self._head.size):
            entry = self._read(index, shown)
            if isinstance(entry, str):
                return self._first_of_each(read, digests, entry)
            if entry.signed.digest in digests:
                self._find(entry, "again", "", str(digests[entry.signed.digest]))
                return self._first_of_each(read, digests, "again")
            digests[entry.signed.digest] = index
            read.append(entry)
        return self._first_of_each(read, digests, "")

    def _first_of_each(
        self, read: list[_Read], digests: dict[bytes, int], halted: str
    ) -> tuple[list[_Read], str]:
        known = journal.find(self._session, digests)
        for place, entry in enumerate(read):
            if first := known.get(entry.signed.digest):
                self._findings = [one for one in self._findings if one.index < entry.index]
                self._find(entry, "again", "", str(first.index))
                return read[:place], "again"
        return read, halted

    def _read(self, index: int, shown: Shown) -> _Read | str:
        """One entry, or why it cannot be followed."""
        if shown.facts is None and not self._covered(index):
            return "erased"
        try:
            view = journal.read_leaf(shown.leaf)
            envelope = Envelope(view.jws, shown.facts or b"", shown.body or b"")
            check_sizes((envelope.jws, envelope.facts, envelope.body))
            signed = jws.parse(view.jws)
        except Refusal as refusal:
            if refusal.code == "exchange.version":
                return "newer"
            self._findings.append(Finding(index, "leaf", "", "", refusal.code))
            return "leaf"
        one = candidate.examined(envelope, signed, self._registry, shown=shown.body is not None)
        if one.kind is None:
            return "newer"
        if not one.shown and one.misfit is None and outcome_of(view.verdict)[1][:1] == (_BODY,):
            one.misfit, one.facts = invalid("exchange.body"), {}
        erased = shown.facts is None
        return _Read(index, shown.leaf, view.time_ms, view.verdict, one, one.kind, erased)

    # ------------------------------------------------------------ judging

    def _one(self, folding: Folding, entry: _Read) -> None:
        self._check_time(entry)
        self._check_key(folding, entry)
        beside = self._check_chain(folding, entry)
        self._check_body(entry)
        moved: dict[str, Value] = {}
        if self._covered(entry.index):
            self._open_feeds(folding, entry.index)
        else:
            moved = self._check_verdict(folding, entry)
        folding.take(
            entry.one,
            moved,
            index=entry.index,
            leaf=entry.leaf,
            verdict=entry.verdict,
            time=entry.time,
            beside=beside,
            erased=entry.erased,
        )

    def _open_feeds(self, folding: Folding, index: int) -> None:
        for member in self._base.born(index) if self._base is not None else ():
            folding.begin(member, at=index)

    def _key(self, folding: Folding, entry: _Read) -> Value | None:
        name = f"key:{entry.signed.header.node}"
        base = self._base if self._covered(entry.index) else None
        return base.read(self._session, name) if base is not None else folding.held.get(name)

    def _check_time(self, entry: _Read) -> None:
        if entry.time_ms < self._last_ms:
            self._find(entry, "time", str(entry.time_ms), str(self._last_ms))
        self._last_ms = max(self._last_ms, entry.time_ms)

    def _check_key(self, folding: Folding, entry: _Read) -> None:
        header = entry.signed.header
        record = self._key(folding, entry)
        if record is None and entry.index == 0:
            record = entry.kind.introduces(header, entry.one.facts) if entry.one.facts else None
        public = key_public(record, member=header.sender, index=entry.index)
        if public is None:
            self._find(entry, "key", header.node, "")
        elif not jws.verify(entry.signed, public):
            self._find(entry, "signature", header.node, "")

    def _check_chain(self, folding: Folding, entry: _Read) -> bool:
        """Whether it stands beside its chain, under a number that is taken."""
        if folding.chains.goes_on(entry.signed):
            return False
        seq, digest = folding.chains.head(entry.signed)
        header = entry.signed.header
        self._find(entry, "chain", f"{header.seq} {header.prev}", f"{seq + 1} {digest}")
        return header.seq <= seq

    def _check_body(self, entry: _Read) -> None:
        wanted = self._open_bodies and not entry.kind.sealed and outcome_of(entry.verdict)[0]
        if wanted and not entry.one.shown:
            self._find(entry, "body", "", "absent")

    def _check_verdict(self, folding: Folding, entry: _Read) -> dict[str, Value]:
        """What the entry moves by its own verdict, which is compared with the one it must have."""
        text, moved = folding.decided(entry.one, entry.kind, entry.time)
        if text == entry.verdict:
            return moved
        self._find(entry, "verdict", entry.verdict, text)
        ok, words = outcome_of(entry.verdict)
        try:
            return folding.moves(entry.one, entry.kind, words, entry.time) if ok else {}
        except Refusal:
            return {}

    def _check_heads(self, read: Sequence[_Read], *, after: int) -> None:
        """Compare signed heads with the feeds made here: whose feed is short of which entry."""
        for entry in read:
            facts = entry.one.facts
            if entry.kind.name != HEADS_KIND or not outcome_of(entry.verdict)[0] or not facts:
                continue
            upto, root = facts["index"], facts["root"]
            if upto >= entry.index:
                self._find(entry, _HEADS, root, f"ahead - -1 {after} {upto}")
                continue
            wrong = heads_audit.audit(
                self._session, root=root, count=facts["count"], upto=upto, after=after
            )
            if wrong is not None:
                told = f"{wrong.what} {wrong.member or '-'} {wrong.index} {wrong.after} {upto}"
                self._find(entry, _HEADS, root, told)
            after = upto

    def _check_closed(self, read: Sequence[_Read]) -> None:
        """Compare what the hub says of a month with what was found here when it was over."""
        for entry in read:
            facts = entry.one.facts
            ours = entry.kind.name == CLOSED_KIND and outcome_of(entry.verdict)[0]
            if not ours or not facts or self._covered(entry.index):
                continue
            found = closing.closed(self._session, facts["month"])
            mine = found.facts if found is not None else {}
            for name in facts:
                if mine.get(name) != facts[name]:
                    told = f"{name} {mine.get(name, '-')}"
                    self._find(entry, _CLOSED, f"{name} {facts[name]}", told)
                    break

    def _find(self, entry: _Read, aspect: str, said: str, found: str) -> None:
        kind = entry.signed.header.kind
        self._findings.append(
            Finding(entry.index, aspect, kind, said[:_TEXT_MAX], found[:_TEXT_MAX])
        )


# ---------------------------------------------------------------- findings


def keep(session: Session, found: Sequence[Finding], *, now: datetime) -> None:
    """Keep findings and raise their alarms; one that is kept already stays as it was."""
    for one in found:
        if session.get(ReplayFindingRow, (one.index, one.aspect)) is not None:
            continue
        session.add(
            ReplayFindingRow(
                index=one.index, aspect=one.aspect, kind=one.kind, said=one.said,
                found=one.found, at=now,
            )
        )  # fmt: skip
        _alarm(session, one, now=now)


def _alarm(session: Session, one: Finding, *, now: datetime) -> None:
    if one.aspect == _HEADS:
        what, member, entry, after, upto = one.found.split(" ")
        alarms.put(
            session, "feed.heads", about=str(one.index), now=now, what=what, member=member,
            entry=int(entry), after=int(after), upto=int(upto),
        )  # fmt: skip
        return
    alarms.put(
        session, "replay", about=f"{one.index}:{one.aspect}", now=now, entry=one.index,
        aspect=one.aspect, verdict=one.said, found=one.found,
    )  # fmt: skip


def findings(session: Session, *, limit: int = 50) -> list[Finding]:
    """What the replay of this node has found, by index, at most 100."""
    rows = session.scalars(
        select(ReplayFindingRow)
        .order_by(ReplayFindingRow.index, ReplayFindingRow.aspect)
        .limit(bounded(limit))
    )
    return [Finding(row.index, row.aspect, row.kind, row.said, row.found) for row in rows]


def count(session: Session) -> int:
    """How many differences the replay of this node has found."""
    return session.scalar(select(func.count()).select_from(ReplayFindingRow)) or 0
