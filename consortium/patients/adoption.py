"""Patients who arrive in exchanges: the same, new, or one that a person must settle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium.desk import service as desk
from consortium.kernel.errors import Refusal, conflict
from consortium.patients import fhir, model, store, writing
from consortium.patients.model import Entry, Match, Patient


@dataclass(frozen=True, slots=True)
class Adopted:
    """The patient of an exchange as this member keeps one: `same`, `new` or `disputed`."""

    patient: Patient
    outcome: str


def inspect(
    session: Session, *, member: str, resource: Mapping[str, Any], now: datetime
) -> Refusal | None:
    """Whether the patient of an exchange can be taken in: what a kind's `inspect` answers.

    Refused are an entry that contradicts itself, and an id that is known here as somebody else.
    """
    try:
        entry = model.checked(fhir.entry_of(resource), now=now)
    except Refusal as refusal:
        return refusal
    known = store.get(session, member=member, patient=str(resource["id"]))
    if known is not None and not known.source and model.match(entry, known) is Match.OTHER:
        return conflict("patients.other_person", patient=known.id)
    return None


def adopt(
    session: Session,
    *,
    member: str,
    resource: Mapping[str, Any],
    raw: bytes,
    source: str,
    now: datetime,
) -> Adopted:
    """Take in the patient of an exchange from `source`, whose bytes are `raw`.

    The same number and name is the same person, and the member's own row stays as it is. The same
    number with another name or sex is kept apart, marked, and put before a person. Anyone else is
    new, under the sender's id and with the sender's bytes.

    Raises:
        Refusal: what `inspect` says.
    """
    if refusal := inspect(session, member=member, resource=resource, now=now):
        raise refusal
    entry = model.checked(fhir.entry_of(resource), now=now)
    sent_id = str(resource["id"])
    known = store.get(session, member=member, patient=sent_id)
    if known is not None:
        return Adopted(_refreshed(session, known, entry, raw, source=source, now=now), "same")
    held = writing.number_holder(session, member=member, entry=entry)
    if held is not None and model.match(entry, held) is Match.SAME:
        store.add_alias(session, member=member, alias=sent_id, patient=held.id)
        return Adopted(held, "same")
    made = writing.create(
        session,
        member,
        entry,
        by=source,
        now=now,
        received=(sent_id, raw, source),
        disputed_with="" if held is None else held.id,
    )
    if held is None:
        return Adopted(made, "new")
    _ask_a_person(session, made, now=now)
    return Adopted(made, "disputed")


def _ask_a_person(session: Session, disputed: Patient, *, now: datetime) -> None:
    desk.notify(
        session,
        member=disputed.member,
        case="",
        word="patients.notice.number_other_name",
        params={},
        link=f"/patients/{disputed.id}",
        roles=frozenset(model.READERS),
        now=now,
        about=disputed.id,
    )


def _refreshed(
    session: Session, known: Patient, entry: Entry, raw: bytes, *, source: str, now: datetime
) -> Patient:
    """A patient of the sender again: its newer words replace its older ones, never our own."""
    if known.source != source or store.raw(session, member=known.member, patient=known.id) == raw:
        return known
    held = writing.number_holder(session, member=known.member, entry=entry)
    disputed = held.id if held is not None and held.id != known.id else ""
    known = replace(known, disputed_with=disputed)
    return writing.revise(session, known, entry, by=source, now=now, raw=raw)
