"""What people do with bookings: book a free time, move it, give it up, see what is booked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.contracts import service as contracts
from consortium.desk import drafts
from consortium.exchange import state, timeline
from consortium.exchange.outbox import Post
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import conflict, invalid, missing
from consortium.kernel.ids import new_id
from consortium.kernel.paging import Page
from consortium.patients import service as patients
from consortium.patients.model import Patient
from consortium.ports import Signer
from consortium.scheduling import model as slots
from consortium.scheduling import service as scheduling
from consortium.scheduling.model import FreeSlot, SessionKind
from consortium.teleconsult import applying, fhir, store
from consortium.teleconsult.fhir import Act
from consortium.teleconsult.model import (
    QUESTION_MAX,
    Basis,
    CancelReason,
    Shown,
    Side,
)
from consortium.teleconsult.tables import BookingTable

REQUEST = "booking.request/1"
MOVE = "booking.move/1"
_AHEAD = (Shown.PENDING.value, Shown.BOOKED.value, Shown.TO_MOVE.value, Shown.REFUSED.value)
_DONE = (Shown.OVER.value, Shown.CANCELLED.value)


@dataclass(frozen=True, slots=True)
class Form:
    """A booking as a doctor fills it in. `case` names a refused booking that is tried again."""

    slot: str
    urgency: str
    question: str
    consent: str
    case: str = ""


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking as one of its two members sees it."""

    case: str
    exchange: str
    side: Side
    other: str
    contract: str
    service: str
    urgency: str
    slot: str
    start: datetime
    minutes: int
    holder_name: str
    shown: Shown
    code: str
    clause: str
    reason: str
    author_name: str
    patient: str
    patient_name: str
    patient_sex: str
    patient_birth: str
    question: str
    opened_at: datetime


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
    """Sign and queue a booking of a free slot for a patient of the actor's member.

    Whether the slot is still free the hub decides; a refusal brings the form back as a draft.
    Returns the case. The same exchange again books once.

    Raises:
        Refusal: `slot.unknown`, `slot.past`, `slot.cancelled`, `booking.question`,
            `booking.consent`, `patients.missing`, or the contract's clause that is missing or used
            up.
    """
    actor.require(Role.TOWNSHIP_DOCTOR)
    known = store.by_exchange(session, exchange, member=actor.member)
    if known is not None:
        return known.case_id
    slot = scheduling.slot_at(session, form.slot)
    _check(session, form, slot, now=now)
    person = patients.find(session, member=actor.member, patient=patient)
    if person is None:
        raise missing("patients.missing")
    contract = _contract(session, slot, actor=actor, now=now)
    case = _case_of(session, form, actor=actor, now=now)
    act = Act(REQUEST, exchange, case, actor.member, slot.provider, now)
    body = fhir.request(
        act,
        slot,
        patient=patients.resource(session, member=actor.member, patient=person.id),
        question=form.question.strip(),
        urgency=form.urgency,
        basis=form.consent,
        actor=actor,
        signer=signer,
    )
    applying.send(session, act, body, contract=contract, post=post)
    _keep(session, act, form, slot, person=person, actor=actor, contract=contract)
    drafts.discard(session, actor=actor, form=applying.form_name(person.id))
    return case


def sent(session: Session, exchange: str, *, actor: Actor) -> bool:
    """Whether a form has been sent under this exchange."""
    return store.by_exchange(session, exchange, member=actor.member) is not None


def _check(session: Session, form: Form, slot: FreeSlot, *, now: datetime) -> None:
    """What is known here against this slot and this form."""
    if slot.kind != SessionKind.TELECONSULT:
        raise invalid("booking.service")
    if slot.start <= now:
        raise invalid("slot.past")
    if not slots.is_open(state.read(session, slots.session_name(slot.session))):
        raise conflict("slot.cancelled")
    if form.consent not in list(Basis):
        raise invalid("booking.consent")
    if not form.question.strip() or len(form.question) > QUESTION_MAX:
        raise invalid("booking.question", most=QUESTION_MAX)


def _contract(session: Session, slot: FreeSlot, *, actor: Actor, now: datetime) -> str:
    """The contract under which a member books; "" when there is none with that hospital."""
    found = contracts.covering(
        session,
        taker=actor.member,
        service=slot.service,
        kind=SessionKind.TELECONSULT.value,
        provider=slot.provider,
        now=now,
    )
    if found:
        return found[0].contract
    # one of the two that does not cover it lets the check name the clause
    held = contracts.listing(session, actor=actor, now=now).rows
    with_them = [one for one in held if slot.provider in one.parties]
    with_them.sort(key=lambda one: one.state.value not in ("in_force", "suspended"))
    return with_them[0].contract if with_them else ""


def _case_of(session: Session, form: Form, *, actor: Actor, now: datetime) -> str:
    """A new case, or the one of a refused booking, if the ledger never opened it."""
    row = store.find(session, form.case, member=actor.member) if form.case else None
    if row is None or row.state != Shown.REFUSED:
        return new_id(now)
    if state.read(session, f"case:{row.case_id}") is None:
        return row.case_id
    row.state, row.changed_at = Shown.CANCELLED.value, now
    applying.show(session, row, now=now)
    return new_id(now)


def _keep(
    session: Session,
    act: Act,
    form: Form,
    slot: FreeSlot,
    *,
    person: Patient,
    actor: Actor,
    contract: str,
) -> None:
    row = store.find(session, act.case, member=act.sender)
    fresh = row is None
    if row is None:
        row = BookingTable(member=act.sender, case_id=act.case)
    row.exchange, row.side, row.other = act.exchange, Side.TAKER.value, act.to
    row.contract, row.service, row.urgency = contract, slot.service, form.urgency
    row.consent, row.state = form.consent, Shown.PENDING.value
    row.slot, row.session, row.holder = slot.name, slot.session, slot.holder
    row.holder_name = scheduling.holder_name(session, slot.session)
    row.start_at, row.minutes = slot.start, slot.minutes
    row.code = row.clause = row.reason = ""
    row.author, row.author_name = actor.user, actor.name
    row.patient, row.patient_ref, row.patient_name = person.id, person.id, person.name
    row.patient_sex, row.patient_birth = person.sex, person.birth
    row.question = form.question.strip()
    row.opened_at = row.changed_at = act.now
    if fresh:
        session.add(row)
    session.flush()
    applying.show(session, row, now=act.now)


def move(
    session: Session,
    case: str,
    *,
    slot: str,
    actor: Actor,
    post: Post,
    exchange: str,
    now: datetime,
    drawn: str = "",
) -> None:
    """Ask for another time of the same service; the old one is held until the ledger has moved it.

    `drawn` is what `moved_by` gave when the person's page was drawn. The same exchange again
    changes nothing.

    Raises:
        Refusal: `booking.unknown`, `booking.state`, `booking.begun`, `booking.moved_on`,
            `booking.under_way`, `slot.taken` and the others.
    """
    row = _held(session, case, actor=actor)
    place = scheduling.slot_at(session, slot)
    if not _still(session, row, exchange=exchange, drawn=drawn, now=now):
        return
    act = Act(MOVE, exchange, case, row.member, row.other, now)
    body = fhir.move(act, place, patient=f"Patient/{row.patient_ref}")
    applying.send(session, act, body, contract=row.contract, post=post)


def cancel(
    session: Session,
    case: str,
    *,
    reason: str,
    actor: Actor,
    post: Post,
    exchange: str,
    now: datetime,
    drawn: str = "",
) -> None:
    """Give a booking up before it begins; slot and quota come back when the ledger has it.

    Raises:
        Refusal: `booking.reason`, and as `move`.
    """
    row = _held(session, case, actor=actor)
    if reason not in list(CancelReason):
        raise invalid("booking.reason")
    if not _still(session, row, exchange=exchange, drawn=drawn, now=now):
        return
    applying.send_cancel(session, row, post=post, reason=reason, exchange=exchange, now=now)


def give_up(session: Session, case: str, *, actor: Actor, now: datetime) -> None:
    """Put a refused booking aside: its draft goes, it leaves the worklist.

    Raises:
        Refusal: `booking.unknown`, `booking.state` for one that was not refused.
    """
    row = _own(session, case, actor=actor)
    if row.state != Shown.REFUSED:
        raise conflict("booking.state", state=row.state)
    row.state, row.changed_at = Shown.CANCELLED.value, now
    drafts.discard(session, actor=actor, form=applying.form_name(row.patient))
    applying.show(session, row, now=now)


def _own(session: Session, case: str, *, actor: Actor) -> BookingTable:
    actor.require(Role.TOWNSHIP_DOCTOR, Role.SPECIALIST, Role.CONSULT_DESK)
    return store.get(session, case, member=actor.member)


def _held(session: Session, case: str, *, actor: Actor) -> BookingTable:
    actor.require(Role.TOWNSHIP_DOCTOR, Role.SPECIALIST, Role.CONSULT_DESK)
    return store.hold(session, case, member=actor.member)


def moved_by(session: Session, case: str) -> str:
    """The id of the exchange that moved a booking last; empty before any."""
    last: Mapping[str, str] = (state.read(session, f"case:{case}") or {}).get("last") or {}
    return last.get("id", "")


def _still(
    session: Session, row: BookingTable, *, exchange: str, drawn: str, now: datetime
) -> bool:
    """Whether to go on with a change, by what is known here; False when this act was done before.

    Raises:
        Refusal: why the booking cannot be changed.
    """
    for entry in timeline.of_case(session, member=row.member, case=row.case_id):
        if entry.id == exchange:
            return False
        if entry.kind in (MOVE, applying.CANCEL) and entry.state in ("queued", "held"):
            raise conflict("booking.under_way")
    if drawn not in ("", moved_by(session, row.case_id)):
        raise conflict("booking.moved_on")
    if row.state not in store.FOLLOWED:
        raise conflict("booking.state", state=row.state)
    open_ = slots.is_open(state.read(session, slots.session_name(row.session)))
    if open_ and row.start_at <= now:
        raise conflict("booking.begun", state=row.state)
    return True


# ---------------------------------------------------------------- reading


def booking(session: Session, case: str, *, actor: Actor) -> Booking:
    """One booking of the actor's member. Raises Refusal `booking.unknown`."""
    return _booking(_own(session, case, actor=actor))


def bookings(
    session: Session,
    *,
    actor: Actor,
    done: bool = False,
    own: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> Page[Booking]:
    """Bookings of the actor's member by time: those ahead, or (`done`) those over and given up.

    `own` leaves those whose specialist is the actor.
    """
    actor.require(Role.TOWNSHIP_DOCTOR, Role.SPECIALIST, Role.CONSULT_DESK)
    found = store.page(
        session,
        member=actor.member,
        states=_DONE if done else _AHEAD,
        after=after,
        limit=limit,
        holder=actor.user if own else "",
    )
    return Page([_booking(row) for row in found.rows], found.after)


def _booking(row: BookingTable) -> Booking:
    return Booking(
        case=row.case_id,
        exchange=row.exchange,
        side=Side(row.side),
        other=row.other,
        contract=row.contract,
        service=row.service,
        urgency=row.urgency,
        slot=row.slot,
        start=row.start_at,
        minutes=row.minutes,
        holder_name=row.holder_name,
        shown=Shown(row.state),
        code=row.code,
        clause=row.clause,
        reason=row.reason,
        author_name=row.author_name,
        patient=row.patient,
        patient_name=row.patient_name,
        patient_sex=row.patient_sex,
        patient_birth=row.patient_birth,
        question=row.question,
        opened_at=row.opened_at,
    )
