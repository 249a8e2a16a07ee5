"""What leaves the house, and in which form: only what was asked for. Pure, over parsed FHIR JSON.

A copy is made for the asker: it names the asker's own patient, and nothing of ours that was not
asked for can be told from it (no narrative, no contained resource, no reference to other rows).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from consortium.fhir.codes import TYPES
from consortium.fhir.primitives import bounds
from consortium.fhir.shape import Shape, shape_of
from consortium.records.model import Scope

Resource = Mapping[str, Any]
Stretch = tuple[datetime, datetime]
"""A half-open stretch [start, end) of moments."""

_WHEN: Final[Mapping[str, tuple[str, ...]]] = {
    "AllergyIntolerance": ("recordedDate", "onsetDateTime"),
    "CarePlan": ("period", "created"),
    "Condition": ("recordedDate", "onsetDateTime", "onsetPeriod"),
    "DiagnosticReport": ("effectiveDateTime", "effectivePeriod", "issued"),
    "DocumentReference": ("context.period", "date"),
    "Encounter": ("period",),
    "ImagingStudy": ("started",),
    "Immunization": ("occurrenceDateTime", "recorded"),
    "MedicationRequest": ("authoredOn",),
    "MedicationStatement": ("effectiveDateTime", "effectivePeriod", "dateAsserted"),
    "Observation": ("effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued"),
    "Procedure": ("performedDateTime", "performedPeriod"),
}
"""Where each type says when it was, first found first (hl7.org/fhir/R4, each type's page)."""

_SIGNED = frozenset({"DiagnosticReport", "DocumentReference"})
_UNSIGNED = frozenset({"registered", "partial", "preliminary"})
_ZONED = re.compile(r"(?:Z|[+-]\d{2}:\d{2})$")
_SUBJECTS = ("subject", "patient")
_NAMED = frozenset(
    {"Device", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole"}
)
"""What a reference may name in words: no person but staff, and no other record."""
_REFERENCE = frozenset({"id", "extension", "reference", "type", "identifier", "display"})
_MASKED: Final = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "masked",
}
"""Why a reference names nothing (hl7.org/fhir/R4/extension-data-absent-reason.html)."""


def when(resource: Resource) -> Stretch | None:
    """When the resource was, as a stretch as wide as its date is vague; None when it does not say.

    A year or a day counts from its first to its last moment in the charter's zone; a period that
    has not ended is dated by its start.
    """
    for path in _WHEN.get(resource["resourceType"], ()):
        value: Any = resource
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if found := _stretch(value):
            return found
    return None


def _stretch(value: object) -> Stretch | None:
    if isinstance(value, str):
        return _of_text(value)
    if not isinstance(value, Mapping):
        return None
    start = _of_text(str(value.get("start", "")))
    end = _of_text(str(value.get("end", "")))
    if start is None:
        return None
    return start[0], end[1] if end else start[1]


def _of_text(text: str) -> Stretch | None:
    """A FHIR date or dateTime as a stretch; None for anything else, or a time without its zone."""
    if "T" in text and not _ZONED.search(text):
        return None
    try:
        return bounds(text)
    except ValueError:
        return None


def leaves(resource: Resource, scope: Scope) -> bool:
    """Whether a resource was asked for: of a type, and wholly in the days, and signed, and right.

    What does not say when it was, what was entered in error, and a report that nobody has signed
    yet, stay.
    """
    if resource["resourceType"] not in scope.types or _void(resource):
        return False
    stretch = when(resource)
    return stretch is not None and scope.start <= stretch[0] and stretch[1] <= scope.end


def _void(resource: Resource) -> bool:
    status = resource.get("docStatus" if "docStatus" in resource else "status")
    if status in _UNSIGNED and resource["resourceType"] in {
        "DiagnosticReport",
        "DocumentReference",
    }:
        return True
    if status == "entered-in-error" or resource.get("status") == "entered-in-error":
        return True
    codings = (resource.get("verificationStatus") or {}).get("coding") or []
    return any(coding.get("code") == "entered-in-error" for coding in codings)


def select(resources: Iterable[Resource], scope: Scope) -> list[Resource]:
    """Those resources that were asked for, in the order given."""
    return [resource for resource in resources if leaves(resource, scope)]


def copies(resources: Sequence[Resource], *, patient: str) -> list[dict[str, Any]]:
    """Copies for the asker, whose own patient has the id `patient`.

    References among the copies stay; any other keeps the type of what it meant, and its words where
    they name staff, a place or a drug.
    """
    together = {f"{one['resourceType']}/{one['id']}" for one in resources}
    return [_copy(one, patient=patient, together=together) for one in resources]


def _copy(resource: Resource, *, patient: str, together: set[str]) -> dict[str, Any]:
    inside = {f"#{one.get('id')}": one["resourceType"] for one in resource.get("contained", ())}
    bare = {
        name: value
        for name, value in resource.items()
        if name not in {"text", "contained", "meta", *_SUBJECTS}
    }
    known = _Known(together, inside)
    out: dict[str, Any] = _without_strangers(bare, shape_of(resource["resourceType"]), known)
    for name in _SUBJECTS:
        if name in resource:
            out[name] = {"reference": f"Patient/{patient}"}
    return out


@dataclass(frozen=True, slots=True)
class _Known:
    """What a reference may point to: the copies together, and the type of what was contained."""

    together: AbstractSet[str]
    inside: Mapping[str, str]


def _without_strangers(value: Any, shape: Shape | None, known: _Known) -> Any:
    """A value whose references name nobody; `shape` says which of its elements are references."""
    if isinstance(value, list):
        return [_without_strangers(one, shape, known) for one in value]
    if not isinstance(value, Mapping):
        return value
    if _is_reference(value):
        return _named(value, frozenset(), known)
    return {name: _element(name, inner, shape, known) for name, inner in value.items()}


def _element(name: str, value: Any, shape: Shape | None, known: _Known) -> Any:
    element = None if shape is None else shape.elements.get(name)
    if element is None:
        return _without_strangers(value, None, known)
    if element.kind == "Reference":
        targets = element.targets
        if isinstance(value, list):
            return [_named(one, targets, known) for one in value]
        return _named(value, targets, known)
    inner = None if element.primitive else shape_of(element.kind)
    return _without_strangers(value, inner, known)


def _is_reference(value: Mapping[str, Any]) -> bool:
    """Whether a value of a place that no shape knows can only be a reference."""
    if isinstance(value.get("reference"), str):
        return True
    typed = isinstance(value.get("type"), str)
    return set(value) <= _REFERENCE and ("identifier" in value or typed)


def _named(value: Any, targets: AbstractSet[str], known: _Known) -> dict[str, Any]:
    """What a reference may say: a copy beside it, or staff, a place or a drug in words.

    An identifier never: that of a relative is the number of somebody who was not asked.
    """
    told: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    target, said, display = (told.get(name) for name in ("reference", "type", "display"))
    kind = said if isinstance(said, str) else ""
    if isinstance(target, str):
        if target in known.together:
            return {"reference": target}
        kind = known.inside.get(target) or target.partition("/")[0]
    if isinstance(display, str):
        if kind in _NAMED and said in (None, kind):
            return {"type": kind, "display": display}
        if not kind and targets and targets <= _NAMED:
            return {"display": display}
    return {"type": kind if kind in TYPES else "Resource", "extension": [_MASKED]}


def subject_of(resource: Resource) -> str:
    """The id of the patient that a resource is about, "" when it names none."""
    for name in _SUBJECTS:
        reference = resource.get(name)
        target = reference.get("reference") if isinstance(reference, Mapping) else None
        if isinstance(target, str) and target.startswith("Patient/"):
            return target.removeprefix("Patient/")
    return ""
