"""The kinds `state.closed/1` and `state.agreed/1`: a month is over, and a mirror found the same.

PROTOCOL 3, "Facts". The subject `closed:YYYY-MM` holds what the hub said and which mirrors agreed.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import Session

from consortium.exchange import closing
from consortium.exchange import facts as rules
from consortium.exchange.facts import FactRule, Facts, Value
from consortium.exchange.header import EVERYONE, Header, Lane
from consortium.exchange.kinds import (
    HERE,
    ExchangeKind,
    Opened,
    SubjectType,
    Values,
    Verdict,
    everyone,
)
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.fhir import message as messages
from consortium.kernel.errors import Refusal, conflict, forbidden, invalid
from consortium.kernel.time import to_ms

if TYPE_CHECKING:
    from consortium.fhir.message import Message

CLOSED, AGREED = "state.closed/1", "state.agreed/1"
FIGURES = "figures"
MIRRORS_MAX = 15
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_SAID = ("month", "index", "state", "feeds", "chains", "figures")


class StateClosed(ExchangeKind):
    """What shared state, chains, feeds and figures were as of the last entry of a month."""

    name = CLOSED
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar[dict[str, FactRule]] = {
        "month": rules.code(),
        "first": rules.number(),
        "index": rules.number(),
        "count": rules.number(),
        "state": rules.code(),
        "feeds": rules.code(),
        "chains": rules.code(),
        "figures": rules.code(),
    }

    def facts_of(self, message: "Message") -> Facts:
        figures = messages.json_bytes_of(message, FIGURES)
        return {**messages.parameters_of(message), "figures": closing.figures_hash(figures)}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (closing.subject(facts["month"]), closing.NEWEST)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        """Only the hub, to all, each month once, and each begins where the one before it ended."""
        if header.sender != HUB_MEMBER:
            return forbidden("exchange.not_hub")
        if header.to != (EVERYONE,):
            return invalid("exchange.recipients")
        if _MONTH.fullmatch(facts["month"]) is None:
            return invalid("exchange.facts", field="month")
        newest = values.get(closing.NEWEST) or {"month": "", "index": -1}
        if facts["month"] <= newest["month"] or not newest["index"] < facts["first"]:
            return conflict("closing.again")
        return "" if facts["first"] <= facts["index"] else invalid("exchange.facts", field="index")

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if name == closing.NEWEST:
            return {"month": facts["month"], "index": facts["index"], "entry": HERE}
        return {**facts, "at": to_ms(time), "entry": HERE, "agreed": []}

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        """What was still to come is nobody's past."""
        ahead = opened.facts["index"] >= opened.index
        return invalid("closing.ahead") if ahead else None


class StateAgreed(ExchangeKind):
    """A mirror that went through the ledger itself came to the same.

    Args:
        member_kind: the kind of member that may say so.
    """

    name = AGREED
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar[dict[str, FactRule]] = {
        name: rules.number() if name == "index" else rules.code() for name in _SAID
    }

    def __init__(self, member_kind: str) -> None:
        self._member_kind = member_kind

    def facts_of(self, message: "Message") -> Facts:
        return messages.parameters_of(message)

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        named = (closing.subject(facts["month"]), closing.AGREED)
        return (*named, f"member:{header.sender}")

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        """Only who keeps a mirror, each once a month, and only what the hub had said."""
        member = values.get(f"member:{header.sender}")
        if member is None or member.get("kind") != self._member_kind:
            return forbidden("closing.not_mirror")
        if header.to != (EVERYONE,):
            return invalid("exchange.recipients")
        said = values.get(closing.subject(facts["month"]))
        if said is None or any(said.get(one) != facts[one] for one in _SAID):
            return conflict("closing.differs")
        if header.sender in said["agreed"] or len(said["agreed"]) >= MIRRORS_MAX:
            return conflict("closing.again")
        return ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if name == closing.AGREED:
            older = old is not None and old["month"] >= facts["month"]
            return old if older else {"month": facts["month"], "index": facts["index"]}
        if name.startswith("closed:") and old is not None:
            return {**old, "agreed": sorted({*old["agreed"], header.sender})}
        return old


def kinds(member_kind: str) -> list[ExchangeKind]:
    """Both kinds. `member_kind`: of members that keep a mirror."""
    return [StateClosed(), StateAgreed(member_kind)]


def agreement(found: closing.Closed) -> dict[str, Any]:
    """The facts of `state.agreed/1` over what was found here."""
    return {name: found.facts[name] for name in _SAID}


SUBJECTS = [SubjectType("closed", everyone)]
