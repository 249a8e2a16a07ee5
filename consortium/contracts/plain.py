"""Terms in plain words: clause | plain words | what the machine does (design/ui.md, picture 06).

A clause is data: the key of its sentence and typed parameters. Pages and the command line turn it
into a language with `text`; the difference of two terms is told clause by clause.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from consortium import words
from consortium.contracts.terms import Service, Terms, day_text

Names = Callable[[str], str]
"""The name of a member, by id."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word by key."""

    key: str


@dataclass(frozen=True, slots=True)
class Member:
    """A member's name."""

    id: str


@dataclass(frozen=True, slots=True)
class Minutes:
    """A stretch of time, said in the largest unit that gives a whole number."""

    minutes: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Several parameters, joined as the language joins them."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two parameters in one phrase, such as an urgency and its time."""

    key: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause. `key` and `rule` are keys of sentences, `code` what the machine compares."""

    number: str
    key: str
    rule: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Line:
    """A clause in two versions; None where a version does not have it."""

    number: str
    old: Clause | None
    new: Clause | None

    @property
    def change(self) -> str:
        """`same`, `changed`, `added` or `removed`."""
        if self.old is None:
            return "added"
        if self.new is None:
            return "removed"
        return "same" if self.old == self.new else "changed"

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parameters that differ where both versions use the same sentence."""
        if self.old is None or self.new is None or self.old.key != self.new.key:
            return ()
        return tuple(n for n, value in self.new.params.items() if self.old.params[n] != value)


def clauses(terms: Terms) -> tuple[Clause, ...]:
    """Every clause in the order in which a contract is read."""
    return (_parties(terms), *_services(terms), *_shared(terms), _period(terms), _notice(terms))


def diff(old: Terms | None, new: Terms) -> tuple[Line, ...]:
    """Both versions clause by clause; struck clauses stay where they were."""
    before = {one.number: one for one in clauses(old)} if old else {}
    after = {one.number: one for one in clauses(new)}
    numbers = sorted({**before, **after}, key=_place)
    return tuple(Line(n, before.get(n), after.get(n)) for n in numbers)


def text(value: Any, lang: str, names: Names) -> str:
    """A parameter in a language: words said, members named, lists joined, minutes rounded up."""
    match value:
        case Word(key):
            return words.say(key, lang)
        case Member(member):
            return names(member)
        case Minutes(minutes):
            return _minutes(minutes, lang)
        case Pair(key, first, second):
            return words.say(
                key, lang, first=text(first, lang, names), second=text(second, lang, names)
            )
        case Listed(items):
            return words.say("contract.join", lang).join(text(one, lang, names) for one in items)
        case _:
            return str(value)


def sentence(clause: Clause, lang: str, names: Names) -> str:
    """The clause in plain words."""
    said = {name: text(value, lang, names) for name, value in clause.params.items()}
    return words.say(clause.key, lang, **said)


def rule(clause: Clause, lang: str, names: Names) -> str:
    """What the machine does with it, in plain words."""
    said = {name: text(value, lang, names) for name, value in clause.params.items()}
    return words.say(clause.rule, lang, **said)


def _minutes(minutes: int, lang: str) -> str:
    for unit, size in (("days", 1440), ("hours", 60)):
        if minutes >= size and minutes % size == 0:
            return words.say(f"contract.time.{unit}", lang, n=minutes // size)
    return words.say("contract.time.minutes", lang, n=minutes)


def _place(number: str) -> tuple[int, int, int]:
    letter, rest = number[0], int(number[1:] or 0)
    order = "BSQUATPDN".index(letter)
    return (1, rest, order) if letter in "SQUA" else (0 if letter == "B" else 2, order, rest)


def _parties(terms: Terms) -> Clause:
    return Clause(
        "B1",
        "contract.clause.parties",
        "contract.rule.parties",
        f"sign={len(terms.parties)}/{len(terms.parties)}",
        {"parties": Listed(tuple(Member(one) for one in terms.parties))},
    )


def _services(terms: Terms) -> Iterator[Clause]:
    for one in terms.services:
        who = _who(one)
        yield Clause(
            one.clause("S"),
            f"contract.clause.service_{one.kind}",
            "contract.rule.service",
            f"service={one.code} kind={one.kind} {one.taker} > {one.provider}",
            who,
        )
        yield Clause(
            one.clause("Q"),
            f"contract.clause.quota_{one.kind}",
            "contract.rule.quota",
            f"quota={one.quota_month}/month",
            {**who, "quota": one.quota_month},
        )
        yield Clause(
            one.clause("U"),
            "contract.clause.urgencies",
            "contract.rule.urgencies",
            f"urgency={', '.join(one.urgencies)}",
            {**who, "urgencies": Listed(tuple(_urgency(u) for u in one.urgencies))},
        )
        yield Clause(
            one.clause("A"),
            "contract.clause.answers",
            "contract.rule.answers",
            " ".join(f"answer.{u}={one.answer_min[u]}min" for u in one.urgencies),
            {**who, "answers": Listed(tuple(_answer(one, u) for u in one.urgencies))},
        )


def _who(one: Service) -> dict[str, Any]:
    return {
        "service": Word(f"contract.service.{one.code}"),
        "taker": Member(one.taker),
        "provider": Member(one.provider),
    }


def _urgency(code: str) -> Word:
    return Word(f"contract.urgency.{code}")


def _answer(one: Service, urgency: str) -> Pair:
    return Pair("contract.clause.answer", _urgency(urgency), Minutes(one.answer_min[urgency]))


def _shared(terms: Terms) -> Iterator[Clause]:
    yield Clause(
        "T1",
        "contract.clause.types",
        "contract.rule.types",
        f"types={', '.join(terms.types)}",
        {"types": Listed(tuple(Word(f"contract.type.{one}") for one in terms.types))},
    )
    yield Clause(
        "P1",
        "contract.clause.purposes",
        "contract.rule.purposes",
        f"purpose={', '.join(terms.purposes)}",
        {"purposes": Listed(tuple(Word(f"contract.purpose.{one}") for one in terms.purposes))},
    )


def _period(terms: Terms) -> Clause:
    start, last = day_text(terms.start_ms), day_text(terms.end_ms, last=True)
    shape = ("from" if start else "signed") + ("_until" if last else "")
    params = {n: value for n, value in (("start", start), ("last", last)) if value}
    code = f"from={start or 'last-signature'} until={last or 'open'}"
    return Clause("D1", f"contract.clause.period_{shape}", "contract.rule.period", code, params)


def _notice(terms: Terms) -> Clause:
    return Clause(
        "N1",
        "contract.clause.notice",
        "contract.rule.notice",
        f"notice={terms.notice_days}d suspend=2",
        {"days": terms.notice_days},
    )
