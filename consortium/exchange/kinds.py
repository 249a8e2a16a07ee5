"""What a room says of each kind of exchange it owns, and the registry that wiring fills.

A kind is one class with pure rules (`facts_of`, `subjects`, `judge`, `step`: no I/O, the same at
sender, hub, recipient and mirror, PROTOCOL 1) and two hooks for local rows (`apply`, `refused`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import orjson
from sqlalchemy.orm import Session

from consortium.exchange.facts import FactRule, Facts, Value
from consortium.exchange.header import EVERYONE, Header, Lane
from consortium.kernel.errors import Refusal

if TYPE_CHECKING:
    from consortium.exchange.outbox import Post
    from consortium.fhir.message import Message

FamilyStep = Callable[
    [str, Value | None, "ExchangeKind", Header, Facts, datetime, str], Value | None
]
Verdict = str | Refusal
"""Outcome words of an admitted exchange (at most three, often none), or why it is refused."""


FREED = "freed"
"""Outcome word of a refused body whose step had taken a slot: the slot is free again."""
HERE: int = -(2**53)
"""In a value that `step` returns: the index of this very entry. The fold puts the number in its
place (`"from": HERE`), so that a step needs no index and stays a function of its arguments. No
fact can hold this number, so that nobody can send the placeholder."""
_HERE_TEXT = str(HERE).encode()


Files = Callable[[Mapping[str, Any]], bytes | None]
"""Opens a FHIR Attachment of a body; None while its file is still to come."""


class Values(Protocol):
    """Shared state as a `judge` may read it: only the subjects that the kind named."""

    def get(self, name: str) -> Value | None:
        """The value of a subject, None when it has none yet."""

    def link(self, name: str) -> tuple[str, Value | None]:
        """Follow `case:ID>slot`: the name that the case's `slot` holds ("" if none), its value."""


@dataclass(frozen=True, slots=True)
class SubjectType:
    """A family of subjects, told by the part of the name before the colon.

    `audience(name, value)` gives the members that fold it, or {EVERYONE}. `step` is for a family
    that many kinds move (quotas); elsewhere the kind's own `step` is used.
    """

    prefix: str
    audience: Callable[[str, Value], frozenset[str]]
    step: "FamilyStep | None" = None
    holds: "Callable[[str, str, Callable[[str], Value | None]], bool] | None" = None
    """`holds(name, member, read)`: whether a member folds this subject even while it has no value.
    None: it does (a case, contract or quota without a value is one that does not exist yet)."""
    freed: "Callable[[Value | None, str], Value | None] | None" = None
    """`freed(value, case)`: the value after a case gives it back, because the body that took it
    was refused. None: nothing of this family is taken by a case."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An exchange as a room's hooks see it at one member, after every check has passed.

    `message` is the body, read and checked; None where this member does not hold or cannot open
    it. `time` is ledger time. `mine` tells whether this member sent it.
    """

    member: str
    header: Header
    facts: Facts
    message: "Message | None"
    index: int
    time: datetime
    outcome: tuple[str, ...]
    now: datetime
    post: "Post"
    code: str = ""
    clause: str = ""
    before: Mapping[str, Value | None] = field(default_factory=dict)
    """Values before this exchange of the subjects that this member holds."""

    @property
    def mine(self) -> bool:
        return self.header.sender == self.member


class ExchangeKind(ABC):
    """One kind of exchange. Subclasses set the class values and fill the pure rules."""

    name: ClassVar[str]
    """Name and version: `referral.request/1`."""
    lanes: ClassVar[frozenset[Lane]] = frozenset({Lane.ROUTINE})
    rules: ClassVar[Mapping[str, FactRule]] = {}
    """The facts that it carries; anything else is refused."""
    sealed: ClassVar[bool] = True
    """False: an open body (keys, charter, contract terms, sessions)."""
    charter: ClassVar[bool] = False
    """True: needs no contract (PROTOCOL 4)."""
    opens_case: ClassVar[bool] = False
    """True: judged by the contract version in force at its own index; else by the case's."""
    quota: ClassVar[int] = 0
    """+1 takes from the service's monthly quota, -1 gives back to the month it was taken from."""
    person_signed: ClassVar[bool] = False
    """True: the body must hold a signature by a person's key; the recipient checks it."""
    signers: ClassVar[frozenset[str]] = frozenset()
    """Roles of which that person's key must hold one; none named: whoever has a key."""
    to_everyone: ClassVar[bool] = False
    """True: may be sent to all members."""
    needs_consent: ClassVar[bool] = False
    """True: facts name the basis (`consent`: explicit, emergency, statutory)."""
    refusable: ClassVar[bool] = True
    """False: its step stands even when the recipient cannot take the body. So it is with every act
    that ends something by giving back (quota, slot, consent) or refusing: it is not taken a second
    time. A release of records gives nothing back; refused, it leaves its request open."""
    puts_back: ClassVar[bool] = False
    """True: it undoes the last step of a case (`body.refuse/1` alone)."""

    def lane(self, facts: Facts) -> Lane:
        """The lane it travels in; the urgent one when the facts say so and the kind allows."""
        if Lane.URGENT in self.lanes and facts.get("urgency") in ("emergency", "urgent"):
            return Lane.URGENT
        for lane in (Lane.ROUTINE, Lane.CONTROL, Lane.RECORDS):
            if lane in self.lanes:
                return lane
        return Lane.URGENT

    @abstractmethod
    def facts_of(self, message: "Message") -> Facts:
        """The codes and numbers that the body holds; the recipient derives them again."""

    @abstractmethod
    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        """Every subject that `judge` reads or `step` moves; links as `case:ID>slot`."""

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        """Whether shared state allows it, with outcome words. Pure."""
        return ""

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        """The new value of ONE subject after an admitted exchange; `old` if it does not move."""
        return old

    def introduces(self, header: Header, facts: Facts) -> Value | None:
        """The record of the node key that entry 0 brings with itself; asked at index 0 only."""
        return None

    def needs(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        """What the contract must cover: `service`, `urgency`, `types` (of resources). Pure."""
        return {k: facts[k] for k in ("service", "urgency", "types") if k in facts}

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        """What only the body shows (right patient, minimum data). Asked before `apply`."""
        return None

    def apply(self, session: Session, opened: Opened) -> None:
        """Write local rows at each recipient and at the sender, once, in feed order."""

    def refused(self, session: Session, opened: Opened) -> None:
        """Write local rows at the sender of a refused exchange; `opened.code` says why."""

    def waits(self, session: Session, member: str) -> Sequence[str]:
        """Cases of a member that go on by themselves when a file of theirs is here."""
        return ()

    def go_on(
        self, session: Session, member: str, case: str, *, files: Files, post: "Post", now: datetime
    ) -> None:
        """Go on with one of them if its file is here; asked after each run of the courier."""

    def put_back(self, session: Session, opened: Opened) -> None:
        """Write local rows when a recipient could not take a body of this kind.

        `opened` is its `body.refuse`, at the sender of the body and at the recipient alike; shared
        state has gone back already. `facts` hold the exchange (`of`) and the reason (`code`).
        """


class Permit(Protocol):
    """The contract check, given by wiring (contracts room). Pure over shared state."""

    def subjects(
        self, kind: ExchangeKind, header: Header, facts: Facts, time: datetime
    ) -> Sequence[str]:
        """Contract, quota and case subjects that `decide` reads and that the quota moves."""

    def decide(
        self, kind: ExchangeKind, header: Header, facts: Facts, values: Values, time: datetime
    ) -> Verdict:
        """Allowed (words such as `v2`, `over_quota`) or refused with its clause."""


class Registry:
    """Every kind and family of subjects of this program; filled once by wiring.

    Args:
        finals: by topic, the states in which a case has ended and nobody acts any more.
    """

    def __init__(
        self,
        kinds: Iterable[ExchangeKind],
        subjects: Iterable[SubjectType],
        permit: Permit,
        finals: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self.finals = finals or {}
        self.kinds: dict[str, ExchangeKind] = {}
        for kind in kinds:
            if kind.name in self.kinds:
                raise ValueError(f"two kinds named {kind.name}")
            self.kinds[kind.name] = kind
        self.families = {family.prefix: family for family in subjects}
        self.permit = permit

    def kind(self, name: str) -> ExchangeKind | None:
        """The kind of this name and version, None when this program does not know it."""
        return self.kinds.get(name)

    def ended(self, case: Value) -> bool:
        """Whether a case has ended, as the room of its topic says."""
        return case.get("state") in self.finals.get(str(case.get("topic", "")), ())

    def audience(self, name: str, value: Value) -> frozenset[str]:
        """Who folds this subject. Raises KeyError for a family that no room registered."""
        return self.families[name.partition(":")[0]].audience(name, value)

    def step(
        self,
        kind: ExchangeKind,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        """Fold one subject, by its family's own step if it has one, else by the kind's."""
        family = self.families[name.partition(":")[0]]
        if kind.puts_back and family.freed is not None:
            return family.freed(old, header.case) if FREED in outcome else old
        if family.step is not None:
            return family.step(name, old, kind, header, facts, time, " ".join(outcome))
        return kind.step(name, old, header, facts, time, outcome)


def everyone(_name: str, _value: Value) -> frozenset[str]:
    """The audience of what all members fold (keys, charter, sessions)."""
    return frozenset({EVERYONE})


def parties(_name: str, value: Value) -> frozenset[str]:
    """The audience of a case or contract: the members that its value names."""
    return frozenset(value["parties"])


def version_of(outcome: Sequence[str]) -> int:
    """The contract version named by the verdict's word `vN`; 0 when no contract judged it."""
    for word in outcome:
        if word[:1] == "v" and word[1:].isdigit():
            return int(word[1:])
    return 0


@dataclass(frozen=True, slots=True)
class QueryType:
    """A signed read of shared state at the hub: `answer(session, member, params)` gives JSON."""

    name: str
    answer: Callable[[Session, str, Mapping[str, Any]], Mapping[str, Any]]


def placed(value: Value, index: int) -> Value:
    """A value with `HERE` replaced by the entry's index, at any depth."""
    # most values hold none, and their text tells it faster than a walk
    if _HERE_TEXT not in orjson.dumps(value):
        return value

    def put(one: Any) -> Any:
        if isinstance(one, dict):
            return {name: put(inner) for name, inner in one.items()}
        if isinstance(one, list):
            return [put(inner) for inner in one]
        return index if one == HERE and type(one) is int else one

    placed_value: Value = put(dict(value))
    return placed_value
