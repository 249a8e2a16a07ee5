"""People of the member: add, lock, roles, reset (member admin); confirm their keys (head)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium.exchange import state
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import UserId
from consortium.members import lists, model, people
from consortium.members.seal import FILE_MAX_BYTES
from consortium.web.deps import Node, Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.errors import STATUS, refused
from consortium.web.node import WebNode
from consortium.web.pages import after, look_of, render
from consortium.web.views import Option, Refused
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
Word = Annotated[str, Form(max_length=256)]
Many = Annotated[Sequence[str], Form()]


@router.get("/people")
def show(
    request: Request,
    session: Reading,
    actor: SignedIn,
    node: Node,
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Colleagues by sign-in name, and keys that wait for the head."""
    return _page(request, session, node=node, actor=actor, after=after)


@router.post("/people")
def add(
    request: Request,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    login: Word = "",
    name: Word = "",
    roles: Many = (),
) -> Response:
    """Add a person; the answer shows the one-time link, once."""
    given = {"login": login, "name": name, "roles": list(roles)}
    try:
        with session.begin_nested():
            link = people.create(
                session, actor=actor, login=login, name=name, roles=_roles(roles), now=now
            )
    except Refusal as refusal:
        with written(look_of(request)):
            view = refused(refusal)
        status = STATUS[refusal.kind]
        return _page(
            request, session, node=node, actor=actor, refusal=view, given=given, status=status
        )
    return _link(request, node, name=name, path=link.path)


@router.get("/people/{user}")
def person(request: Request, user: str, session: Reading, actor: SignedIn) -> Response:
    """One colleague."""
    found = people.person(session, actor=actor, user=UserId(user))
    with written(look_of(request)):
        options = _role_options(session, actor)
    return render(request, "person.html", page="people", person=found, roles=options,
                  may_change=actor.may(Role.MEMBER_ADMIN))  # fmt: skip


@router.post("/people/{user}/lock")
def lock(
    request: Request, user: str, session: Writing, actor: SignedIn, node: Node, now: Now
) -> Response:
    """Keep a person out at once, in every browser."""
    people.lock(session, actor=actor, user=UserId(user), keyring=node.keyring, now=now)
    request.app.state.sessions.close_all(UserId(user))
    return after(request, f"/people/{user}", toast="web.people.locked")


@router.post("/people/{user}/unlock")
def unlock(request: Request, user: str, session: Writing, actor: SignedIn, now: Now) -> Response:
    """Let a person in again."""
    people.unlock(session, actor=actor, user=UserId(user), now=now)
    return after(request, f"/people/{user}", toast="web.people.unlocked")


@router.post("/people/{user}/roles")
def set_roles(
    request: Request,
    user: str,
    session: Writing,
    actor: SignedIn,
    now: Now,
    roles: Many = (),
) -> Response:
    """Give other roles."""
    people.set_roles(session, actor=actor, user=UserId(user), roles=_roles(roles), now=now)
    return after(request, f"/people/{user}", toast="web.people.roles_set")


@router.post("/people/{user}/reset")
def reset(
    request: Request, user: str, session: Writing, actor: SignedIn, node: Node, now: Now
) -> Response:
    """A new one-time link; password and key of before are gone."""
    one = people.person(session, actor=actor, user=UserId(user))
    link = people.reset(session, actor=actor, user=UserId(user), keyring=node.keyring, now=now)
    request.app.state.sessions.close_all(UserId(user))
    return _link(request, node, name=one.actor.name, path=link.path)


@router.post("/people/keys/confirm")
def confirm(
    request: Request,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    passphrase: Word = "",
    users: Many = (),
    ended: Many = (),
    seal: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Sign the chosen keys under the member's seal."""
    upload = seal.file.read(FILE_MAX_BYTES + 1) if seal is not None and seal.filename else None
    try:
        lists.confirm(
            session,
            actor=actor,
            passphrase=passphrase,
            seals=node.seals,
            users=[UserId(one) for one in users],
            ended=list(ended),
            upload=upload,
            now=now,
        )
    except Refusal as refusal:
        with written(look_of(request)):
            view = refused(refusal)
        return _page(
            request, session, node=node, actor=actor, refusal=view, status=STATUS[refusal.kind]
        )
    return after(request, "/people", toast="web.people.confirmed")


def _page(
    request: Request,
    session: Session,
    *,
    node: WebNode,
    actor: Actor,
    after: str = "",
    refusal: Refused | None = None,
    given: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response:
    found = people.listing(session, actor=actor, after=after)
    with written(look_of(request)):
        options = _role_options(session, actor)
    return render(
        request,
        "people.html",
        page="people",
        status=status,
        people=found.rows,
        older=found.after,
        waiting=lists.waiting(session, actor=actor),
        roles=options,
        may_add=actor.may(Role.MEMBER_ADMIN),
        may_confirm=actor.may(Role.HEAD),
        seal_here=node.seals.held(actor.member),
        refusal=refusal,
        given=given or {"login": "", "name": "", "roles": []},
    )


def _link(request: Request, node: WebNode, *, name: str, path: str) -> Response:
    return render(
        request, "person_link.html", page="people", name=name,
        address=f"{node.settings.public_url}{path}",
    )  # fmt: skip


def _roles(names: Sequence[str]) -> frozenset[Role]:
    known = {role.value: role for role in Role}
    return frozenset(known[name] for name in names if name in known)


def _role_options(session: Session, actor: Actor) -> list[Option]:
    member = state.read(session, f"member:{actor.member}")
    offered = model.roles_of(member["kind"] if member is not None else "")
    return [Option(role.value, t(f"shell.role.{role.value}")) for role in Role if role in offered]
