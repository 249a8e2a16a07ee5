"""Clinical resources as plain dicts: diagnoses, vitals, allergies, reports, documents.

As types.py: one function a type, keyword-only, all pass `bindings.check`.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from consortium.fhir import systems
from consortium.fhir.elements import (
    coding,
    concept,
    identifier,
    kept,
    moment,
    optional,
    quantity,
    reference,
    references,
    resource,
)

VITALS: Mapping[str, tuple[str, str, str]] = {
    "systolic": ("8480-6", "mmHg", "mm[Hg]"),
    "diastolic": ("8462-4", "mmHg", "mm[Hg]"),
    "pulse": ("8867-4", "/min", "/min"),
    "breathing": ("9279-1", "/min", "/min"),
    "temperature": ("8310-5", "°C", "Cel"),
    "oxygen": ("2708-6", "%", "%"),
    "weight": ("29463-7", "kg", "kg"),
    "height": ("8302-2", "cm", "cm"),
    "glucose": ("15074-8", "mmol/L", "mmol/L"),
}
"""Vital signs by our names: LOINC code, unit as shown, UCUM code (loinc.org, vital signs panel)."""

_BLOOD_PRESSURE = "85354-9"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ALLERGY_CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
_ALLERGY_VERIFIED = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"


def condition(
    *,
    id_: str,
    patient: str,
    text: str,
    recorded: datetime,
    code: str = "",
    code_system: str = systems.ICD10,
    clinical: str = "active",
    verification: str = "provisional",
    recorder: str = "",
) -> dict[str, Any]:
    """A diagnosis in the doctor's words, with its ICD-10 code when there is one."""
    return resource(
        "Condition",
        id_=id_,
        clinicalStatus=concept(coding(_CLINICAL, clinical)),
        verificationStatus=concept(coding(_VERIFIED, verification)),
        code=concept(*([coding(code_system, code)] if code else []), text=text),
        subject=reference(patient),
        recordedDate=moment(recorded),
        recorder=optional(recorder),
    )


def vital(
    *,
    id_: str,
    patient: str,
    name: str,
    value: Decimal | int,
    taken: datetime,
    performer: str = "",
) -> dict[str, Any]:
    """One vital sign by its name in `VITALS`; blood pressure goes by `blood_pressure`."""
    code, unit, ucum = VITALS[name]
    return _observation(
        id_=id_,
        patient=patient,
        code=code,
        taken=taken,
        performer=performer,
        valueQuantity=quantity(value, unit, code=ucum),
    )


def blood_pressure(
    *,
    id_: str,
    patient: str,
    systolic_mmhg: int,
    diastolic_mmhg: int,
    taken: datetime,
    performer: str = "",
) -> dict[str, Any]:
    """Blood pressure as one Observation with two components (vital signs profile)."""
    components = [
        {
            "code": concept(coding(systems.LOINC, VITALS[name][0])),
            "valueQuantity": quantity(value, VITALS[name][1], code=VITALS[name][2]),
        }
        for name, value in (("systolic", systolic_mmhg), ("diastolic", diastolic_mmhg))
    ]
    return _observation(
        id_=id_,
        patient=patient,
        code=_BLOOD_PRESSURE,
        taken=taken,
        performer=performer,
        component=components,
    )


def allergy(
    *,
    id_: str,
    patient: str,
    text: str,
    recorded: datetime,
) -> dict[str, Any]:
    """An allergy or intolerance in words; for none known, `no_known_allergy`."""
    return resource(
        "AllergyIntolerance",
        id_=id_,
        clinicalStatus=concept(coding(_ALLERGY_CLINICAL, "active")),
        verificationStatus=concept(coding(_ALLERGY_VERIFIED, "unconfirmed")),
        code=concept(text=text),
        patient=reference(patient),
        recordedDate=moment(recorded),
    )


def no_known_allergy(
    *,
    id_: str,
    patient: str,
    recorded: datetime,
) -> dict[str, Any]:
    """The statement that no allergy is known (SNOMED CT 716186003), which is not silence."""
    known = coding("http://snomed.info/sct", "716186003", display="No known allergy")
    return resource(
        "AllergyIntolerance",
        id_=id_,
        clinicalStatus=concept(coding(_ALLERGY_CLINICAL, "active")),
        verificationStatus=concept(coding(_ALLERGY_VERIFIED, "unconfirmed")),
        code=concept(known),
        patient=reference(patient),
        recordedDate=moment(recorded),
    )


def medication_statement(
    *,
    id_: str,
    patient: str,
    text: str,
    asserted: datetime,
    dosage: str = "",
) -> dict[str, Any]:
    """A medicine that the patient takes, in words."""
    return resource(
        "MedicationStatement",
        id_=id_,
        status="active",
        medicationCodeableConcept=concept(text=text),
        subject=reference(patient),
        dateAsserted=moment(asserted),
        dosage=[{"text": dosage}] if dosage else [],
    )


def diagnostic_report(  # noqa: PLR0913 - the resource's own list
    *,
    id_: str,
    patient: str,
    title: str,
    conclusion: str,
    issued: datetime,
    performer: str,
    based_on: str = "",
    status: str = "final",
    results: Sequence[str] = (),
    forms: Sequence[Mapping[str, Any]] = (),
    code: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A report or an opinion: preliminary until signed, then final, amended by a new version.

    `performer` is who is responsible; `forms` are Attachments.
    """
    return resource(
        "DiagnosticReport",
        id_=id_,
        basedOn=references([based_on]) if based_on else [],
        status=status,
        code=concept(*([code] if code else []), text=title),
        subject=reference(patient),
        effectiveDateTime=moment(issued),
        issued=moment(issued),
        performer=references([performer]),
        result=references(results),
        conclusion=conclusion,
        presentedForm=[dict(one) for one in forms],
    )


def document_reference(  # noqa: PLR0913 - the resource's own list
    *,
    id_: str,
    patient: str,
    title: str,
    content_type: str,
    created: datetime,
    data: bytes | None = None,
    binary: str = "",
    size_bytes: int | None = None,
    sha1: bytes | None = None,
    author: str = "",
    kind: str = "",
    related: Sequence[str] = (),
    number: str = "",
) -> dict[str, Any]:
    """A document: its bytes inside (`data`), or kept apart as `Binary/id` (`binary`).

    `sha1` and `size_bytes` are of the bytes kept apart (R4 fixes SHA-1 for Attachment.hash);
    `number` is an identifier such as the blob's own hash.
    """
    content = kept(
        contentType=content_type,
        data=base64.b64encode(data).decode("ascii") if data else None,
        url=binary,
        size=size_bytes,
        hash=base64.b64encode(sha1).decode("ascii") if sha1 else None,
        title=title,
        creation=moment(created),
    )
    return resource(
        "DocumentReference",
        id_=id_,
        identifier=[identifier(systems.DOCUMENT, number)] if number else [],
        status="current",
        type=concept(text=kind) if kind else None,
        subject=reference(patient),
        date=moment(created),
        author=references([author]) if author else [],
        description=title,
        content=[{"attachment": content}],
        context=kept(related=references(related)),
    )


def composition(
    *,
    id_: str,
    patient: str,
    title: str,
    written: datetime,
    author: str,
    sections: Mapping[str, Sequence[str]],
    status: str = "final",
) -> dict[str, Any]:
    """A document's table of contents: section titles to references of what they hold."""
    return resource(
        "Composition",
        id_=id_,
        status=status,
        type=concept(text=title),
        subject=reference(patient),
        date=moment(written),
        author=references([author]),
        title=title,
        section=[
            {"title": name, "entry": references(entries)} for name, entries in sections.items()
        ],
    )


def binary(
    *,
    id_: str,
    content_type: str,
    data: bytes,
) -> dict[str, Any]:
    """Bytes as a resource of their own."""
    encoded = base64.b64encode(data).decode("ascii")
    return resource("Binary", id_=id_, contentType=content_type, data=encoded)


def operation_outcome(
    *issues: tuple[str, str, str], path: str = "", system: str = "", details: str = ""
) -> dict[str, Any]:
    """What went wrong, for FHIR clients: (severity, FHIR issue code, words) for each issue.

    `details` is our stable code of `system`; `path` a FHIRPath of the element, never its value.
    """
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            kept(
                severity=severity,
                code=code,
                details=concept(*([coding(system, details)] if details else []), text=words),
                expression=[path] if path else [],
            )
            for severity, code, words in issues
        ],
    }


def _observation(
    *,
    id_: str,
    patient: str,
    code: str,
    taken: datetime,
    performer: str,
    **value: Any,
) -> dict[str, Any]:
    return resource(
        "Observation",
        id_=id_,
        status="final",
        category=[concept(coding(_CATEGORY, "vital-signs"))],
        code=concept(coding(systems.LOINC, code)),
        subject=reference(patient),
        effectiveDateTime=moment(taken),
        performer=references([performer]) if performer else [],
        **value,
    )
