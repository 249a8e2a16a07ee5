"""Asking for a record: which kinds, how far back, on which consent. Nothing typed is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.ids import ExchangeId
from consortium.members import directory
from consortium.patients import service as patients
from consortium.patients.model import Patient
from consortium.records import applying, service
from consortium.records.model import ASKERS, RELEASABLE, Basis
from consortium.web import drafts as draft_pages
from consortium.web import patient_views, uploads
from consortium.web.deps import Node, Now, PageRoute, SignedIn, Writing
from consortium.web.drafts import typed
from consortium.web.errors import STATUS, brought_back, refused
from consortium.web.guard import Fields
from consortium.web.names import member_name
from consortium.web.node import WebNode
from consortium.web.pages import after, look_of, render
from consortium.web.reading import whole
from consortium.web.views import Option, Refused
from consortium.web.views import Patient as Banner
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
draft_pages.FORMS["record"] = "/records/new"
FIELDS: Final = ("to", "types", "months", "basis", "question", "image")
MONTHS: Final = (3, 6, 12, 24, 60)
USUAL: Final = ("Condition", "Observation", "DiagnosticReport", "DocumentReference")


@dataclass(frozen=True, slots=True)
class FormView:
    """The form: patient, draft, what can be chosen, what will identify the patient."""

    patient: Patient
    banner: Banner
    draft: Draft
    fields: Mapping[str, str]
    types: Sequence[str]
    members: Sequence[Option]
    kinds: Sequence[Option]
    months: Sequence[Option]
    bases: Sequence[Option]
    identity: str
    image: str
    back: str


@router.get("/records/new")
def new(
    request: Request,
    session: Writing,
    actor: SignedIn,
    now: Now,
    about: Annotated[str, Query(max_length=64)] = "",
    patient: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """The form of a patient; without one, the search for a patient comes first."""
    actor.require(*ASKERS)
    if not (about or patient):
        return RedirectResponse("/patients?to=record", status_code=303)
    return _page(request, session, about or patient, actor=actor, now=now)


@router.post("/records/new")
def ask(
    request: Request, fields: Fields, session: Writing, actor: SignedIn, node: Node, now: Now
) -> Response:
    """Save what is typed, then sign and queue the request."""
    actor.require(*ASKERS)
    patient = str(fields.get("patient", ""))
    try:
        draft = _save(session, patient, fields, actor=actor, node=node, now=now)
        told = _strings(draft.fields)
        with session.begin_nested():
            case = service.request(
                session,
                service.Form(
                    to=told["to"],
                    types=tuple(_types(draft.fields)),
                    months=whole(told["months"]),
                    basis=told["basis"],
                    question=told["question"],
                    image=told["image"],
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
        return _page(request, session, patient, actor=actor, now=now, refusal=refusal)
    return after(request, f"/records/requests/{case}", toast="records.toast.sent")


def _save(
    session: Session,
    patient: str,
    fields: FormData,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
) -> Draft:
    """What is typed, kept before anything else is tried; a new picture is sealed and kept too."""
    told: dict[str, Any] = {name: value for name, value in typed(fields).items() if name in FIELDS}
    shown = str(fields.get("exchange", ""))
    if shown and service.sent(session, shown, actor=actor):
        return Draft("", actor.user, ExchangeId(shown), told, 0, now, now)
    upload = fields.get("picture")
    refusal: Refusal | None = None
    if isinstance(upload, UploadFile) and upload.filename:
        try:
            told["image"] = _seal(session, upload, node=node, now=now)
        except Refusal as caught:
            refusal = caught
    draft = drafts.save(
        session, actor=actor, form=applying.form_name(patient), fields=told, now=now
    )
    if refusal is not None:
        raise refusal
    return draft


def _seal(session: Session, upload: UploadFile, *, node: WebNode, now: datetime) -> str:
    raw, kind, name = uploads.read(upload)
    return blobs.seal(session, node.store, raw, name=name, content_type=kind, now=now).id


def _page(
    request: Request,
    session: Session,
    patient: str,
    *,
    actor: Actor,
    now: datetime,
    refusal: Refusal | None = None,
) -> Response:
    person = patients.get(session, actor=actor, patient=patient, now=now)
    form = applying.form_name(person.id)
    seed = {"types": list(USUAL), "months": "12", "basis": Basis.EXPLICIT.value}
    draft = drafts.begin(session, actor=actor, form=form, now=now, seed=seed)
    with written(look_of(request)):
        view = _view(session, person, draft, actor=actor)
        told = _refused(refusal, draft)
    return render(
        request,
        "records/form.html",
        status=200 if refusal is None else STATUS[refusal.kind],
        page="records",
        view=view,
        refusal=told,
    )


def _view(session: Session, person: Patient, draft: Draft, *, actor: Actor) -> FormView:
    fields = _strings(draft.fields)
    others = [one for one in directory.members(session) if _may_hold(one, actor)]
    if not fields["to"] and others:
        lead = next((one for one in others if one.kind == "lead"), others[0])
        fields["to"] = lead.member
    if person.number_tail:
        identity = t("records.form.identity_number", tail=person.number_tail)
    else:
        identity = t("records.form.identity_birth")
    return FormView(
        patient=person,
        banner=patient_views.banner(session, person),
        draft=draft,
        fields=fields,
        types=_types(draft.fields),
        members=[Option(one.member, member_name(session, one.member)) for one in others],
        kinds=[Option(one, t(f"contract.type.{one}")) for one in RELEASABLE],
        months=[Option(str(one), t("records.form.months_n", n=one)) for one in MONTHS],
        bases=[Option(one.value, t(f"record.basis.{one.value}")) for one in Basis],
        identity=identity,
        image=_image_name(session, fields["image"]),
        back=f"/records/new?about={person.id}",
    )


def _may_hold(one: directory.Organisation, actor: Actor) -> bool:
    """Whether a member may have records: the others, and not the consortium's office."""
    return one.member != actor.member and one.kind != "consortium"


def _image_name(session: Session, image: str) -> str:
    """The name of the picture that is kept already, "" when there is none."""
    if not image:
        return ""
    try:
        return str(blobs.attachment(session, image).get("title", ""))
    except Refusal:
        return ""


def _refused(refusal: Refusal | None, draft: Draft) -> Refused | None:
    """What was refused just now, or by the hub meanwhile."""
    if refusal is None and draft.code:
        refusal = brought_back(draft.code, draft.clause)
    return None if refusal is None else refused(refusal)


def _types(fields: Mapping[str, Any]) -> list[str]:
    told = fields.get("types", ())
    given = [told] if isinstance(told, str) else list(told)
    return [one for one in RELEASABLE if one in given]


def _strings(fields: Mapping[str, Any]) -> dict[str, str]:
    """The form's single fields as text, every one there."""
    told = {name: fields.get(name) for name in FIELDS}
    return {name: value if isinstance(value, str) else "" for name, value in told.items()}
