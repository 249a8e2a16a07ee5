"""Bookings in FHIR: ServiceRequest and Appointment, both bearing the case's id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from consortium.exchange.kinds import Opened
from consortium.fhir import gate, message, parts, signature, systems, types
from consortium.fhir.message import Message
from consortium.fhir.primitives import bounds
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.ids import new_id
from consortium.kernel.time import from_ms, to_ms
from consortium.ports import Signer
from consortium.scheduling import fhir as scheduling
from consortium.scheduling import model as slots
from consortium.scheduling.model import FreeSlot
from consortium.teleconsult.model import QUESTION_MAX, Action

CATEGORY: Final = "teleconsult"
PRIORITY: Final = {"emergency": "stat", "urgent": "urgent", "routine": "routine"}
"""Our urgencies in FHIR's codes (hl7.org/fhir/R4/valueset-request-priority.html)."""
_URGENCY = {priority: urgency for urgency, priority in PRIORITY.items()}


@dataclass(frozen=True, slots=True)
class Told:
    """What the body of a request says of the patient and the question."""

    name: str
    sex: str
    birth: str
    question: str
    patient_id: str
    author: str
    author_name: str


NOTHING: Final = Told("", "unknown", "", "", "", "", "")
"""What is known of a request whose body is not here."""


@dataclass(frozen=True, slots=True)
class Act:
    """What every body of one exchange of a booking needs: which case, from whom, to whom, when."""

    event: str
    exchange: str
    case: str
    sender: str
    to: str
    now: datetime


def request(
    act: Act,
    slot: FreeSlot,
    *,
    patient: bytes,
    question: str,
    urgency: str,
    basis: str,
    actor: Actor,
    signer: Signer,
) -> bytes:
    """The body of a request: patient, question, consent and time, signed by the doctor.

    `patient` are the bytes of the clinic's own Patient.
    """
    person = f"Patient/{patient_id(patient)}"
    asked = types.service_request(
        id_=act.case,
        patient=person,
        requester=f"Practitioner/{actor.user}",
        authored=act.now,
        category=CATEGORY,
        service=slot.service,
        service_text="",
        priority=PRIORITY[urgency],
        performer=f"Organization/{slot.provider}",
        reason=question,
        case=act.case,
    )
    asked["requester"]["display"] = actor.name
    consent = types.consent(
        id_=new_id(act.now),
        patient=person,
        given=act.now,
        basis=basis,
        members=[slot.provider],
        purpose="TREAT",
    )
    booked = appointment(slot, case=act.case, patient=person, now=act.now)
    signed = [patient, *(gate.dump(one) for one in (asked, booked, consent))]
    facts = parts.parameters(
        slot=slot.name,
        start=to_ms(slot.start),
        service=slot.service,
        urgency=urgency,
        consent=basis,
    )
    provenance = _signature(act, signed, actor=actor, signer=signer)
    return _body(act, [*signed, provenance, facts], focus=[f"ServiceRequest/{act.case}"])


def _signature(act: Act, signed: Sequence[bytes], *, actor: Actor, signer: Signer) -> bytes:
    return signature.sign(
        signed,
        event=act.event,
        exchange_id=act.exchange,
        key_id=signer.key_id,
        role=min(role.value for role in actor.roles),
        who=f"Practitioner/{actor.user}",
        now=act.now,
        sign=signer.sign,
    )


def appointment(
    slot: FreeSlot, *, case: str, patient: str, now: datetime, status: str = "booked"
) -> dict[str, Any]:
    """The Appointment of a booking on a slot."""
    return types.appointment(
        id_=case,
        status=status,
        start=slot.start,
        end=slot.end,
        actors={patient: "accepted", f"Practitioner/{slot.holder}": "accepted"},
        created=now,
        service=slot.service,
        slot=f"Slot/{scheduling.slot_id(slot.session, slot.number)}",
        based_on=f"ServiceRequest/{case}",
        case=case,
    )


def move(act: Act, slot: FreeSlot, *, patient: str) -> bytes:
    """The body of a move: the Appointment at its new time."""
    facts = parts.parameters(slot=slot.name, start=to_ms(slot.start), provider=slot.provider)
    return _body(act, [appointment(slot, case=act.case, patient=patient, now=act.now), facts])


def cancel(act: Act, slot: FreeSlot, *, patient: str, reason: str) -> bytes:
    """The body of a cancelling: the Appointment, cancelled, with the coded reason."""
    ended = appointment(slot, case=act.case, patient=patient, now=act.now, status="cancelled")
    ended["cancelationReason"] = {"coding": [{"system": systems.REASON, "code": reason}]}
    return _body(act, [ended, parts.parameters(reason=reason)])


def _body(
    act: Act,
    resources: Sequence[Mapping[str, Any] | bytes],
    *,
    focus: Sequence[str] | None = None,
) -> bytes:
    return message.build(
        act.event,
        source=act.sender,
        destinations=[act.to],
        resources=resources,
        exchange_id=act.exchange,
        now=act.now,
        focus=focus,
    )


# ---------------------------------------------------------------- reading


def told(body: Message) -> Told:
    """What a request says of its patient and question."""
    person = body.one("Patient")
    asked = body.one("ServiceRequest")
    names = [one.get("text", "") for one in person.get("name", ())]
    return Told(
        name=names[0] if names else "",
        sex=str(person.get("gender", "unknown")),
        birth=str(person.get("birthDate", "")),
        question=str(asked.get("reasonCode", [{}])[0].get("text", "")),
        patient_id=str(person["id"]),
        author=str(asked["requester"].get("reference", "")).removeprefix("Practitioner/")[:64],
        author_name=str(asked["requester"].get("display", "")),
    )


def patient_id(raw: bytes) -> str:
    """The id of a Patient by its bytes."""
    return str(gate.parse(raw)["id"])


def inspect(action: Action, opened: Opened) -> Refusal | None:
    """Whether facts and resources of a body say the same: `booking.differs` with the element.

    A request must also hold a question and be signed over all that it says: `booking.unsigned`.
    """
    body = opened.message
    if body is None:
        return None
    booked = body.one("Appointment")
    if booked["id"] != opened.header.case:
        return _differs("Appointment.id")
    if action is Action.CANCEL:
        given = booked.get("cancelationReason", {}).get("coding", [{}])[0].get("code")
        same = booked["status"] == "cancelled" and given == opened.facts["reason"]
        return None if same else _differs("Appointment.cancelationReason")
    if refusal := _same_time(booked, opened.facts):
        return refusal
    return None if action is Action.MOVE else _request(body, opened)


def _same_time(booked: Mapping[str, Any], facts: Mapping[str, Any]) -> Refusal | None:
    session, number = slots.parse_slot(facts["slot"])
    name = f"Slot/{scheduling.slot_id(session, number)}"
    if [one.get("reference") for one in booked.get("slot", ())] != [name]:
        return _differs("Appointment.slot")
    if "start" not in booked or bounds(booked["start"])[0] != from_ms(facts["start"]):
        return _differs("Appointment.start")
    return None if booked["status"] == "booked" else _differs("Appointment.status")


def _request(body: Message, opened: Opened) -> Refusal | None:
    facts = opened.facts
    asked, consent, person = (body.one(name) for name in ("ServiceRequest", "Consent", "Patient"))
    patient = f"Patient/{person['id']}"
    pairs = {
        "ServiceRequest.requester": "requester" in asked,
        "ServiceRequest.id": asked["id"] == opened.header.case,
        "ServiceRequest.priority": _URGENCY.get(asked.get("priority", "")) == facts["urgency"],
        "ServiceRequest.code": _code(asked.get("code"), systems.SERVICE) == facts["service"],
        "ServiceRequest.subject": asked["subject"].get("reference") == patient,
        "Consent.policyRule": _code(consent.get("policyRule"), systems.CONSENT_BASIS)
        == facts["consent"],
        "Consent.patient": consent.get("patient", {}).get("reference") == patient,
        "Consent.status": consent["status"] == "active",
    }
    for element, same in pairs.items():
        if not same:
            return _differs(element)
    question = told(body).question
    if not question.strip() or len(question) > QUESTION_MAX:
        return invalid("booking.question", most=QUESTION_MAX)
    return _unsigned(body, [asked, consent, person, body.one("Appointment")])


def _unsigned(body: Message, resources: Sequence[Mapping[str, Any]]) -> Refusal | None:
    """The signature itself is checked by the inbox; this is what it covers."""
    covered = {
        target.get("reference")
        for one in body.all("Provenance")
        if "signature" in one
        for target in one["target"]
    }
    for one in resources:
        if f"{one['resourceType']}/{one['id']}" not in covered:
            return invalid("booking.unsigned", element=one["resourceType"])
    return None


def _code(value: Mapping[str, Any] | None, system: str) -> str:
    for coding in (value or {}).get("coding", ()):
        if coding.get("system") == system:
            return str(coding.get("code", ""))
    return ""


def _differs(element: str) -> Refusal:
    return invalid("booking.differs", element=element)
