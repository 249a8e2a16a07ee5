"""Clinical resources of a referral: diagnosis, vitals, medicines, allergies, files, consent."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from consortium.fhir import clinical, systems
from consortium.fhir.elements import coding, concept, moment, reference, resource
from consortium.kernel.ids import new_id
from consortium.referrals.content import Content
from consortium.referrals.frame import Frame

Resource = dict[str, Any]

CONSENT_BASIS: Final = f"{systems.ROOT}/CodeSystem/consent-basis"


def resources(frame: Frame, content: Content) -> tuple[list[Resource], list[Resource]]:
    """What a request says of the patient, and apart from it what only goes along: the consent."""
    found = [_condition(frame, content)] if content.diagnosis.strip() else []
    found += _observations(frame, content)
    found += [
        clinical.medication_statement(
            id_=_id(frame, "medication", text),
            patient=frame.patient,
            text=text,
            asserted=frame.now,
        )
        for text in content.medication
    ]
    found += [
        clinical.allergy(
            id_=_id(frame, "allergy", text),
            patient=frame.patient,
            text=text,
            recorded=frame.now,
        )
        for text in content.allergies
    ]
    found += [_document(frame, one.attachment) for one in content.papers]
    return found, [_consent(frame, content)] if content.consent else []


def _id(frame: Frame, *what: str) -> str:
    """The id of a thing said in a case: the same when it is said again in a supplement."""
    text = "\0".join((frame.case, *what))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _condition(frame: Frame, content: Content) -> Resource:
    return clinical.condition(
        id_=_id(frame, "diagnosis"),
        patient=frame.patient,
        text=content.diagnosis,
        recorded=frame.now,
        code=content.diagnosis_code,
    )


def _observations(frame: Frame, content: Content) -> list[Resource]:
    by_name = {one.code: one for one in content.vitals}
    found = []
    if "systolic" in by_name and "diastolic" in by_name:
        upper, lower = by_name.pop("systolic"), by_name.pop("diastolic")
        found.append(
            clinical.blood_pressure(
                id_=_id(frame, "pressure"),
                patient=frame.patient,
                systolic_mmhg=int(upper.value),
                diastolic_mmhg=int(lower.value),
                taken=_taken(upper.at, frame),
            )
        )
    for name, one in by_name.items():
        found.append(
            clinical.vital(
                id_=_id(frame, name),
                patient=frame.patient,
                name=name,
                value=Decimal(one.value),
                taken=_taken(one.at, frame),
            )
        )
    return found


def _taken(at: str, frame: Frame) -> datetime:
    return datetime.fromisoformat(at) if at else frame.now


def _document(frame: Frame, attachment: Mapping[str, Any]) -> Resource:
    return resource(
        "DocumentReference",
        id_=new_id(frame.now),
        status="current",
        subject=reference(frame.patient),
        date=moment(frame.now),
        content=[{"attachment": dict(attachment)}],
    )


def _consent(frame: Frame, content: Content) -> Resource:
    return resource(
        "Consent",
        id_=new_id(frame.now),
        status="active",
        scope=concept(coding(systems.CONSENT_SCOPE, "patient-privacy")),
        category=[concept(coding(systems.LOINC, systems.LOINC_CONSENT))],
        patient=reference(frame.patient),
        dateTime=moment(frame.now),
        organization=[reference(f"Organization/{frame.taker}")],
        policyRule=concept(
            coding(CONSENT_BASIS, content.consent), text=content.consent_note.strip()
        ),
        provision={"type": "permit", "purpose": [coding(systems.ACT_REASON, "TREAT")]},
    )
