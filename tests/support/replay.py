"""Replays a ledger from leaves and facts alone, as anyone who holds both can (PROTOCOL 1)."""

from collections.abc import Iterable
from typing import Any

from consortium.exchange import jws
from consortium.exchange.facts import Value
from consortium.exchange.header import Header
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
from consortium.exchange.kinds import Registry, placed
from consortium.kernel.errors import Refusal
from consortium.kernel.time import from_ms
from consortium.ledger import journal


class Folded:
    """Shared state in memory."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}

    def get(self, name: str) -> Value | None:
        return self.values.get(name)

    def link(self, name: str) -> tuple[str, Value | None]:
        subject, _, field = name.partition(">")
        target = str((self.get(subject) or {}).get(field) or "")
        return target, self.get(target) if target else None

    def resolve(self, names: Iterable[str]) -> list[str]:
        real = (self.link(name)[0] if ">" in name else name for name in names)
        return list(dict.fromkeys(name for name in real if name))


class Replay:
    """Takes entries in index order; `faults` says where a verdict, chain or signature is wrong."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.state = Folded()
        self.faults: list[tuple[int, str, str, str]] = []
        self._chains: dict[tuple[str, str], tuple[int, str]] = {}
        self._seen: dict[str, tuple[int, bool, bytes]] = {}
        self._size = 0

    def take(self, leaf: bytes, sent: bytes) -> None:
        """One entry: its leaf, and its facts with their salt."""
        index, self._size = self._size, self._size + 1
        view = journal.read_leaf(leaf)
        signed = jws.parse(view.jws)
        header = signed.header
        self._check_chain(index, header, signed)
        found = self._verdict(index, header, sent, view.time_ms)
        if found != view.verdict:
            self.faults.append((index, header.kind, view.verdict, found))
        ok, words = outcome_of(view.verdict)
        self._seen.setdefault(header.id, (index, ok, sameness(header)))
        if ok:
            self._fold(index, header, sent, view.time_ms, words)

    def _check_chain(self, index: int, header: Header, signed: jws.Signed) -> None:
        chain = (header.node, header.lane.value)
        seq, last = self._chains.get(chain, (0, jws.FIRST_PREV))
        if (header.seq, header.prev) != (seq + 1, last):
            self.faults.append((index, header.kind, "chain", f"{header.seq}"))
        self._chains[chain] = (header.seq, jws.digest_text(signed.raw))
        record = self.state.get(f"key:{header.node}")
        if record is None:
            return
        public = key_public(record, member=header.sender, index=index)
        if public is None or not jws.verify(signed, public):
            self.faults.append((index, header.kind, "signature", header.node))

    def _verdict(self, index: int, header: Header, sent: bytes, time_ms: int) -> str:
        if header.id in self._seen:
            first, _, same = self._seen[header.id]
            return f"duplicate {first}" if same == sameness(header) else "id_reused"
        kind = self.registry.kinds[header.kind]
        facts = open_checked(kind, header, sent)
        if isinstance(facts, Refusal):
            return verdict_text(facts)
        refused = any(not self._seen.get(one, (0, False))[1] for one in header.after)
        verdict = evaluate(
            self.registry, kind, header, facts, self.state, from_ms(time_ms),
            parents_refused=refused,
        )  # fmt: skip
        return verdict_text(verdict)

    def _fold(
        self, index: int, header: Header, sent: bytes, time_ms: int, words: tuple[str, ...]
    ) -> None:
        kind, time = self.registry.kinds[header.kind], from_ms(time_ms)
        facts = open_checked(kind, header, sent)
        assert not isinstance(facts, Refusal)
        names = self.state.resolve(subjects_of(self.registry, kind, header, facts, time))
        moved = fold(self.registry, kind, header, facts, time, words, names, self.state)
        for name, value in moved.items():
            self.state.values[name] = placed(value, index)

    def result(self) -> dict[str, Any]:
        """Every subject with its value."""
        return dict(self.state.values)
