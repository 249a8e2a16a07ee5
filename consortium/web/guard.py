"""The guard before every page: host, origin, size, headers, and the token against foreign forms."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.datastructures import FormData, Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consortium.kernel.errors import Refusal, RefusalKind, forbidden, invalid
from consortium.web import forms
from consortium.web.reading import parts
from consortium.web.session import SignIn

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSP: Final = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
FOR_EVER = "public, max-age=31536000, immutable"
BODY_WAIT_S = 30.0
"""How long a body may pause on its way; a slow link pauses less."""


class Guard:
    """Answers foreign hosts and origins with a refusal, and gives every answer its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        node = scope["app"].state.node
        state = scope.setdefault("state", {})
        state["now"] = node.clock.now()
        headers = Headers(scope=scope)
        refusal = _refusal(scope, headers, node.settings.hosts, node.settings.request_max_bytes)
        if refusal is not None:
            from consortium.web.errors import answer

            response = answer(Request(scope, receive), refusal)
            await response(scope, receive, _with_headers(scope, send))
            return
        limit = node.settings.request_max_bytes
        await self.app(scope, _bounded(receive, limit), _with_headers(scope, send))


def _refusal(scope: Scope, headers: Headers, hosts: frozenset[str], limit: int) -> Refusal | None:
    host = headers.get("host", "")
    if _host_name(host) not in hosts:
        return forbidden("web.host")
    if scope["method"] not in SAFE and _foreign(headers, host):
        return forbidden("web.origin")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) < 16) or int(length) > limit:
        return too_large(limit)
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        return invalid("web.control")
    return None


def _foreign(headers: Headers, host: str) -> bool:
    """A browser says where a form comes from; other programs say nothing and hold no cookie."""
    origin = headers.get("origin")
    if origin is not None and parts(origin).netloc != host:
        return True
    return headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def too_large(limit: int) -> Refusal:
    return Refusal(RefusalKind.TOO_LARGE, "web.too_large", limit=limit)


def _bounded(receive: Receive, limit: int) -> Receive:
    """Stop a body that says no length, or lies about it, or does not go on."""
    taken, whole = 0, False

    async def take() -> Message:
        nonlocal taken, whole
        if whole:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), BODY_WAIT_S)
        except TimeoutError:
            raise Refusal(RefusalKind.UNAVAILABLE, "web.slow") from None
        whole = not message.get("more_body", False)
        taken += len(message.get("body", b""))
        if taken > limit:
            raise too_large(limit)
        return message

    return take


def _with_headers(scope: Scope, send: Send) -> Send:
    async def start(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if not scope["path"].startswith("/static/"):
                headers.setdefault("cache-control", "no-store")
            elif message["status"] == 200:
                keep = scope["query_string"].startswith(b"v=")
                headers["cache-control"] = FOR_EVER if keep else "no-cache"
        await send(message)

    return start


async def guarded(request: Request) -> AsyncIterator[None]:
    """Find the browser's session and, where something may change, check the token of the form.

    Raises:
        Refusal: `web.csrf`.
    """
    session = recognise(request)
    try:
        if request.method in SAFE:
            yield
            return
        form = await forms.read(request)
        if session is not None and not _tells_who(request, form):
            _check_token(request, form, session)
        async with forms.once(request, session, form):
            yield
    finally:
        # files of a form that no route took
        await request.close()


def _tells_who(request: Request, form: FormData) -> bool:
    """Whether a password says who sends it; the page may have stood open since before the session.

    Its origin is checked all the same.
    """
    path = request.url.path
    return path == "/sign-in" or (path == "/lock" and bool(form.get("password")))


def _check_token(request: Request, form: FormData, session: SignIn) -> None:
    given = request.headers.get("x-csrf-token") or form.get("csrf", "")
    fits = isinstance(given, str) and hmac.compare_digest(given.encode(), session.csrf.encode())
    if not fits:
        raise forbidden("web.csrf")


def recognise(request: Request) -> SignIn | None:
    """The session of this browser, if it has one; keeps it and its token with the request."""
    node, sessions = request.app.state.node, request.app.state.sessions
    token = request.cookies.get(session_cookie(node.id))
    session: SignIn | None = sessions.find(token, now=request.state.now, place=place_of(request))
    request.state.session = session
    request.state.csrf = session.csrf if session is not None else ""
    return session


def place_of(request: Request) -> bytes:
    """Where a browser is: a cookie that turns up at another machine is a stolen one."""
    host = request.client.host if request.client is not None else ""
    said = f"{host}\n{request.headers.get('user-agent', '')}"
    return hashlib.sha256(said.encode()).digest()


def _fields(request: Request) -> FormData:
    fields: FormData = request.state.fields
    return fields


Fields = Annotated[FormData, Depends(_fields)]
"""The whole form as it came, for pages whose fields are not known beforehand."""


def session_cookie(node: str) -> str:
    """The name of the session's cookie: a browser does not keep cookies of ports apart."""
    return f"session-{node}"


def local_path(back: str) -> str:
    """A path of this node to go back to; anything else becomes the first page."""
    where = parts(back)
    if where.scheme or where.netloc or not back.startswith("/") or back.startswith(("//", "/\\")):
        return "/"
    return back if len(back) <= 1000 and "\n" not in back and "\r" not in back else "/"
