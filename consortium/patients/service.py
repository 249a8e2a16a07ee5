"""Use cases of the patient index: search, register, correct, read."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consortium.desk import keys
from consortium.fhir import gate
from consortium.fhir.identity import number_text
from consortium.kernel.actor import Actor
from consortium.kernel.errors import conflict, missing
from consortium.kernel.time import to_ms
from consortium.patients import fhir, looks, model, store, writing
from consortium.patients.model import Entry, Match, Patient

SEARCH_MAX = 20


@dataclass(frozen=True, slots=True)
class Registered:
    """A patient, and whether the row is new."""

    patient: Patient
    new: bool


@dataclass(frozen=True, slots=True)
class Version:
    """An earlier version, as it stood: `entry` is what it said."""

    version: int
    written_at: datetime
    written_by: str
    entry: Entry


def search(
    session: Session, *, actor: Actor, text: str, now: datetime, limit: int = SEARCH_MAX
) -> list[Patient]:
    """Patients by the beginning of a name, pinyin, initials, local number, or end of a number.

    Counted as a look-up, so it needs a writing session.

    Raises:
        Refusal: `patients.too_many_looks` after 200 look-ups in 10 minutes.
    """
    actor.require(*model.READERS)
    looks.count(session, actor=actor, now=now)
    word = keys.fold(text)
    return store.find(session, member=actor.member, word=word, limit=limit) if word else []


def alike(session: Session, *, actor: Actor, entry: Entry, limit: int = 5) -> list[Patient]:
    """Patients whom an entry may be: who has its number, who bears it too, who is called the same.

    Those of the same name and birth are among them whatever their number is: to tell two people
    apart by machine takes more than one list.
    """
    actor.require(*model.READERS)
    entry = replace(entry, number=number_text(entry.number))
    found = [
        writing.number_holder(session, member=actor.member, entry=entry),
        *_numbered(session, member=actor.member, entry=entry),
        *_named(session, member=actor.member, entry=entry),
    ]
    return list({one.id: one for one in found if one is not None}.values())[:limit]


def register(
    session: Session, *, actor: Actor, entry: Entry, now: datetime, confirmed: bool = False
) -> Registered:
    """Find or make a patient: the one who has the number, else a new one.

    `confirmed` says that a person has seen those who look alike and knows that none of them is it.

    Raises:
        Refusal: what `model.checked` says; `patients.number_other_name` (fact `patient`) when the
            number is another's; `patients.looks_known` (fact `patients`) when somebody without a
            number looks like a known patient and nobody has confirmed.
    """
    actor.require(*model.READERS)
    entry = model.checked(entry, now=now)
    held = _holder(session, member=actor.member, entry=entry)
    if held is not None:
        # a person here knows this patient by name and number
        writing.take_over(session, held, by=actor.member)
        return Registered(held, new=False)
    if not confirmed and (known := _alike(session, member=actor.member, entry=entry)):
        raise conflict("patients.looks_known", patients=[one.id for one in known[:5]])
    try:
        with session.begin_nested():
            made = writing.create(session, actor.member, entry, by=actor.user, now=now)
    except IntegrityError:
        # another process registered the same number between the look and the insert
        held = _holder(session, member=actor.member, entry=entry)
        if held is None:
            raise
        return Registered(held, new=False)
    looks.record(session, actor, "patients.register", made, now=now)
    return Registered(made, new=True)


def correct(
    session: Session, *, actor: Actor, patient: str, entry: Entry, version: int, now: datetime
) -> Patient:
    """Write a corrected version; the one before stays readable.

    Raises:
        Refusal: `patients.missing`; `patients.changed` (facts `by`, `at_ms`) when `version` is not
            the newest; `patients.number_other_name`; what `model.checked` says.
    """
    actor.require(*model.READERS)
    old = _own(session, member=actor.member, patient=patient)
    if old.version != version:
        raise conflict("patients.changed", by=old.updated_by, at_ms=to_ms(old.updated_at))
    entry = model.checked(entry, now=now)
    holder = writing.number_holder(session, member=actor.member, entry=entry)
    if holder is not None and holder.id != old.id:
        raise conflict("patients.number_other_name", patient=holder.id)
    new = writing.revise(session, old, entry, by=actor.user, now=now)
    looks.record(session, actor, "patients.correct", new, now=now)
    return new


def get(session: Session, *, actor: Actor, patient: str, now: datetime) -> Patient:
    """A patient of the actor's member for a person to see: counted and audited.

    Called first in its transaction: that nothing was shown is kept too, and committed before it is
    refused.

    Raises:
        Refusal: `patients.missing` alike for one that is not there and one of another member;
            `patients.too_many_looks` as in `search`.
    """
    actor.require(*model.READERS)
    looks.count(session, actor=actor, now=now)
    found = store.get(session, member=actor.member, patient=patient)
    if found is None:
        looks.denied(session, actor, patient, now=now)
        session.commit()
        raise missing("patients.missing")
    looks.record(session, actor, "patients.view", found, now=now)
    return found


def keep_own(session: Session, *, member: str, patient: str, by: str) -> None:
    """Something of the member `by` is kept on a patient from now on.

    Where another member sent the patient, it changes name, sex, birth and number no more: whoever
    put a record on the row knew it by these.
    """
    found = store.get(session, member=member, patient=patient)
    if found is not None:
        writing.take_over(session, found, by=by)


def find(session: Session, *, member: str, patient: str) -> Patient | None:
    """A patient for the program itself, by own id or alias: no person sees it, so no audit."""
    return store.get(session, member=member, patient=patient)


def aliases(session: Session, *, member: str, patient: str) -> frozenset[str]:
    """Every id by which resources may refer to this patient."""
    return store.aliases(session, member=member, patient=patient)


def versions(session: Session, *, actor: Actor, patient: str, limit: int = 20) -> list[Version]:
    """Earlier versions of a patient, newest first."""
    actor.require(*model.READERS)
    own = _own(session, member=actor.member, patient=patient)
    return [
        Version(number, at, by, fhir.entry_of(gate.parse(raw)))
        for number, at, by, raw in store.versions(
            session, member=actor.member, patient=own.id, limit=limit
        )
    ]


def resource(session: Session, *, member: str, patient: str) -> bytes:
    """The bytes of the patient's FHIR resource, to stand in a body.

    Raises:
        Refusal: `patients.missing`.
    """
    own = _own(session, member=member, patient=patient)
    return store.raw(session, member=member, patient=own.id)


def _own(session: Session, *, member: str, patient: str) -> Patient:
    found = store.get(session, member=member, patient=patient)
    if found is None:
        raise missing("patients.missing")
    return found


def _holder(session: Session, *, member: str, entry: Entry) -> Patient | None:
    """Who has the entry's number and is the same person."""
    held = writing.number_holder(session, member=member, entry=entry)
    if held is not None and model.match(entry, held) is Match.OTHER:
        raise conflict("patients.number_other_name", patient=held.id)
    return held


def _alike(session: Session, *, member: str, entry: Entry) -> list[Patient]:
    return [
        one
        for one in _named(session, member=member, entry=entry)
        # two different numbers of one kind are two people
        if not (entry.number and one.number and entry.number_kind == one.number_kind)
    ]


def _named(session: Session, *, member: str, entry: Entry) -> list[Patient]:
    word = writing.name_word(entry.name)
    found = store.alike(session, member=member, word=word, birth=entry.birth)
    return [one for one in found if model.looks_like(entry, one)]


def _numbered(session: Session, *, member: str, entry: Entry) -> list[Patient]:
    """Everybody who bears the entry's number, those among them whose number is disputed."""
    if not entry.number:
        return []
    found = store.alike(session, member=member, word=keys.fold(entry.number))
    numbers = (entry.number_kind, entry.number)
    return [one for one in found if (one.number_kind, one.number) == numbers]
