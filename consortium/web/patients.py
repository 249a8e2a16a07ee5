"""Patients: find, register, one page, correct, note what is known."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, RefusalKind, invalid
from consortium.patients import service, snapshot
from consortium.patients.model import (
    NO_NUMBER_REASONS,
    NUMBER_KINDS,
    SEXES,
    Entry,
    Fact,
    FactKind,
    Patient,
)
from consortium.web import patient_views, search
from consortium.web.deps import Later, Now, PageRoute, SignedIn, Writing
from consortium.web.errors import STATUS, refused
from consortium.web.guard import Fields
from consortium.web.pages import after as go_on
from consortium.web.pages import look_of, render
from consortium.web.reading import whole
from consortium.web.search import Hit
from consortium.web.views import Option, Side
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
NOTED_VITALS: Final = ("systolic", "diastolic", "pulse", "oxygen", "temperature", "glucose")
TEXT_MAX: Final = 64


@router.get("/patients")
def find(
    request: Request,
    session: Writing,
    actor: SignedIn,
    now: Now,
    q: Annotated[str, Query(max_length=TEXT_MAX)] = "",
    to: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """Patients by name, initials or number. With `to` the choice goes on to a form."""
    text = q.strip()
    found = service.search(session, actor=actor, text=text, now=now) if text else []
    to = _target(to)
    ways = {one.id: _onward(to, one.id) for one in found}
    return render(request, "patients/find.html", page="patients", q=text, to=to, found=found,
                  ways=ways, may_refer=actor.may(Role.TOWNSHIP_DOCTOR))  # fmt: skip


@router.get("/patients/new")
def new(
    request: Request,
    actor: SignedIn,
    name: Annotated[str, Query(max_length=100)] = "",
    to: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """The form of somebody who is not in the index yet."""
    _readers(actor)
    return _form(request, {"name": name, "to": _target(to)})


@router.post("/patients/new")
def register(
    request: Request, fields: Fields, session: Writing, actor: SignedIn, now: Now
) -> Response:
    """Find or make a patient; whoever looks like a known one is shown before."""
    entry, confirmed = _entry(fields), fields.get("confirmed") == "1"
    try:
        with session.begin_nested():
            made = service.register(session, actor=actor, entry=entry, now=now, confirmed=confirmed)
    except Refusal as refusal:
        if refusal.kind is RefusalKind.MISSING:
            raise
        alike = service.alike(session, actor=actor, entry=entry)
        return _form(request, dict(fields), refusal=refusal, alike=alike)
    word = "patient.toast.registered" if made.new else "patient.toast.known"
    return go_on(request, _onward(str(fields.get("to", "")), made.patient.id), toast=word)


@router.get("/patients/{patient}")
def show(
    request: Request,
    patient: str,
    session: Writing,
    actor: SignedIn,
    now: Now,
    after: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """One patient: what is known now, everything that happened with its source, who looked."""
    found = service.get(session, actor=actor, patient=patient, now=now)
    old = service.versions(session, actor=actor, patient=found.id)
    with written(look_of(request)):
        view = patient_views.build(session, found, actor=actor, after=after, now=now)
        vitals = _vital_fields()
    may_refer = actor.may(Role.TOWNSHIP_DOCTOR)
    return Later(
        partial(render, request, "patients/show.html", page="patients", view=view, old=old,
                vitals=vitals, may_refer=may_refer)
    )  # fmt: skip


@router.post("/patients/{patient}/note")
def note(
    request: Request, patient: str, fields: Fields, session: Writing, actor: SignedIn, now: Now
) -> Response:
    """Add what became known today: diagnosis, vitals, medicines, allergies."""
    _readers(actor)
    facts = _facts(fields)
    if not facts:
        raise invalid("patients.fact", field="all")
    snapshot.note(
        session, actor=actor, member=actor.member, patient=patient, facts=facts, at=now, now=now
    )
    return go_on(request, f"/patients/{patient}", toast="patient.toast.noted")


@router.post("/patients/{patient}/facts/{fact}/end")
def end(
    request: Request,
    patient: str,
    fact: str,
    fields: Fields,
    session: Writing,
    actor: SignedIn,
    now: Now,
) -> Response:
    """Say that something holds no longer, or was wrong; it stays readable."""
    why = "wrong" if fields.get("why") == "wrong" else "over"
    snapshot.end(session, actor=actor, fact_id=fact, why=why, now=now)
    return go_on(request, f"/patients/{patient}", toast="patient.toast.ended")


@router.get("/patients/{patient}/correct")
def correction(
    request: Request, patient: str, session: Writing, actor: SignedIn, now: Now
) -> Response:
    """The form of a correction; the version before stays readable."""
    found = service.get(session, actor=actor, patient=patient, now=now)
    given = {name: getattr(found, name) for name in Entry.__dataclass_fields__}
    filled = {**given, "version": found.version}
    return Later(partial(_form, request, filled, patient=found))


@router.post("/patients/{patient}/correct")
def correct(
    request: Request, patient: str, fields: Fields, session: Writing, actor: SignedIn, now: Now
) -> Response:
    """Write a corrected version."""
    found = service.get(session, actor=actor, patient=patient, now=now)
    version = str(fields.get("version", ""))
    try:
        with session.begin_nested():
            service.correct(
                session,
                actor=actor,
                patient=patient,
                entry=_entry(fields),
                version=whole(version),
                now=now,
            )
    except Refusal as refusal:
        given: dict[str, Any] = dict(fields)
        sides: Sequence[Side] = ()
        if refusal.code == "patients.changed":
            # seen beside the other, a second press is a decision
            given["version"] = str(found.version)
            with written(look_of(request)):
                sides = patient_views.two_sides(session, found, _entry(fields))
        return _form(request, given, refusal=refusal, patient=found, sides=sides)
    return go_on(request, f"/patients/{patient}", toast="patient.toast.corrected")


_READERS: Final = (Role.TOWNSHIP_DOCTOR, Role.SPECIALIST, Role.CONSULT_DESK)


def _readers(actor: Actor) -> None:
    actor.require(*_READERS)


def _form(
    request: Request,
    given: Mapping[str, Any],
    *,
    refusal: Refusal | None = None,
    alike: Sequence[Patient] = (),
    patient: Patient | None = None,
    sides: Sequence[Side] = (),
) -> Response:
    with written(look_of(request)):
        view = None if refusal is None else refused(refusal)
        sexes = [Option(one, t(f"patients.sex.{one}")) for one in SEXES]
        kinds = [Option(one, t(f"patients.number_kind.{one}")) for one in NUMBER_KINDS]
        reasons = [Option(one, t(f"patients.no_number.{one}")) for one in NO_NUMBER_REASONS]
    return render(
        request,
        "patients/form.html",
        status=200 if refusal is None else STATUS[refusal.kind],
        page="patients",
        given=given,
        refusal=view,
        alike=alike,
        ways={one.id: _onward(str(given.get("to", "")), one.id) for one in alike},
        patient=patient,
        sides=sides,
        sexes=sexes,
        kinds=kinds,
        reasons=reasons,
    )


def _entry(fields: FormData) -> Entry:
    told = {
        name: str(fields.get(name, ""))
        for name in Entry.__dataclass_fields__
        if isinstance(fields.get(name, ""), str)
    }
    return Entry(**{"name": "", **told, "number_kind": told.get("number_kind") or "id_number"})


def _facts(fields: FormData) -> list[Fact]:
    found = []
    for kind in (FactKind.DIAGNOSIS, FactKind.MEDICATION, FactKind.ALLERGY):
        lines = str(fields.get(kind.value, "")).splitlines()
        found += [Fact(kind, line.strip()) for line in lines if line.strip()]
    if fields.get("no_allergy") == "1":
        found.append(Fact(FactKind.ALLERGY, code="none"))
    for name in NOTED_VITALS:
        value = str(fields.get(name, "")).strip()
        if value:
            found.append(Fact(FactKind.VITAL, value, name))
    return found


def _vital_fields() -> list[tuple[str, str, str]]:
    return [(one, t(f"patients.vital.{one}"), t(f"patients.unit.{one}")) for one in NOTED_VITALS]


def _target(to: str) -> str:
    return to if to in ("referral", "emergency", "booking", "record") else ""


def _onward(to: str, patient: str) -> str:
    """Where a chosen patient goes on to."""
    ways = {
        "referral": f"/referrals/new?about={patient}",
        "emergency": f"/referrals/new?about={patient}&urgency=emergency",
        "booking": f"/bookings/new?patient={patient}",
        "record": f"/records/new?patient={patient}",
    }
    return ways.get(to, f"/patients/{patient}")


def _hits(_session: Session, actor: Actor, text: str) -> list[Hit]:
    """The search box of every page goes on to the index, where looking is counted."""
    if not actor.may(*_READERS):
        return []
    return [Hit("", t("patient.find_in", q=text), f"/patients?{urlencode({'q': text})}")]


search.SOURCES["shell.rail.patients"] = _hits
