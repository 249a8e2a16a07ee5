"""Bodies of a referral's exchanges: ServiceRequest is the referral, Task the work of answering it.

research/fhir.md, 4. ServiceRequest and Task bear the case's id on both sides; the Patient keeps the
id that the clinic gave it. Everything but the Parameters is signed where a person must sign.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from consortium.fhir import clinical, gate, message, signature, systems
from consortium.fhir.elements import coding, concept, reference, resource
from consortium.kernel.actor import Actor
from consortium.kernel.ids import new_id
from consortium.ports import Signer
from consortium.referrals.clinical import resources as clinical_resources
from consortium.referrals.content import Content, Note, ReportText
from consortium.referrals.frame import Frame
from consortium.referrals.model import State

Resource = dict[str, Any]

PRIORITY: Final = {"emergency": "stat", "urgent": "urgent", "routine": "routine"}
"""Our urgencies in FHIR's codes (hl7.org/fhir/R4/valueset-request-priority.html)."""
TASK_STATUS: Final[Mapping[State, str]] = {
    State.REQUESTED: "requested",
    State.TRIAGE: "received",
    State.RETURNED: "on-hold",
    State.UNREADABLE: "on-hold",
    State.WAITING: "accepted",
    State.BOOKED: "ready",
    State.ARRIVED: "in-progress",
    State.NO_SHOW: "on-hold",
    State.REPORTED: "completed",
    State.CLOSED: "completed",
    State.DECLINED: "rejected",
    State.CANCELLED: "cancelled",
}
"""Task.status of each state (hl7.org/fhir/R4/valueset-task-status.html)."""
REQUEST_STATUS: Final[Mapping[State, str]] = {
    **dict.fromkeys(State, "active"),
    State.CLOSED: "completed",
    State.DECLINED: "revoked",
    State.CANCELLED: "revoked",
}
SLOT: Final = f"{systems.ROOT}/NamingSystem/slot"
DIRECTION: Final = f"{systems.ROOT}/CodeSystem/referral-direction"
_TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"
_CONSULT_NOTE = "11488-4"
_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def request(
    frame: Frame, content: Content, *, patient: bytes | Mapping[str, Any], signer: Signer
) -> bytes:
    """The body of a request, or of one that is sent again: everything the hospital needs."""
    told, along = clinical_resources(frame, content)
    resources: list[Resource | bytes] = [
        _service_request(frame, content, told),
        task(frame, State.REQUESTED),
        patient if isinstance(patient, bytes) else gate.dump(dict(patient)),
        *told,
        *along,
    ]
    facts: dict[str, Any] = {
        "urgency": content.urgency,
        "service": content.service,
        "consent": content.consent,
        "types": list(types_of(resources)),
        "filled": content.filled(),
    }
    return _body(frame, resources, facts, signer=signer)


def answer(
    frame: Frame,
    state: State,
    *,
    facts: Mapping[str, Any],
    note: Note | None = None,
    reasons: Sequence[str] = (),
    until: datetime | None = None,
    extra: Sequence[Resource] = (),
    signer: Signer | None = None,
) -> bytes:
    """The body of an act that moves the work: the Task as it now stands, and what goes with it."""
    first = task(frame, state, note=note, reasons=reasons, until=until)
    return _body(frame, [first, *extra, _authored(frame)], facts, signer=signer)


def report(frame: Frame, text: ReportText, *, signer: Signer) -> bytes:
    """The body of a report: a final DiagnosticReport, the advice as a CarePlan, both signed."""
    found = clinical.diagnostic_report(
        id_=new_id(frame.now),
        patient=frame.patient,
        title=text.diagnosis,
        conclusion=text.findings,
        issued=frame.now,
        performer=f"Organization/{frame.provider}",
        based_on=f"ServiceRequest/{frame.case}",
        code=coding(systems.LOINC, _CONSULT_NOTE),
    )
    found["resultsInterpreter"] = [_person(frame.actor)]
    extra = [found]
    if text.advice.strip():
        extra.append(
            resource(
                "CarePlan",
                id_=new_id(frame.now),
                status="active",
                intent="plan",
                description=text.advice,
                subject=reference(frame.patient),
                author=_person(frame.actor),
            )
        )
    first = task(frame, State.REPORTED, output=f"DiagnosticReport/{found['id']}")
    return _body(frame, [first, *extra], {}, signer=signer)


def correction(frame: Frame, *, of: str, what: str, text: str, signer: Signer) -> bytes:
    """The body of a correction: a Communication that names the exchange it is about."""
    said: Resource = {
        "resourceType": "Communication",
        "id": new_id(frame.now),
        "basedOn": [{"reference": f"ServiceRequest/{frame.case}"}],
        "status": "completed",
        "subject": {"reference": frame.patient},
        "about": [{"identifier": {"system": systems.EXCHANGE, "value": of}, "display": what}],
        "sent": message.instant(frame.now),
        "sender": _person(frame.actor),
        "payload": [{"contentString": text}],
    }
    return _body(frame, [said], {"of": of, "what": what}, signer=signer)


def appointment(frame: Frame, *, slot: str, start: datetime, end: datetime, place: str) -> Resource:
    """The booked time of an accepted referral; its slot by name, for a name has no FHIR id."""
    return _appointment(
        frame,
        "booked",
        place,
        start=message.instant(start),
        end=message.instant(end),
        slot=[{"identifier": {"system": SLOT, "value": slot}, "display": slot}],
    )


def waitlist(frame: Frame, *, expected: datetime, place: str) -> Resource:
    """The place on the waiting list of an accepted referral, with the day that is expected."""
    period = {"start": message.instant(expected)}
    return _appointment(frame, "waitlist", place, requestedPeriod=[period])


def _appointment(frame: Frame, status: str, place: str, **times: Any) -> Resource:
    return resource(
        "Appointment",
        id_=new_id(frame.now),
        status=status,
        description=place.strip(),
        **times,
        basedOn=[reference(f"ServiceRequest/{frame.case}")],
        participant=[
            {"actor": reference(frame.patient), "status": "accepted"},
            {"actor": _person(frame.actor), "status": "accepted"},
        ],
    )


def task(
    frame: Frame,
    state: State,
    *,
    note: Note | None = None,
    reasons: Sequence[str] = (),
    until: datetime | None = None,
    output: str = "",
) -> Resource:
    """The Task of a case in a state; `reasons` are our codes, `until` the expected date."""
    found: Resource = {
        "resourceType": "Task",
        "id": frame.case,
        "identifier": [{"system": systems.CASE, "value": frame.case}],
        "status": TASK_STATUS[state],
        "businessStatus": {"coding": [{"system": systems.CASE_STATE, "code": state.value}]},
        "intent": "order",
        "priority": PRIORITY[frame.urgency],
        "code": {"coding": [{"system": _TASK_CODE, "code": "fulfill"}]},
        "focus": {"reference": f"ServiceRequest/{frame.case}"},
        "for": {"reference": frame.patient},
        "authoredOn": message.instant(min(frame.opened, frame.now)),
        "lastModified": message.instant(frame.now),
        "requester": {"reference": f"Organization/{frame.taker}"},
        "owner": {"reference": f"Organization/{frame.provider}"},
    }
    if reasons:
        codes = [{"system": systems.REASON, "code": one} for one in reasons]
        found["statusReason"] = {"coding": codes}
    if note is not None and note.text.strip():
        found["note"] = [
            {"authorString": note.author, "time": message.instant(note.at), "text": note.text}
        ]
    if until is not None:
        found["restriction"] = {"period": {"end": message.instant(until)}}
    if output:
        name = {"text": "DiagnosticReport"}
        found["output"] = [{"type": name, "valueReference": {"reference": output}}]
    return found


def types_of(resources: Sequence[Mapping[str, Any] | bytes]) -> tuple[str, ...]:
    """Types that the contract must allow to be shared.

    Patient and ServiceRequest are not among them: they are the referral itself, which the
    contract's service clause covers.
    """
    from consortium.contracts.terms import TYPES

    kinds = {
        (gate.parse(one) if isinstance(one, bytes) else one)["resourceType"] for one in resources
    }
    return tuple(kind for kind in TYPES if kind in kinds - {"Patient", "ServiceRequest"})


def _body(
    frame: Frame,
    resources: Sequence[Resource | bytes],
    facts: Mapping[str, Any],
    *,
    signer: Signer | None,
) -> bytes:
    raws = [one if isinstance(one, bytes) else gate.dump(one) for one in resources]
    parts: list[Resource | bytes] = [*raws]
    if signer is not None:
        role = min(role.value for role in frame.actor.roles)
        parts.append(
            signature.sign(
                raws,
                event=frame.event,
                exchange_id=frame.exchange,
                key_id=signer.key_id,
                role=role,
                who=f"Practitioner/{frame.actor.user}",
                now=frame.now,
                sign=signer.sign,
            )
        )
    parts.append(message.parameters(**dict(facts)))
    return message.build(
        frame.event,
        source=frame.sender,
        destinations=[frame.to],
        resources=parts,
        exchange_id=frame.exchange,
        now=frame.now,
        response_to=frame.response_to,
    )


def _authored(frame: Frame) -> Resource:
    """Who did what the Task tells (hl7.org/fhir/R4/provenance.html).

    Task.owner is the hospital, and a Task without a note would name nobody.
    """
    return resource(
        "Provenance",
        id_=new_id(frame.now),
        target=[reference(f"Task/{frame.case}")],
        recorded=message.instant(frame.now),
        agent=[{"type": concept(coding(_AGENT, "author")), "who": _person(frame.actor)}],
    )


def _person(actor: Actor) -> Resource:
    return {"reference": f"Practitioner/{actor.user}", "display": actor.name}


def _service_request(frame: Frame, content: Content, told: Sequence[Resource]) -> Resource:
    found: Resource = {
        "resourceType": "ServiceRequest",
        "id": frame.case,
        "identifier": [{"system": systems.CASE, "value": frame.case}],
        "status": "active",
        "intent": "order",
        "category": [{"coding": [{"system": DIRECTION, "code": "up"}]}],
        "priority": PRIORITY[content.urgency],
        "code": {"coding": [{"system": systems.SERVICE, "code": content.service}]},
        "subject": {"reference": frame.patient},
        "authoredOn": message.instant(frame.now),
        "requester": _person(frame.actor),
        "performer": [{"reference": f"Organization/{frame.provider}"}],
        "reasonCode": [{"text": content.question}],
    }
    for element, wanted in (("reasonReference", True), ("supportingInfo", False)):
        names = [
            f"{one['resourceType']}/{one['id']}"
            for one in told
            if (one["resourceType"] == "Condition") == wanted
        ]
        if names:
            found[element] = [{"reference": name} for name in names]
    if content.history.strip():
        found["note"] = [{"text": content.history}]
    return found
