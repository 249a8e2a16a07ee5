"""Rules between elements: FHIR's own invariants for the types in use, and our few.

Each rule is named as hl7.org/fhir/R4 names it (per-1, obs-6); rules of our own begin with `own`.
A rule reads one element as it stands in JSON and answers whether it holds.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from consortium.fhir import systems
from consortium.fhir.identity import id_number
from consortium.fhir.primitives import birth_fault, bounds
from consortium.kernel.errors import Refusal, invalid

Element = Mapping[str, Any]
Rule = Callable[[Element], bool]

_BORN = frozenset({"Patient", "Practitioner", "RelatedPerson"})


def rule_fault(name: str, element: Element, *, now: datetime) -> Refusal | None:
    """The first rule that an element of model class `name` breaks, or None."""
    for key, holds in RULES.get(name, ()):
        if not holds(element):
            return invalid("fhir.rule", rule=key)
    if name in _BORN and "birthDate" in element:
        return birth_fault(element["birthDate"], now=now)
    if name == "Identifier" and element.get("system") == systems.ID_NUMBER and "value" in element:
        try:
            id_number(element["value"], now=now)
        except Refusal as refusal:
            return refusal
    return None


def _in_order(start: str, end: str) -> Rule:
    def holds(element: Element) -> bool:
        if start not in element or end not in element:
            return True
        # only refused when it cannot be so: 2026 to 2026-03 stands
        return bounds(element[end])[1] > bounds(element[start])[0]

    return holds


def _any(*names: str) -> Rule:
    return lambda element: any(name in element for name in names)


def _needs(name: str, other: str) -> Rule:
    return lambda element: name not in element or other in element


def _not_both(name: str, other: str) -> Rule:
    return lambda element: name not in element or other not in element


def _valued(element: Element, stem: str = "value") -> bool:
    return any(name.startswith((stem, "_" + stem)) for name in element)


def _coded(element: Element, name: str) -> str:
    for coding in element.get(name, {}).get("coding", ()):
        return str(coding.get("code", ""))
    return ""


def _extension(element: Element) -> bool:
    return _valued(element) != ("extension" in element)


def _parameter(element: Element) -> bool:
    return [_valued(element), "resource" in element, "part" in element].count(True) == 1


def _observation(element: Element) -> bool:
    return "dataAbsentReason" not in element or not _valued(element)


def _condition_error(element: Element) -> bool:
    return (
        _coded(element, "verificationStatus") != "entered-in-error"
        or "clinicalStatus" not in element
    )


def _condition_abated(element: Element) -> bool:
    return not _valued(element, "abatement") or _coded(element, "clinicalStatus") in {
        "inactive",
        "remission",
        "resolved",
    }


def _allergy_status(element: Element) -> bool:
    wrong = _coded(element, "verificationStatus") == "entered-in-error"
    return wrong != ("clinicalStatus" in element)


def _appointment_times(element: Element) -> bool:
    return ("start" in element) == ("end" in element)


def _appointment_open(element: Element) -> bool:
    return ("start" in element and "end" in element) or element["status"] in {
        "proposed",
        "cancelled",
        "waitlist",
    }


def _appointment_reason(element: Element) -> bool:
    return "cancelationReason" not in element or element["status"] in {"cancelled", "noshow"}


def _home(name: str) -> Rule:
    return lambda element: all(one.get("use") != "home" for one in element.get(name, ()))


RULES: Mapping[str, tuple[tuple[str, Rule], ...]] = {
    "Period": (("per-1", _in_order("start", "end")),),
    "Attachment": (("att-1", _needs("data", "contentType")),),
    "Quantity": (("qty-3", _needs("code", "system")),),
    "ContactPoint": (("cpt-2", _needs("value", "system")),),
    "Extension": (("ext-1", _extension),),
    "ParametersParameter": (("inv-1", _parameter),),
    "Observation": (("obs-6", _observation),),
    "ObservationReferenceRange": (("obs-3", _any("low", "high", "text")),),
    "Condition": (("con-4", _condition_abated), ("con-5", _condition_error)),
    "AllergyIntolerance": (("ait-1", _allergy_status),),
    "Appointment": (
        ("app-2", _appointment_times),
        ("app-3", _appointment_open),
        ("app-4", _appointment_reason),
        ("own-times", _in_order("start", "end")),
    ),
    "AppointmentParticipant": (("app-1", _any("type", "actor")),),
    "AppointmentResponse": (("apr-1", _any("participantType", "actor")),),
    "Slot": (("own-times", _in_order("start", "end")),),
    "Organization": (
        ("org-1", _any("identifier", "name")),
        ("org-2", _home("address")),
        ("org-3", _home("telecom")),
    ),
    "PatientContact": (("pat-1", _any("name", "telecom", "address", "organization")),),
    "ServiceRequest": (("prr-1", _needs("orderDetail", "code")),),
    "Task": (("inv-1", _in_order("authoredOn", "lastModified")),),
    "CompositionSection": (
        ("cmp-1", _any("text", "entry", "section")),
        ("cmp-2", _not_both("emptyReason", "entry")),
    ),
    "Consent": (("ppc-1", _any("policy", "policyRule")),),
    "CarePlanActivity": (("cpl-3", _not_both("detail", "reference")),),
}
"""Model class to its rules; dom-2 and ele-1 are held by the walk itself."""
