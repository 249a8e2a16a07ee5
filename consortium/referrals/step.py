"""What every kind of exchange of a referral has in common: one action of the table, one step."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import Session

from consortium.exchange import bodies
from consortium.exchange.facts import Facts, Value
from consortium.exchange.header import Header
from consortium.exchange.kinds import ExchangeKind, Opened, Values, Verdict
from consortium.fhir import message as messages
from consortium.kernel.errors import Refusal, conflict, invalid
from consortium.referrals import model, reading, store
from consortium.referrals.model import Action, State

if TYPE_CHECKING:
    from consortium.fhir.message import Message


class ReferralKind(ExchangeKind):
    """A step of a referral: one action of the table in `model`, between its two parties."""

    action: ClassVar[Action]
    target: ClassVar[State | None] = None
    """The state that it leads to; None where the facts decide or nothing moves."""

    def facts_of(self, message: "Message") -> Facts:
        return messages.parameters_of(message)

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (case_name(header),)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        case = values.get(case_name(header))
        refusal = model.check(
            case,
            self.action,
            sender=header.sender,
            to=header.to,
            reason=str(facts.get("reason", "")),
        )
        if refusal is not None or case is None:
            return refusal or conflict("referral.state", state="none")
        if "urgency" in facts and facts["urgency"] != case["urgency"]:
            return invalid("referral.urgency")
        return self.guard(values, case, header, facts, time) or ""

    def guard(
        self, values: Values, case: Value, header: Header, facts: Facts, time: datetime
    ) -> Refusal | None:
        """What this act needs besides its place in the table."""
        return None

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if name != case_name(header) or old is None or self.target is None:
            return old
        due = model.due_after(self.target, time=time, value=old)
        return model.moved(old, self.target, due=due, **self.changes(header, facts))

    def changes(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        """What else of the case changes with it."""
        return {}

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        if opened.message is None:
            return None
        # the inbox has asked for the same, before this; here it tells what is covered
        signed = bodies.check_person(session, opened) if self.person_signed else None
        if signed and (part := reading.unsigned_of(opened.message, signed)):
            return invalid("referral.unsigned", part=part)
        case = opened.header.case
        row = store.find(session, case, member=opened.member)
        patient = "" if row is None else row.patient_ref
        return reading.inspect(
            self.action, opened.message, opened.facts, case=case, patient=patient
        )

    def apply(self, session: Session, opened: Opened) -> None:
        from consortium.referrals.applying import apply

        apply(session, self.action, opened)

    def refused(self, session: Session, opened: Opened) -> None:
        from consortium.referrals.applying import refused

        refused(session, self.action, opened)

    def put_back(self, session: Session, opened: Opened) -> None:
        from consortium.referrals.applying import put_back

        put_back(session, opened)


def case_name(header: Header) -> str:
    """The subject of the case that an exchange belongs to."""
    return f"case:{header.case}"
