"""Consult bookings: the list, one booking with its thread, moving and giving up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from consortium.desk import service as desk
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.ids import new_id
from consortium.teleconsult import service, viewing
from consortium.teleconsult.model import CancelReason, Shown, Side
from consortium.teleconsult.service import Booking
from consortium.web import events, thread
from consortium.web.booking_slots import choose, known_slots
from consortium.web.deps import Node, Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.errors import STATUS, refused, refused_code
from consortium.web.events import Moment
from consortium.web.guard import Fields
from consortium.web.names import member_name
from consortium.web.node import WebNode
from consortium.web.pages import after as go_on
from consortium.web.pages import environment, look_of, render
from consortium.web.views import Knot, Option, Patient, Refused, Tone
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
LOOK: Final[dict[Shown, tuple[str, Tone]]] = {
    Shown.PENDING: ("hourglass", "amber"),
    Shown.BOOKED: ("circle-check", "green"),
    Shown.TO_MOVE: ("circle-alert", "amber"),
    Shown.REFUSED: ("ban", "red"),
    Shown.CANCELLED: ("ban", ""),
    Shown.OVER: ("clock", ""),
}
"""Icon and colour of each state; its words are `booking.state.STATE`."""
ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A booking in the list."""

    booking: Booking
    other: str
    icon: str
    tone: Tone
    href: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The list: tabs, bookings by time, where the later ones are."""

    rows: Sequence[Row]
    done: bool
    own: bool
    specialist: bool
    may_book: bool
    older: str
    version: int


@dataclass(frozen=True, slots=True)
class CaseView:
    """One booking. `can` are the acts that are open: move, cancel, retry, give_up."""

    booking: Booking
    banner: Patient
    other: str
    icon: str
    tone: Tone
    knots: Sequence[Knot]
    can: frozenset[str]
    said: str
    why: Refused | None
    reasons: Sequence[Option]
    exchange: str
    drawn: str
    """What an act on this page stands on."""
    version: int


@router.get("/bookings")
def listing(
    request: Request,
    session: Reading,
    actor: SignedIn,
    done: Annotated[int, Query(ge=0, le=1)] = 0,
    own: Annotated[int, Query(ge=0, le=1)] = 0,
    after: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """Bookings of the actor's member: those ahead, or those over and given up."""
    with written(look_of(request)):
        view = _listing(session, actor=actor, done=bool(done), own=bool(own), after=after)
    return render(request, "teleconsult/list.html", page="slots", view=view)


@router.get("/bookings/{case}")
def show(request: Request, case: str, actor: SignedIn, node: Node, now: Now) -> Response:
    """One booking with its thread. Opening it tells its sender once; the audit keeps who looked."""
    with node.database.write() as writing:
        viewing.opening(writing, case, actor=actor, post=node.post, now=now)
    # read apart: whoever waits for the lock keeps no connection from others
    with node.database.read() as session, written(look_of(request)):
        view = _view(session, case, actor=actor, now=now)
    return render(request, "teleconsult/case.html", page="slots", view=view)


@router.get("/bookings/{case}/move")
def other_time(request: Request, case: str, actor: SignedIn, node: Node, now: Now) -> Response:
    """Other free times of the same service."""
    return _times(request, case, actor=actor, node=node, now=now)


@router.post("/bookings/{case}/move")
def move(
    request: Request, case: str, fields: Fields, actor: SignedIn, node: Node, now: Now
) -> Response:
    """Sign and queue the move."""
    try:
        with node.database.write() as session:
            service.move(
                session,
                case,
                slot=str(fields.get("slot", "")),
                actor=actor,
                post=node.post,
                exchange=exchange_of(fields, now=now),
                now=now,
                drawn=str(fields.get("drawn", ""))[:64],
            )
    except Refusal as refusal:
        if refusal.kind in (RefusalKind.MISSING, RefusalKind.SIGN_IN):
            raise
        return _times(request, case, actor=actor, node=node, now=now, refusal=refusal)
    return go_on(request, f"/bookings/{case}", toast="bookings.toast.moved")


@router.post("/bookings/{case}/cancel")
def cancel(
    request: Request,
    case: str,
    fields: Fields,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
) -> Response:
    """Sign and queue the cancelling."""
    service.cancel(
        session,
        case,
        reason=str(fields.get("reason", "")),
        actor=actor,
        post=node.post,
        exchange=exchange_of(fields, now=now),
        now=now,
        drawn=str(fields.get("drawn", ""))[:64],
    )
    return go_on(request, f"/bookings/{case}", toast="bookings.toast.cancelled")


@router.post("/bookings/{case}/give-up")
def give_up(request: Request, case: str, session: Writing, actor: SignedIn, now: Now) -> Response:
    """Put a refused booking aside."""
    service.give_up(session, case, actor=actor, now=now)
    return go_on(request, "/bookings", toast="bookings.toast.given_up")


def exchange_of(fields: FormData, *, now: datetime) -> str:
    """The exchange id that a form carries; a new one where it carries none."""
    given = str(fields.get("exchange", ""))
    return given if len(given) == 36 else new_id(now)


# ---------------------------------------------------------------- views


def _listing(session: Session, *, actor: Actor, done: bool, own: bool, after: str) -> Listing:
    found = service.bookings(
        session, actor=actor, done=done, own=own, after=after or None, limit=ROWS
    )
    tail = f"done={int(done)}&own={int(own)}"
    return Listing(
        rows=[_row(session, one) for one in found.rows],
        done=done,
        own=own,
        specialist=actor.may(Role.SPECIALIST),
        may_book=actor.may(Role.TOWNSHIP_DOCTOR),
        older=f"/bookings?{tail}&after={found.after}" if found.after else "",
        version=desk.version(session),
    )


def _row(session: Session, one: Booking) -> Row:
    icon, tone = LOOK[one.shown]
    return Row(one, member_name(session, one.other), icon, tone, f"/bookings/{one.case}")


def _view(session: Session, case: str, *, actor: Actor, now: datetime) -> CaseView:
    one = service.booking(session, case, actor=actor)
    icon, tone = LOOK[one.shown]
    return CaseView(
        booking=one,
        banner=thread.banner(
            session,
            member=actor.member,
            patient=one.patient,
            name=one.patient_name,
            sex=one.patient_sex,
            birth=one.patient_birth,
        ),
        other=member_name(session, one.other),
        icon=icon,
        tone=tone,
        knots=thread.knots(session, case, member=actor.member),
        can=_can(one, now=now),
        said=_said(one),
        why=refused_code(one.code, one.clause) if one.shown is Shown.REFUSED else None,
        reasons=[Option(one.value, t(f"booking.reason.{one.value}")) for one in CancelReason],
        exchange=new_id(now),
        drawn=service.moved_by(session, case),
        version=desk.version(session),
    )


def _can(one: Booking, *, now: datetime) -> frozenset[str]:
    if one.shown is Shown.REFUSED:
        return frozenset({"retry", "give_up"})
    if one.shown is Shown.TO_MOVE or (one.shown is Shown.BOOKED and one.start > now):
        return frozenset({"move", "cancel"})
    return frozenset()


def _said(one: Booking) -> str:
    """What stands above the booking, "" where there is nothing to say."""
    if one.shown is Shown.PENDING:
        return t("bookings.case.waiting")
    if one.shown is not Shown.TO_MOVE:
        return ""
    word = "to_move" if one.side is Side.TAKER else "to_move_desk"
    return t(f"bookings.case.{word}")


def _times(
    request: Request,
    case: str,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
    refusal: Refusal | None = None,
) -> Response:
    with node.database.read() as session:
        one = service.booking(session, case, actor=actor)
        known = known_slots(session, node, actor=actor, service=one.service, now=now, case=case)
        with written(look_of(request)):
            view = choose(known, lost=one.start, taken=refusal is not None)
            told = None if refusal is None else refused(refusal)
            case_view = _view(session, case, actor=actor, now=now)
    return render(
        request,
        "teleconsult/move.html",
        status=200 if refusal is None else STATUS[refusal.kind],
        page="slots",
        view=case_view,
        slots=view,
        refusal=told,
    )


# ---------------------------------------------------------------- what an event brings


def _live_case(moment: Moment, argument: str) -> str:
    try:
        view = _view(moment.session, argument, actor=moment.actor, now=moment.look.now)
    except Refusal:
        return ""
    return environment().get_template("teleconsult/live_case.html").render(view=view)


def _live_list(moment: Moment, argument: str) -> str:
    done, _, own = argument.partition(" ")
    view = _listing(moment.session, actor=moment.actor, done=done == "1", own=own == "1", after="")
    return environment().get_template("teleconsult/live_list.html").render(view=view)


events.PARTS["booking"] = _live_case
events.PARTS["bookings"] = _live_list
