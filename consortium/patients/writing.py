"""Writing patients: a row, its FHIR bytes, its search words; one way for all use cases."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium.desk import keys
from consortium.fhir import gate
from consortium.fhir.bindings import check
from consortium.fhir.identity import name_key
from consortium.kernel.ids import PatientId, new_id
from consortium.patients import fhir, store
from consortium.patients.model import Entry, Patient

_WORD_MAX = 64


def number_holder(session: Session, *, member: str, entry: Entry) -> Patient | None:
    """Who holds the entry's number at the member."""
    if not entry.number:
        return None
    return store.holder(session, member=member, kind=entry.number_kind, value=entry.number)


def create(
    session: Session,
    member: str,
    entry: Entry,
    *,
    by: str,
    now: datetime,
    received: tuple[str, bytes, str] = ("", b"", ""),
    disputed_with: str = "",
) -> Patient:
    """A new patient; `received` is (id, bytes, member) of a resource that came from elsewhere."""
    patient_id, raw, source = received
    patient_id = patient_id or new_id(now)
    local = store.next_local_number(session, member=member)
    made = Patient(
        id=PatientId(patient_id),
        member=member,
        local_number=local,
        source=source,
        disputed_with=disputed_with,
        version=1,
        created_at=now,
        updated_at=now,
        updated_by=by,
        **_fields(entry),
    )
    store.create(session, made, raw=raw or _bytes(made, now=now), claims=not disputed_with)
    _index(session, made)
    return made


def revise(
    session: Session, old: Patient, entry: Entry, *, by: str, now: datetime, raw: bytes = b""
) -> Patient:
    """The next version of a patient; `raw` are the sender's bytes, or empty to write our own."""
    new = replace(old, version=old.version + 1, updated_at=now, updated_by=by, **_fields(entry))
    if not raw:
        # corrected here: settled with whoever had the number
        new = replace(new, disputed_with="")
    store.revise(session, new, raw=raw or _bytes(new, now=now))
    _index(session, new)
    return new


def take_over(session: Session, patient: Patient, *, by: str) -> None:
    """Let a row that another member sent be this one's own, since `by` keeps something on it."""
    if patient.source not in ("", by) and patient.updated_by == patient.source:
        store.take_over(session, member=patient.member, patient=patient.id)


def entry_of(patient: Patient) -> Entry:
    """What a patient's row says, as an entry."""
    return Entry(**{name: getattr(patient, name) for name in Entry.__dataclass_fields__})


def _fields(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in Entry.__dataclass_fields__}


def _bytes(patient: Patient, *, now: datetime) -> bytes:
    entry = entry_of(patient)
    made = fhir.resource_of(
        entry, patient=patient.id, member=patient.member, local_number=patient.local_number
    )
    check(made, now=now)
    return gate.dump(made)


def _index(session: Session, patient: Patient) -> None:
    numbers = (
        patient.local_number,
        patient.local_number.lstrip("0"),
        patient.number,
        patient.phone,
    )
    words = keys.of_name(patient.name) | keys.of_numbers(numbers) | {name_word(patient.name)}
    store.set_words(session, member=patient.member, patient=patient.id, words=words)


def name_word(name: str) -> str:
    """The search word that equals the whole name."""
    return name_key(name)[:_WORD_MAX]
