"""Clinical resources of a referral: diagnosis, vitals, medicines, allergies, files, consent."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from consortium.fhir import message, systems
from consortium.kernel.ids import new_id
from consortium.referrals.content import VITALS, Content
from consortium.referrals.frame import Frame

Resource = dict[str, Any]

CONSENT_BASIS: Final = f"{systems.ROOT}/CodeSystem/consent-basis"
BP_PANEL: Final = "85354-9"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def resources(frame: Frame, content: Content) -> tuple[list[Resource], list[Resource]]:
    """What a request says of the patient, and apart from it what only goes along: the consent."""
    found = [_condition(frame, content)] if content.diagnosis.strip() else []
    found += _observations(frame, content)
    found += [_medication(frame, text) for text in content.medication]
    found += [_allergy(frame, text) for text in content.allergies]
    found += [_document(frame, one.attachment) for one in content.papers]
    return found, [_consent(frame, content)] if content.consent else []


def _condition(frame: Frame, content: Content) -> Resource:
    code: Resource = {"text": content.diagnosis}
    if content.diagnosis_code:
        code["coding"] = [{"system": systems.ICD10, "code": content.diagnosis_code}]
    return {
        "resourceType": "Condition",
        "id": new_id(frame.now),
        "clinicalStatus": {"coding": [{"system": _CLINICAL, "code": "active"}]},
        "verificationStatus": {"coding": [{"system": _VERIFIED, "code": "provisional"}]},
        "code": code,
        "subject": {"reference": frame.patient},
        "recordedDate": message.instant(frame.now),
    }


def _observations(frame: Frame, content: Content) -> list[Resource]:
    by_code = {one.code: one for one in content.vitals if one.code in VITALS}
    pressure = [by_code.pop(name, None) for name in ("systolic", "diastolic")]
    found = []
    if parts := [one for one in pressure if one is not None]:
        panel = _observation(frame, BP_PANEL, parts[0].at)
        panel["component"] = [
            {"code": _loinc(VITALS[one.code][0]), "valueQuantity": _quantity(one.code, one.value)}
            for one in parts
        ]
        found.append(panel)
    for name, one in by_code.items():
        single = _observation(frame, VITALS[name][0], one.at)
        single["valueQuantity"] = _quantity(name, one.value)
        found.append(single)
    return found


def _observation(frame: Frame, code: str, at: str) -> Resource:
    return {
        "resourceType": "Observation",
        "id": new_id(frame.now),
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORY, "code": "vital-signs"}]}],
        "code": _loinc(code),
        "subject": {"reference": frame.patient},
        "effectiveDateTime": at or message.instant(frame.now),
    }


def _loinc(code: str) -> Resource:
    return {"coding": [{"system": systems.LOINC, "code": code}]}


def _quantity(name: str, value: str) -> Resource:
    _code, unit, ucum, _least, _most = VITALS[name]
    return {"value": Decimal(value), "unit": unit, "system": systems.UCUM, "code": ucum}


def _medication(frame: Frame, text: str) -> Resource:
    return {
        "resourceType": "MedicationStatement",
        "id": new_id(frame.now),
        "status": "active",
        "medicationCodeableConcept": {"text": text},
        "subject": {"reference": frame.patient},
    }


def _allergy(frame: Frame, text: str) -> Resource:
    return {
        "resourceType": "AllergyIntolerance",
        "id": new_id(frame.now),
        "clinicalStatus": {"coding": [{"system": f"{_ALLERGY}clinical", "code": "active"}]},
        "verificationStatus": {
            "coding": [{"system": f"{_ALLERGY}verification", "code": "unconfirmed"}]
        },
        "code": {"text": text},
        "patient": {"reference": frame.patient},
    }


def _document(frame: Frame, attachment: Mapping[str, Any]) -> Resource:
    return {
        "resourceType": "DocumentReference",
        "id": new_id(frame.now),
        "status": "current",
        "subject": {"reference": frame.patient},
        "date": message.instant(frame.now),
        "content": [{"attachment": dict(attachment)}],
    }


def _consent(frame: Frame, content: Content) -> Resource:
    found: Resource = {
        "resourceType": "Consent",
        "id": new_id(frame.now),
        "status": "active",
        "scope": {"coding": [{"system": systems.CONSENT_SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": systems.LOINC, "code": systems.LOINC_CONSENT}]}],
        "patient": {"reference": frame.patient},
        "dateTime": message.instant(frame.now),
        "organization": [{"reference": f"Organization/{frame.taker}"}],
        "policyRule": {"coding": [{"system": CONSENT_BASIS, "code": content.consent}]},
        "provision": {
            "type": "permit",
            "purpose": [{"system": systems.ACT_REASON, "code": "TREAT"}],
        },
    }
    if content.consent_note.strip():
        found["policyRule"]["text"] = content.consent_note
    return found
