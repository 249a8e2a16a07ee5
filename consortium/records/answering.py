"""The holder's side: what a request means here, and a person's answer to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from consortium import audit
from consortium.exchange import blobs
from consortium.exchange.limits import PARTS_MAX
from consortium.exchange.outbox import Draft, Post
from consortium.fhir import gate
from consortium.kernel.actor import Actor
from consortium.kernel.errors import conflict, invalid, missing
from consortium.kernel.ids import MemberId, UserId, new_id
from consortium.patients import service as patients
from consortium.patients.model import Entry, Patient
from consortium.ports import Signer
from consortium.records import applying, disclosure, fhir, model, store
from consortium.records.fhir import Act
from consortium.records.model import Basis, By, Consent, Identity, Match, Reason, Scope
from consortium.records.tables import ConsentTable, RequestTable

RELEASE = "record.release/1"
REFUSE = "record.refuse/1"
CHUNK_MOST = 48
CHUNK_MAX_BYTES = 300 * 1024
"""One part of a release: within a person's signature (64) and a sealed body (512 KiB)."""
TEXT_MAX = 500
CANDIDATES_MOST = 20


def candidates(session: Session, row: RequestTable) -> Sequence[Patient]:
    """Patients of the holder whom a request could mean."""
    machine = Actor(UserId("records"), "", MemberId(row.member), model.DECIDERS)
    entry = Entry(
        name=row.patient_name,
        sex=row.patient_sex,
        birth=row.patient_birth,
        number=row.patient_number,
    )
    return patients.alike(session, actor=machine, entry=entry, limit=CANDIDATES_MOST)


def identity_asked(row: RequestTable) -> Identity:
    """Whom a request is about, as the asker told it."""
    return Identity(
        number=row.patient_number,
        name=row.patient_name,
        birth=applying.birth(row.patient_birth),
        sex=row.patient_sex,
    )


def identity_of(patient: Patient) -> Identity:
    """Who a patient of the holder is."""
    number = patient.number if patient.number_kind == "id_number" else ""
    return Identity(number=number, name=patient.name, birth=patient.born, sex=patient.sex)


def scope_asked(row: RequestTable) -> Scope:
    """What a request asks for."""
    return Scope(frozenset(orjson.loads(row.types)), row.start_at, row.end_at)


def consent_of(session: Session, row: RequestTable) -> Consent | None:
    """The consent on which a request rests, as it stands now."""
    kept = store.consent(session, row.case_id, member=row.member)
    return None if kept is None else _consent(kept)


def _consent(kept: ConsentTable) -> Consent:
    return Consent(
        basis=Basis(kept.basis),
        scope=Scope(frozenset(orjson.loads(kept.types)), kept.start_at, kept.end_at),
        party=kept.party,
        purpose=kept.purpose,
        until=kept.until_at,
        evidence=bool(kept.image),
        withdrawn=kept.withdrawn_at is not None,
    )


# ---------------------------------------------------------------- by a person


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patient of the holder beside the one who is asked for, and what would leave of theirs."""

    patient: Patient
    match: Match
    leaving: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Review:
    """What a person needs to decide: both sides' identity, the consent, and what would leave."""

    case: str
    asked: Identity
    scope: Scope
    limited: Scope
    consent: Consent | None
    candidates: Sequence[Candidate]


def review(session: Session, case: str, *, actor: Actor, chosen: str, now: datetime) -> Review:
    """A request before a person of the holder, with the patients whom it could mean.

    `chosen` is the id of a patient whom the person looked up, "" for none. Who looks is written
    down for each patient shown.

    Raises:
        Refusal: `record.unknown`.
    """
    row = _own(session, case, actor=actor)
    consent = consent_of(session, row)
    asked = scope_asked(row)
    limited = asked if consent is None else model.scope_of(asked, consent)
    shown = {one.id: one for one in candidates(session, row)}
    if chosen and (other := patients.find(session, member=actor.member, patient=chosen)):
        shown.setdefault(other.id, other)
    who = identity_asked(row)
    found = [
        Candidate(
            one,
            model.match(who, identity_of(one)),
            _counts(_leaving(session, row, patient=one.id, scope=limited)[0]),
        )
        for one in shown.values()
    ]
    for one in found:
        audit.record(
            session,
            actor=actor,
            action="records.compare",
            subject=f"case:{case}",
            patient=one.patient.id,
            now=now,
        )
    return Review(case, who, asked, limited, consent, found)


def release(
    session: Session,
    case: str,
    *,
    patient: str,
    actor: Actor,
    post: Post,
    signer: Signer,
    exchange: str,
    now: datetime,
) -> None:
    """Let the records of a patient go, signed by the person who decided.

    Never more than was asked for, nor more than an explicit consent covers.

    Raises:
        Refusal: `record.unknown`, `record.answered`, `record.patient`, `record.stranger` for one
            who has nothing in common with who is asked for, `record.consent`,
            `record.consent_over` when the time that the consent names is over, `record.too_many`.
    """
    row = _own(session, case, actor=actor)
    if row.answer == exchange:
        return
    _still_open(row)
    person = patients.find(session, member=actor.member, patient=patient) if patient else None
    if person is None:
        raise invalid("record.patient")
    if model.strangers(identity_asked(row), identity_of(person)):
        raise conflict("record.stranger")
    consent = consent_of(session, row)
    if consent is None or consent.withdrawn:
        raise conflict("record.consent")
    if now >= consent.until:
        raise conflict("record.consent_over")
    let_go(
        session,
        row,
        patient=person.id,
        scope=model.scope_of(scope_asked(row), consent),
        post=post,
        exchange=exchange,
        now=now,
        actor=actor,
        signer=signer,
    )
    applying.show(session, row, now=now)


def refuse(
    session: Session,
    case: str,
    *,
    reason: str,
    text: str,
    actor: Actor,
    post: Post,
    signer: Signer,
    exchange: str,
    now: datetime,
) -> None:
    """Do not release, with a coded reason and, where it helps, words; signed by the person.

    Raises:
        Refusal: `record.unknown`, `record.answered`, `record.reason`, `record.text`.
    """
    row = _own(session, case, actor=actor)
    if row.answer == exchange:
        return
    _still_open(row)
    if reason not in list(Reason):
        raise invalid("record.reason")
    if len(text) > TEXT_MAX:
        raise invalid("record.text", most=TEXT_MAX)
    act = Act(REFUSE, exchange, case, row.member, row.other, actor, now)
    facts = {"reason": reason, "urgency": row.urgency}
    body = fhir.answer(act, facts=facts, text=text.strip(), signer=signer)
    send(session, act, body, row=row, post=post)
    row.answer, row.state, row.reason = exchange, applying.ANSWERING, reason
    row.changed_at = now
    session.flush()
    applying.show(session, row, now=now)


def _own(session: Session, case: str, *, actor: Actor) -> RequestTable:
    actor.require(*model.DECIDERS)
    row = store.get_request(session, case, member=actor.member)
    if row.side != model.Side.HOLDER:
        raise missing("record.unknown")
    return row


def _still_open(row: RequestTable) -> None:
    if row.state != applying.REQUESTED:
        raise conflict("record.answered", state=row.state)


# ---------------------------------------------------------------- what leaves


def _leaving(
    session: Session, row: RequestTable, *, patient: str, scope: Scope
) -> tuple[list[Mapping[str, Any]], bool]:
    """Own records of a patient that lie wholly in a scope; and whether these are all."""
    rows = store.own_of_patient(
        session,
        member=row.member,
        patient=patient,
        kinds=sorted(scope.types),
        start=scope.start,
        end=scope.end,
    )
    whole = len(rows) <= store.RELEASE_MOST
    return disclosure.select([gate.parse(one.raw) for one in rows], scope), whole


def _counts(resources: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for one in resources:
        counted[one["resourceType"]] = counted.get(one["resourceType"], 0) + 1
    return counted


def let_go(
    session: Session,
    row: RequestTable,
    *,
    patient: str,
    scope: Scope,
    post: Post,
    exchange: str,
    now: datetime,
    actor: Actor | None = None,
    signer: Signer | None = None,
) -> None:
    """Queue a release in as many parts as it needs, or all of it not: Refusal `record.too_many`."""
    found, whole = _leaving(session, row, patient=patient, scope=scope)
    if not whole:
        raise conflict("record.too_many", most=store.RELEASE_MOST)
    copies = disclosure.copies(found, patient=row.patient_ref)
    parts = _parts(copies)
    by = By.PERSON if actor else By.AUTO
    for number, part in enumerate(parts, start=1):
        part_id = exchange if number == 1 else new_id(now)
        act = Act(RELEASE, part_id, row.case_id, row.member, row.other, actor, now)
        facts = {
            "types": sorted({one["resourceType"] for one in part}),
            "count": len(part),
            "by": by.value,
            "more": number < len(parts),
            "urgency": row.urgency,
        }
        told = fhir.echo(row.patient_ref, identity_asked(row))
        body = fhir.release(act, patient=told, copies=part, facts=facts, signer=signer)
        send(session, act, body, row=row, post=post)
    row.patient, row.answer, row.state = patient, exchange, applying.ANSWERING
    row.by, row.changed_at = by.value, now
    row.code = row.clause = ""
    session.flush()
    audit.record(
        session,
        actor=actor or "records",
        action="records.release",
        subject=f"case:{row.case_id}",
        patient=patient,
        member=row.member,
        now=now,
        to=row.other,
        count=len(copies),
        by=by.value,
        match=_grade(session, row, patient=patient).value,
    )


def _grade(session: Session, row: RequestTable, *, patient: str) -> Match:
    person = patients.find(session, member=row.member, patient=patient)
    return Match.NONE if person is None else model.match(identity_asked(row), identity_of(person))


def _parts(copies: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Copies in order, in parts that fit one exchange each; one empty part when there are none."""
    parts: list[list[dict[str, Any]]] = [[]]
    size, files = 0, set[str]()
    for one in copies:
        length, named = len(gate.dump(one)), {*map(blobs.digest_of, blobs.attachments_of(one))}
        full = len(parts[-1]) == CHUNK_MOST or len(files | named) > PARTS_MAX
        if parts[-1] and (full or size + length > CHUNK_MAX_BYTES):
            parts.append([])
            size, files = 0, set()
        parts[-1].append(one)
        size += length
        files |= named
    return parts


def send(
    session: Session,
    act: Act,
    body: bytes,
    *,
    row: RequestTable,
    post: Post,
) -> bool:
    """Queue an exchange of a request; whether it is new."""
    draft = Draft(
        id=act.exchange,
        kind=act.event,
        sender=act.sender,
        to=(act.to,),
        body=body,
        case=act.case,
        contract=row.contract,
        purpose=row.purpose,
    )
    return not post.send(session, draft, now=act.now).again
