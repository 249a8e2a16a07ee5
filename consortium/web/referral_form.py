"""The referral form (picture 02): new, and again after it was returned. Nothing typed is lost.

Every button of the form sends the whole form, so that it is saved first, also without JavaScript.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from consortium.desk import drafts
from consortium.desk.drafts import Draft
from consortium.exchange import blobs
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, RefusalKind, invalid
from consortium.kernel.ids import ExchangeId
from consortium.patients import service as patients
from consortium.patients.model import Patient
from consortium.referrals import acting, form, known, service, viewing
from consortium.referrals.content import PAPERS_MAX
from consortium.referrals.form import Typed
from consortium.referrals.model import Action
from consortium.web import drafts as draft_pages
from consortium.web import form_views, patient_views, uploads
from consortium.web.deps import Node, Now, PageRoute, SignedIn, Writing
from consortium.web.drafts import typed as typed_fields
from consortium.web.errors import STATUS, brought_back, refused
from consortium.web.guard import Fields
from consortium.web.node import WebNode
from consortium.web.pages import after, look_of, render
from consortium.web.referral_views import DRAWN
from consortium.web.views import Refused
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
draft_pages.FORMS["referral"] = "/referrals/new"
draft_pages.FORMS["referral-resend"] = "/referrals/resend"
for _name in ("referral", "referral-resend"):
    draft_pages.GAUGES[_name] = form_views.gauge_drawn
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One form on the table: whose, which draft, for which case when it goes again."""

    patient: Patient
    draft: Draft
    case: str = ""
    absent: Sequence[str] = ()
    note: str = ""
    drawn: str = ""
    """The exchange on which the case stands that this goes on with."""

    @property
    def action(self) -> str:
        return f"/referrals/{self.case}/resend" if self.case else "/referrals/new"


@router.get("/referrals/new")
def new(
    request: Request,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    about: Annotated[str, Query(max_length=64)] = "",
    urgency: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """The form of a patient; without one, the search for a patient comes first."""
    actor.require(*acting.DOCTORS)
    if not about:
        to = "emergency" if urgency == "emergency" else "referral"
        return RedirectResponse(f"/patients?to={to}", status_code=303)
    patient = patients.get(session, actor=actor, patient=about, now=now)
    sheet = _new_sheet(session, patient, actor=actor, urgency=urgency, now=now)
    return _page(request, session, sheet, actor=actor, node=node, now=now)


@router.post("/referrals/new")
def send(
    request: Request, fields: Fields, session: Writing, actor: SignedIn, node: Node, now: Now
) -> Response:
    """Save what is typed; then sign and send, or add or drop a file."""
    actor.require(*acting.DOCTORS)
    about = str(fields.get("patient", ""))
    patient = patients.get(session, actor=actor, patient=about, now=now)
    exchange = _exchange(fields)
    if (done := viewing.done(session, exchange, actor=actor)) is not None:
        return after(request, f"/referrals/{done}", toast="referral.toast.queued")
    sheet, refusal = _kept(session, _new_sheet(session, patient, actor=actor, urgency="", now=now),
                           fields, actor=actor, node=node, now=now)  # fmt: skip
    if refusal is None and fields.get("do", "send") == "send":
        doing = acting.Doing(actor, node.post, sheet.draft.exchange, now)
        try:
            case = service.request(
                session,
                doing,
                patient=patient.id,
                fields=sheet.draft.fields,
                signer=node.keyring.signer(actor),
            )
        except Refusal as caught:
            refusal = _shown(caught)
        else:
            return after(request, f"/referrals/{case}", toast="referral.toast.queued")
    if refusal is None:
        return after(request, f"/referrals/new?about={patient.id}#papers")
    return _page(request, session, sheet, actor=actor, node=node, now=now, refusal=refusal)


@router.get("/referrals/resend")
def resume(about: Annotated[str, Query(max_length=64)] = "") -> Response:
    """From the list of drafts to the form of a case."""
    return RedirectResponse(f"/referrals/{about}/resend", status_code=303)


@router.get("/referrals/{case}/resend")
def again(
    request: Request, case: str, session: Writing, actor: SignedIn, node: Node, now: Now
) -> Response:
    """The form of a returned case, as it was last sent, with what is missing on top."""
    sheet = _old_sheet(session, case, actor=actor, now=now)
    return _page(request, session, sheet, actor=actor, node=node, now=now)


@router.post("/referrals/{case}/resend")
def resend(
    request: Request,
    case: str,
    fields: Fields,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
) -> Response:
    """Save what is typed; then sign and send it again, or add or drop a file."""
    if viewing.done(session, _exchange(fields), actor=actor) is not None:
        return after(request, f"/referrals/{case}", toast="referral.toast.queued")
    sheet, refusal = _kept(session, _old_sheet(session, case, actor=actor, now=now), fields,
                           actor=actor, node=node, now=now)  # fmt: skip
    if refusal is None and fields.get("do", "send") == "send":
        drawn = str(fields.get(DRAWN, ""))[:64]
        doing = acting.Doing(actor, node.post, sheet.draft.exchange, now, drawn)
        try:
            service.resend(
                session,
                case,
                doing,
                fields=sheet.draft.fields,
                signer=node.keyring.signer(actor),
            )
        except Refusal as caught:
            refusal = _shown(caught)
        else:
            return after(request, f"/referrals/{case}", toast="referral.toast.queued")
    if refusal is None:
        return after(request, f"/referrals/{case}/resend#papers")
    return _page(request, session, sheet, actor=actor, node=node, now=now, refusal=refusal)


def _new_sheet(
    session: Session, patient: Patient, *, actor: Actor, urgency: str, now: datetime
) -> Sheet:
    prefilled = known.prefill(session, member=actor.member, patient=patient.id)
    seed = form.fields_of(replace(prefilled.content, urgency=urgency), provider="")
    if urgency == "emergency":
        seed["consent"] = "emergency"
    name = form.name(patient.id)
    draft = drafts.begin(session, actor=actor, form=name, now=now, seed=seed)
    if urgency == "emergency" != draft.fields.get("urgency"):
        told = {"urgency": urgency, "consent": draft.fields.get("consent") or "emergency"}
        draft = drafts.save(
            session, actor=actor, form=name, fields={**draft.fields, **told}, now=now
        )
    return Sheet(patient, draft)


def _old_sheet(session: Session, case: str, *, actor: Actor, now: datetime) -> Sheet:
    seen = viewing.view(session, case, actor=actor)
    if seen.patient is None:
        raise invalid("referral.recipient")
    seed = viewing.fields(session, case, actor=actor)
    draft = drafts.begin(
        session, actor=actor, form=viewing.draft_name(Action.RESEND, case), now=now, seed=seed
    )
    returned = seen.last(Action.RETURN)
    absent = returned.data.get("missing", ()) if returned is not None else ()
    note = returned.text if returned else ""
    return Sheet(seen.patient, draft, case, absent, note, drawn=seen.moved_by)


def _exchange(fields: FormData) -> str:
    return str(fields.get("exchange", ""))[:64]


def _kept(
    session: Session,
    sheet: Sheet,
    fields: FormData,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
) -> tuple[Sheet, Refusal | None]:
    """The sheet with what was typed saved, its files sealed; a refusal when a file is none."""
    told = typed_fields(fields)
    told.pop("do", None)
    told.pop("patient", None)
    told.pop(DRAWN, None)
    papers = [str(one) for one in fields.getlist("paper") if isinstance(one, str)]
    do, _, dropped = str(fields.get("do", "send")).partition(":")
    if do == "drop":
        papers = [one for one in papers if one != dropped]
    refusal: Refusal | None = None
    for upload in fields.getlist("files"):
        if not isinstance(upload, UploadFile) or not upload.filename:
            continue
        try:
            papers.append(_seal(session, upload, node=node, count=len(papers), now=now))
        except Refusal as caught:
            refusal = caught
    told["paper"] = papers
    draft = drafts.save(session, actor=actor, form=sheet.draft.form, fields=told, now=now)
    if _ID.fullmatch(shown := _exchange(fields)):
        # it goes under the id that it was shown with, in whatever tab: a second press finds it done
        draft = replace(draft, exchange=ExchangeId(shown))
    return replace(sheet, draft=draft), refusal


def _seal(session: Session, upload: UploadFile, *, node: WebNode, count: int, now: datetime) -> str:
    if count >= PAPERS_MAX:
        raise invalid("referral.papers", limit=PAPERS_MAX)
    raw, kind, name = uploads.read(upload)
    return blobs.seal(session, node.store, raw, name=name, content_type=kind, now=now).id


def _shown(refusal: Refusal) -> Refusal:
    """A refusal to show in the form; what may not be seen stays a page that does not exist."""
    if refusal.kind in (RefusalKind.MISSING, RefusalKind.SIGN_IN):
        raise refusal
    return refusal


def _page(
    request: Request,
    session: Session,
    sheet: Sheet,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
    refusal: Refusal | None = None,
) -> Response:
    typed = form.read(sheet.draft.fields, now=now)
    with written(look_of(request)):
        banner = patient_views.banner(session, sheet.patient)
        view = form_views.build(session, sheet, typed, actor=actor, node=node, now=now)
        told = _refused(refusal, sheet, typed)
    return render(
        request,
        "referrals/form.html",
        status=200 if refusal is None else STATUS[refusal.kind],
        page="referrals",
        sheet=sheet,
        banner=banner,
        view=view,
        fields=_strings(sheet.draft.fields),
        refusal=told,
    )


def _refused(refusal: Refusal | None, sheet: Sheet, typed: Typed) -> Refused | None:
    """What was refused just now, or by the hub meanwhile, with its ways out."""
    if refusal is None and sheet.draft.code:
        refusal = brought_back(sheet.draft.code, sheet.draft.clause)
    if refusal is None:
        return None
    acts = form_views.ways_out(refusal, typed)
    if refusal.code == "referral.form":
        field = t(form_views.field_word(str(refusal.facts.get("field", ""))))
        refusal = invalid("referral.form", field=field, n=refusal.facts.get("n", 1))
    return refused(refusal, acts=acts)


def _strings(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if isinstance(value, str)}
