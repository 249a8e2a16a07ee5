"""What a refusal becomes: three lines for people, problem details (RFC 9457) for programs.

No page shows a traceback. A fault of the program is logged under a number that the page shows.
"""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from consortium import words
from consortium.kernel import log
from consortium.kernel.database import is_full
from consortium.kernel.errors import Refusal, RefusalKind, invalid, missing
from consortium.web import keeping
from consortium.web.guard import HEADERS, SAFE, local_path, recognise
from consortium.web.pages import fragment, look_of, render
from consortium.web.reading import parts
from consortium.web.signed import LOCK_FIELD, Locked, known
from consortium.web.views import Act, Refused
from consortium.web.wording import lang, size, t, written

_log = log.logger(__name__)

STATUS: Final[Mapping[RefusalKind, HTTPStatus]] = {
    RefusalKind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusalKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    RefusalKind.MISSING: HTTPStatus.NOT_FOUND,
    RefusalKind.CONFLICT: HTTPStatus.CONFLICT,
    RefusalKind.THROTTLED: HTTPStatus.TOO_MANY_REQUESTS,
    RefusalKind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    RefusalKind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    RefusalKind.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    RefusalKind.SIGN_IN: HTTPStatus.UNAUTHORIZED,
}
CODES: Final[Mapping[str, HTTPStatus]] = {
    "web.encoding": HTTPStatus.BAD_REQUEST,
    "web.slow": HTTPStatus.REQUEST_TIMEOUT,
    "web.full": HTTPStatus.INSUFFICIENT_STORAGE,
    "web.full_file": HTTPStatus.INSUFFICIENT_STORAGE,
}
"""Codes whose status is not that of their kind."""
RETRY_S: Final = {"web.running": "2", "web.full": "60"}
KEPT: Final = frozenset(
    {"desk.draft_large", "web.control", "web.encoding", "web.full", "web.sent_already"}
)
"""After these the page shows what was typed, since nothing else has it."""
PROGRAMS: Final = ("/fhir/", "/sync/", "/intake", "/blobs", "/ledger/", "/healthz", "/readyz")
"""Doors that programs use: they get problem details, whatever they accept."""


def install(app: FastAPI) -> None:
    """Answer every refusal and fault of the app."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(Locked, _locked)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(ClientDisconnect, _gone)
    for kind in (OSError, DBAPIError):
        app.add_exception_handler(kind, _storage)
    app.add_exception_handler(Exception, _fault)


def answer(request: Request, refusal: Refusal) -> Response:
    """A refusal as this request wants it: page, piece of a page, or problem details."""
    answered = _answer(request, refusal, CODES.get(refusal.code, STATUS[refusal.kind]))
    if refusal.code in RETRY_S:
        answered.headers["retry-after"] = RETRY_S[refusal.code]
    return answered


def _answer(request: Request, refusal: Refusal, status: HTTPStatus) -> Response:
    if for_programs(request):
        return problem(refusal, status)
    if refusal.kind is RefusalKind.SIGN_IN:
        return _to_sign_in(request)
    if request.headers.get("hx-request"):
        with written(look_of(request)):
            view = refused(refusal)  # the page is still there: no way back is needed
        piece = fragment(request, "parts/refused_piece.html", status=status, refusal=view)
        piece.headers.update({"HX-Retarget": "#notice", "HX-Reswap": "innerHTML"})
        return piece
    return page(request, refusal, status=status)


def page(request: Request, refusal: Refusal, *, status: int) -> HTMLResponse:
    """The three lines as a whole page, with the shell where somebody is signed in."""
    if not hasattr(request.state, "session") and recognise(request) is not None:
        # no route answers this address, so nobody has asked yet who is there
        found = known(request)
        request.state.signed = found if found is not None and not found.session.locked else None
    with written(look_of(request)):
        view = refused(refusal, request=request)
    if refusal.code in KEPT:
        return keeping.page(request, view, status=status, again=refusal.code == "web.full")
    return render(request, "error.html", status=status, refusal=view, place="")


def refused(
    refusal: Refusal, *, request: Request | None = None, acts: tuple[Act, ...] = (), title: str = ""
) -> Refused:
    """The three lines of a refusal, in the language being written.

    For forms that show a refusal in their own page: `acts` are its ways out, the best one first.
    """
    facts = _facts(refusal)
    try:
        happened, safe, do = words.refusal(refusal.code, lang(), **facts)
    except KeyError:
        happened, safe, do = _without_facts(refusal, facts)
    ways = acts or (_ways(request) if request is not None else ())
    return Refused(refusal.code, happened, safe, do, title, refusal.clause, ways)


def _without_facts(refusal: Refusal, facts: Mapping[str, object]) -> tuple[str, str, str]:
    """The lines of a code that came over the ledger without its facts, or that has no words."""
    try:
        return words.refusal_told(refusal.code, lang(), **facts)
    except KeyError:
        _log.warning("refusal.no_words", code=refusal.code)
        return words.refusal("web.unknown", lang(), what=refusal.code)


def brought_back(code: str, clause: str = "") -> Refusal:
    """A verdict's code, as an exchange brought it back."""
    facts = {"clause": clause} if clause else {}
    return Refusal(RefusalKind.CONFLICT, code, **facts)


def refused_code(code: str, clause: str = "") -> Refused:
    """The three lines of a verdict's code."""
    return refused(brought_back(code, clause))


def for_programs(request: Request) -> bool:
    """Whether a program asks, not a person."""
    if request.url.path.startswith(PROGRAMS):
        return True
    wanted = request.headers.get("accept", "")
    return "json" in wanted and "text/html" not in wanted


def problem(refusal: Refusal, status: int) -> JSONResponse:
    """Problem details: stable code, facts, nothing of a person."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "status": int(status),
        "title": HTTPStatus(status).phrase,
        "code": refusal.code,
    }
    if refusal.facts:
        content["facts"] = {name: str(value) for name, value in refusal.facts.items()}
    return JSONResponse(content, status_code=status, media_type="application/problem+json")


def _facts(refusal: Refusal) -> dict[str, object]:
    facts = dict(refusal.facts)
    if isinstance(limit := facts.get("limit"), int):
        facts.setdefault("size", size(limit))
    return facts


def _ways(request: Request) -> tuple[Act, ...]:
    """Back where the person came from, or to the first screen."""
    referer = parts(request.headers.get("referer", ""))
    back = local_path(referer.path + (f"?{referer.query}" if referer.query else ""))
    todo = Act(t("web.out.todo"), "/")
    if referer.netloc != request.headers.get("host") or back in {"/", request.url.path}:
        return (todo,)
    return (Act(t("web.out.back"), back, main=True), todo)


def _to_sign_in(request: Request) -> Response:
    back = request.url.path if request.method in SAFE else _referer(request)
    if request.url.query and request.method in SAFE:
        back = f"{back}?{request.url.query}"
    href = "/sign-in" if back == "/" else f"/sign-in?{urlencode({'back': back})}"
    if request.headers.get("hx-request"):
        # the page holds what was typed: the person signs in over it
        return Response(status_code=401, headers={"HX-Trigger": "locked"})
    return RedirectResponse(href, status_code=303)


def _referer(request: Request) -> str:
    return local_path(parts(request.headers.get("referer", "")).path or "/")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for this type
    _log.info("refused", code=error.code, kind=error.kind, path=_route(request))
    return answer(request, error)


def _locked(request: Request, error: Exception) -> Response:
    """The lock page: what the form held goes on with the password, so that nothing is lost."""
    assert isinstance(error, Locked)  # noqa: S101 - registered for this type
    if for_programs(request) or request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Trigger": "locked"})
    sending = request.method not in SAFE
    with written(look_of(request)):
        wrong = _wrong(error.wrong) if error.wrong is not None else ""
    return render(
        request,
        "lock.html",
        status=401,
        place="",
        person=error.signed.actor.name,
        action=_whole_path(request) if sending else "/lock",
        back=_referer(request) if sending else _whole_path(request),
        kept=keeping.whole(error.fields) if sending else (),
        field=LOCK_FIELD if sending else "password",
        error=wrong,
    )


def _wrong(refusal: Refusal) -> str:
    if refusal.kind is RefusalKind.THROTTLED:
        return refused(refusal).happened
    return t("signin.wrong_password")


def _whole_path(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    if isinstance(error.__cause__, Refusal):  # a body that was stopped on its way
        return answer(request, error.__cause__)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return answer(request, missing("web.not_found"))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        refusal = invalid("web.method")
    else:
        refusal = invalid("web.request")
    if for_programs(request):
        return problem(refusal, error.status_code)
    return page(request, refusal, status=error.status_code)


def _unfit(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type
    first = error.errors()[0]
    return answer(request, invalid("web.form", field=str(first["loc"][-1])))


def _gone(_request: Request, _error: Exception) -> Response:
    """Whoever sent half a body and left; nobody reads this answer."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def _storage(request: Request, error: Exception) -> Response:
    """A full disk is told in words, with what was typed; any other trouble is a fault."""
    if not is_full(error):
        return _fault(request, error)
    _log.error("storage.full", path=_route(request))
    # a file may find no room before the fields beside it are known
    unread = request.method not in SAFE and not hasattr(request.state, "fields")
    code = "web.full_file" if unread and not for_programs(request) else "web.full"
    return answer(request, Refusal(RefusalKind.UNAVAILABLE, code))


def _route(request: Request) -> str:
    """The pattern of the address: what stands in its places may be a person's."""
    return str(getattr(request.scope.get("route"), "path", "none"))


def _fault(request: Request, error: Exception) -> Response:
    """A fault of the program: logged in full here, told in words there."""
    number = secrets.token_hex(4)
    _log.error("fault", number=number, path=_route(request), exc_info=error)
    refusal = Refusal(RefusalKind.UNAVAILABLE, "web.broken", number=number)
    if for_programs(request):
        return problem(refusal, HTTPStatus.INTERNAL_SERVER_ERROR)
    with written(look_of(request)):
        view = refused(refusal, request=request)
    # without the shell: what failed may be the shell
    request.state.signed = None
    answered = render(request, "error.html", status=500, refusal=view, place="")
    # this answer is given outside of the guard
    answered.headers.update({**HEADERS, "cache-control": "no-store"})
    return answered
