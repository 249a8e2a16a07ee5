"""Patients who arrive in exchanges: the same, new, or one that a person must settle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy.orm import Session

from consortium.desk import service as desk
from consortium.fhir import gate
from consortium.kernel.errors import Refusal, conflict
from consortium.patients import fhir, model, store, writing
from consortium.patients.model import Entry, Match, Patient

VERSIONS_SEEN: Final = 20
_APART: Final = UUID("5a0f7c1e-9d1b-5c55-8e0d-3b1f6a2c7d90")


@dataclass(frozen=True, slots=True)
class Adopted:
    """The patient of an exchange as this member keeps one: `same`, `new` or `disputed`."""

    patient: Patient
    outcome: str


def inspect(
    session: Session, *, member: str, resource: Mapping[str, Any], source: str, now: datetime
) -> Refusal | None:
    """Whether the patient of an exchange from `source` can be taken in: a kind's `inspect`.

    Refused are an entry that contradicts itself, and an id that `source` or this member itself
    gave to somebody else.
    """
    try:
        entry = model.checked(fhir.entry_of(resource), now=now)
    except Refusal as refusal:
        return refusal
    known = _known(session, entry, member=member, sent_id=str(resource["id"]), source=source)
    if known is None or known.source not in ("", source):
        return None
    same = _revises(entry, known) if known.source else _is_ours(entry, known)
    return None if same else conflict("patients.other_person", patient=known.id)


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
    number with another name or sex is kept apart, marked, and put before a person; so is an id that
    a third member gave, unless number and name are those known here; and so is the sender's own
    patient under another name, sex, birth or number, once somebody else keeps something on it or a
    person here has corrected it. Anyone else is new, under the sender's id and with its bytes.

    Raises:
        Refusal: what `inspect` says.
    """
    if refusal := inspect(session, member=member, resource=resource, source=source, now=now):
        raise refusal
    entry = model.checked(fhir.entry_of(resource), now=now)
    sent_id = str(resource["id"])
    known = _known(session, entry, member=member, sent_id=sent_id, source=source)
    other = None
    if known is not None:
        apart = _apart(member, sent_id, source)
        if known.id == apart:
            return Adopted(known, "same")
        if _is_known(session, entry, known, source=source):
            return Adopted(_refreshed(session, known, entry, raw, source=source, now=now), "same")
        # our own bytes then: the sender's name the id of the other
        other, sent_id, raw = known, apart, b""
    held = writing.number_holder(session, member=member, entry=entry)
    if held is not None and model.match(entry, held) is Match.SAME:
        if other is None:
            store.add_alias(session, member=member, alias=sent_id, patient=held.id)
        writing.take_over(session, held, by=source)
        return Adopted(held, "same")
    disputed = held or other
    made = writing.create(
        session, member, entry, by=source, now=now, received=(sent_id, raw, source),
        disputed_with="" if disputed is None else disputed.id,
    )  # fmt: skip
    if disputed is None:
        return Adopted(made, "new")
    _ask_a_person(session, made, now=now)
    return Adopted(made, "disputed")


def _known(
    session: Session, entry: Entry, *, member: str, sent_id: str, source: str
) -> Patient | None:
    """Whoever stands here under the sender's id, or was kept apart from them when it was sent."""
    apart = store.get(session, member=member, patient=_apart(member, sent_id, source))
    first = store.get(session, member=member, patient=sent_id)
    if apart is None or first is None or first.source != source:
        return apart or first
    back = _is_said(entry, first) and not _is_said(entry, apart)
    return first if back else apart


def _is_known(session: Session, entry: Entry, known: Patient, *, source: str) -> bool:
    """Whether whoever stands under the sender's id is who the sender means."""
    if known.source == "":
        return True
    if known.source != source:
        return _proven(entry, known)
    return known.updated_by == source or _was_said(session, entry, known)


def _was_said(session: Session, entry: Entry, known: Patient) -> bool:
    """Whether an entry is the row as it stands, or as it stood before a person corrected it."""
    if _is_said(entry, known):
        return True
    earlier = store.versions(session, member=known.member, patient=known.id, limit=VERSIONS_SEEN)
    for _version, _at, _by, raw in earlier:
        said = fhir.entry_of(gate.parse(raw))
        fields = {name: getattr(said, name) for name in Entry.__dataclass_fields__}
        if _is_said(entry, replace(known, **fields)):
            return True
    return False


def _is_said(entry: Entry, known: Patient) -> bool:
    """Whether an entry speaks against nothing that a row says of who it is."""
    other_number = entry.number_kind == known.number_kind and _numbers_differ(entry, known)
    fits = model.looks_like(entry, known) and model.match(entry, known) is Match.SAME
    return fits and not other_number


def _apart(member: str, sent_id: str, source: str) -> str:
    """The id under which somebody is kept whose own is taken: the same whenever they come again."""
    return str(uuid5(_APART, f"{member}/{source}/{sent_id}"))


def _proven(entry: Entry, known: Patient) -> bool:
    """Number and name together are one person, whoever says so."""
    numbers = (entry.number_kind, entry.number) == (known.number_kind, known.number)
    return bool(entry.number) and numbers and model.match(entry, known) is Match.SAME


def _is_ours(entry: Entry, known: Patient) -> bool:
    """Our own patient coming back under the id that we gave: nothing says that it is another."""
    return not _numbers_differ(entry, known) and model.match(entry, known) is Match.SAME


def _revises(entry: Entry, known: Patient) -> bool:
    """The sender's own patient, perhaps with a name, number or birth put right, not all of them."""
    if model.match(entry, known) is Match.SAME:
        return model.looks_like(entry, known) or not _numbers_differ(entry, known)
    if entry.number and known.number:
        return not _numbers_differ(entry, known)
    return bool(entry.birth) and (entry.birth, entry.sex) == (known.birth, known.sex)


def _numbers_differ(entry: Entry, known: Patient) -> bool:
    return bool(
        entry.number
        and known.number
        and (entry.number_kind, entry.number) != (known.number_kind, known.number)
    )


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
    if known.source != source:
        writing.take_over(session, known, by=source)
        return known
    if known.updated_by != source:
        return known
    if store.raw(session, member=known.member, patient=known.id) == raw:
        return known
    held = writing.number_holder(session, member=known.member, entry=entry)
    disputed = held.id if held is not None and held.id != known.id else ""
    known = replace(known, disputed_with=disputed)
    return writing.revise(session, known, entry, by=source, now=now, raw=raw)
