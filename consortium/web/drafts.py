"""Drafts of any form: kept by the browser two seconds after typing, and by a button without it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from consortium.desk import drafts
from consortium.desk import service as desk
from consortium.kernel.actor import Actor
from consortium.patients import service as patients
from consortium.web.deps import Node, Now, PageRoute, SignedIn, Writing
from consortium.web.guard import Fields, local_path
from consortium.web.node import WebNode
from consortium.web.pages import after, look_of
from consortium.web.wording import clock, t, written

router = APIRouter(route_class=PageRoute)

FORMS: Final[dict[str, str]] = {}
"""Where a form's page is, by the name before its colon: `{"referral": "/referrals/new"}`. Rooms'
pages add theirs; the word is `draft.NAME`. What follows the colon goes along as `?about=`, or
where the address says `{about}`: `"/referrals/{about}/report"`."""
Gauge = Callable[[Mapping[str, Any], Actor, WebNode, datetime], str]
GAUGES: Final[dict[str, Gauge]] = {}
"""What a form shows of how far it has come, drawn anew whenever its draft is saved: elements with
ids, by the name of the form. Rooms' pages add theirs."""
OWN_FIELDS = frozenset({"csrf", "exchange", "keep", "lock_password"})
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Kept:
    """A draft that its author has not sent."""

    word: str
    name: str
    href: str
    at: datetime


def kept(session: Session, *, actor: Actor) -> Sequence[Kept]:
    """The person's drafts, last saved first, of forms whose page is known."""
    found = []
    for draft in drafts.of(session, actor=actor, limit=SHOWN):
        name, _, about = draft.form.partition(":")
        if name in FORMS:
            page = FORMS[name]
            href = page.format(about=about) if "{" in page else page
            href += f"?about={about}" if about and href == page else ""
            at = draft.saved_at or draft.first_at
            found.append(Kept(t(f"draft.{name}"), _whose(session, actor, about), href, at))
    return found


def _whose(session: Session, actor: Actor, about: str) -> str:
    """The patient of a draft, which is about one, or about a case of one."""
    if (row := desk.row(session, member=actor.member, case=about)) is not None:
        return row.row.patient_name
    patient = patients.find(session, member=actor.member, patient=about) if about else None
    return patient.name if patient is not None else ""


@router.post("/drafts/{form:path}")
def save(
    request: Request,
    form: str,
    fields: Fields,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    back: Annotated[str, Query()] = "/",
) -> Response:
    """Keep what is typed; the browser is told the time, who pressed the button gets a page."""
    saved = drafts.save(session, actor=actor, form=form, fields=typed(fields), now=now)
    if "application/json" in request.headers.get("accept", ""):
        with written(look_of(request)):
            told = {"at": clock(saved.saved_at or now)}
            if (gauge := GAUGES.get(form.partition(":")[0])) is not None:
                told["gauge"] = gauge(saved.fields, actor, node, now)
            return JSONResponse(told)
    return after(request, local_path(back), toast="shell.form.kept")


def typed(fields: FormData) -> dict[str, Any]:
    """Fields of a form as a draft holds them: text only, a list where a name comes twice."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(fields):
        values = [value for value in fields.getlist(name) if isinstance(value, str)]
        if name not in OWN_FIELDS and values:
            found[name] = values[0] if len(values) == 1 else values
    return found
