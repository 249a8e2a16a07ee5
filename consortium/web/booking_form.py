"""Booking a consult (picture 05): choose a free time, say what is asked, sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from consortium.contracts import service as contracts
from consortium.contracts.terms import SERVICES, URGENCIES
from consortium.desk import drafts
from consortium.desk.drafts import Draft
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.ids import ExchangeId
from consortium.patients import service as patients
from consortium.patients.model import Patient
from consortium.scheduling import service as scheduling
from consortium.scheduling.model import SessionKind
from consortium.scheduling.service import Free
from consortium.teleconsult import applying, service
from consortium.teleconsult.model import Basis
from consortium.web import drafts as draft_pages
from consortium.web import patient_views
from consortium.web.booking_slots import SlotsView, choose, known_slots
from consortium.web.deps import Node, Now, PageRoute, SignedIn
from consortium.web.drafts import typed
from consortium.web.errors import STATUS, brought_back, refused
from consortium.web.guard import Fields
from consortium.web.node import WebNode
from consortium.web.pages import after, look_of, render
from consortium.web.views import Option, Refused
from consortium.web.views import Patient as Banner
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
draft_pages.FORMS["booking"] = "/bookings/new"
FIELDS: Final = ("service", "slot", "urgency", "question", "consent", "case", "lost")
TAKEN: Final = frozenset({"slot.taken", "slot.past", "slot.cancelled", "slot.unknown"})
"""Refusals after which other times are offered."""


@dataclass(frozen=True, slots=True)
class FormView:
    """The form: patient, draft, what can be chosen, and under which clause."""

    patient: Patient
    banner: Banner
    draft: Draft
    fields: Mapping[str, str]
    slots: SlotsView
    services: Sequence[Option]
    urgencies: Sequence[Option]
    consents: Sequence[Option]
    basis: str
    covered: bool
    back: str


@router.get("/bookings/new")
def new(
    request: Request,
    actor: SignedIn,
    node: Node,
    now: Now,
    about: Annotated[str, Query(max_length=64)] = "",
    patient: Annotated[str, Query(max_length=64)] = "",
    service: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """The form of a patient; without one, the search for a patient comes first."""
    actor.require(Role.TOWNSHIP_DOCTOR)
    if not (about or patient):
        return RedirectResponse("/patients?to=booking", status_code=303)
    return _page(request, about or patient, actor=actor, node=node, now=now, wanted=service)


@router.post("/bookings/new")
def book(request: Request, fields: Fields, actor: SignedIn, node: Node, now: Now) -> Response:
    """Save what is typed, then sign and queue the booking."""
    actor.require(Role.TOWNSHIP_DOCTOR)
    patient = str(fields.get("patient", ""))
    draft = _save(patient, fields, actor=actor, node=node, now=now)
    if fields.get("do") == "show":
        return RedirectResponse(f"/bookings/new?about={patient}", status_code=303)
    told = _strings(draft.fields)
    try:
        with node.database.write() as session:
            case = service.request(
                session,
                service.Form(
                    slot=told["slot"],
                    urgency=told["urgency"],
                    question=told["question"],
                    consent=told["consent"],
                    case=told["case"],
                ),
                patient=patient,
                actor=actor,
                post=node.post,
                signer=node.keyring.signer(actor),
                exchange=draft.exchange,
                now=now,
            )
    except Refusal as refusal:
        if refusal.kind in (RefusalKind.MISSING, RefusalKind.SIGN_IN):
            raise
        return _page(request, patient, actor=actor, node=node, now=now, refusal=refusal)
    return after(request, f"/bookings/{case}", toast="bookings.toast.sent")


def _save(patient: str, fields: FormData, *, actor: Actor, node: WebNode, now: datetime) -> Draft:
    """What is typed, kept before anything else is tried.

    A form that was shown before its draft went keeps the exchange that it was shown with, so that
    a reload of an answered form sends nothing twice.
    """
    told = {name: value for name, value in typed(fields).items() if name in FIELDS}
    shown = str(fields.get("exchange", ""))
    with node.database.write() as session:
        if shown and service.sent(session, shown, actor=actor):
            return Draft("", actor.user, ExchangeId(shown), told, 0, now, now)
        return drafts.save(
            session, actor=actor, form=applying.form_name(patient), fields=told, now=now
        )


def _page(
    request: Request,
    patient: str,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
    wanted: str = "",
    refusal: Refusal | None = None,
) -> Response:
    with node.database.write() as session:
        person = patients.get(session, actor=actor, patient=patient, now=now)
        draft = drafts.begin(
            session, actor=actor, form=applying.form_name(person.id), now=now, seed={}
        )
    chosen = wanted if wanted in SERVICES else str(draft.fields.get("service", ""))
    # the hub is asked outside of a writing transaction: the link may be slow
    with node.database.read() as session:
        chosen = chosen or _first_service(session, actor=actor, now=now)
        known = known_slots(session, node, actor=actor, service=chosen, now=now)
    with node.database.write() as session:
        scheduling.remember(
            session, known, member=actor.member, service=chosen, kind=SessionKind.TELECONSULT
        )
    with node.database.read() as session, written(look_of(request)):
        code = refusal.code if refusal is not None else draft.code
        view = _view(session, person, draft, known, chosen=chosen, code=code, actor=actor, now=now)
        told = _refused(refusal, draft)
    return render(
        request,
        "teleconsult/form.html",
        status=200 if refusal is None else STATUS[refusal.kind],
        page="slots",
        view=view,
        refusal=told,
    )


def _view(
    session: Session,
    person: Patient,
    draft: Draft,
    known: Free,
    *,
    chosen: str,
    code: str,
    actor: Actor,
    now: datetime,
) -> FormView:
    fields = {**_strings(draft.fields), "service": chosen}
    lost = _start_of(session, fields["lost"] or fields["slot"]) if code in TAKEN else None
    covering = contracts.covering(
        session, taker=actor.member, kind=SessionKind.TELECONSULT.value, now=now
    )
    codes = [one.service.code for one in covering]
    under = next((one for one in covering if one.service.code == chosen), None)
    basis = t("bookings.form.uncovered")
    if under is not None:
        basis = t("bookings.form.covered", clause=under.clause, n=under.left)
    return FormView(
        patient=person,
        banner=patient_views.banner(session, person),
        draft=draft,
        fields=fields,
        slots=choose(known, lost=lost, taken=lost is not None),
        services=[
            Option(one, t(f"contract.service.{one}")) for one in dict.fromkeys((*codes, *SERVICES))
        ],
        urgencies=[Option(one, t(f"shell.urgency.{one}"), urgency=one) for one in URGENCIES],
        consents=[Option(one.value, t(f"booking.consent.{one.value}")) for one in Basis],
        basis=basis,
        covered=under is not None,
        back=f"/bookings/new?about={person.id}",
    )


def _first_service(session: Session, *, actor: Actor, now: datetime) -> str:
    """The service with most consults left, else the first of all."""
    found = contracts.covering(
        session, taker=actor.member, kind=SessionKind.TELECONSULT.value, now=now
    )
    return found[0].service.code if found else SERVICES[0]


def _start_of(session: Session, slot: str) -> datetime | None:
    try:
        return scheduling.slot_at(session, slot).start
    except Refusal:
        return None


def _refused(refusal: Refusal | None, draft: Draft) -> Refused | None:
    """What was refused just now, or by the hub meanwhile."""
    if refusal is None and draft.code:
        refusal = brought_back(draft.code, draft.clause)
    return None if refusal is None else refused(refusal)


def _strings(fields: Mapping[str, Any]) -> dict[str, str]:
    """The form's fields as text, every one there."""
    told = {name: fields.get(name) for name in FIELDS}
    return {name: value if isinstance(value, str) else "" for name, value in told.items()}
