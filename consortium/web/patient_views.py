"""A patient as pages draw one: banner, what is known, the timeline, who has looked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from consortium import audit, words
from consortium.desk import service as desk
from consortium.exchange import state
from consortium.fhir.clinical import VITALS
from consortium.kernel.actor import Actor
from consortium.kernel.ids import UserId
from consortium.members import accounts
from consortium.patients import snapshot
from consortium.patients.model import Entry, Patient
from consortium.patients.snapshot import Noted, Snapshot
from consortium.records import library
from consortium.records.library import Record
from consortium.web.names import member_name
from consortium.web.pages import said
from consortium.web.record_files import files_of
from consortium.web.views import Act, Attachment, Side
from consortium.web.views import Patient as Banner
from consortium.web.wording import t, when

VIEWERS_SHOWN: Final = 8
RECORDS_SHOWN: Final = 20
COMPARED: Final = ("name", "number", "sex", "birth", "phone", "address")
_VITALS: Final = {loinc: name for name, (loinc, *_units) in VITALS.items()}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing known, in words, with where and when it is from."""

    id: str
    text: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One thing on the timeline. `state` is a sentence, `href` empty where nothing opens."""

    at: datetime
    title: str
    text: str
    source: str
    icon: str
    href: str = ""
    state: str = ""
    files: Sequence[Attachment] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """Somebody who touched the patient's data."""

    who: str
    what: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PatientView:
    """Everything on a patient's page."""

    patient: Patient
    banner: Banner
    diagnoses: Sequence[Line]
    vitals: Sequence[Line]
    medications: Sequence[Line]
    allergies: Sequence[Line]
    none_known: Line | None
    events: Sequence[Event]
    older: str
    looked: Sequence[Looked]
    source: str


def banner(
    session: Session, patient: Patient, *, known: Snapshot | None = None, href: bool = True
) -> Banner:
    """The banner that stands on every page with a patient."""
    now_known = known or snapshot.latest(session, member=patient.member, patient=patient.id)
    allergies: Sequence[str] | None = [one.fact.text for one in now_known.allergies]
    if not allergies and now_known.none_known is None:
        allergies = None
    extras = [(t("patient.local_number"), patient.local_number)]
    if patient.birth and patient.born is None:
        extras.insert(0, (t("patient.birth"), patient.birth))
    tail = patient.number_tail
    if tail and patient.number_kind != "id_number":
        kind = t(f"patients.number_kind.{patient.number_kind}")
        extras.append((kind, t("patient.tail", tail=tail)))
        tail = ""
    if patient.phone:
        extras.append((t("patient.phone"), patient.phone))
    if patient.address:
        extras.append((t("patient.lives"), patient.address))
    return Banner(
        name=patient.name,
        sex=patient.sex,
        born=patient.born,
        id_tail=tail,
        extras=extras,
        allergies=allergies,
        href=f"/patients/{patient.id}" if href else "",
    )


def build(
    session: Session, patient: Patient, *, actor: Actor, after: str, now: datetime
) -> PatientView:
    """The page of a patient, in the language being written; who sees it is written down."""
    known = snapshot.latest(session, member=actor.member, patient=patient.id)
    records = library.of_patient(
        session, actor=actor, patient=patient.id, after=after or None, limit=RECORDS_SHOWN
    )
    library.viewed(session, records.rows, actor=actor, now=now)
    events = _records(session, records.rows)
    if not after:
        events += _cases(session, patient, actor=actor)
    events.sort(key=lambda one: one.at, reverse=True)
    none = known.none_known
    return PatientView(
        patient=patient,
        banner=banner(session, patient, known=known, href=False),
        diagnoses=[_line(session, one) for one in known.diagnoses],
        vitals=[_line(session, one, _vital(one)) for one in known.vitals],
        medications=[_line(session, one) for one in known.medications],
        allergies=[_line(session, one) for one in known.allergies],
        none_known=None if none is None else _line(session, none),
        events=events,
        older=records.after or "",
        looked=_looked(session, patient),
        source=member_name(session, patient.source) if patient.source else "",
    )


def _line(session: Session, one: Noted, text: str = "") -> Line:
    source = member_name(session, one.source) if one.source else t("patient.own")
    return Line(one.id, text or one.fact.text, source, one.at)


def _vital(one: Noted) -> str:
    name = one.fact.code
    return t("patient.vital", name=t(f"patients.vital.{name}"), value=one.fact.text,
             unit=t(f"patients.unit.{name}"))  # fmt: skip


def _cases(session: Session, patient: Patient, *, actor: Actor) -> list[Event]:
    found = []
    for line in desk.of_patient(session, actor=actor, patient=patient.id):
        row = line.row
        state = said(row.need, row.need_params) if line.open else t("shell.work.closed")
        found.append(
            Event(
                at=row.started_at,
                title=t(f"shell.topic.{row.topic}"),
                text=said(row.source, row.source_params) if row.source else "",
                source="",
                icon="arrow-up-right" if row.topic == "referral" else "calendar-clock",
                href=row.link,
                state=state,
            )
        )
    return found


def _records(session: Session, records: Sequence[Record]) -> list[Event]:
    """Records, those of one kind that came together at one time as one line."""
    together: dict[tuple[object, ...], list[Record]] = {}
    for one in records:
        at = one.start or one.received_at
        together.setdefault((at, one.type, one.source, one.case), []).append(one)
    return [_record(session, group) for group in together.values()]


def _record(session: Session, group: Sequence[Record]) -> Event:
    first = group[0]
    told = dict.fromkeys(summary(one.resource) for one in group)
    return Event(
        at=first.start or first.received_at,
        title=t(f"contract.type.{first.type}"),
        text=t("patient.dot").join(text for text in told if text)[:300],
        source=t("patient.own") if first.own else member_name(session, first.source),
        icon="file-text",
        href=_record_link(session, first),
        files=files_of(session, group),
    )


def _record_link(session: Session, record: Record) -> str:
    """What came with a referral is read in its case; any other record has a page of its own."""
    case = state.read(session, f"case:{record.case}") if record.case else None
    if case is not None and case["topic"] == "referral":
        return f"/referrals/{record.case}"
    return f"/records/{record.id}"


def summary(resource: Mapping[str, Any]) -> str:
    """What a resource says, in its own words: the first text that a person wrote into it."""
    parts = [
        _text(resource.get(name))
        for name in ("code", "medicationCodeableConcept", "vaccineCode", "type")
    ]
    parts += [str(resource.get(name, "")) for name in ("conclusion", "description", "title")]
    parts += [_measured(part) for part in (resource, *resource.get("component", ()))]
    told = [part for part in dict.fromkeys(parts) if part]
    return t("patient.dot").join(told)[:300]


def _text(concept: Any) -> str:
    if not isinstance(concept, Mapping):
        return ""
    displays = [str(one.get("display", "")) for one in concept.get("coding", ())]
    return str(concept.get("text", "")) or next((one for one in displays if one), "")


def _measured(part: Mapping[str, Any]) -> str:
    value = part.get("valueQuantity")
    if not isinstance(value, Mapping) or "value" not in value:
        return ""
    codings = part.get("code", {}).get("coding", ())
    # a coding may hold its words alone
    codes = [str(one.get("code", "")) for one in codings]
    name = next((_VITALS[code] for code in codes if code in _VITALS), "")
    label = t(f"patients.vital.{name}") if name else ""
    return f"{label} {value['value']} {value.get('unit', '')}".strip()


def _looked(session: Session, patient: Patient) -> list[Looked]:
    """Who touched the data, newest first; the same act again within a minute is one line."""
    found: dict[tuple[str, str, str], Looked] = {}
    for event in audit.viewed_by(session, patient.id, limit=4 * VIEWERS_SHOWN):
        account = accounts.find(session, UserId(event.user))
        who = account.actor.name if account is not None else member_name(session, event.user)
        key = f"patient.did.{event.action.replace('.', '_')}"
        what = t(key) if words.known(key) else t("patient.did.other")
        found.setdefault((who, what, f"{event.at:%Y%m%d%H%M}"), Looked(who, what, event.at))
    return list(found.values())[:VIEWERS_SHOWN]


def two_sides(session: Session, patient: Patient, mine: Entry) -> list[Side]:
    """What somebody else made of a patient meanwhile, beside what was typed: where they differ."""
    account = accounts.find(session, UserId(patient.updated_by))
    apart = [one for one in COMPARED if getattr(mine, one).strip() != getattr(patient, one)]
    return [
        Side(
            title=t("patient.changed_by", when=when(patient.updated_at)),
            who=account.actor.name if account is not None else "",
            lines=[_told(one, getattr(patient, one)) for one in apart],
            act=Act(t("patient.changed_look"), f"/patients/{patient.id}"),
        ),
        Side(
            title=t("patient.changed_mine"),
            who="",
            lines=[_told(one, getattr(mine, one)) for one in apart],
            act=Act(t("patient.changed_use"), "#entry"),
        ),
    ]


def _told(field: str, value: str) -> tuple[str, str]:
    key = f"patients.sex.{value}"
    shown = t(key) if field == "sex" and words.known(key) else value
    return t(f"patient.{field}"), shown or "—"
