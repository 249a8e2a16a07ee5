"""Drafting terms in a form that says in plain words what they will do.

Works without JavaScript: a line is added or removed by a button that saves the form. With it, the
draft saves itself and the plain words follow what is typed.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from consortium.contracts import drafting, service
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, missing
from consortium.members import directory
from consortium.web import contract_form
from consortium.web.contract_views import Names
from consortium.web.deps import Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.errors import STATUS, refused, refused_code
from consortium.web.guard import Fields
from consortium.web.pages import after, fragment, look_of, render
from consortium.web.views import Option
from consortium.web.wording import clock, t, written

router = APIRouter(route_class=PageRoute)
Word = Annotated[str, Form(max_length=256)]


@router.get("/contracts/new")
def new(request: Request, session: Reading, actor: SignedIn, now: Now) -> Response:
    """With which member; those without a contract first."""
    actor.require(Role.CONSORTIUM_ADMIN)
    with written(look_of(request)):
        options = _clinics(session, actor=actor, now=now)
    return render(request, "contracts/new.html", page="contracts", clinics=options)


@router.post("/contracts/new")
def create(
    request: Request, session: Writing, actor: SignedIn, now: Now, clinic: Word = ""
) -> Response:
    """Begin a draft."""
    actor.require(Role.CONSORTIUM_ADMIN)
    found, lead = directory.find(session, clinic), directory.lead(session)
    if found is None or lead is None:
        raise missing("contract.missing")
    title = t_zh("contract.form.title_default", taker=found.name_zh, provider=lead.name_zh)
    parties = (found.member, lead.member, actor.member)
    contract = drafting.create(session, actor=actor, parties=parties, title=title, now=now)
    return after(request, f"/contracts/drafts/{contract}")


@router.get("/contracts/drafts/{contract}")
def edit(request: Request, contract: str, session: Reading, actor: SignedIn) -> Response:
    """The form."""
    return _page(request, session, contract, actor=actor)


@router.post("/contracts/drafts/{contract}")
def save(
    request: Request,
    contract: str,
    fields: Fields,
    session: Writing,
    actor: SignedIn,
    now: Now,
    do: Word = "save",
) -> Response:
    """Keep the form, then what the pressed button says: a line more, a line less, or propose."""
    form = contract_form.typed(fields)
    if do == "add":
        form["services"].append(contract_form.fresh(form))
    elif do.startswith("remove:"):
        form["services"] = [one for n, one in enumerate(form["services"], 1) if f"remove:{n}" != do]
    drafting.save(session, actor=actor, contract=contract, form=form, now=now)
    if do == "propose":
        return _propose(request, session, contract, actor=actor, now=now)
    place = f"#service-{len(form['services'])}" if do == "add" else ""
    toast = "contract.form.saved" if do == "save" else ""
    return after(request, f"/contracts/drafts/{contract}{place}", toast=toast)


@router.post("/contracts/drafts/{contract}/keep")
def keep(
    request: Request, contract: str, fields: Fields, session: Writing, actor: SignedIn, now: Now
) -> Response:
    """The browser's own saving, two seconds after typing."""
    drafting.save(
        session, actor=actor, contract=contract, form=contract_form.typed(fields), now=now
    )
    with written(look_of(request)):
        return JSONResponse({"at": clock(now)})


@router.post("/contracts/drafts/{contract}/preview")
def preview(
    request: Request, contract: str, fields: Fields, session: Reading, actor: SignedIn
) -> Response:
    """What is wrong and what it means, of what is typed; nothing is kept."""
    draft = drafting.show(session, actor=actor, contract=contract, form=contract_form.typed(fields))
    with written(look_of(request)):
        view = contract_form.build(session, draft)
    return fragment(request, "contracts/preview.html", view=view)


@router.post("/contracts/drafts/{contract}/discard")
def discard(request: Request, contract: str, session: Writing, actor: SignedIn) -> Response:
    """Throw the draft away."""
    drafting.discard(session, actor=actor, contract=contract)
    return after(request, "/contracts", toast="contract.form.discarded")


@router.post("/contracts/{contract}/revise")
def revise(
    request: Request, contract: str, session: Writing, actor: SignedIn, now: Now
) -> Response:
    """Begin the next version of a proposal that was taken back."""
    drafting.revise(session, actor=actor, contract=contract, now=now)
    return after(request, f"/contracts/drafts/{contract}")


def t_zh(key: str, **params: object) -> str:
    """A sentence of a document: documents are written in Chinese, whoever drafts them."""
    from consortium import words

    return words.say(key, "zh", **params)


def _propose(
    request: Request, session: Session, contract: str, *, actor: Actor, now: datetime
) -> Response:
    post = request.app.state.node.post
    try:
        drafting.propose(session, actor=actor, post=post, contract=contract, now=now)
    except Refusal as refusal:
        return _page(request, session, contract, actor=actor, refusal=refusal)
    return after(request, f"/contracts/{contract}", toast="contract.form.proposed")


def _page(
    request: Request,
    session: Session,
    contract: str,
    *,
    actor: Actor,
    refusal: Refusal | None = None,
) -> Response:
    draft = drafting.show(session, actor=actor, contract=contract)
    if draft.sent:
        return after(request, f"/contracts/{contract}")
    with written(look_of(request)):
        view = contract_form.build(session, draft, tried=refusal is not None)
        said = None
        if refusal is not None:
            said = refused(refusal)
        elif draft.refused:
            code, _, clause = draft.refused.partition(" ")
            said = refused_code(code, clause)
    return render(
        request,
        "contracts/edit.html",
        status=200 if refusal is None else STATUS[refusal.kind],
        page="contracts",
        view=view,
        contract=contract,
        refusal=said,
    )


def _clinics(session: Session, *, actor: Actor, now: datetime) -> list[Option]:
    """Members that have joined, those without a contract in force first."""
    joined = [one for one in directory.members(session, kind="clinic") if one.state == "joined"]
    held = service.in_force(session, member=actor.member, now=now)
    covered = {party for one in held for party in one.terms.parties}
    name = Names(session)
    return [
        Option(
            one.member,
            name(one.member)
            if one.member in covered
            else t("contract.form.has_none", name=name(one.member)),
        )
        for one in sorted(joined, key=lambda one: (one.member in covered, one.member))
    ]
