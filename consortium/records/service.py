"""The asker's side: ask for a record on a consent, see what came, withdraw."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy.orm import Session

from consortium import audit
from consortium.contracts import service as contracts
from consortium.desk import drafts, messages
from consortium.desk import service as desk
from consortium.exchange import blobs
from consortium.exchange.outbox import Draft, Post
from consortium.kernel.actor import Actor
from consortium.kernel.errors import conflict, invalid, missing
from consortium.kernel.ids import new_id
from consortium.kernel.paging import Page
from consortium.patients import service as patients
from consortium.patients.model import Patient
from consortium.ports import Signer
from consortium.records import answering, applying, fhir, library, model, store
from consortium.records.fhir import Act
from consortium.records.model import (
    ASKERS,
    DECIDERS,
    MONTHS_MOST,
    RELEASABLE,
    Asked,
    Basis,
    Consent,
    Scope,
    Side,
    WithdrawReason,
)
from consortium.records.reading import QUESTION_MAX
from consortium.records.tables import RequestTable

REQUEST = "record.request/1"
WITHDRAW = "consent.withdraw/1"
CONSENT_VALID = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Form:
    """A request as a doctor fills it in. `image` is the id of the sealed picture of the consent.

    `covers` are the types that the patient's consent names; empty means those asked for.
    """

    to: str
    types: tuple[str, ...]
    months: int
    basis: str
    question: str
    image: str = ""
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A request for records as one of its two members sees it."""

    case: str
    exchange: str
    side: Side
    other: str
    contract: str
    purpose: str
    urgency: str
    types: tuple[str, ...]
    start: datetime
    end: datetime
    state: str
    why: str
    reason: str
    by: str
    count: int
    code: str
    clause: str
    question: str
    said: str
    author_name: str
    patient: str
    patient_name: str
    patient_sex: str
    patient_birth: str
    patient_number: str
    basis: str
    consent_until: datetime | None
    withdrawn_at: datetime | None
    has_image: bool
    opened_at: datetime
    due_at: datetime | None


def request(
    session: Session,
    form: Form,
    *,
    patient: str,
    actor: Actor,
    post: Post,
    signer: Signer,
    exchange: str,
    now: datetime,
) -> str:
    """Ask a member for a patient's record; the consent goes in the sealed body. Returns the case.

    The same exchange again asks once. An emergency goes without consent and is flagged.

    Raises:
        Refusal: `record.types`, `record.months`, `record.basis`, `record.consent_missing`,
            `record.question`, `record.identity`, `patients.missing`, or the contract's clause.
    """
    actor.require(*ASKERS)
    known = store.by_exchange(session, exchange, member=actor.member)
    if known is not None:
        return known.case_id
    _check(form, actor=actor)
    person = patients.find(session, member=actor.member, patient=patient)
    if person is None:
        raise missing("patients.missing")
    told = _told(session, form, person, actor=actor, now=now)
    if not (told.identity.number or told.identity.birth):
        raise invalid("record.identity")
    act = Act(REQUEST, exchange, new_id(now), actor.member, form.to, actor, now)
    facts = {
        "types": sorted(form.types),
        "months": form.months,
        "urgency": "emergency" if form.basis == Basis.EMERGENCY else "routine",
        "consent": form.basis,
    }
    body = fhir.request(act, told, facts=facts, signer=signer)
    _queue(session, act, form, told, body=body, post=post)
    return act.case


def _told(session: Session, form: Form, person: Patient, *, actor: Actor, now: datetime) -> Asked:
    """What the form asks, with the consent that the patient gave for it."""
    asked = model.asked_scope(form.types, months=form.months, now=now)
    consent = Consent(
        basis=Basis(form.basis),
        scope=Scope(frozenset(form.covers or form.types), asked.start, asked.end),
        party=actor.member,
        purpose="ETREAT" if form.basis == Basis.EMERGENCY else "TREAT",
        until=now + CONSENT_VALID,
        evidence=bool(form.image),
    )
    return Asked(
        patient_id=person.id,
        identity=answering.identity_of(person),
        scope=asked,
        consent=consent,
        image=blobs.attachment(session, form.image) if form.image else None,
        question=form.question.strip(),
        author=actor.user,
        author_name=actor.name,
    )


def sent(session: Session, exchange: str, *, actor: Actor) -> bool:
    """Whether a form has been sent under this exchange."""
    return store.by_exchange(session, exchange, member=actor.member) is not None


def _check(form: Form, *, actor: Actor) -> None:
    if form.to == actor.member or not form.to:
        raise invalid("record.recipient")
    if not form.types or not {*form.types, *form.covers} <= set(RELEASABLE):
        raise invalid("record.types")
    if not 1 <= form.months <= MONTHS_MOST:
        raise invalid("record.months", most=MONTHS_MOST)
    if form.basis not in list(Basis):
        raise invalid("record.basis")
    if form.basis == Basis.EXPLICIT and not form.image:
        raise invalid("record.consent_missing")
    if not form.question.strip() or len(form.question) > QUESTION_MAX:
        raise invalid("record.question", most=QUESTION_MAX)


def _queue(session: Session, act: Act, form: Form, told: Asked, *, body: bytes, post: Post) -> None:
    actor = act.actor
    if actor is None:
        raise ValueError("only a person asks")
    contract = contract_for(
        session, actor=actor, to=form.to, types=form.types, purpose=told.consent.purpose,
        now=act.now,
    )  # fmt: skip
    draft = Draft(
        id=act.exchange,
        kind=REQUEST,
        sender=act.sender,
        to=(act.to,),
        body=body,
        case=act.case,
        contract=contract,
        purpose=told.consent.purpose,
    )
    post.send(session, draft, now=act.now)
    row = applying.own_row(
        act.case, told, member=act.sender, other=act.to, exchange=act.exchange, contract=contract,
        months=form.months, now=act.now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    applying.keep_consent(session, told, row=row)
    drafts.discard(session, actor=actor, form=applying.form_name(told.patient_id))
    applying.show(session, row, now=act.now)


def contract_for(
    session: Session, *, actor: Actor, to: str, types: tuple[str, ...], purpose: str, now: datetime
) -> str:
    """The contract under which records are asked for: one that covers it, else any with `to`.

    Where none covers it the refusal names the clause that is missing.
    """
    live = [
        one
        for one in contracts.in_force(session, member=actor.member, now=now)
        if to in one.terms.parties
    ]
    for one in live:
        if set(types) <= set(one.terms.types) and purpose in one.terms.purposes:
            return one.contract
    if live:
        return live[0].contract
    held = contracts.listing(session, actor=actor, now=now).rows
    return next((one.contract for one in held if to in one.parties), "")


def withdraw(
    session: Session,
    case: str,
    *,
    reason: str,
    actor: Actor,
    post: Post,
    exchange: str,
    now: datetime,
) -> None:
    """Tell the other side that the patient withdraws; what came on it is seen here no longer.

    From this moment on, with a link or without; if the ledger refuses the withdrawal it is seen
    again. While one is under way another does nothing.

    Raises:
        Refusal: `record.unknown`, `record.reason`, `record.state`.
    """
    actor.require(*DECIDERS)
    row = store.get_request(session, case, member=actor.member)
    if reason not in list(WithdrawReason):
        raise invalid("record.reason")
    if row.state == applying.WITHDRAWING:
        return
    act = Act(WITHDRAW, exchange, case, row.member, row.other, actor, now)
    body = fhir.answer(act, facts={"reason": reason}, text="", signer=None)
    if not answering.send(session, act, body, row=row, post=post):
        return
    row.state, row.changed_at = applying.WITHDRAWING, now
    library.withdrawn(session, member=row.member, case=case, now=now)
    applying.show(session, row, now=now)


def seen(session: Session, case: str, *, actor: Actor, now: datetime) -> None:
    """A person has read the answer, or at the holder that a part of it was lost: off the worklist.

    Raises:
        Refusal: `record.unknown`, `record.state` while there is no answer.
    """
    actor.require(*DECIDERS)
    row = store.get_request(session, case, member=actor.member)
    if row.side == Side.ASKER:
        actor.require(*ASKERS)
    lost = applying.part_lost(Side(row.side), row.state, row.code)
    if not lost and (row.side != Side.ASKER or row.state in (applying.PENDING, applying.REQUESTED)):
        raise conflict("record.state", state=row.state)
    if row.state in (applying.REFUSED_HERE, applying.SENT_BACK):
        drafts.discard(session, actor=actor, form=applying.form_name(row.patient))
    desk.close(session, member=row.member, case=case, now=now)


# ---------------------------------------------------------------- reading


def opening(session: Session, case: str, *, actor: Actor, post: Post, now: datetime) -> None:
    """A person opens a request: the other side is told once, and the audit keeps who looked.

    At the holder the patient is known from the answer on; before it `answering.review` keeps whom a
    person compares.

    Raises:
        Refusal: `record.unknown`.
    """
    actor.require(*DECIDERS)
    row = store.get_request(session, case, member=actor.member)
    messages.person_opens(
        session,
        actor=actor,
        post=post,
        case=case,
        action="records.request",
        patient=row.patient or None,
        now=now,
    )


def request_of(session: Session, case: str, *, actor: Actor) -> Request:
    """One request of the actor's member. Raises Refusal `record.unknown`."""
    actor.require(*DECIDERS)
    return _request(session, store.get_request(session, case, member=actor.member))


def requests(
    session: Session, *, actor: Actor, side: Side, after: str | None = None, limit: int = 50
) -> Page[Request]:
    """Requests of the actor's member on one side, the newest first."""
    actor.require(*DECIDERS)
    found = store.requests(session, member=actor.member, side=side.value, after=after, limit=limit)
    return Page([_request(session, row) for row in found.rows], found.after)


def consent_image(session: Session, case: str, *, actor: Actor, now: datetime) -> Mapping[str, Any]:
    """The FHIR Attachment of the signed consent, to be opened with `blobs.open_attachment`.

    Who looks at it is written down.

    Raises:
        Refusal: `record.unknown` when there is no such request or it has no picture.
    """
    actor.require(*DECIDERS)
    row = store.get_request(session, case, member=actor.member)
    kept = store.consent(session, case, member=actor.member)
    if kept is None or not kept.image:
        raise missing("record.unknown")
    audit.record(
        session,
        actor=actor,
        action="records.consent",
        subject=f"case:{case}",
        patient=row.patient or None,
        now=now,
    )
    image: Mapping[str, Any] = orjson.loads(kept.image)
    return image


def _request(session: Session, row: RequestTable) -> Request:
    kept = store.consent(session, row.case_id, member=row.member)
    return Request(
        case=row.case_id,
        exchange=row.exchange,
        side=Side(row.side),
        other=row.other,
        contract=row.contract,
        purpose=row.purpose,
        urgency=row.urgency,
        types=tuple(orjson.loads(row.types)),
        start=row.start_at,
        end=row.end_at,
        state=row.state,
        why=row.why,
        reason=row.reason,
        by=row.by,
        count=row.count,
        code=row.code,
        clause=row.clause,
        question=row.question,
        said=row.said,
        author_name=row.author_name,
        patient=row.patient,
        patient_name=row.patient_name,
        patient_sex=row.patient_sex,
        patient_birth=row.patient_birth,
        patient_number=row.patient_number,
        basis=kept.basis if kept else "",
        consent_until=kept.until_at if kept else None,
        withdrawn_at=kept.withdrawn_at if kept else None,
        has_image=bool(kept and kept.image),
        opened_at=row.opened_at,
        due_at=row.due_at,
    )
