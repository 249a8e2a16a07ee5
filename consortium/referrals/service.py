"""The clinic's acts on a referral, and the correction that either side may make.

Each is one act of a person: signed, checked and queued in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium.contracts import service as contracts
from consortium.desk import drafts
from consortium.desk import service as desk
from consortium.exchange import blobs
from consortium.kernel.actor import Actor
from consortium.kernel.errors import conflict, forbidden, invalid, missing
from consortium.kernel.ids import CaseId, new_id
from consortium.patients import service as patients
from consortium.ports import Signer
from consortium.referrals import applying, fhir, form, known, model, number, reading, rows, store
from consortium.referrals.acting import (
    DOCTORS,
    ROLES,
    Doing,
    Said,
    answer,
    finish,
    frame_of,
    note_of,
    remember,
    row_of,
    send,
    short,
    value_of,
)
from consortium.referrals.content import Content, Vital, from_json, timed
from consortium.referrals.model import Action, Side, State
from consortium.referrals.tables import CaseTable


def request(
    session: Session, doing: Doing, *, patient: str, fields: Mapping[str, Any], signer: Signer
) -> CaseId:
    """Refer a patient with what the form holds; the case it opened.

    Raises:
        Refusal: `referral.form` (a field is wrong), `referral.incomplete` (how many are empty),
            `referral.duplicate` (with the open `case`), and what the outbox refuses, with its
            clause.
    """
    doing.actor.require(*ROLES[Action.REQUEST])
    done = store.act(session, doing.exchange, member=doing.actor.member)
    if done is not None:
        return CaseId(done.case_id)
    typed = _typed(fields, now=doing.now)
    person = patients.find(session, member=doing.actor.member, patient=patient)
    if person is None:
        raise missing("patients.missing")
    before = known.prefill(session, member=doing.actor.member, patient=person.id).content.vitals
    content = _content(session, typed, before=before, now=doing.now)
    key = f"{person.id}/{content.service}"
    if open_case := store.by_open_key(session, key, member=doing.actor.member):
        raise conflict("referral.duplicate", case=open_case.case_id)
    row = _new_row(doing, typed.provider, content, patient=person.id, key=key)
    row.contract = contract_for(
        session, actor=doing.actor, provider=typed.provider, service=content.service, now=doing.now
    )
    row.form = store.dump(dict(fields))
    raw = patients.resource(session, member=doing.actor.member, patient=person.id)
    body = fhir.request(frame_of(row, doing, Action.REQUEST), content, patient=raw, signer=signer)
    send(session, row, doing, Action.REQUEST, body)
    session.add(row)
    remember(session, row, doing, Action.REQUEST, Said(data={"fields": dict(fields)}))
    _replace_refused(session, row, now=doing.now)
    _learn(session, row, doing, content)
    drafts.discard(session, actor=doing.actor, form=form.name(person.id))
    applying.show(session, row, now=doing.now)
    return CaseId(row.case_id)


def resend(
    session: Session, case_id: str, doing: Doing, *, fields: Mapping[str, Any], signer: Signer
) -> None:
    """Send a returned referral again, whole, with what was missing.

    Raises:
        Refusal: as `request`, and `referral.service` when the form names another service.
    """
    row = row_of(session, case_id, doing, Action.RESEND)
    if row is None:
        return
    typed = _typed(fields, now=doing.now)
    content = _content(session, typed, before=_measured(row), now=doing.now)
    if content.service != row.service:
        raise invalid("referral.service")
    if content.urgency != row.urgency:
        raise invalid("referral.urgency")
    raw = patients.resource(session, member=doing.actor.member, patient=row.patient or "")
    body = fhir.request(frame_of(row, doing, Action.RESEND), content, patient=raw, signer=signer)
    send(session, row, doing, Action.RESEND, body)
    row.content, row.form = store.dump(content.json()), store.dump(dict(fields))
    _learn(session, row, doing, content)
    finish(session, row, doing, Action.RESEND, Said(data={"fields": dict(fields)}))


def cancel(session: Session, case_id: str, doing: Doing, *, reason: str, note: str = "") -> None:
    """Withdraw an own referral before the patient arrives; a booked slot is free again."""
    row = row_of(session, case_id, doing, Action.CANCEL)
    if row is None:
        return
    if reason not in model.CANCEL_REASONS:
        raise invalid("referral.reason", state=row.state)
    answer(
        session, row, doing, Action.CANCEL, State.CANCELLED,
        facts={"reason": reason}, reasons=[reason], note=note_of(doing, note),
    )  # fmt: skip


def acknowledge(
    session: Session, case_id: str, doing: Doing, *, adoption: str, note: str = ""
) -> None:
    """Say what is done with the report, or close a referral whose patient did not come.

    Raises:
        Refusal: `referral.adoption` for a mark that does not fit; `referral.adoption_reason`
            where not adopting it, or closing without a visit, is left without a reason.
    """
    row = row_of(session, case_id, doing, Action.ACKNOWLEDGE)
    if row is None:
        return
    if adoption not in model.ADOPTIONS:
        raise invalid("referral.adoption", state=row.state)
    if refusal := model.check_adoption(value_of(session, row), adoption):
        raise refusal
    if adoption != "adopted" and not note.strip():
        raise invalid("referral.adoption_reason")
    answer(
        session, row, doing, Action.ACKNOWLEDGE, State.CLOSED,
        facts={"adoption": adoption}, note=note_of(doing, note),
    )  # fmt: skip


def correct(
    session: Session,
    case_id: str,
    doing: Doing,
    *,
    of: str,
    what: str,
    text: str,
    signer: Signer,
) -> None:
    """Put an own earlier exchange right; the original stays beside it.

    Raises:
        Refusal: `referral.not_author` for an exchange of the other side, `referral.correction`
            for an empty text.
    """
    row = row_of(session, case_id, doing, Action.CORRECT)
    if row is None:
        return
    earlier = store.act(session, of, member=doing.actor.member)
    if earlier is None or earlier.case_id != case_id or earlier.sender != doing.actor.member:
        raise forbidden("referral.not_author")
    text = short(text)
    if what not in model.CORRECTED or not text:
        raise invalid("referral.correction")
    frame = frame_of(row, doing, Action.CORRECT)
    body = fhir.correction(frame, of=of, what=what, text=text, signer=signer)
    send(session, row, doing, Action.CORRECT, body)
    finish(session, row, doing, Action.CORRECT, Said(text, {"of": of, "what": what}))


def seen(session: Session, case_id: str, *, actor: Actor, now: datetime) -> None:
    """A person has read that a referral was declined, or gives up one that was refused."""
    actor.require(*DOCTORS)
    row = store.need(session, case_id, member=actor.member)
    if row.state not in (State.DECLINED.value, rows.REFUSED):
        raise conflict("referral.state", state=row.state)
    if row.state == rows.REFUSED and row.patient:
        drafts.discard(session, actor=actor, form=form.name(row.patient))
    row.seen = 1
    session.flush()
    applying.show(session, row, now=now)


def contract_for(
    session: Session, *, actor: Actor, provider: str, service: str, now: datetime
) -> str:
    """The contract by which a referral to this service is judged.

    Where none covers it, one with that hospital all the same: the refusal then names its clause.
    """
    found = contracts.covering(
        session, taker=actor.member, now=now, service=service, provider=provider
    )
    if found:
        return found[0].contract
    held = contracts.listing(session, actor=actor, now=now).rows
    with_them = [one for one in held if provider in one.parties]
    with_them.sort(key=lambda one: one.state.value not in ("in_force", "suspended"))
    return with_them[0].contract if with_them else ""


# ---------------------------------------------------------------- inside


def _typed(fields: Mapping[str, Any], *, now: datetime) -> form.Typed:
    typed = form.read(fields, now=now)
    if typed.errors:
        raise invalid("referral.form", field=next(iter(typed.errors)), n=len(typed.errors))
    if empty := typed.content.missing(patient=True):
        raise invalid("referral.incomplete", n=len(empty), field=empty[0])
    return typed


def _content(
    session: Session, typed: form.Typed, *, before: Sequence[Vital], now: datetime
) -> Content:
    """What is sent: the form with its files, and each vital sign with its time."""
    papers = [reading.paper_of(blobs.attachment(session, one)) for one in typed.papers]
    vitals = timed(typed.content.vitals, before=before, at=form.stamp(now))
    return replace(typed.content, papers=tuple(papers), vitals=vitals)


def _measured(row: CaseTable) -> list[Vital]:
    """The vital signs of a case as they were last sent; without a time, taken when it opened."""
    opened = form.stamp(row.opened_at)
    vitals = from_json(store.load(row.content)).vitals
    return [replace(one, at=one.at or opened) for one in vitals]


def _learn(session: Session, row: CaseTable, doing: Doing, content: Content) -> None:
    known.learn(
        session,
        content,
        actor=doing.actor,
        member=row.member,
        patient=row.patient or "",
        source="",
        case=row.case_id,
        at=doing.now,
        now=doing.now,
    )


def _new_row(doing: Doing, provider: str, content: Content, *, patient: str, key: str) -> CaseTable:
    case_id = new_id(doing.now)
    return CaseTable(
        member=doing.actor.member,
        case_id=case_id,
        side=Side.TAKER.value,
        other=provider,
        number=number.of_case(case_id),
        open_key=key,
        patient=patient,
        patient_ref=f"Patient/{patient}",
        service=content.service,
        urgency=content.urgency,
        contract="",
        author=doing.actor.name,
        author_user=doing.actor.user,
        claimed_by="",
        content=store.dump(content.json()),
        form="",
        state=rows.QUEUED,
        session="",
        pending=doing.exchange,
        pending_action=Action.REQUEST.value,
        code="",
        clause="",
        seen=0,
        opened_at=doing.now,
        changed_at=doing.now,
    )


def _replace_refused(session: Session, row: CaseTable, *, now: datetime) -> None:
    """Earlier requests for this patient that were refused leave the worklist."""
    for old in store.refused_of(session, member=row.member, patient=row.patient or ""):
        if old.case_id != row.case_id:
            old.seen = 1
            desk.close(session, member=old.member, case=old.case_id, now=now)
