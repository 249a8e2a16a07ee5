"""Reading a referral's bodies: what they say, and whether facts and resources agree."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from consortium.contracts.terms import TYPES
from consortium.exchange.blobs import SEALED_SIZE_URL, digest_of
from consortium.exchange.facts import Facts
from consortium.fhir import systems
from consortium.fhir.clinical import VITALS
from consortium.fhir.message import Message
from consortium.fhir.primitives import bounds
from consortium.fhir.signature import Signed
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.time import to_ms
from consortium.referrals.clinical import CONSENT_BASIS
from consortium.referrals.content import Content, Note, Paper, ReportText, Vital
from consortium.referrals.fhir import PRIORITY
from consortium.referrals.model import Action, State

_SUBJECTS: Final = ("subject", "patient", "for", "beneficiary")
_MUST_NAME: Final = frozenset({"Task", "ServiceRequest", "DiagnosticReport", "Communication"})
_URGENCY = {code: name for name, code in PRIORITY.items()}
_VITAL = {loinc: name for name, (loinc, *_rest) in VITALS.items()}
_STATES: Mapping[Action, frozenset[State]] = {
    Action.CLAIM: frozenset({State.TRIAGE}),
    Action.ACCEPT: frozenset({State.BOOKED, State.WAITING}),
    Action.RETURN: frozenset({State.RETURNED}),
    Action.DECLINE: frozenset({State.DECLINED}),
    Action.CANCEL: frozenset({State.CANCELLED}),
    Action.ARRIVE: frozenset({State.ARRIVED}),
    Action.NO_SHOW: frozenset({State.NO_SHOW}),
    Action.REPORT: frozenset({State.REPORTED}),
    Action.ACKNOWLEDGE: frozenset({State.CLOSED}),
}


def inspect(
    action: Action, message: Message, facts: Facts, *, case: str, patient: str = ""
) -> Refusal | None:
    """Whether the clinical resources say what the facts say: `referral.body` names what differs.

    `patient` is how this member knows the case's patient (`Patient/ID`), empty before it does:
    everything in the body must be about them.
    """
    try:
        different = next(_differences(action, message, facts, case, patient), "")
    except Refusal as refusal:
        return refusal
    return invalid("referral.body", part=different) if different else None


def _differences(
    action: Action, message: Message, facts: Facts, case: str, patient: str
) -> Iterator[str]:
    if action in (Action.REQUEST, Action.RESEND):
        named = f"Patient/{message.one('Patient')['id']}"
        if patient and named != patient:
            yield "patient"
        patient = named
    if patient and not all(_about(one, patient) for one in message.resources):
        yield "patient"
    match action:
        case Action.REQUEST | Action.RESEND:
            yield from _request_differences(message, facts, case)
        case Action.CORRECT:
            said = message.one("Communication")
            about = [one.get("identifier", {}).get("value") for one in said.get("about", ())]
            if about != [facts["of"]]:
                yield "about"
            if not message_text(message):
                yield "text"
        case _:
            yield from _task_differences(action, message, facts, case)
            if action is Action.REPORT and report_text(message).empty:
                yield "report"


def _about(resource: Mapping[str, Any], patient: str) -> bool:
    """Whether a resource names nobody but this patient; whom an answer is about, it must name."""
    people = [resource[name] for name in _SUBJECTS if name in resource]
    for one in resource.get("participant", ()):
        actor = one.get("actor", {})
        if "Patient/" in actor.get("reference", ""):
            people.append(actor)
    if not people:
        return resource["resourceType"] not in _MUST_NAME
    return all(
        isinstance(one, Mapping)
        and str(one.get("reference", "")).removeprefix(systems.BASE) == patient
        for one in people
    )


def _request_differences(message: Message, facts: Facts, case: str) -> Iterator[str]:
    order, _patient = message.one("ServiceRequest"), message.one("Patient")
    if order["id"] != case:
        yield "case"
    if _code(order.get("code"), systems.SERVICE) != facts["service"]:
        yield "service"
    if _URGENCY.get(order.get("priority", "")) != facts["urgency"]:
        yield "urgency"
    kinds = {one["resourceType"] for one in message.resources} - {"Patient", "ServiceRequest"}
    if [kind for kind in TYPES if kind in kinds] != list(facts.get("types", ())):
        yield "types"
    content = content_of(message)
    if content.consent != facts.get("consent", ""):
        yield "consent"
    if content.filled() != facts["filled"]:
        yield "filled"
    if content.missing(patient=True):
        yield "required"


def _task_differences(action: Action, message: Message, facts: Facts, case: str) -> Iterator[str]:
    task = message.one("Task")
    if task["id"] != case or task.get("focus", {}).get("reference") != f"ServiceRequest/{case}":
        yield "case"
    state = _code(task.get("businessStatus"), systems.CASE_STATE)
    if state not in _STATES[action]:
        yield "state"
    if "urgency" in facts and _URGENCY.get(task.get("priority", "")) != facts["urgency"]:
        yield "urgency"
    told = [facts["reason"]] if "reason" in facts else list(facts.get("missing", ()))
    if reasons_of(message) != told:
        yield "reason"
    note_of(message)
    if action is Action.ACCEPT:
        if (state == State.BOOKED) != ("slot" in facts):
            yield "slot"
        yield from _time_differences(message, facts)


def _time_differences(message: Message, facts: Facts) -> Iterator[str]:
    """The signed Appointment is at the time, and the slot, that shared state takes."""
    at = message.one("Appointment")
    if "slot" in facts:
        names = [one.get("identifier", {}).get("value") for one in at.get("slot", ())]
        if names != [facts["slot"]] or at["status"] != "booked":
            yield "slot"
        start = at.get("start", "")
    else:
        if "slot" in at or at["status"] != "waitlist":
            yield "slot"
        start = _first(at.get("requestedPeriod")).get("start", "")
    if to_ms(_moment(start, part="start")) != facts.get("start", facts.get("date")):
        yield "start"


def unsigned_of(message: Message, signed: Signed) -> str:
    """The first clinical resource that a person's signature does not cover; empty when all are."""
    for one in message.resources:
        if one["resourceType"] not in ("Parameters", "Provenance") and not signed.covers(one):
            return str(one["resourceType"])
    return ""


def content_of(message: Message) -> Content:
    """What a request says, as the form's content. Raises Refusal `fhir.expected`."""
    order = message.one("ServiceRequest")
    condition = message.first("Condition") or {}
    consent = message.first("Consent") or {}
    return Content(
        service=_code(order.get("code"), systems.SERVICE),
        urgency=_URGENCY.get(order.get("priority", ""), ""),
        question=_first(order.get("reasonCode")).get("text", ""),
        diagnosis=condition.get("code", {}).get("text", ""),
        diagnosis_code=_code(condition.get("code"), systems.ICD10),
        history=_first(order.get("note")).get("text", ""),
        medication=tuple(
            one.get("medicationCodeableConcept", {}).get("text", "")
            for one in message.all("MedicationStatement")
        ),
        allergies=tuple(
            one.get("code", {}).get("text", "") for one in message.all("AllergyIntolerance")
        ),
        consent=_code(consent.get("policyRule"), CONSENT_BASIS),
        consent_note=consent.get("policyRule", {}).get("text", ""),
        vitals=tuple(_vitals(message)),
        papers=tuple(_papers(message)),
    )


def author_of(message: Message) -> str:
    """The name of whoever did what a body tells; empty when none is named."""
    for kind, element in (
        ("ServiceRequest", "requester"),
        ("Communication", "sender"),
    ):
        found = message.first(kind)
        if found is not None and element in found:
            return str(found[element].get("display", ""))
    for found in message.all("DiagnosticReport"):
        for person in found.get("resultsInterpreter", ()):
            return str(person.get("display", ""))
    for found in message.all("Provenance"):
        # that of a signature names the holder of a key, without a name
        if name := _first(found.get("agent")).get("who", {}).get("display", ""):
            return str(name)
    note = note_of(message)
    return "" if note is None else note.author


def patient_reference(message: Message) -> str:
    """How the body names the patient (`Patient/ID`), empty when it does not."""
    patient = message.first("Patient")
    if patient is not None:
        return f"Patient/{patient['id']}"
    task = message.first("Task") or {}
    return str(task.get("for", {}).get("reference", ""))


def note_of(message: Message) -> Note | None:
    """The words that go with an answer. Raises Refusal `referral.body` for a note without any."""
    for one in (message.first("Task") or {}).get("note", ()):
        if "time" not in one:
            continue
        if "text" not in one:
            raise invalid("referral.body", part="note")
        at = _moment(one["time"], part="note")
        return Note(author=one.get("authorString", ""), text=one["text"], at=at)
    return None


def reasons_of(message: Message) -> list[str]:
    """Our codes in Task.statusReason: what is missing, or why not."""
    coded = (message.first("Task") or {}).get("statusReason", {}).get("coding", ())
    return [one.get("code", "") for one in coded if one.get("system") == systems.REASON]


def report_text(message: Message) -> ReportText:
    """What a report says. Raises Refusal `fhir.expected` when there is not exactly one."""
    found = message.one("DiagnosticReport")
    plan = message.first("CarePlan") or {}
    return ReportText(
        diagnosis=found["code"].get("text", ""),
        findings=found.get("conclusion", ""),
        advice=plan.get("description", ""),
        author=author_of(message),
    )


def message_text(message: Message) -> str:
    """The text of a Communication."""
    said = message.first("Communication") or {}
    return str(_first(said.get("payload")).get("contentString", ""))


def place_of(message: Message) -> str:
    """Where the patient is to come, as the hospital wrote it."""
    return str((message.first("Appointment") or {}).get("description", ""))


def _vitals(message: Message) -> Iterator[Vital]:
    for one in message.all("Observation"):
        at = str(one.get("effectiveDateTime", ""))
        if at:
            _moment(at, part="vitals")
        for part in (one, *one.get("component", ())):
            name = _VITAL.get(_code(part.get("code"), systems.LOINC), "")
            if name and "valueQuantity" in part:
                yield Vital(name, str(part["valueQuantity"].get("value", "")), at)


def paper_of(attached: Mapping[str, Any]) -> Paper:
    """A file by its FHIR Attachment, as exchange/blobs writes it."""
    sizes = [
        part["valueInteger"]
        for part in attached.get("extension", ())
        if part.get("url") == SEALED_SIZE_URL and "valueInteger" in part
    ]
    return Paper(
        title=attached.get("title", ""),
        content_type=attached.get("contentType", ""),
        size=sizes[0] if sizes else 0,
        sealed=digest_of(attached),
        attachment=attached,
    )


def _papers(message: Message) -> Iterator[Paper]:
    for one in message.all("DocumentReference"):
        attached = _first(one.get("content")).get("attachment")
        if not isinstance(attached, Mapping):
            raise invalid("referral.body", part="papers")
        yield paper_of(attached)


def _moment(text: str, *, part: str) -> datetime:
    try:
        return bounds(text)[0]
    except (ValueError, OverflowError):
        raise invalid("referral.body", part=part) from None


def _code(concept: Any, system: str) -> str:
    for one in (concept or {}).get("coding", ()):
        if one.get("system") == system:
            return str(one.get("code", ""))
    return ""


def _first(items: Any) -> Mapping[str, Any]:
    return items[0] if items else {}
