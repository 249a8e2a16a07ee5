"""What every act on a referral is made with: the row, the frame of its body, the outbox.

The exchange id comes with the form. The same id again changes nothing, however often it is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from consortium.desk import drafts
from consortium.exchange import state as shared
from consortium.exchange.outbox import Draft, Post
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import conflict, invalid
from consortium.ports import Signer
from consortium.referrals import applying, fhir, model, store
from consortium.referrals.applying import QUEUED, draft_name
from consortium.referrals.content import NOTE_MAX, Note
from consortium.referrals.frame import Frame
from consortium.referrals.model import Action, Side, State
from consortium.referrals.tables import ActTable, CaseTable

PURPOSE: Final = "TREAT"
DOCTORS: Final = (Role.TOWNSHIP_DOCTOR,)
TRIAGE: Final = (Role.SPECIALIST, Role.CONSULT_DESK)
ROLES: Final[Mapping[Action, tuple[Role, ...]]] = {
    Action.REQUEST: DOCTORS,
    Action.RESEND: DOCTORS,
    Action.CANCEL: DOCTORS,
    Action.ACKNOWLEDGE: DOCTORS,
    Action.CLAIM: TRIAGE,
    Action.ACCEPT: TRIAGE,
    Action.RETURN: TRIAGE,
    Action.DECLINE: TRIAGE,
    Action.ARRIVE: (Role.CONSULT_DESK,),
    Action.NO_SHOW: (Role.CONSULT_DESK,),
    Action.REPORT: (Role.SPECIALIST,),
    Action.CORRECT: (*DOCTORS, *TRIAGE),
}
"""Who may do what; whoever may not, meets a page that does not exist."""
READERS: Final = (*DOCTORS, *TRIAGE)


@dataclass(frozen=True, slots=True)
class Doing:
    """What every act is done with: who, by which post, under which exchange id, when."""

    actor: Actor
    post: Post
    exchange: str
    now: datetime
    drawn: str = ""
    """The exchange that had moved the case last when the person's page was drawn; empty where no
    page was."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an act leaves for the case's page."""

    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def row_of(session: Session, case_id: str, doing: Doing, action: Action) -> CaseTable | None:
    """The row on which the actor may act now; None when this very act was done before.

    Raises:
        Refusal: `referral.moved_on` when the case has moved since the person's page was drawn,
            `referral.under_way`, and those of `model.check`.
    """
    doing.actor.require(*ROLES[action])
    row = store.hold(session, case_id, member=doing.actor.member)
    if store.act(session, doing.exchange, member=doing.actor.member) is not None:
        return None
    if row.pending and action is not Action.CORRECT:
        raise conflict("referral.under_way", action=row.pending_action)
    value = value_of(session, row)
    if refusal := model.check(
        value, action, sender=doing.actor.member, to=(row.other,), reason="incomplete"
    ):
        raise refusal
    # a correction stands beside what it corrects, wherever the case has gone
    if action is not Action.CORRECT and doing.drawn not in ("", moved_by(value)):
        raise conflict("referral.moved_on")
    return row


def moved_by(value: Mapping[str, Any] | None) -> str:
    """The id of the exchange that moved a case last; empty before any."""
    last: Mapping[str, str] = (value or {}).get("last") or {}
    return last.get("id", "")


def value_of(session: Session, row: CaseTable) -> dict[str, Any]:
    value = shared.read(session, f"case:{row.case_id}")
    if value is None:
        raise conflict("referral.state", state=row.state)
    return value


def frame_of(row: CaseTable, doing: Doing, action: Action) -> Frame:
    taker = row.member if row.side == Side.TAKER else row.other
    return Frame(
        event=f"referral.{action.value}/1",
        exchange=doing.exchange,
        case=row.case_id,
        taker=taker,
        provider=row.other if row.side == Side.TAKER else row.member,
        sender=row.member,
        urgency=row.urgency,
        opened=row.opened_at,
        now=doing.now,
        actor=doing.actor,
        patient=row.patient_ref,
    )


def answer(
    session: Session,
    row: CaseTable,
    doing: Doing,
    action: Action,
    state: State,
    *,
    facts: Mapping[str, Any],
    reasons: Sequence[str] = (),
    note: Note | None = None,
    signer: Signer | None = None,
) -> None:
    frame = frame_of(row, doing, action)
    body = fhir.answer(frame, state, facts=facts, reasons=reasons, note=note, signer=signer)
    send(session, row, doing, action, body)
    text = "" if note is None else note.text
    finish(session, row, doing, action, Said(text, facts))


def send(
    session: Session,
    row: CaseTable,
    doing: Doing,
    action: Action,
    body: bytes,
) -> None:
    value = shared.read(session, f"case:{row.case_id}")
    draft = Draft(
        id=doing.exchange,
        kind=f"referral.{action.value}/1",
        sender=row.member,
        to=(row.other,),
        body=body,
        case=row.case_id,
        contract=row.contract if value is None else value["contract"],
        purpose=PURPOSE,
    )
    doing.post.send(session, draft, now=doing.now)


def finish(session: Session, row: CaseTable, doing: Doing, action: Action, said: Said) -> None:
    """What every act on a case leaves: its words, the row on its way, no draft."""
    if action is not Action.CORRECT:
        row.pending, row.pending_action = doing.exchange, action.value
    if action is Action.CLAIM:
        row.claimed_by = doing.actor.name
    row.changed_at = doing.now
    remember(session, row, doing, action, said)
    drafts.discard(session, actor=doing.actor, form=draft_name(action, row.case_id))
    applying.show(session, row, now=doing.now)


def remember(session: Session, row: CaseTable, doing: Doing, action: Action, said: Said) -> None:
    session.add(
        ActTable(
            member=row.member,
            exchange=doing.exchange,
            case_id=row.case_id,
            action=action.value,
            sender=row.member,
            author=doing.actor.name,
            text=said.text,
            data=store.dump({**dict(said.data), "user": doing.actor.user}),
            state=QUEUED,
            code="",
            at=doing.now,
        )
    )
    session.flush()


def note_of(doing: Doing, text: str) -> Note | None:
    text = short(text)
    return Note(doing.actor.name, text, doing.now) if text else None


def short(text: str) -> str:
    text = text.strip()
    if len(text) > NOTE_MAX:
        raise invalid("referral.note", limit=NOTE_MAX)
    return text
