"""Records: requests of both sides, deciding on one, and one record by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium.desk import service as desk
from consortium.exchange import blobs
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, RefusalKind, missing
from consortium.kernel.ids import new_id
from consortium.records import answering, applying, library, model, service
from consortium.records.model import Side, WithdrawReason
from consortium.records.service import Request as Asked
from consortium.web import events, record_deciding, record_views, thread, uploads
from consortium.web.deps import Later, Node, Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.errors import STATUS, refused, refused_code
from consortium.web.events import Moment
from consortium.web.guard import Fields
from consortium.web.names import member_name
from consortium.web.pages import after as go_on
from consortium.web.pages import environment, look_of, render
from consortium.web.record_views import RecordView
from consortium.web.teleconsult import exchange_of
from consortium.web.views import Knot, Option, Patient, Refused, Tone
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
LOOK: Final[dict[str, tuple[str, Tone]]] = {
    applying.PENDING: ("hourglass", "amber"),
    applying.REQUESTED: ("clock", "blue"),
    applying.ANSWERING: ("hourglass", "amber"),
    applying.RELEASED: ("circle-check", "green"),
    applying.REFUSED: ("ban", ""),
    applying.WITHDRAWING: ("hourglass", "amber"),
    applying.WITHDRAWN: ("ban", ""),
    applying.REFUSED_HERE: ("ban", "red"),
    applying.SENT_BACK: ("ban", "red"),
}
"""Icon and colour of each state; its words are `record.state.STATE`."""
ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A request in the list."""

    request: Asked
    other: str
    what: str
    state: str
    icon: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Listing:
    """The list: requests of one side, the newest first."""

    rows: Sequence[Row]
    held: bool
    may_ask: bool
    older: str
    version: int


@dataclass(frozen=True, slots=True)
class CaseView:
    """One request. `can` are the acts that are open: decide, withdraw, seen, retry."""

    request: Asked
    banner: Patient
    other: str
    what: str
    span: str
    state: str
    icon: str
    tone: Tone
    knots: Sequence[Knot]
    can: frozenset[str]
    why: Refused | None
    withdraw_reasons: Sequence[Option]
    exchange: str
    version: int


@router.get("/records")
def listing(
    request: Request,
    session: Reading,
    actor: SignedIn,
    side: Annotated[str, Query(max_length=8)] = "",
    after: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """Requests that the actor's member made, or that were made of it."""
    held = side == "held" or (not side and not actor.may(Role.TOWNSHIP_DOCTOR))
    with written(look_of(request)):
        view = _listing(session, actor=actor, held=held, after=after)
    return render(request, "records/list.html", page="records", view=view)


@router.get("/records/requests/{case}")
def show(
    request: Request,
    case: str,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    q: Annotated[str, Query(max_length=64)] = "",
    patient: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """One request; before a person of the holder also both sides' identity data."""
    service.opening(session, case, actor=actor, post=node.post, now=now)
    return _case(request, session, case, actor=actor, now=now, q=q.strip(), chosen=patient)


@router.post("/records/requests/{case}/release")
def release(
    request: Request, case: str, fields: Fields, session: Writing, actor: SignedIn, node: Node,
    now: Now,
) -> Response:  # fmt: skip
    """Sign and queue the release of the chosen patient's records."""
    chosen = str(fields.get("patient", ""))
    try:
        with session.begin_nested():
            answering.release(
                session,
                case,
                patient=chosen,
                actor=actor,
                post=node.post,
                signer=node.keyring.signer(actor),
                exchange=exchange_of(fields, now=now),
                now=now,
            )
    except Refusal as refusal:
        if refusal.kind in (RefusalKind.MISSING, RefusalKind.SIGN_IN):
            raise
        return _case(request, session, case, actor=actor, now=now, chosen=chosen, refusal=refusal)
    return go_on(request, f"/records/requests/{case}", toast="records.toast.released")


@router.post("/records/requests/{case}/refuse")
def refuse(
    request: Request, case: str, fields: Fields, session: Writing, actor: SignedIn, node: Node,
    now: Now,
) -> Response:  # fmt: skip
    """Sign and queue a refusal with its coded reason."""
    try:
        with session.begin_nested():
            answering.refuse(
                session,
                case,
                reason=str(fields.get("reason", "")),
                text=str(fields.get("text", "")),
                actor=actor,
                post=node.post,
                signer=node.keyring.signer(actor),
                exchange=exchange_of(fields, now=now),
                now=now,
            )
    except Refusal as refusal:
        if refusal.kind in (RefusalKind.MISSING, RefusalKind.SIGN_IN):
            raise
        return _case(request, session, case, actor=actor, now=now, refusal=refusal)
    return go_on(request, f"/records/requests/{case}", toast="records.toast.refused")


@router.post("/records/requests/{case}/withdraw")
def withdraw(
    request: Request, case: str, fields: Fields, session: Writing, actor: SignedIn, node: Node,
    now: Now,
) -> Response:  # fmt: skip
    """The patient withdraws the consent."""
    service.withdraw(
        session,
        case,
        reason=str(fields.get("reason", "")),
        actor=actor,
        post=node.post,
        exchange=exchange_of(fields, now=now),
        now=now,
    )
    return go_on(request, f"/records/requests/{case}", toast="records.toast.withdrawn")


@router.post("/records/requests/{case}/seen")
def seen(request: Request, case: str, session: Writing, actor: SignedIn, now: Now) -> Response:
    """The answer has been read."""
    service.seen(session, case, actor=actor, now=now)
    return go_on(request, "/records", toast="records.toast.seen")


@router.get("/records/requests/{case}/consent")
def consent(case: str, session: Writing, actor: SignedIn, node: Node, now: Now) -> Response:
    """The picture of the signed consent; who looks at it is written down."""
    image = service.consent_image(session, case, actor=actor, now=now)
    raw = blobs.open_attachment(node.store, image)
    if raw is None:
        raise missing("record.image_coming")
    kind = uploads.kind_of(raw)  # what the other side says it is decides nothing
    return Response(raw, media_type=kind, headers={"content-disposition": "inline"})


@router.get("/records/{record}")
def one(request: Request, record: str, session: Writing, actor: SignedIn, now: Now) -> Response:
    """One record in words, with its source and receipt; who reads it is written down."""
    found = library.one(session, record, actor=actor, now=now)
    with written(look_of(request)):
        view: RecordView = record_views.build(session, found)
        banner = thread.banner(
            session, member=actor.member, patient=found.patient, name="", sex="", birth=""
        )
    return Later(
        partial(render, request, "records/one.html", page="records", view=view, banner=banner)
    )


@router.get("/records/{record}/files/{sealed}")
def file(
    record: str, sealed: str, session: Writing, actor: SignedIn, node: Node, now: Now
) -> Response:
    """A file of a record; who opens it is written down."""
    attached = library.file(session, record, sealed=sealed, actor=actor, now=now)
    raw = blobs.open_attachment(node.store, attached)
    if raw is None:
        raise Refusal(RefusalKind.UNAVAILABLE, "record.file_coming")
    return uploads.sent(raw, name=str(attached.get("title", "")))


# ---------------------------------------------------------------- views


def _listing(session: Session, *, actor: Actor, held: bool, after: str) -> Listing:
    side = Side.HOLDER if held else Side.ASKER
    found = service.requests(session, actor=actor, side=side, after=after or None, limit=ROWS)
    name = "held" if held else "asked"
    return Listing(
        rows=[_row(session, one) for one in found.rows],
        held=held,
        may_ask=actor.may(*model.ASKERS),
        older=f"/records?side={name}&after={found.after}" if found.after else "",
        version=desk.version(session),
    )


def _row(session: Session, asked: Asked) -> Row:
    icon, tone = LOOK[asked.state]
    return Row(
        asked, member_name(session, asked.other), _what(asked.types), _state(asked), icon, tone
    )


def _state(asked: Asked) -> str:
    return t(applying.state_word(asked.side, asked.state))


def _what(types: Sequence[str]) -> str:
    return t("shell.list_comma").join(t(f"contract.type.{one}") for one in types)


def _view(session: Session, case: str, *, actor: Actor, now: datetime) -> CaseView:
    asked = service.request_of(session, case, actor=actor)
    icon, tone = LOOK[asked.state]
    mine = asked.side is Side.ASKER
    return CaseView(
        request=asked,
        banner=thread.banner(
            session,
            member=actor.member,
            patient=asked.patient if mine else "",
            name=asked.patient_name,
            sex=asked.patient_sex,
            birth=asked.patient_birth,
        ),
        other=member_name(session, asked.other),
        what=_what(asked.types),
        span=t("records.span", start=_day(asked.start), end=_day(asked.end, last=True)),
        state=_state(asked),
        icon=icon,
        tone=tone,
        knots=thread.knots(session, case, member=actor.member),
        can=_can(session, asked, actor=actor),
        why=refused_code(asked.code, asked.clause) if asked.code else None,
        withdraw_reasons=[
            Option(one.value, t(f"record.reason.{one.value}")) for one in WithdrawReason
        ],
        exchange=new_id(now),
        version=desk.version(session),
    )


def _can(session: Session, asked: Asked, *, actor: Actor) -> frozenset[str]:
    can = set()
    if asked.side is Side.HOLDER and asked.state == applying.REQUESTED:
        can.add("decide")
    if asked.state in (applying.REQUESTED, applying.RELEASED, applying.REFUSED):
        can.add("withdraw")
    line = desk.row(session, member=actor.member, case=asked.case)
    waits = line is not None and line.open
    if waits and applying.part_lost(asked.side, asked.state, asked.code):
        can.add("seen")
    if asked.side is Side.ASKER and waits:
        if asked.state in (applying.RELEASED, applying.REFUSED):
            can.add("seen")
        if asked.state in (applying.REFUSED_HERE, applying.SENT_BACK):
            can |= {"seen", "retry"}
    return frozenset(can)


def _case(
    request: Request,
    session: Session,
    case: str,
    *,
    actor: Actor,
    now: datetime,
    q: str = "",
    chosen: str = "",
    refusal: Refusal | None = None,
) -> Response:
    with written(look_of(request)):
        view = _view(session, case, actor=actor, now=now)
        deciding = None
        if "decide" in view.can:
            deciding = record_deciding.build(
                session, case, actor=actor, q=q, chosen=chosen, now=now
            )
        told = None if refusal is None else refused(refusal)
    return Later(
        partial(
            render,
            request,
            "records/case.html",
            status=200 if refusal is None else STATUS[refusal.kind],
            page="records",
            view=view,
            deciding=deciding,
            refusal=told,
        )
    )


def _day(moment: datetime, *, last: bool = False) -> date:
    return record_views.day_of(moment, last=last)


# ---------------------------------------------------------------- what an event brings


def _live_case(moment: Moment, argument: str) -> str:
    try:
        view = _view(moment.session, argument, actor=moment.actor, now=moment.look.now)
    except Refusal:
        return ""
    return environment().get_template("records/live_case.html").render(view=view)


def _live_list(moment: Moment, argument: str) -> str:
    view = _listing(moment.session, actor=moment.actor, held=argument == "held", after="")
    return environment().get_template("records/live_list.html").render(view=view)


events.PARTS["record"] = _live_case
events.PARTS["records"] = _live_list
