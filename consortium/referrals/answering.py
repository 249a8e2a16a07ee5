"""The hospital's acts on a referral: triage, answer, arrival, report."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium.kernel.errors import invalid
from consortium.kernel.time import to_ms
from consortium.ports import Signer
from consortium.referrals import fhir, model, standing
from consortium.referrals.acting import (
    Doing,
    Said,
    answer,
    finish,
    frame_of,
    note_of,
    row_of,
    send,
    value_of,
)
from consortium.referrals.content import ReportText
from consortium.referrals.model import Action, State
from consortium.scheduling import service as scheduling


def claim(session: Session, case_id: str, doing: Doing) -> None:
    """Take a case up for triage: both sides see who is at it."""
    row = row_of(session, case_id, doing, Action.CLAIM)
    if row is not None:
        answer(session, row, doing, Action.CLAIM, State.TRIAGE, facts={})


def accept(
    session: Session,
    case_id: str,
    doing: Doing,
    *,
    signer: Signer,
    slot: str = "",
    date: datetime | None = None,
    place: str = "",
    note: str = "",
) -> None:
    """Accept with a slot of an own session, or with the date that is expected.

    Raises:
        Refusal: `referral.when` without exactly one of the two, `slot.*` when the slot cannot be
            had.
    """
    row = row_of(session, case_id, doing, Action.ACCEPT)
    if row is None:
        return
    if bool(slot) == (date is not None):
        raise invalid("referral.when")
    frame = frame_of(row, doing, Action.ACCEPT)
    facts: dict[str, Any] = {"urgency": row.urgency}
    extra, until = [], date
    if slot:
        at = scheduling.slot_at(session, slot)
        facts |= {"slot": slot, "start": to_ms(at.start)}
        extra = [fhir.appointment(frame, slot=slot, start=at.start, end=at.end, place=place)]
        until = at.start
    elif date is not None:
        facts |= {"date": to_ms(date)}
        extra = [fhir.waitlist(frame, expected=date, place=place)]
    body = fhir.answer(
        frame,
        State.BOOKED if slot else State.WAITING,
        facts=facts,
        note=note_of(doing, note),
        until=until,
        extra=extra,
        signer=signer,
    )
    send(session, row, doing, Action.ACCEPT, body)
    said = Said(note, {**facts, "place": place.strip()})
    finish(session, row, doing, Action.ACCEPT, said)


def send_back(
    session: Session, case_id: str, doing: Doing, *, absent: Sequence[str], note: str = ""
) -> None:
    """Return a referral with one list of what is missing.

    Raises:
        Refusal: `referral.missing` for an empty list, `referral.returned_once` the second time.
    """
    row = row_of(session, case_id, doing, Action.RETURN)
    if row is None:
        return
    codes = [one for one in model.MISSING if one in absent]
    if not codes or ("other" in codes and not note.strip()):
        raise invalid("referral.missing")
    facts = {"urgency": row.urgency, "missing": codes}
    answer(
        session, row, doing, Action.RETURN, State.RETURNED,
        facts=facts, reasons=codes, note=note_of(doing, note),
    )  # fmt: skip


def decline(
    session: Session, case_id: str, doing: Doing, *, reason: str, note: str, signer: Signer
) -> None:
    """Decline with a coded reason. Raises Refusal `referral.reason` for another one."""
    row = row_of(session, case_id, doing, Action.DECLINE)
    if row is None:
        return
    if reason not in model.DECLINE_REASONS or (reason == "other" and not note.strip()):
        raise invalid("referral.reason", state=row.state)
    facts = {"urgency": row.urgency, "reason": reason}
    answer(
        session, row, doing, Action.DECLINE, State.DECLINED,
        facts=facts, reasons=[reason], note=note_of(doing, note), signer=signer,
    )  # fmt: skip


def arrive(session: Session, case_id: str, doing: Doing) -> None:
    """Register that the patient is there."""
    row = row_of(session, case_id, doing, Action.ARRIVE)
    if row is not None:
        answer(session, row, doing, Action.ARRIVE, State.ARRIVED, facts={})


def no_show(session: Session, case_id: str, doing: Doing) -> None:
    """Register that the patient did not come. Raises Refusal `referral.early` before the time."""
    row = row_of(session, case_id, doing, Action.NO_SHOW)
    if row is None:
        return
    value = value_of(session, row)
    if refusal := model.check_no_show(value, time=doing.now, off=standing.is_off(session, value)):
        raise refusal
    answer(session, row, doing, Action.NO_SHOW, State.NO_SHOW, facts={})


def report(
    session: Session, case_id: str, doing: Doing, *, text: ReportText, signer: Signer
) -> None:
    """Send the specialist's report. Raises Refusal `referral.report` when it says nothing."""
    row = row_of(session, case_id, doing, Action.REPORT)
    if row is None:
        return
    if text.empty:
        raise invalid("referral.report")
    body = fhir.report(frame_of(row, doing, Action.REPORT), text, signer=signer)
    send(session, row, doing, Action.REPORT, body)
    told = {"diagnosis": text.diagnosis, "findings": text.findings, "advice": text.advice}
    finish(session, row, doing, Action.REPORT, Said(data={**told, "fields": told}))
