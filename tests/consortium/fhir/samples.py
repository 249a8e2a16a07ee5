"""One of each resource that the builders make, about one invented patient."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from consortium.fhir import clinical, types

PATIENT = "0198f000-0000-7000-8000-000000000001"
REQUEST = "0198f000-0000-7000-8000-000000000002"
MEMBER = "clinic-1"
NUMBER = "11010519491231002X"
"""The example number of GB 11643 itself; nobody's."""


def identifiers() -> list[str]:
    return [f"0198f000-0000-7000-8000-0000000001{n:02d}" for n in range(30)]


def patient(**changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "id_": PATIENT,
        "name": "欧阳秀英",
        "sex": "female",
        "birth_date": "1949-12-31",
        "number": NUMBER,
        "local_number": "000123",
        "member": MEMBER,
        "phone_number": "13800000000",
        "address_text": "青石县柳河乡柳河村 3 组",
    }
    return types.patient(**(given | changed))


def request(now: datetime, **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "id_": REQUEST,
        "patient": f"Patient/{PATIENT}",
        "requester": "PractitionerRole/doctor-1",
        "authored": now,
        "category": "up",
        "service": "orthopaedics",
        "service_text": "骨科门诊",
        "priority": "urgent",
        "performer": "Organization/hospital",
        "reason": "膝关节疼痛三月，请评估是否需要手术",
        "case": "0198f000-0000-7000-8000-0000000000ca",
    }
    return types.service_request(**(given | changed))


def report(now: datetime, **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "id_": "0198f000-0000-7000-8000-000000000003",
        "patient": f"Patient/{PATIENT}",
        "title": "会诊意见",
        "conclusion": "建议择期手术",
        "issued": now,
        "performer": "PractitionerRole/specialist-1",
        "based_on": f"ServiceRequest/{REQUEST}",
    }
    return clinical.diagnostic_report(**(given | changed))


_PERSON, _ABOUT = "PractitionerRole/doctor-1", f"Patient/{PATIENT}"


def all_kinds(now: datetime) -> list[dict[str, Any]]:
    """Every builder, with all that it can be given."""
    ids = iter(identifiers())
    return [
        *_people(),
        *_workflow(now, ids),
        *_times(now, ids),
        *_consents(now, ids),
        *_findings(now, ids),
        *_documents(now, ids),
    ]


def _image(now: datetime) -> dict[str, Any]:
    return types.attachment(content_type="image/png", data=b"\x89PNG", title="同意书", created=now)


def _people() -> list[dict[str, Any]]:
    return [
        patient(),
        patient(number="", no_number_reason="newborn", birth_date="2026-11", local_number=""),
        types.organization(
            id_=MEMBER,
            name="柳河乡卫生院",
            credit_code="91350100M000100Y43",
            phone_number="0591-1234567",
            address_text="柳河乡",
        ),
        types.practitioner_role(
            id_="doctor-1",
            person="user-1",
            name="李医生",
            member=MEMBER,
            role="township_doctor",
            specialty="全科",
            phone_number="13900000000",
        ),
    ]


def _workflow(now: datetime, ids: Iterator[str]) -> list[dict[str, Any]]:
    later = now + timedelta(minutes=30)
    return [
        request(
            now,
            diagnoses=["Condition/c-1"],
            supporting=["Observation/o-1"],
            based_on="ServiceRequest/s-0",
            replaces="ServiceRequest/s-1",
            note_text="家属陪同",
        ),
        types.task(
            id_=next(ids),
            status="rejected",
            focus=f"ServiceRequest/{REQUEST}",
            authored=now,
            modified=later,
            business_status="declined",
            patient=_ABOUT,
            requester=_PERSON,
            owner="Organization/hospital",
            priority="urgent",
            reason="no_capacity",
            reason_text="本周无号",
            outputs={"report": "DiagnosticReport/r-1"},
            note_text="请改投县医院",
            case="case-1",
        ),
    ]


def _times(now: datetime, ids: Iterator[str]) -> list[dict[str, Any]]:
    later = now + timedelta(minutes=30)
    return [
        types.appointment(
            id_=next(ids),
            status="booked",
            start=now,
            end=later,
            actors={_ABOUT: "accepted", "PractitionerRole/specialist-1": "accepted"},
            created=now,
            service="orthopaedics",
            slot="Slot/s-1",
            based_on=f"ServiceRequest/{REQUEST}",
            comment="请带片子",
            case="case-1",
        ),
        types.schedule(
            id_=next(ids), actors=[_PERSON], service="orthopaedics", start=now, end=later
        ),
        types.slot(id_=next(ids), schedule="Schedule/x-1", status="free", start=now, end=later),
    ]


def _consents(now: datetime, ids: Iterator[str]) -> list[dict[str, Any]]:
    later = now + timedelta(minutes=30)
    return [
        types.consent(
            id_=next(ids),
            patient=_ABOUT,
            given=now,
            basis="explicit",
            members=["hospital", MEMBER],
            purpose="treatment",
            until=later,
            types=["Observation", "DiagnosticReport"],
            data_period=(now - timedelta(days=365), None),
            image=_image(now),
        ),
        types.communication(
            id_=next(ids),
            text="片子已寄出",
            sent=now,
            sender=_PERSON,
            recipients=["Organization/hospital"],
            about=[f"ServiceRequest/{REQUEST}"],
            patient=_ABOUT,
        ),
    ]


def _findings(now: datetime, ids: Iterator[str]) -> list[dict[str, Any]]:
    vitals = [
        clinical.vital(
            id_=next(ids), patient=_ABOUT, name=name, value=value, taken=now, performer=_PERSON
        )
        for name, value in (("pulse", 72), ("temperature", Decimal("36.50")), ("oxygen", 98))
    ]
    return [
        clinical.condition(
            id_=next(ids),
            patient=_ABOUT,
            text="膝骨关节炎",
            recorded=now,
            code="M17.9",
            recorder=_PERSON,
        ),
        *vitals,
        clinical.blood_pressure(
            id_=next(ids),
            patient=_ABOUT,
            systolic_mmhg=152,
            diastolic_mmhg=94,
            taken=now,
            performer=_PERSON,
        ),
        clinical.allergy(id_=next(ids), patient=_ABOUT, text="青霉素皮疹", recorded=now),
        clinical.no_known_allergy(id_=next(ids), patient=_ABOUT, recorded=now),
        clinical.medication_statement(
            id_=next(ids), patient=_ABOUT, text="氨氯地平 5 mg", asserted=now, dosage="每日一次"
        ),
    ]


def _documents(now: datetime, ids: Iterator[str]) -> list[dict[str, Any]]:
    return [
        report(now, results=["Observation/o-1"], forms=[_image(now)], status="amended"),
        clinical.document_reference(
            id_=next(ids),
            patient=_ABOUT,
            title="膝关节正侧位片",
            content_type="application/dicom",
            created=now,
            binary="Binary/b-1",
            size_bytes=5_000_000,
            sha1=bytes(20),
            author=_PERSON,
            kind="影像",
            related=[f"ServiceRequest/{REQUEST}"],
            number="ab" * 32,
        ),
        clinical.composition(
            id_=next(ids),
            patient=_ABOUT,
            title="转诊病历摘要",
            written=now,
            author=_PERSON,
            sections={"诊断": ["Condition/c-1"], "生命体征": ["Observation/o-1"]},
        ),
        clinical.binary(id_=next(ids), content_type="application/pdf", data=b"%PDF"),
        clinical.operation_outcome(
            ("error", "value", "出生日期不对"), path="Patient.birthDate", details="fhir.birth_date"
        ),
    ]
