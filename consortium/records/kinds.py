"""Exchanges of records: asked for, released, refused; and a consent that is withdrawn."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import Session

from consortium.contracts.model import DEFAULT_ANSWER_MIN
from consortium.contracts.terms import URGENCIES
from consortium.exchange.facts import Facts, Value, code, codes, flag, number
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import (
    ExchangeKind,
    Files,
    Opened,
    SubjectType,
    Values,
    Verdict,
    version_of,
)
from consortium.fhir import parts
from consortium.kernel.errors import Refusal, conflict, invalid
from consortium.records import alone, applying, model, reading
from consortium.records.model import RELEASABLE, Action, Basis, By, Reason, State, WithdrawReason

if TYPE_CHECKING:
    from consortium.exchange.outbox import Post
    from consortium.fhir.message import Message

_RECORDS = frozenset({Lane.RECORDS, Lane.URGENT})
FLAGGED = "emergency"
"""Outcome word of a request that rests on an emergency alone."""


class _RecordKind(ExchangeKind):
    """What all exchanges about records share."""

    action: ClassVar[Action]
    lanes = _RECORDS

    def facts_of(self, message: "Message") -> Facts:
        return parts.parameters_of(message)

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"case:{header.case}",)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        """A case of this topic, between its two members, in a state that allows the act."""
        case = values.get(f"case:{header.case}") if header.case else None
        if case is None or case["topic"] != model.TOPIC:
            return invalid("record.unknown")
        if sorted({header.sender, *header.to}) != case["parties"] or len(header.to) != 1:
            return invalid("record.recipient")
        advanced = model.advance(case, self.action, member=header.sender)
        if isinstance(advanced, Refusal):
            return advanced
        return self.guard(case, facts) or ""

    def guard(self, case: Value, facts: Facts) -> Refusal | None:
        """What this kind asks besides."""
        return None

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        """Only the case moves; the contract is read by the permit and stays."""
        if name != f"case:{header.case}":
            return old
        return self.moved(old, header, facts, time, outcome)

    def moved(
        self,
        case: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        """The case after the act."""
        return case

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        return None if opened.message is None else reading.inspect(session, self.action, opened)

    def apply(self, session: Session, opened: Opened) -> None:
        applying.apply(session, self.action, opened)

    def refused(self, session: Session, opened: Opened) -> None:
        applying.refused(session, self.action, opened)

    def put_back(self, session: Session, opened: Opened) -> None:
        applying.put_back(session, opened)


class RecordRequest(_RecordKind):
    """A member asks another for a patient's record; the consent is in the body."""

    name = "record.request/1"
    action = Action.REQUEST
    opens_case = True
    needs_consent = True
    person_signed = True
    signers = model.ASKERS
    rules: ClassVar = {
        "types": codes(*RELEASABLE),
        "months": number(),
        "urgency": code(*URGENCIES),
        "consent": code(*Basis),
    }

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        if not header.case or len(header.to) != 1 or header.to[0] == header.sender:
            return invalid("record.recipient")
        if values.get(f"case:{header.case}") is not None:
            return conflict("record.exists")
        types = facts["types"]
        if (
            not types
            or len(set(types)) != len(types)
            or not 1 <= facts["months"] <= model.MONTHS_MOST
        ):
            return invalid("record.scope")
        emergency = facts["consent"] == Basis.EMERGENCY
        if emergency != (facts["urgency"] == "emergency"):
            return invalid("record.urgency")
        return FLAGGED if emergency else ""

    def moved(
        self,
        case: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return model.opened(
            asker=header.sender,
            holder=header.to[0],
            types=facts["types"],
            basis=facts["consent"],
            urgency=facts["urgency"],
            contract=header.contract,
            version=version_of(outcome),
            time=time,
            answer=timedelta(minutes=DEFAULT_ANSWER_MIN[facts["urgency"]]),
        )

    def waits(self, session: Session, member: str) -> Sequence[str]:
        return alone.waits(session, member)

    def go_on(
        self, session: Session, member: str, case: str, *, files: Files, post: "Post", now: datetime
    ) -> None:
        alone.go_on(session, member, case, files=files, post=post, now=now)


class RecordRelease(_RecordKind):
    """The holder lets records go; `more` says that a further part follows."""

    name = "record.release/1"
    action = Action.RELEASE
    rules: ClassVar = {
        "types": codes(*RELEASABLE, optional=True),
        "count": number(),
        "by": code(*By),
        "more": flag(),
        "urgency": code(*URGENCIES),
    }

    def needs(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {"types": facts.get("types", [])}

    def guard(self, case: Value, facts: Facts) -> Refusal | None:
        if facts["urgency"] != case["urgency"]:
            return invalid("record.urgency")
        within = set(facts.get("types", ())) <= set(case["types"])
        return None if within and facts["count"] >= 0 else invalid("record.scope")

    def moved(
        self,
        case: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return None if case is None else model.answered(case, State.RELEASED, more=facts["more"])


class RecordRefuse(_RecordKind):
    """The holder does not release, with a coded reason; a person decided."""

    name = "record.refuse/1"
    action = Action.REFUSE
    refusable = False
    person_signed = True
    signers = model.DECIDERS
    rules: ClassVar = {"reason": code(*Reason), "urgency": code(*URGENCIES)}

    def needs(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {}

    def guard(self, case: Value, facts: Facts) -> Refusal | None:
        return None if facts["urgency"] == case["urgency"] else invalid("record.urgency")

    def moved(
        self,
        case: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return None if case is None else model.answered(case, State.REFUSED)


class ConsentWithdraw(_RecordKind):
    """The patient withdraws the consent: it wins over every grant (PROTOCOL 3, *Consent*)."""

    name = "consent.withdraw/1"
    action = Action.WITHDRAW
    refusable = False
    lanes = frozenset({Lane.ROUTINE})
    charter = True
    rules: ClassVar = {"reason": code(*WithdrawReason)}

    def moved(
        self,
        case: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return None if case is None else model.answered(case, State.WITHDRAWN)


KINDS: list[ExchangeKind] = [RecordRequest(), RecordRelease(), RecordRefuse(), ConsentWithdraw()]
SUBJECTS: list[SubjectType] = []
"""The family `case` is registered by exchange."""
