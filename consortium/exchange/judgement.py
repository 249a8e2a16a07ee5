"""The checks of one exchange, in the protocol's order: the same code at sender, hub and recipient.

PROTOCOL 4, 2. Everything here is pure over the values given.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from consortium.exchange.commitment import commit_facts, open_facts, unb64
from consortium.exchange.facts import Facts, Value, check
from consortium.exchange.header import Header
from consortium.exchange.kinds import ExchangeKind, Registry, Values, Verdict
from consortium.exchange.state import Held
from consortium.kernel.errors import Refusal, conflict, forbidden, invalid
from consortium.kernel.log import logger

OK = "ok"
UNFORESEEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a rule raises over values that it did not foresee. A full disk is none of these."""
_BASES = ("explicit", "statutory")
_WORDS_MAX = 3
_SUBJECT_MAX = 200
_log = logger(__name__)


@contextmanager
def foreseen(header: Header) -> Iterator[None]:
    """Run rules over one exchange, which must not take others with it when a rule breaks.

    Rules are pure: what breaks one breaks it at the sender, at the hub and in every replay alike.

    Raises:
        Refusal: `exchange.unjudged` where a rule did not foresee its values.
    """
    try:
        yield
    except UNFORESEEN as error:
        _log.error("exchange.unjudged", kind=header.kind, exchange=header.id, exc_info=error)
        raise invalid("exchange.unjudged") from error


def verdict_text(verdict: Verdict) -> str:
    """`ok[ words]`, or the refusal's code and, when there is one, its clause."""
    if isinstance(verdict, str):
        return f"{OK} {verdict}".strip()
    return f"{verdict.code} {verdict.clause}".strip()


def outcome_of(text: str) -> tuple[bool, tuple[str, ...]]:
    """Read a leaf's verdict: admitted or not, then outcome words or (code, clause)."""
    first, *rest = text.split(" ")
    return (True, tuple(rest)) if first == OK else (False, (first, *rest))


def sameness(header: Header) -> bytes:
    """What must be equal for an id seen again to be the same act (PROTOCOL 4, `duplicate`)."""
    parts = (
        header.sender,
        ",".join(header.to),
        header.kind,
        header.case,
        header.facts,
        header.body,
    )
    return hashlib.sha256("\0".join(parts).encode()).digest()


def key_valid(record: Value | None, *, member: str, index: int, use: str = "node") -> bool:
    """Whether a key is valid at this index for this member and use."""
    if record is None or record["use"] != use or record["member"] != member:
        return False
    until = record.get("until")
    return bool(record["from"] <= index and (until is None or index < until))


def key_public(record: Value | None, *, member: str, index: int, use: str = "node") -> bytes | None:
    """The 32 bytes of a key that is valid at this index for this member and use, else None."""
    if record is None or not key_valid(record, member=member, index=index, use=use):
        return None
    return unb64(record["public"])


def open_checked(kind: ExchangeKind, header: Header, sent: bytes) -> Facts | Refusal:
    """The facts behind the salt, if they open the header's commitment and fit the kind's rules."""
    if commit_facts(sent) != header.facts:
        return invalid("exchange.facts", field="commitment")
    try:
        facts = open_facts(sent)
    except Refusal as unreadable:
        return unreadable
    if misfit := check(facts, kind.rules):
        return misfit
    checked: Facts = facts
    return checked


def subjects_of(
    registry: Registry, kind: ExchangeKind, header: Header, facts: Facts, time: datetime
) -> list[str]:
    """Every subject that the checks of this exchange read or that its step moves.

    Raises:
        Refusal: `exchange.facts` when the facts make a name longer than a row keeps;
            `exchange.unjudged`.
    """
    with foreseen(header):
        permit = registry.permit.subjects(kind, header, facts, time)
        names = [*kind.subjects(header, facts), *permit]
    if any(len(name) > _SUBJECT_MAX for name in names):
        raise invalid("exchange.facts", field="subject")
    return list(dict.fromkeys(names))


def resolved(registry: Registry, values: Held, names: Sequence[str]) -> list[str]:
    """Names with links followed; what a link names in no known family is nobody's, left out."""
    return [name for name in values.resolve(names) if name.partition(":")[0] in registry.families]


def evaluate(
    registry: Registry,
    kind: ExchangeKind,
    header: Header,
    facts: Facts,
    values: Values,
    time: datetime,
    *,
    parents_refused: bool = False,
    judge: bool = True,
) -> Verdict:
    """The verdict of an exchange whose facts have been opened.

    Args:
        parents_refused: an `after` that stands on the ledger refused.
        judge: False where a subject that `judge` reads is not held; the leaf's verdict is taken.

    Raises:
        Refusal: `exchange.unjudged`.
    """
    with foreseen(header):
        if header.lane not in kind.lanes or header.lane != kind.lane(facts):
            return invalid("exchange.lane")
        if header.everyone and not kind.to_everyone:
            return invalid("exchange.recipients")
        permitted = registry.permit.decide(kind, header, facts, values, time)
        if isinstance(permitted, Refusal):
            return permitted
        if refusal := _consent(kind, facts):
            return refusal
        if parents_refused:
            return conflict("exchange.parent")
        judged: Verdict = kind.judge(values, header, facts, time) if judge else ""
        if isinstance(judged, Refusal):
            return judged
        words = [*permitted.split(), *judged.split()]
        if len(words) > _WORDS_MAX:
            raise ValueError(f"{kind.name} gave more than three outcome words")
        return " ".join(words)


def _consent(kind: ExchangeKind, facts: Facts) -> Refusal | None:
    """An emergency may go without a basis, or on that of an emergency: nothing else may."""
    if not kind.needs_consent or facts.get("urgency") == "emergency":
        return None
    return None if facts.get("consent") in _BASES else forbidden("exchange.consent")


def fold(
    registry: Registry,
    kind: ExchangeKind,
    header: Header,
    facts: Facts,
    time: datetime,
    words: Sequence[str],
    names: Sequence[str],
    values: Values,
) -> dict[str, Value]:
    """The new values of the subjects that an admitted exchange moves.

    A case that moves is marked with the exchange that moved it (`last`: its id, its sender, what
    its refusal puts back), so that a body can be refused only while nothing stands on it.

    Raises:
        Refusal: `exchange.unjudged`; nothing may be moved then.
    """
    moved: dict[str, Value] = {}
    with foreseen(header):
        for name in names:
            old = values.get(name)
            new = registry.step(kind, name, old, header, facts, time, words)
            if new is None or new == old:
                continue
            if name.startswith("case:"):
                back = _back(kind, old, new)
                new = {**new, "last": {"id": header.id, "by": header.sender, "back": back}}
            moved[name] = new
    return moved


def _back(kind: ExchangeKind, old: Value | None, new: Value) -> Value:
    """What of a case goes back if this body is refused; empty where the step stands all the same.

    It stands when it ends something, and when it gave up a slot for another: that slot may be
    somebody else's by then.
    """
    if not kind.refusable:
        return {}
    if old is None:
        return {"state": new["prior"]} if new.get("prior") else {}
    if old.get("slot") and new.get("slot") != old["slot"]:
        return {}
    return {name: was for name, was in old.items() if name != "last" and new.get(name) != was}
