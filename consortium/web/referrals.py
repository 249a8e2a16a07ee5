"""Referrals: the list, the triage desk (picture 03), one case with its thread on both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from consortium.desk import drafts
from consortium.desk import service as desk
from consortium.desk.drafts import Draft
from consortium.desk.model import Line
from consortium.exchange import blobs
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.ids import new_id
from consortium.kernel.time import ZONE
from consortium.referrals import model, viewing
from consortium.referrals.acting import READERS
from consortium.referrals.model import Action, State
from consortium.referrals.viewing import CaseView, Listed
from consortium.scheduling import service as scheduling
from consortium.scheduling.model import FreeSlot, SessionKind
from consortium.web import events, referral_views, uploads
from consortium.web.deps import Node, Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.errors import STATUS
from consortium.web.events import Moment
from consortium.web.names import member_name
from consortium.web.node import WebNode
from consortium.web.pages import environment, look_of, render
from consortium.web.referral_views import LOOK, Waiting
from consortium.web.views import Option, Tone
from consortium.web.wording import day, t, when, written

router = APIRouter(route_class=PageRoute)
HOSPITAL: Final = (Role.SPECIALIST, Role.CONSULT_DESK)
SLOTS_SHOWN: Final = 8
WAIT_DAYS: Final = 14
ACTS: Final = frozenset(
    {
        Action.CLAIM, Action.ACCEPT, Action.RETURN, Action.DECLINE, Action.ARRIVE,
        Action.NO_SHOW, Action.ACKNOWLEDGE, Action.CANCEL, Action.CORRECT,
    }
)  # fmt: skip
"""Acts that open a row in the case's page."""


@dataclass(frozen=True, slots=True)
class Row:
    """A case in the list."""

    listed: Listed
    other: str
    state: str
    icon: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class ActRow:
    """The open row of an act: what can be chosen, what was typed, which exchange it will be."""

    action: str
    word: str
    """The word key of what it does here: accepting a case that is accepted sets a time."""
    draft: Draft
    given: Mapping[str, Any]
    options: Sequence[Option]
    slots: Sequence[Option] = ()
    earliest: str = ""
    latest: str = ""
    expected: str = ""
    exchanges: Sequence[Option] = ()


@router.get("/referrals")
def listing(
    request: Request,
    session: Reading,
    actor: SignedIn,
    all: Annotated[int, Query(ge=0, le=1)] = 0,  # noqa: A002 - the name in the address
    after: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """A hospital's next case to decide; else the member's referrals, newest first."""
    actor.require(*READERS)
    if actor.may(*HOSPITAL) and not all:
        rows = desk.worklist(session, actor=actor, topic="referral").rows
        first = next((one.row.link for one in rows if one.row.turn == "mine"), "")
        if first:
            return RedirectResponse(first, status_code=303)
    found = viewing.listing(session, actor=actor, after=after)
    with written(look_of(request)):
        rows_shown = [_row(session, one) for one in found.rows]
    page = "triage" if actor.may(*HOSPITAL) else "referrals"
    return render(
        request,
        "referrals/list.html",
        page=page,
        rows=rows_shown,
        older=f"/referrals?all=1&after={found.after}" if found.after else "",
        may_refer=actor.may(Role.TOWNSHIP_DOCTOR),
        waits=not all and actor.may(*HOSPITAL),
        version=desk.version(session),
    )


@router.get("/referrals/arrivals")
def arrivals(
    request: Request,
    session: Reading,
    actor: SignedIn,
    now: Now,
    number: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Who is to arrive, for the consult desk; a number from a slip opens its case."""
    actor.require(*HOSPITAL)
    wrong = False
    if number.strip():
        try:
            case = viewing.by_number(session, number, actor=actor)
            return RedirectResponse(f"/referrals/{case}", status_code=303)
        except Refusal:
            wrong = True
    states = frozenset({"referral.state.booked", "referral.state.waiting"})
    found = desk.worklist(session, actor=actor, scope="member", topic="referral", state=states)
    with written(look_of(request)):
        rows = [referral_views.waiting(one, now=now) for one in found.rows]
        days = _by_day(found.rows, rows)
    return render(request, "referrals/arrivals.html", page="triage", days=days, number=number,
                  wrong=wrong)  # fmt: skip


@router.get("/referrals/{case}")
def show(
    request: Request,
    case: str,
    actor: SignedIn,
    node: Node,
    now: Now,
    act: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """One case. Opening it tells its senders once, and the audit keeps who looked."""
    with node.database.write() as writing:
        viewing.opening(writing, case, actor=actor, post=node.post, now=now)
        draft = _draft(writing, case, act, actor=actor, now=now)
    # read apart: whoever waits for the lock keeps no connection from others
    with node.database.read() as session:
        return page(request, session, case, actor=actor, node=node, now=now, act=act, draft=draft)


@router.get("/referrals/{case}/files/{sealed}")
def file(
    session: Writing, case: str, sealed: str, actor: SignedIn, node: Node, now: Now
) -> Response:
    """A file of the case, opened with the secret in its body; the audit keeps who looked."""
    paper = viewing.file(session, case, sealed=sealed, actor=actor, now=now)
    raw = blobs.open_attachment(node.store, paper.attachment)
    if raw is None:
        raise Refusal(RefusalKind.UNAVAILABLE, "referral.paper_coming")
    return uploads.sent(raw, name=paper.title)


def page(
    request: Request,
    session: Session,
    case: str,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
    act: str = "",
    draft: Draft | None = None,
    given: Mapping[str, Any] | None = None,
    refusal: Refusal | None = None,
) -> Response:
    """The page of a case; with `act` the row of that act is open, with `refusal` it was refused."""
    seen = viewing.view(session, case, actor=actor)
    with written(look_of(request)):
        view = referral_views.build(session, seen, actor=actor, now=now)
        opened = None
        if draft is not None and act in {one.value for one in seen.can & ACTS}:
            opened = _opened(session, seen, act, draft, given or draft.fields, node=node,
                             actor=actor, now=now)  # fmt: skip
        told = None if refusal is None else referral_views.told(session, seen, refusal)
        note = str((given or {}).get("note", ""))
    return render(
        request,
        "referrals/case.html",
        status=200 if refusal is None else STATUS[refusal.kind],
        page="triage" if actor.may(*HOSPITAL) else "referrals",
        view=view,
        seen=seen,
        opened=opened,
        refusal=told,
        unsent=note if opened is None else "",
        message=new_id(now),
        version=desk.version(session),
    )


def begin(session: Session, case: str, act: str, *, actor: Actor, now: datetime) -> Draft:
    """The draft of an act's row, with the exchange id that the row is shown with."""
    form = viewing.draft_name(Action(act), case)
    return drafts.begin(session, actor=actor, form=form, now=now)


def _draft(session: Session, case: str, act: str, *, actor: Actor, now: datetime) -> Draft | None:
    if act not in {one.value for one in ACTS}:
        return None
    return begin(session, case, act, actor=actor, now=now)


def _opened(
    session: Session,
    seen: CaseView,
    act: str,
    draft: Draft,
    given: Mapping[str, Any],
    *,
    node: WebNode,
    actor: Actor,
    now: datetime,
) -> ActRow:
    today = now.astimezone(ZONE).date()
    return ActRow(
        action=act,
        word=referral_views.word(seen, Action(act)),
        draft=draft,
        given=given,
        options=_options(seen, act),
        slots=_slots(session, seen, node=node, actor=actor, now=now) if act == "accept" else (),
        earliest=today.isoformat(),
        latest=(today + timedelta(days=model.WAITING_DAYS_MAX - 1)).isoformat(),
        expected=(today + timedelta(days=WAIT_DAYS)).isoformat(),
        exchanges=_own(seen) if act == "correct" else (),
    )


def _options(seen: CaseView, act: str) -> list[Option]:
    match Action(act):
        case Action.RETURN:
            return [Option(one, t(f"referral.missing.{one}")) for one in model.MISSING]
        case Action.DECLINE:
            only = ("incomplete",) if seen.state == State.RETURNED else model.DECLINE_REASONS
            return [Option(one, t(f"referral.decline.{one}")) for one in only]
        case Action.CANCEL:
            return [Option(one, t(f"referral.cancel.{one}")) for one in model.CANCEL_REASONS]
        case Action.ACKNOWLEDGE:
            absent = seen.state == State.NO_SHOW
            marks = [one for one in model.ADOPTIONS if (one == "absent") == absent]
            return [Option(one, t(f"referral.adoption.{one}")) for one in marks]
        case Action.CORRECT:
            return [Option(one, t(f"referral.corrected.{one}")) for one in model.CORRECTED]
        case _:
            return []


def _slots(
    session: Session, seen: CaseView, *, node: WebNode, actor: Actor, now: datetime
) -> list[Option]:
    """Free clinic slots of this hospital for the service, the nearest first."""
    free = scheduling.free(
        session, node.post, member=actor.member, service=seen.service, kind=SessionKind.CLINIC,
        now=now,
    )  # fmt: skip
    own = [one for one in free.slots if one.provider == actor.member][:SLOTS_SHOWN]
    return [_slot(one, free.holder_name(one)) for one in own]


def _slot(slot: FreeSlot, holder: str) -> Option:
    return Option(slot.name, when(slot.start), holder)


def _own(seen: CaseView) -> list[Option]:
    """Own exchanges of the case that can be corrected."""
    return [
        Option(one.entry.id, t(f"kind.referral.{one.action}"), when(one.entry.time))
        for one in seen.happened
        if one.entry.mine and one.entry.time is not None and one.action not in ("", "correct")
    ]


def _row(session: Session, listed: Listed) -> Row:
    icon, tone = LOOK[listed.state]
    other = member_name(session, listed.other)
    return Row(listed, other, t(f"referral.state.{listed.state}"), icon, tone)


def _by_day(lines: Sequence[Line], rows: Sequence[Waiting]) -> list[tuple[str, list[Waiting]]]:
    """Rows under the day on which they are due, the nearest day first."""
    due: dict[str, datetime | None] = {one.row.case: one.row.due_at for one in lines}
    grouped: dict[str, list[Waiting]] = {}
    for row in sorted(rows, key=lambda one: (due[one.case] is None, due[one.case])):
        at = due[row.case]
        grouped.setdefault(t("referral.arrivals.no_day") if at is None else day(at), []).append(row)
    return list(grouped.items())


def _live(moment: Moment, argument: str) -> str:
    try:
        seen = viewing.view(moment.session, argument, actor=moment.actor)
    except Refusal:
        return ""
    view = referral_views.build(moment.session, seen, actor=moment.actor, now=moment.look.now)
    return environment().get_template("referrals/live.html").render(view=view, seen=seen)


events.PARTS["referral"] = _live
