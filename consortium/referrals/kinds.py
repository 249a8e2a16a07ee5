"""The exchange kinds of a referral: what each carries, who may send it, what it moves.

Facts stand in the Parameters of the body; `inspect` compares them with the clinical resources.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy.orm import Session

from consortium.contracts.model import answer_min
from consortium.contracts.permit import quota_taken
from consortium.contracts.terms import SERVICES, TYPES, answer_in
from consortium.exchange import facts as rules
from consortium.exchange.facts import FactRule, Facts, Value
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import ExchangeKind, Opened, SubjectType, Values, Verdict, version_of
from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal, conflict, invalid
from consortium.kernel.time import from_ms, to_ms
from consortium.patients import adoption
from consortium.referrals import model, placing
from consortium.referrals.model import Action, Opening, State
from consortium.referrals.step import ReferralKind, case_name
from consortium.scheduling import model as slots

_BOTH: Final = frozenset({Lane.URGENT, Lane.ROUTINE})
_DOCTORS: Final = frozenset({Role.TOWNSHIP_DOCTOR})
_TRIAGE: Final = frozenset({Role.SPECIALIST, Role.CONSULT_DESK})
_SPECIALISTS: Final = frozenset({Role.SPECIALIST})
_URGENCY: Final[dict[str, FactRule]] = {"urgency": rules.code(*model.URGENCIES)}


class _Whole(ReferralKind):
    """Carries everything the hospital needs, the patient among it."""

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        if opened.message is None or (refusal := super().inspect(session, opened)):
            return None if opened.message is None else refusal
        patient = opened.message.one("Patient")
        return adoption.inspect(
            session,
            member=opened.member,
            resource=patient,
            source=opened.header.sender,
            now=opened.now,
        )


class Request(_Whole):
    """A clinic asks a hospital's service to see a patient; signed by the doctor."""

    name = "referral.request/1"
    action = Action.REQUEST
    target = State.REQUESTED
    lanes = _BOTH
    opens_case = True
    quota = 1
    person_signed = True
    signers = _DOCTORS
    needs_consent = True
    rules: ClassVar[dict[str, FactRule]] = {
        **_URGENCY,
        "service": rules.code(*SERVICES),
        "consent": rules.code(*model.CONSENTS, optional=True),
        "types": rules.codes(*TYPES, optional=True),
        "filled": rules.number(),
    }

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        # the time to answer stands in the contract and is carried into the fold by the outcome
        contract = (f"contract:{header.contract}",) if header.contract else ()
        return (case_name(header), *contract)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        if not header.case or len(header.to) != 1 or header.to[0] == header.sender:
            return invalid("referral.recipient")
        if (case := values.get(case_name(header))) is not None:
            return conflict("referral.state", state=case["state"])
        contract = values.get(f"contract:{header.contract}") if header.contract else None
        return f"a{_answer_min(contract, header, facts)}"

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if name != case_name(header):
            return old
        opening = Opening(
            taker=header.sender,
            provider=header.to[0],
            contract=header.contract,
            version=version_of(outcome),
            quota=quota_taken(self, header, facts, time, outcome),
            service=facts["service"],
            urgency=facts["urgency"],
            consent=facts.get("consent", ""),
            request=header.id,
            answer_min=minutes_of(outcome) or model.default_answer_min(facts["urgency"]),
        )
        return model.opened(opening, time=time)


class Resend(_Whole):
    """The clinic sends what was missing; the whole request again, signed anew."""

    name = "referral.resend/1"
    action = Action.RESEND
    target = State.REQUESTED
    lanes = _BOTH
    person_signed = True
    signers = _DOCTORS
    needs_consent = True
    rules: ClassVar[dict[str, FactRule]] = {
        **_URGENCY,
        "service": rules.code(*SERVICES),
        "consent": rules.code(*model.CONSENTS, optional=True),
        "types": rules.codes(*TYPES, optional=True),
        "filled": rules.number(),
    }

    def needs(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {"types": facts.get("types", [])}

    def guard(
        self, values: Values, case: Value, header: Header, facts: Facts, time: datetime
    ) -> Refusal | None:
        if facts["service"] != case["service"]:
            return invalid("referral.service")
        return None

    def changes(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {"request": header.id, "consent": facts.get("consent", "")}


class Claim(ReferralKind):
    """A specialist or the desk takes a case up: the clinic sees that somebody is at it."""

    name = "referral.claim/1"
    action = Action.CLAIM
    target = State.TRIAGE


class Accept(ReferralKind):
    """The hospital accepts, with a slot (moved in the same exchange) or an expected date."""

    name = "referral.accept/1"
    action = Action.ACCEPT
    lanes = _BOTH
    person_signed = True
    signers = _TRIAGE
    rules: ClassVar[dict[str, FactRule]] = {
        **_URGENCY,
        "slot": rules.code(optional=True),
        "start": rules.number(optional=True),
        "date": rules.number(optional=True),
    }

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        names = [case_name(header), f"{case_name(header)}>slot"]
        return [*names, *placing.names_of(facts.get("slot", ""))]

    def guard(
        self, values: Values, case: Value, header: Header, facts: Facts, time: datetime
    ) -> Refusal | None:
        if ("slot" in facts) != ("start" in facts) or ("slot" in facts) == ("date" in facts):
            return invalid("referral.when")
        if "date" in facts:
            return model.check_waiting(facts["date"], time=time)
        return placing.refusal_of(values, case, header, facts, time)

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if name == facts.get("slot"):
            return slots.booked(provider=header.sender, case=header.case, holder=header.to[0])
        if name.startswith("slot:"):
            return slots.release(old, header.case)
        if name != case_name(header) or old is None:
            return old
        state = State.BOOKED if "slot" in facts else State.WAITING
        when = from_ms(facts.get("start", facts.get("date")))
        slot = facts.get("slot", "")
        session = placing.session_of(slot) if slot else ""
        return model.moved(old, state, due=when, slot=slot, session=session, start=to_ms(when))


class Return(ReferralKind):
    """The hospital sends it back, once, with one list of what is missing."""

    name = "referral.return/1"
    action = Action.RETURN
    target = State.RETURNED
    lanes = _BOTH
    rules: ClassVar[dict[str, FactRule]] = {**_URGENCY, "missing": rules.codes(*model.MISSING)}

    def guard(
        self, values: Values, case: Value, header: Header, facts: Facts, time: datetime
    ) -> Refusal | None:
        return None if facts["missing"] else invalid("referral.missing")

    def changes(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {"returned": True}


class _Ending(ReferralKind):
    """Ends a referral before the patient came: the slot that the case holds is free again."""

    quota = -1
    refusable = False

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (case_name(header), f"{case_name(header)}>slot")

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if name.startswith("slot:"):
            return slots.release(old, header.case)
        return super().step(name, old, header, facts, time, outcome)

    def changes(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {"reason": facts["reason"], "slot": "", "session": ""}


class Decline(_Ending):
    """The hospital declines with a coded reason; what the quota lost comes back."""

    name = "referral.decline/1"
    action = Action.DECLINE
    target = State.DECLINED
    lanes = _BOTH
    person_signed = True
    signers = _TRIAGE
    rules: ClassVar[dict[str, FactRule]] = {
        **_URGENCY,
        "reason": rules.code(*model.DECLINE_REASONS),
    }


class Cancel(_Ending):
    """The clinic withdraws its request before the patient arrives; a slot is free again."""

    name = "referral.cancel/1"
    action = Action.CANCEL
    target = State.CANCELLED
    rules: ClassVar[dict[str, FactRule]] = {"reason": rules.code(*model.CANCEL_REASONS)}


class Arrive(ReferralKind):
    """The consult desk registers that the patient is there."""

    name = "referral.arrive/1"
    action = Action.ARRIVE
    target = State.ARRIVED


class NoShow(ReferralKind):
    """The consult desk registers that the patient did not come at the time."""

    name = "referral.no_show/1"
    action = Action.NO_SHOW
    target = State.NO_SHOW

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (case_name(header), f"{case_name(header)}>session")

    def guard(
        self, values: Values, case: Value, header: Header, facts: Facts, time: datetime
    ) -> Refusal | None:
        _, session = values.link(f"{case_name(header)}>session")
        return model.check_no_show(case, time=time, off=slots.is_off(session))


class Report(ReferralKind):
    """The specialist's report, signed with the specialist's own key."""

    name = "referral.report/1"
    action = Action.REPORT
    target = State.REPORTED
    person_signed = True
    signers = _SPECIALISTS

    def changes(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {"report": header.id}


class Acknowledge(ReferralKind):
    """The clinic says what it does with the report; the case is closed."""

    name = "referral.acknowledge/1"
    action = Action.ACKNOWLEDGE
    refusable = False
    target = State.CLOSED
    rules: ClassVar[dict[str, FactRule]] = {"adoption": rules.code(*model.ADOPTIONS)}

    def guard(
        self, values: Values, case: Value, header: Header, facts: Facts, time: datetime
    ) -> Refusal | None:
        return model.check_adoption(case, facts["adoption"])

    def changes(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {"adoption": facts["adoption"]}


class Correct(ReferralKind):
    """The author of an earlier exchange puts something right; the original is kept beside it."""

    name = "referral.correct/1"
    action = Action.CORRECT
    person_signed = True
    signers = frozenset(Role)
    rules: ClassVar[dict[str, FactRule]] = {
        "of": rules.code(),
        "what": rules.code(*model.CORRECTED),
    }

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        from consortium.referrals import applying

        return super().inspect(session, opened) or applying.not_the_author(session, opened)


def minutes_of(outcome: Sequence[str]) -> int:
    """The minutes to answer that the verdict's word `aN` names; 0 without one."""
    for word in outcome:
        if word[:1] == "a" and word[1:].isdigit():
            return int(word[1:])
    return 0


def _answer_min(contract: Value | None, header: Header, facts: Facts) -> int:
    version = str(contract["version"]) if contract else "0"
    if contract is None or version not in contract["versions"]:
        return model.default_answer_min(facts["urgency"])
    answers = answer_in(
        contract["parties"],
        contract["versions"][version]["terms"],
        line=(facts["service"], "referral", header.sender, header.to[0]),
    )
    return answer_min(answers, urgency=facts["urgency"])


KINDS: Final[list[ExchangeKind]] = [
    Request(),
    Resend(),
    Claim(),
    Accept(),
    Return(),
    Decline(),
    Cancel(),
    Arrive(),
    NoShow(),
    Report(),
    Acknowledge(),
    Correct(),
]
SUBJECTS: Final[list[SubjectType]] = []
"""The family `case` is registered by exchange, `slot` and `session` by scheduling."""
