"""Rendering, and the pattern of a page.

A page is a route of one service call in one transaction, and a template:

    router = APIRouter(route_class=PageRoute)           # web/deps.py: commit, then answer

    @router.get("/referrals/{case_id}")
    def show(request: Request, case_id: str, session: Reading, actor: SignedIn, now: Now):
        case = referrals.show(session, case_id, actor=actor, now=now)
        return render(request, "referrals/case.html", page="referrals", case=case)

    @router.post("/referrals/{case_id}/accept")
    def accept(request: Request, case_id: str, session: Writing, actor: SignedIn, now: Now,
               slot: Annotated[str, Form()] = ""):
        referrals.accept(session, case_id, slot=slot, actor=actor, now=now)
        return after(request, f"/referrals/{case_id}", toast="referral.toast.accepted")

Add the router to `ROUTERS` in web/install.py and the entry to web/rail.py. The template extends
`base.html` and fills `title` and either `body` (with `acts` for the bar at the bottom) or `main`.
Macros come from `parts/*.html`, without context. A Refusal needs no code here: web/errors.py writes
its three lines. A form is `{% call form("/there") %}`: it holds the token against foreign forms;
with an `exchange` it holds the id of the exchange that it will send, so that a second press, or a
reload, sends once. `t("key")` says a sentence, `when(at)`, `number(n)`, `size(b)` write values.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from consortium import words
from consortium.web import forms, tongues, wording
from consortium.web.icons import icon
from consortium.web.language import language
from consortium.web.wording import HTML_LANG, Look, lang, t, written


@cache
def environment() -> Environment:
    """The one template environment: everything escaped, an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("consortium.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(
        {name: getattr(wording, name) for name in _WRITERS},
        icon=icon,
        static=static,
        named=named,
        said=said,
        html_lang=lambda: HTML_LANG[wording.lang()],
        csrf=lambda: wording.look().csrf,
        now=lambda: wording.look().now,
    )
    return made


_WRITERS = (
    "t", "lang", "number", "yuan", "size", "clock", "day", "full_day", "when", "stamp", "ago",
    "length", "age", "iso",
)  # fmt: skip


@cache
def static(name: str) -> str:
    """The address of a file under static/, with its hash, so that it can be kept for ever."""
    data = files("consortium.web").joinpath("static", name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(data).hexdigest()[:12]}"


def said(key: str, params: Mapping[str, Any] | None = None) -> str:
    """The words of a key whose parameters may be words too: keys marked by `@`, names by language.

    A `need` inside it speaks of the other parameters.
    """
    filled: dict[str, Any] = {}
    for name, value in sorted((params or {}).items(), key=lambda item: item[0] == "need"):
        if isinstance(value, Mapping):
            filled[name] = value[lang()]
        else:
            marked = isinstance(value, str) and value.startswith("@")
            filled[name] = t(value[1:], **filled) if marked else value
    return t(key, **filled)


def named(text: str, params: Mapping[str, Any]) -> str:
    """A name as it stands, the words of a key marked by `@`, or a parameter marked by `$`."""
    if text.startswith("$"):
        value = params[text[1:]]
        return str(value[lang()] if isinstance(value, Mapping) else value)
    return t(text[1:]) if text.startswith("@") else text


def look_of(request: Request) -> Look:
    """In which look this request is answered."""
    state = request.state
    now = getattr(state, "now", None) or request.app.state.node.clock.now()
    return Look(language(request), now, getattr(state, "csrf", ""))


def render(
    request: Request, template: str, *, status: int = 200, page: str = "", **values: Any
) -> HTMLResponse:
    """A whole page. `page` names its entry in the rail (web/rail.py)."""
    from consortium.web.shell import shell_of

    with written(look_of(request)):
        shell = shell_of(request)
        html = (
            environment()
            .get_template(template)
            .render(
                request=request,
                path=_path(request),
                page=page,
                shell=shell,
                toast=_toast(request),
                look=look_class(request),
                **values,
            )
        )
        html = tongues.marked(html, wording.lang())
    response = HTMLResponse(html, status_code=status)
    if toast_cookie(request) in request.cookies and status < 400:
        response.delete_cookie(toast_cookie(request), samesite="strict")
    return response


def part(look: Look, template: str, **values: Any) -> Markup:
    """A piece of a page, as HTML."""
    with written(look):
        html = environment().get_template(template).render(**values)
        return Markup(tongues.marked(html, wording.lang()))  # noqa: S704


def fragment(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A piece of a page as an answer to htmx."""
    return HTMLResponse(part(look_of(request), template, **values), status_code=status)


def after(request: Request, href: str, *, toast: str = "") -> Response:
    """Go on to a page after an act, with a word (key) that says it was done."""
    if toast and not request.url.path.startswith("/drafts/"):
        forms.remember(request)
    if request.headers.get("HX-Request"):
        response = Response(status_code=204, headers={"HX-Redirect": href})
    else:
        response = RedirectResponse(href, status_code=303)
    if toast:
        response.set_cookie(
            toast_cookie(request), toast, max_age=30, httponly=True, samesite="strict"
        )
    return response


def look_class(request: Request) -> dict[str, str]:
    """Theme and size of text, as the signed-in person wants them."""
    signed = getattr(request.state, "signed", None)
    if signed is None:
        return {"theme": "", "large": ""}
    return {"theme": signed.account.theme, "large": "large" if signed.account.large_text else ""}


def _path(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _toast(request: Request) -> str:
    key = request.cookies.get(toast_cookie(request), "")
    return t(key) if words.known(key) else ""


def toast_cookie(request: Request) -> str:
    """Named after the node, as every cookie: a browser does not keep those of ports apart."""
    return f"toast-{request.app.state.node.id}"
