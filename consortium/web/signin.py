"""Sign-in, sign-out, lock, hand-over, first password, language."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, RedirectResponse, Response

from consortium.desk import drafts
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, RefusalKind, invalid
from consortium.kernel.time import from_ms
from consortium.members import accounts, passwords
from consortium.web.deps import Node, Now, PageRoute, Reading, Whoever, Writing
from consortium.web.errors import STATUS, for_programs, refused
from consortium.web.guard import local_path, place_of, session_cookie
from consortium.web.language import COOKIE as LANGUAGE_COOKIE
from consortium.web.node import WebNode
from consortium.web.pages import after, look_of, render
from consortium.web.session import Sessions, SignIn
from consortium.web.signed import Signed, check_password, known, signed_in
from consortium.web.wording import as_lang, t, written

router = APIRouter(route_class=PageRoute)
YEAR_S = 365 * 24 * 3600

Back = Annotated[str, Form(max_length=1000)]
Word = Annotated[str, Form(max_length=256)]


def _known(request: Request) -> Signed | None:
    return known(request)


Perhaps = Annotated[Signed | None, Depends(_known)]
"""Whoever is signed in, the page locked or not; or nobody."""


@router.get("/sign-in")
def sign_in_page(request: Request, back: Annotated[str, Query()] = "/") -> Response:
    """Name and password; both are checked on this machine, with or without a link."""
    return render(request, "signin.html", place="", back=local_path(back), name="", error="")


@router.post("/sign-in")
def sign_in(
    request: Request,
    node: Node,
    now: Now,
    name: Word = "",
    password: Word = "",
    back: Back = "/",
) -> Response:
    """Sign a browser in; whoever was signed in there before is signed out."""
    try:
        actor = signed_in(request, name, password)
    except Refusal as refusal:
        return _again(request, "signin.html", refusal, now=now, name=name, back=local_path(back))
    return _enter(request, node, actor, href=local_path(back), now=now)


@router.post("/sign-out")
def sign_out(request: Request, node: Node, whoever: Perhaps) -> Response:
    """Forget the session and the person's key."""
    response = after(request, "/sign-in")
    if whoever is not None:
        _leave(request, node, whoever.session)
    response.delete_cookie(session_cookie(node.id), samesite="strict", httponly=True)
    return response


@router.get("/lock")
def lock_page(request: Request, whoever: Perhaps, back: Annotated[str, Query()] = "/") -> Response:
    """The lock page itself, for those without scripts."""
    if whoever is None:
        return after(request, "/sign-in")
    return _lock_page(request, whoever, back=local_path(back), error="", status=200)


@router.post("/lock")
def unlock(
    request: Request,
    node: Node,
    whoever: Perhaps,
    now: Now,
    who: Word = "",
    password: Word = "",
    back: Back = "/",
) -> Response:
    """Lock this page (no password), or unlock it (the person's password).

    A page tells whose it is: `who`, the login. When its session is gone (the node was started
    again, the cookie was lost, somebody else signed in beside it), the person signs in anew, and
    the page goes on with the token that the answer brings.
    """
    own = whoever is not None and who in {"", whoever.account.login}
    if whoever is None and not (who and password):
        raise Refusal(RefusalKind.SIGN_IN, "web.sign_in")
    if whoever is not None and not password and for_programs(request):
        whoever.session.locked = True
        return Response(status_code=204)
    try:
        if whoever is not None and own:
            check_password(request, whoever, password)
            return _goes_on(request, whoever.session.csrf, back=back)
        actor = signed_in(request, who, password)
    except Refusal as refusal:
        with written(look_of(request)):
            error = _sentence(refusal, now, wrong="signin.wrong_password")
        status = STATUS[refusal.kind]
        if whoever is None or for_programs(request):
            return JSONResponse({"error": error}, status_code=status)
        return _lock_page(request, whoever, back=local_path(back), error=error, status=status)
    token, session = _opened(request, node, actor, now=now)
    return _with_cookie(_goes_on(request, session.csrf, back=back), node, token)


def _goes_on(request: Request, csrf: str, *, back: str) -> Response:
    """To the page: the token for what it sends from here on; without scripts, the page anew."""
    if for_programs(request):
        return Response(status_code=204, headers={"X-CSRF-Token": csrf})
    return after(request, local_path(back))


@router.post("/alive")
def alive(whoever: Whoever) -> Response:
    """The person is reading: the page said so, at most every other minute."""
    return Response(status_code=204, headers={"X-Person": whoever.account.login[:1]})


@router.get("/hand-over")
def hand_over_page(
    request: Request, session: Reading, whoever: Perhaps, back: Annotated[str, Query()] = "/"
) -> Response:
    """Who takes over; drafts stay, with the name of who wrote them."""
    if whoever is None:
        return after(request, "/sign-in")
    return _hand_over(request, session, whoever, back=local_path(back), name="", error="")


@router.post("/hand-over")
def hand_over(
    request: Request,
    node: Node,
    now: Now,
    whoever: Perhaps,
    name: Word = "",
    password: Word = "",
    back: Back = "/",
) -> Response:
    """The next person signs in; the one before is signed out. Data stay as they are."""
    try:
        actor = signed_in(request, name, password)
    except Refusal as refusal:
        values = {"person": "", "drafts": 0}
        if whoever is not None:
            with node.database.read() as session:
                values = {"person": whoever.actor.name, "drafts": _drafts(session, whoever.actor)}
        back = local_path(back)
        return _again(request, "handover.html", refusal, now=now, name=name, back=back, **values)
    return _enter(request, node, actor, href=local_path(back), now=now)


@router.get("/welcome/{token}")
def welcome(request: Request, token: str, session: Reading, now: Now) -> Response:
    """A one-time link: the person chooses a password alone."""
    info = accounts.link_info(session, token, now=now)
    return render(
        request, "welcome.html", place="", info=info, token=token, error="", login=info.login,
        name=info.name, least=passwords.LENGTH_MIN,
    )  # fmt: skip


@router.post("/welcome/{token}")
def first_password(
    request: Request,
    token: str,
    session: Writing,
    node: Node,
    now: Now,
    password: Word = "",
    again: Word = "",
    login: Word = "",
    name: Word = "",
) -> Response:
    """Set the password and sign in."""
    info = accounts.link_info(session, token, now=now)
    try:
        if password != again:
            raise invalid("web.passwords_differ")
        with session.begin_nested():
            actor = accounts.use_link(
                session, token, password=password, keyring=node.keyring, now=now, login=login,
                name=name,
            )  # fmt: skip
    except Refusal as refusal:
        if refusal.code == "members.link":
            raise
        with written(look_of(request)):
            three = refused(refusal)
        return render(
            request, "welcome.html", status=STATUS[refusal.kind], place="", info=info,
            token=token, error=f"{three.happened}{three.do}", login=info.login or login,
            name=info.name or name, least=passwords.LENGTH_MIN,
        )  # fmt: skip
    return _enter(request, node, actor, href="/", now=now)


@router.post("/language")
def set_language(
    request: Request, session: Writing, whoever: Perhaps, to: Word = "zh", back: Back = "/"
) -> Response:
    """Another language, for this browser and, when signed in, for this person."""
    lang = as_lang(to) or "zh"
    if whoever is not None:
        accounts.prefer(session, actor=whoever.actor, language=lang)
    response = after(request, local_path(back))
    response.set_cookie(LANGUAGE_COOKIE, lang, max_age=YEAR_S, samesite="lax")
    return response


def _enter(request: Request, node: WebNode, actor: Actor, *, href: str, now: datetime) -> Response:
    token, _session = _opened(request, node, actor, now=now)
    return _with_cookie(RedirectResponse(href, status_code=303), node, token)


def _opened(request: Request, node: WebNode, actor: Actor, *, now: datetime) -> tuple[str, SignIn]:
    """A new session, and its cookie's value; whoever was signed in there before is signed out."""
    before: SignIn | None = request.state.session
    if before is not None and before.user != actor.user:
        _leave(request, node, before)
    elif before is not None:
        request.app.state.sessions.close(before)
    sessions: Sessions = request.app.state.sessions
    return sessions.open(actor.user, now=now, place=place_of(request))


def _with_cookie(response: Response, node: WebNode, token: str) -> Response:
    response.set_cookie(
        session_cookie(node.id),
        token,
        httponly=True,
        samesite="strict",
        secure=node.settings.public_url.startswith("https:"),
    )
    return response


def _leave(request: Request, node: WebNode, session: SignIn) -> None:
    sessions = request.app.state.sessions
    if not sessions.others(session):
        node.keyring.drop(session.user)
    sessions.close(session)


def _again(
    request: Request, template: str, refusal: Refusal, *, now: datetime, **values: Any
) -> Response:
    with written(look_of(request)):
        error = _sentence(refusal, now, wrong="signin.wrong")
    return render(request, template, status=STATUS[refusal.kind], place="", error=error, **values)


def _sentence(refusal: Refusal, now: datetime, *, wrong: str) -> str:
    if refusal.code == "members.sign_in_wrong":
        return t(wrong)
    if refusal.kind is RefusalKind.THROTTLED:
        until = from_ms(int(str(refusal.facts["until_ms"])))
        return t("signin.throttled", n=max(1, -int(-(until - now).total_seconds() // 60)))
    three = refused(refusal)
    return f"{three.happened}{three.do}"


def _lock_page(
    request: Request, whoever: Signed, *, back: str, error: str, status: int
) -> Response:
    return render(
        request, "lock.html", status=status, place="", person=whoever.actor.name, action="/lock",
        back=back, kept=(), field="password", error=error,
    )  # fmt: skip


def _hand_over(
    request: Request, session: Session, whoever: Signed, *, back: str, name: str, error: str
) -> Response:
    return render(
        request, "handover.html", place="", person=whoever.actor.name, back=back, name=name,
        error=error, drafts=_drafts(session, whoever.actor),
    )  # fmt: skip


def _drafts(session: Session, actor: Actor) -> int:
    return len(drafts.of(session, actor=actor))
