"""Members: the directory, one's own entry in it, the charter; inviting a clinic, at the hub."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium import words
from consortium.contracts.terms import SERVICES
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal
from consortium.members import charter as charters
from consortium.members import details, directory, invitations, setup
from consortium.settings import NodeRole
from consortium.web.deps import Node, Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.errors import STATUS, refused
from consortium.web.node import WebNode
from consortium.web.pages import after, look_of, render
from consortium.web.views import Option, Refused
from consortium.web.wording import lang, t, written

router = APIRouter(route_class=PageRoute)
Line = Annotated[str, Form(max_length=200)]
Many = Annotated[Sequence[str], Form()]


def _told(
    name_zh: Line = "",
    name_en: Line = "",
    phone: Line = "",
    address: Line = "",
    services: Many = (),
) -> dict[str, Any]:
    return details.of(
        name_zh=name_zh, name_en=name_en, phone=phone, address=address, services=tuple(services)
    )


Told = Annotated[dict[str, Any], Depends(_told)]
"""A directory entry as a form holds it."""
_BLANK = ("name_zh", "name_en", "phone", "address", "member")
_OFFICE = (Role.MEMBER_ADMIN, Role.HEAD, Role.CONSORTIUM_ADMIN)


@router.get("/members")
def show(request: Request, session: Reading, actor: SignedIn, node: Node) -> Response:
    """Everybody who has joined, with telephone and services."""
    return _page(request, session, node=node, actor=actor)


@router.post("/members")
def tell(
    request: Request,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    told: Told,
    exchange: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Tell one's own entry anew; it goes to all members."""
    try:
        directory.publish(
            session, actor=actor, told=told, post=node.post, now=now, exchange_id=exchange
        )
    except Refusal as refusal:
        return _page(request, session, node=node, actor=actor, refusal=refusal, own=told)
    return after(request, "/members", toast="web.members.told")


@router.post("/members/invite")
def invite(
    request: Request,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    told: Told,
    member: Annotated[str, Form(max_length=31)] = "",
    kind: Annotated[str, Form(max_length=16)] = "clinic",
) -> Response:
    """Invite a clinic or a regulator; the answer shows the code, once, with a QR."""
    try:
        made = invitations.invite(
            session,
            actor=actor,
            door=setup.door_of(node),
            told=told,
            member=member.strip(),
            kind=kind,
            now=now,
        )
    except Refusal as refusal:
        given = {**told, "member": member, "kind": kind}
        return _page(request, session, node=node, actor=actor, refusal=refusal, given=given)
    return render(
        request,
        "members/invitation.html",
        page="members",
        invitation=made,
        name=told["name_zh"],
        fingerprint=charters.grouped(made.fingerprint),
        # drawn by us from a code and an address, never from what somebody typed
        qr=Markup(made.qr()),  # noqa: S704
    )


@router.get("/charter")
def charter(request: Request, session: Reading, _actor: SignedIn) -> Response:
    """The charter as every member has signed it."""
    found = directory.charter(session)
    with written(look_of(request)):
        articles = [one[lang()] for one in found.articles] if found is not None else []
        name = found.name[lang()] if found is not None else ""
    return render(
        request, "members/charter.html", page="members", charter=found, name=name,
        articles=articles,
    )  # fmt: skip


def _page(
    request: Request,
    session: Session,
    *,
    node: WebNode,
    actor: Actor,
    refusal: Refusal | None = None,
    own: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
) -> Response:
    mine = directory.find(session, actor.member)
    with written(look_of(request)):
        view: Refused | None = refused(refusal) if refusal is not None else None
        kinds = [
            Option("clinic", t("web.members.kind_clinic")),
            Option(
                "regulator", t("web.members.kind_regulator"), t("web.members.invite_kind_regulator")
            ),
        ]
        services = [Option(code, t(f"contract.service.{code}")) for code in SERVICES]
    return render(
        request,
        "members/list.html",
        page="members",
        status=STATUS[refusal.kind] if refusal is not None else 200,
        members=directory.members(session),
        services=services,
        kinds=kinds,
        own=own or mine,
        may_tell=mine is not None and mine.state == "joined" and actor.may(*_OFFICE),
        may_invite=node.settings.role is NodeRole.HUB and actor.may(Role.CONSORTIUM_ADMIN),
        given=given or {**dict.fromkeys(_BLANK, ""), "kind": "clinic"},
        refusal=view,
        has_words=words.known,
    )
