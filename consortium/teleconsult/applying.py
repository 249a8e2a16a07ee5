"""What the ledger makes of a booking: the rows of both members, and their worklists."""

from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium.desk import drafts
from consortium.desk import service as desk
from consortium.desk.model import DeskRow
from consortium.exchange.kinds import Opened
from consortium.exchange.outbox import Draft, Post
from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import CaseId, MemberId, PatientId, UserId, new_id
from consortium.kernel.time import ZONE
from consortium.members import directory
from consortium.patients import adoption
from consortium.scheduling import service as scheduling
from consortium.teleconsult import fhir, store
from consortium.teleconsult.model import TOPIC, Action, CancelReason, Shown, Side
from consortium.teleconsult.tables import BookingTable

_NEEDS = {
    (Side.TAKER, Shown.PENDING): "booking.need.pending",
    (Side.TAKER, Shown.BOOKED): "booking.need.booked",
    (Side.TAKER, Shown.TO_MOVE): "booking.need.moving",
    (Side.TAKER, Shown.REFUSED): "booking.need.refused",
    (Side.PROVIDER, Shown.BOOKED): "booking.need.held",
    (Side.PROVIDER, Shown.TO_MOVE): "booking.need.move",
}
CANCEL = "booking.cancel/1"
PURPOSE = "TREAT"
_CLOSED = frozenset({Shown.CANCELLED, Shown.OVER})
_MINE = frozenset({(Side.TAKER, Shown.REFUSED), (Side.PROVIDER, Shown.TO_MOVE)})


def form_name(patient: str) -> str:
    """The name of the draft of a booking for a patient."""
    return f"booking:{patient}"


def apply(session: Session, action: Action, opened: Opened) -> None:
    """An exchange of a booking stands on the ledger."""
    row = store.find(session, opened.header.case, member=opened.member)
    match action:
        case Action.REQUEST:
            row = _received(session, opened) if row is None else row
            row.state = Shown.BOOKED.value
        case Action.MOVE if row is not None:
            _place(session, row, opened.facts["slot"])
            row.state = Shown.BOOKED.value
        case Action.CANCEL if row is not None and row.state != Shown.REFUSED:
            row.state, row.reason = Shown.CANCELLED.value, opened.facts["reason"]
        case _:
            return
    row.changed_at = opened.now
    session.flush()
    show(session, row, now=opened.now)
    if not opened.mine and action is not Action.REQUEST:
        _tell(session, row, action, now=opened.now)


def refused(session: Session, action: Action, opened: Opened) -> None:
    """An own exchange was refused. A request gives its form back, with the reason."""
    row = store.find(session, opened.header.case, member=opened.member)
    if row is None:
        return
    row.code, row.clause, row.changed_at = opened.code[:64], opened.clause[:16], opened.now
    if action is Action.REQUEST and row.exchange == opened.header.id:
        row.state = Shown.REFUSED.value
        _give_back(session, row, now=opened.now)
    session.flush()
    show(session, row, now=opened.now)
    if action is not Action.REQUEST:
        desk.notify(
            session,
            member=row.member,
            case=row.case_id,
            word=f"booking.notice.{action.value}_refused",
            params=_params(session, row),
            link=link_of(row),
            roles=_roles(row),
            now=opened.now,
            about=opened.header.id,
        )


def put_back(session: Session, opened: Opened) -> None:
    """The other side could not take a request: its form comes back, and its slot is given back."""
    row = store.find(session, opened.header.case, member=opened.member)
    if row is None or row.side != Side.TAKER or row.exchange != opened.facts["of"]:
        return
    row.state, row.changed_at = Shown.REFUSED.value, opened.now
    row.code = str(opened.facts["code"])[:64]
    _give_back(session, row, now=opened.now)
    show(session, row, now=opened.now)
    try:
        send_cancel(
            session,
            row,
            post=opened.post,
            reason=CancelReason.OTHER.value,
            exchange=new_id(opened.now),
            now=opened.now,
        )
    except Refusal:
        # the time is over or this node may not sign: nothing is left to give back
        return


def send(session: Session, act: fhir.Act, body: bytes, *, contract: str, post: Post) -> None:
    """Queue an exchange of a booking."""
    draft = Draft(
        id=act.exchange,
        kind=act.event,
        sender=act.sender,
        to=(act.to,),
        body=body,
        case=act.case,
        contract=contract,
        purpose=PURPOSE,
    )
    post.send(session, draft, now=act.now)


def send_cancel(
    session: Session, row: BookingTable, *, post: Post, reason: str, exchange: str, now: datetime
) -> None:
    """Queue the cancelling of a booking."""
    act = fhir.Act(CANCEL, exchange, row.case_id, row.member, row.other, now)
    place = scheduling.slot_at(session, row.slot)
    body = fhir.cancel(act, place, patient=f"Patient/{row.patient_ref}", reason=reason)
    send(session, act, body, contract=row.contract, post=post)


def _give_back(session: Session, row: BookingTable, *, now: datetime) -> None:
    drafts.give_back(
        session,
        user=row.author,
        member=row.member,
        form=form_name(row.patient),
        fields=fields_of(row),
        code=row.code,
        clause=row.clause,
        now=now,
    )


def fields_of(row: BookingTable) -> dict[str, str]:
    """What a form held, so that it can be sent again with another time."""
    return {
        "case": row.case_id,
        "patient": row.patient,
        "service": row.service,
        "urgency": row.urgency,
        "question": row.question,
        "consent": row.consent,
        "lost": row.slot,
    }


def show(session: Session, row: BookingTable, *, now: datetime) -> None:
    """Write the row's line of the worklist, or take it out."""
    shown = Shown(row.state)
    if shown in _CLOSED:
        desk.close(session, member=row.member, case=row.case_id, now=now)
        return
    side = Side(row.side)
    mine = (side, shown) in _MINE
    waits = shown is Shown.TO_MOVE
    desk.put(
        session,
        DeskRow(
            member=MemberId(row.member),
            case=CaseId(row.case_id),
            topic=TOPIC,
            urgency=row.urgency,
            patient=PatientId(row.patient) if row.patient else None,
            patient_name=row.patient_name,
            patient_sex=row.patient_sex,
            patient_birth=_birth(row.patient_birth),
            need=_NEEDS[side, shown],
            need_params=_params(session, row),
            source="booking.source",
            source_params={
                "member": directory.names(session, row.other),
                "person": row.holder_name if side is Side.TAKER else row.author_name,
            },
            state=f"booking.state.{shown.value}",
            turn="mine" if mine else "theirs" if waits else "none",
            turn_name="$member",
            roles=_roles(row),
            due_at=None,
            started_at=row.opened_at,
            link=link_of(row),
            owner=_owner(row, side, shown),
        ),
        now=now,
    )


def link_of(row: BookingTable) -> str:
    """Where a row leads: the form again when it was refused, else the booking."""
    if row.state == Shown.REFUSED:
        return f"/bookings/new?about={row.patient}"
    return f"/bookings/{row.case_id}"


def when_text(at: datetime) -> str:
    """A time in the charter's zone, the same in both languages."""
    return at.astimezone(ZONE).strftime("%m-%d %H:%M")


def _received(session: Session, opened: Opened) -> BookingTable:
    """A booking that another member made with this one, or that another node of this one sent."""
    side = Side.TAKER if opened.mine else Side.PROVIDER
    told = fhir.told(opened.message) if opened.message else fhir.NOTHING
    row = BookingTable(
        member=opened.member,
        case_id=opened.header.case,
        exchange=opened.header.id,
        side=side.value,
        other=opened.header.to[0] if opened.mine else opened.header.sender,
        contract=opened.header.contract,
        service=opened.facts["service"],
        urgency=opened.facts["urgency"],
        consent=opened.facts["consent"],
        code="",
        clause="",
        reason="",
        author=told.author,
        author_name=told.author_name[:200],
        patient=_patient(session, opened),
        patient_ref=told.patient_id,
        patient_name=told.name[:200],
        patient_sex=told.sex,
        patient_birth=told.birth[:10],
        question=told.question,
        opened_at=opened.time,
        changed_at=opened.now,
    )
    _place(session, row, opened.facts["slot"])
    session.add(row)
    return row


def _patient(session: Session, opened: Opened) -> str:
    """The member's own id of the patient: taken into the index where another member sent it."""
    if opened.message is None:
        return ""
    person = opened.message.one("Patient")
    if opened.mine:
        return str(person["id"])
    adopted = adoption.adopt(
        session,
        member=opened.member,
        resource=person,
        raw=opened.message.original(person),
        source=opened.header.sender,
        now=opened.now,
    )
    return str(adopted.patient.id)


def _place(session: Session, row: BookingTable, slot: str) -> None:
    """Put a booking on a slot. The session came to everyone before any booking in it could."""
    place = scheduling.slot_at(session, slot)
    row.slot, row.session, row.holder = slot, place.session, place.holder
    row.holder_name = scheduling.holder_name(session, place.session)
    row.start_at, row.minutes = place.start, place.minutes


def _tell(session: Session, row: BookingTable, action: Action, *, now: datetime) -> None:
    """The other side moved it or gave it up: whoever it concerns is told."""
    desk.notify(
        session,
        member=row.member,
        case=row.case_id,
        word=f"booking.notice.{action.value}",
        params=_params(session, row),
        link=link_of(row),
        roles=_roles(row),
        now=now,
        about=row.slot if action is Action.MOVE else "",
    )


def _params(session: Session, row: BookingTable) -> dict[str, Any]:
    return {
        "when": when_text(row.start_at),
        "service": f"@contract.service.{row.service}",
        "name": row.patient_name,
        "member": directory.names(session, row.other),
    }


def _roles(row: BookingTable) -> frozenset[Role]:
    if row.side == Side.TAKER:
        return frozenset({Role.TOWNSHIP_DOCTOR})
    return frozenset({Role.SPECIALIST, Role.CONSULT_DESK})


def _owner(row: BookingTable, side: Side, shown: Shown) -> UserId | None:
    """A held time stands in its specialist's own list; what must be moved, in the whole desk's."""
    if side is Side.PROVIDER and shown is Shown.BOOKED:
        return UserId(row.holder)
    return None


def _birth(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
