"""Exchanges of a booking: asked for, moved, given up. A slot moves with its case, or neither does.

All travel in the routine lane, as everything does that takes or frees a slot (PROTOCOL 3).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import Session

from consortium.contracts.permit import quota_taken
from consortium.contracts.terms import SERVICES, URGENCIES
from consortium.exchange.facts import Facts, Value, code, number
from consortium.exchange.header import Header
from consortium.exchange.kinds import ExchangeKind, Opened, SubjectType, Values, Verdict, version_of
from consortium.fhir import parts
from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal, conflict, invalid
from consortium.patients import adoption
from consortium.scheduling import model as slots
from consortium.scheduling.model import SessionKind
from consortium.teleconsult import applying, fhir, model
from consortium.teleconsult.model import Action, Basis, CancelReason, Place

if TYPE_CHECKING:
    from consortium.fhir.message import Message


class _BookingKind(ExchangeKind):
    """What all exchanges of a booking share: facts in the Parameters, rows by `applying`."""

    action: ClassVar[Action]

    def facts_of(self, message: "Message") -> Facts:
        return parts.parameters_of(message)

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        if opened.message is None:
            return None
        if refusal := fhir.inspect(self.action, opened):
            return refusal
        if self.action is not Action.REQUEST:
            return None
        person = opened.message.one("Patient")
        return adoption.inspect(
            session,
            member=opened.member,
            resource=person,
            source=opened.header.sender,
            now=opened.now,
        )

    def apply(self, session: Session, opened: Opened) -> None:
        applying.apply(session, self.action, opened)

    def refused(self, session: Session, opened: Opened) -> None:
        applying.refused(session, self.action, opened)

    def put_back(self, session: Session, opened: Opened) -> None:
        applying.put_back(session, opened)


class BookingRequest(_BookingKind):
    """A clinic books a specialist's free time for a patient; signed by the doctor."""

    name = "booking.request/1"
    action = Action.REQUEST
    opens_case = True
    quota = 1
    person_signed = True
    signers = frozenset({Role.TOWNSHIP_DOCTOR})
    needs_consent = True
    rules: ClassVar = {
        "slot": code(),
        "start": number(),
        "service": code(*SERVICES),
        "urgency": code(*URGENCIES),
        "consent": code(*Basis),
    }

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"case:{header.case}", *_slot_names(facts))

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        if not header.case or len(header.to) != 1 or header.to[0] == header.sender:
            return invalid("booking.recipient")
        if values.get(f"case:{header.case}") is not None:
            return conflict("booking.exists")
        return (
            _slot_refusal(
                values,
                header,
                facts,
                provider=header.to[0],
                taker=header.sender,
                service=facts["service"],
                time=time,
            )
            or ""
        )

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        if name == facts["slot"]:
            return slots.booked(provider=header.to[0], case=header.case, holder=header.sender)
        if name != f"case:{header.case}":
            return old
        return model.opened(
            place_of(facts),
            taker=header.sender,
            provider=header.to[0],
            service=facts["service"],
            urgency=facts["urgency"],
            contract=header.contract,
            version=version_of(outcome),
            quota=quota_taken(self, header, facts, time, outcome),
            time=time,
        )


class BookingMove(_BookingKind):
    """Either side gives a booking another free time of the same service."""

    name = "booking.move/1"
    action = Action.MOVE
    rules: ClassVar = {"slot": code(), "start": number(), "provider": code()}

    def needs(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        case = f"case:{header.case}"
        return (case, f"{case}>slot", f"{case}>session", *_slot_names(facts))

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        case = _case(values, header)
        if isinstance(case, Refusal):
            return case
        _, session = values.link(f"case:{header.case}>session")
        advanced = model.advance(
            case,
            self.action,
            member=header.sender,
            session_open=slots.is_open(session),
            time=time,
        )
        if isinstance(advanced, Refusal):
            return advanced
        if facts["provider"] != case["provider"] or facts["slot"] == case["slot"]:
            return invalid("booking.same_slot")
        return (
            _slot_refusal(
                values,
                header,
                facts,
                provider=case["provider"],
                taker=case["taker"],
                service=case["service"],
                time=time,
            )
            or ""
        )

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        provider = facts["provider"]
        if name == facts["slot"]:
            taker = header.to[0] if header.sender == provider else header.sender
            return slots.booked(provider=provider, case=header.case, holder=taker)
        if name.startswith("slot:"):
            return slots.release(old, header.case)
        if name != f"case:{header.case}" or old is None:
            return old
        return model.moved(old, place_of(facts))


class BookingCancel(_BookingKind):
    """Either side gives a booking up before it begins; slot and quota come back."""

    name = "booking.cancel/1"
    action = Action.CANCEL
    quota = -1
    refusable = False
    rules: ClassVar = {"reason": code(*CancelReason)}

    def needs(self, header: Header, facts: Facts) -> Mapping[str, Any]:
        return {}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        case = f"case:{header.case}"
        return (case, f"{case}>slot", f"{case}>session")

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        case = _case(values, header)
        if isinstance(case, Refusal):
            return case
        _, session = values.link(f"case:{header.case}>session")
        advanced = model.advance(
            case,
            self.action,
            member=header.sender,
            session_open=slots.is_open(session),
            time=time,
        )
        return advanced if isinstance(advanced, Refusal) else ""

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        if name.startswith("slot:"):
            return slots.release(old, header.case)
        if name != f"case:{header.case}" or old is None:
            return old
        return model.cancelled(old)


def place_of(facts: Facts) -> Place:
    """The place that an exchange names."""
    return Place(facts["slot"], _session_of(facts), facts["start"])


def _slot_names(facts: Facts) -> tuple[str, ...]:
    """Subjects of the slot that facts name; none for a text that is no slot: `judge` refuses it."""
    try:
        slots.parse_slot(facts["slot"])
    except Refusal:
        return ()
    return facts["slot"], _session_of(facts)


def _session_of(facts: Facts) -> str:
    """The session's subject of the slot that facts name, by its form alone."""
    return slots.session_name(facts["slot"].removeprefix("slot:").partition("/")[0])


def _case(values: Values, header: Header) -> Value | Refusal:
    """The booking that an exchange goes on with; only its other side is a recipient."""
    case = values.get(f"case:{header.case}") if header.case else None
    if case is None or case["topic"] != model.TOPIC:
        return invalid("booking.unknown")
    if sorted({header.sender, *header.to}) != case["parties"] or len(header.to) != 1:
        return invalid("booking.recipient")
    return case


def _slot_refusal(
    values: Values,
    header: Header,
    facts: Facts,
    *,
    provider: str,
    taker: str,
    service: str,
    time: datetime,
) -> Refusal | None:
    """Why the slot cannot be had: unknown, of another service, taken, past, not at that time."""
    reached = slots.reach(
        values.get, facts["slot"], case=header.case, holder=taker, provider=provider, time=time
    )
    if isinstance(reached, Refusal):
        return reached
    session, number = reached
    if session["kind"] != SessionKind.TELECONSULT or session["service"] != service:
        return invalid("booking.service")
    if session["starts"][number - 1] != facts["start"]:
        return invalid("booking.start")
    return None


KINDS: list[ExchangeKind] = [BookingRequest(), BookingMove(), BookingCancel()]
SUBJECTS: list[SubjectType] = []
"""The family `case` is registered by exchange, `slot` and `session` by scheduling."""
