"""Acts on a referral: each the one form of its row, or of the report's page.

A refused act comes back to its row with the three lines and everything that was typed.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from consortium.desk import drafts, messages
from consortium.desk import service as desk
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, RefusalKind, invalid
from consortium.kernel.ids import new_id
from consortium.kernel.time import ZONE
from consortium.referrals import answering, service, viewing
from consortium.referrals.acting import ROLES, Doing
from consortium.referrals.content import ReportText
from consortium.referrals.model import Action, Side
from consortium.web import drafts as draft_pages
from consortium.web import patient_views, referral_views, referrals
from consortium.web.deps import Node, Now, PageRoute, SignedIn, Writing
from consortium.web.drafts import typed
from consortium.web.errors import STATUS
from consortium.web.guard import Fields
from consortium.web.node import WebNode
from consortium.web.pages import after, look_of, render
from consortium.web.wording import written

router = APIRouter(route_class=PageRoute)
draft_pages.FORMS["referral-report"] = "/referrals/report"
DECIDED: Final = frozenset({Action.ACCEPT, Action.RETURN, Action.DECLINE})
"""After these the next case of the queue opens by itself."""
_NOON_H: Final = 12


# ---------------------------------------------------------------- report


@router.get("/referrals/report")
def resume(about: Annotated[str, Query(max_length=64)] = "") -> Response:
    """From the list of drafts to the report of a case."""
    return RedirectResponse(f"/referrals/{about}/report", status_code=303)


@router.get("/referrals/{case}/report")
def report_page(
    request: Request, case: str, session: Writing, actor: SignedIn, now: Now
) -> Response:
    """The form of a report; a draft is nobody's but its author's."""
    actor.require(*ROLES[Action.REPORT])
    return _report_page(request, session, case, actor=actor, now=now)


@router.post("/referrals/{case}/report")
def report(
    request: Request,
    case: str,
    fields: Fields,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
) -> Response:
    """Sign the report with the specialist's own key and send it."""
    actor.require(*ROLES[Action.REPORT])
    if viewing.done(session, _exchange(fields), actor=actor) is not None:
        return after(request, f"/referrals/{case}", toast="referral.toast.report")
    form = viewing.draft_name(Action.REPORT, case)
    drafts.save(session, actor=actor, form=form, fields=_given(fields), now=now)
    doing = _doing(fields, actor=actor, node=node, now=now)
    text = ReportText(*(_field(fields, name) for name in ("diagnosis", "findings", "advice")))
    try:
        answering.report(session, case, doing, text=text, signer=node.keyring.signer(actor))
    except Refusal as refusal:
        _hide(refusal)
        return _report_page(request, session, case, actor=actor, now=now, refusal=refusal)
    return after(request, f"/referrals/{case}", toast="referral.toast.report")


def _report_page(
    request: Request,
    session: Session,
    case: str,
    *,
    actor: Actor,
    now: datetime,
    refusal: Refusal | None = None,
) -> Response:
    seen = viewing.view(session, case, actor=actor)
    if Action.REPORT not in seen.can and refusal is None:
        return RedirectResponse(f"/referrals/{case}", status_code=303)
    form = viewing.draft_name(Action.REPORT, case)
    draft = drafts.begin(session, actor=actor, form=form, now=now)
    with written(look_of(request)):
        banner = None
        if seen.patient is not None:
            banner = patient_views.banner(session, seen.patient)
        view = referral_views.build(session, seen, actor=actor, now=now)
        told = None if refusal is None else referral_views.told(session, seen, refusal)
    return render(
        request,
        "referrals/report.html",
        status=200 if refusal is None else STATUS[refusal.kind],
        page="triage",
        seen=seen,
        view=view,
        banner=banner,
        draft=draft,
        refusal=told,
    )


# ---------------------------------------------------------------- beside the table of acts


@router.post("/referrals/{case}/message")
def message(
    request: Request,
    case: str,
    fields: Fields,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
) -> Response:
    """Write to the other side inside the case."""
    viewing.view(session, case, actor=actor)
    messages.say(
        session,
        actor=actor,
        post=node.post,
        case=case,
        text=_field(fields, "text"),
        exchange=_exchange(fields) or new_id(now),
        now=now,
    )
    return after(request, f"/referrals/{case}#messages", toast="desk.message.sent")


@router.post("/referrals/{case}/seen")
def seen(request: Request, case: str, session: Writing, actor: SignedIn, now: Now) -> Response:
    """A person has read that it was declined, or gives up one that was refused."""
    service.seen(session, case, actor=actor, now=now)
    return after(request, "/")


# ---------------------------------------------------------------- acts


@router.post("/referrals/{case}/{act}")
def do(
    request: Request,
    case: str,
    act: str,
    fields: Fields,
    actor: SignedIn,
    node: Node,
    now: Now,
) -> Response:
    """Do what a row says; a decision opens the next case."""
    run = _DO.get(act)
    if run is None:
        raise Refusal(RefusalKind.MISSING, "web.not_found")
    given = _given(fields)
    doing = _doing(fields, actor=actor, node=node, now=now)
    action = Action(act)
    actor.require(*ROLES[action])
    target, done = f"/referrals/{case}", act
    try:
        with node.database.write() as session:
            if action is Action.ACCEPT:
                known = viewing.view(session, case, actor=actor)
                done = referral_views.word(known, action).rpartition(".")[2]
            run(session, case, doing, given, node)
            if action in DECIDED:
                target = _next(session, case, actor=actor) or target
    except Refusal as refusal:
        _hide(refusal)
        with node.database.write() as session:
            form = viewing.draft_name(action, case)
            draft = drafts.save(session, actor=actor, form=form, fields=given, now=now)
        # read apart: free slots may have to be asked for at the hub
        with node.database.read() as session:
            return referrals.page(
                request, session, case, actor=actor, node=node, now=now, act=act, draft=draft,
                given=given, refusal=refusal,
            )  # fmt: skip
    return after(request, target, toast=f"referral.toast.{done}")


Given = Mapping[str, Any]
Run = Callable[[Session, str, Doing, Given, WebNode], None]


def _accept(session: Session, case: str, doing: Doing, given: Given, node: WebNode) -> None:
    when = str(given.get("when", ""))
    answering.accept(
        session,
        case,
        doing,
        signer=node.keyring.signer(doing.actor),
        slot="" if when == "date" else when,
        date=_date(given) if when == "date" else None,
        place=_short(given, "place"),
        note=_short(given, "note"),
    )


def _return(session: Session, case: str, doing: Doing, given: Given, _node: WebNode) -> None:
    answering.send_back(
        session, case, doing, absent=_many(given, "missing"), note=_short(given, "note")
    )


def _decline(session: Session, case: str, doing: Doing, given: Given, node: WebNode) -> None:
    answering.decline(
        session,
        case,
        doing,
        reason=_short(given, "reason"),
        note=_short(given, "note"),
        signer=node.keyring.signer(doing.actor),
    )


def _cancel(session: Session, case: str, doing: Doing, given: Given, _node: WebNode) -> None:
    service.cancel(session, case, doing, reason=_short(given, "reason"), note=_short(given, "note"))


def _acknowledge(session: Session, case: str, doing: Doing, given: Given, _node: WebNode) -> None:
    service.acknowledge(
        session, case, doing, adoption=_short(given, "reason"), note=_short(given, "note")
    )


def _correct(session: Session, case: str, doing: Doing, given: Given, node: WebNode) -> None:
    service.correct(
        session,
        case,
        doing,
        of=_short(given, "of"),
        what=_short(given, "reason"),
        text=_short(given, "note"),
        signer=node.keyring.signer(doing.actor),
    )


_DO: Final[Mapping[str, Run]] = {
    Action.CLAIM.value: lambda session, case, doing, _g, _n: answering.claim(session, case, doing),
    Action.ACCEPT.value: _accept,
    Action.RETURN.value: _return,
    Action.DECLINE.value: _decline,
    Action.ARRIVE.value: lambda session, case, doing, _g, _n: answering.arrive(
        session, case, doing
    ),
    Action.NO_SHOW.value: lambda session, case, doing, _g, _n: answering.no_show(
        session, case, doing
    ),
    Action.CANCEL.value: _cancel,
    Action.ACKNOWLEDGE.value: _acknowledge,
    Action.CORRECT.value: _correct,
}


def _next(session: Session, case: str, *, actor: Actor) -> str:
    """The next case of a hospital's queue; empty when none waits, or at a clinic."""
    if viewing.view(session, case, actor=actor).side is Side.TAKER:
        return ""
    rows = desk.worklist(session, actor=actor, topic="referral").rows
    mine = (one.row for one in rows if one.row.turn == "mine" and one.row.case != case)
    return next((row.link for row in mine), "")


def _hide(refusal: Refusal) -> None:
    """What may not be seen, and a locked key, are the whole page's answer."""
    if refusal.kind in (RefusalKind.MISSING, RefusalKind.SIGN_IN):
        raise refusal


def _date(given: Given) -> datetime:
    """Noon of a day in the charter's zone. Raises Refusal `referral.date`."""
    try:
        shown = datetime.fromisoformat(_short(given, "date"))
    except ValueError as error:
        raise invalid("referral.date", days=180) from error
    return shown.replace(hour=_NOON_H, tzinfo=ZONE)


def _doing(fields: FormData, *, actor: Actor, node: WebNode, now: datetime) -> Doing:
    """An act as a form sends it: under its exchange, on the case as its page showed it."""
    exchange = _exchange(fields) or new_id(now)
    return Doing(actor, node.post, exchange, now, drawn=_field(fields, referral_views.DRAWN)[:64])


def _given(fields: FormData) -> dict[str, Any]:
    return {name: one for name, one in typed(fields).items() if name != referral_views.DRAWN}


def _exchange(fields: FormData) -> str:
    return str(fields.get("exchange", ""))[:64]


def _field(fields: FormData, name: str) -> str:
    return str(fields.get(name, "")).strip()


def _short(given: Given, name: str) -> str:
    value = given.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _many(given: Given, name: str) -> list[str]:
    value = given.get(name, [])
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
