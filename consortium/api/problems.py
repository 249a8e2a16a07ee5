"""Refusals at the FHIR door: OperationOutcome for every error, whoever made the answer.

Whatever refuses below `/fhir` (a room, the guard, a route that is not there) has been made into
problem details (RFC 9457) by the app; here they become OperationOutcome, in the language that the
client accepts, with the status that FHIR clients expect (research/reliability.md, 5).
"""

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consortium import words
from consortium.fhir import clinical, gate, systems
from consortium.kernel import log

_log = log.logger(__name__)

DOOR: Final = "/fhir/"
MEDIA: Final = "application/fhir+json; charset=utf-8"
PROBLEM: Final = "application/problem+json"

_STRUCTURE = (HTTPStatus.BAD_REQUEST, "structure")
_VALUE = (HTTPStatus.UNPROCESSABLE_ENTITY, "value")
ISSUES: Final[Mapping[str, tuple[HTTPStatus, str]]] = {
    "fhir.number": _STRUCTURE,
    "fhir.duplicate_key": _STRUCTURE,
    "fhir.encoding": _STRUCTURE,
    "fhir.syntax": _STRUCTURE,
    "fhir.nesting": _STRUCTURE,
    "fhir.integer": (HTTPStatus.BAD_REQUEST, "value"),
    "fhir.control": _VALUE,
    "fhir.value": _VALUE,
    "fhir.reference": _VALUE,
    "fhir.birth_date": _VALUE,
    "identity.number": _VALUE,
    "fhir.unknown_field": (HTTPStatus.UNPROCESSABLE_ENTITY, "structure"),
    "fhir.code": (HTTPStatus.UNPROCESSABLE_ENTITY, "code-invalid"),
    "fhir.required": (HTTPStatus.UNPROCESSABLE_ENTITY, "required"),
    "fhir.rule": (HTTPStatus.UNPROCESSABLE_ENTITY, "business-rule"),
    "fhir.narrative_active": (HTTPStatus.UNPROCESSABLE_ENTITY, "security"),
    "fhir.assignment": (HTTPStatus.UNPROCESSABLE_ENTITY, "security"),
    "fhir.size": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-long"),
    "fhir.too_many": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-costly"),
    "fhir.parameter": (HTTPStatus.BAD_REQUEST, "not-supported"),
    "fhir.parameter_value": (HTTPStatus.BAD_REQUEST, "value"),
    "fhir.no_such_type": (HTTPStatus.NOT_FOUND, "not-supported"),
    "fhir.format": (HTTPStatus.NOT_ACCEPTABLE, "not-supported"),
    "web.host": (HTTPStatus.FORBIDDEN, "security"),
    "web.origin": (HTTPStatus.FORBIDDEN, "security"),
    "web.method": (HTTPStatus.METHOD_NOT_ALLOWED, "not-supported"),
    "web.not_found": (HTTPStatus.NOT_FOUND, "not-found"),
    "web.control": _VALUE,
    "record.suppressed": (HTTPStatus.FORBIDDEN, "suppressed"),
    "web.full": (HTTPStatus.INSUFFICIENT_STORAGE, "no-store"),
}
"""Stable codes whose status or issue code is not that of their kind."""
_BY_STATUS: Final[Mapping[int, str]] = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    408: "timeout",
    409: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "invalid",
    429: "throttled",
    503: "transient",
}


def install(app: FastAPI) -> None:
    """Put the door's translation outside of everything else that answers."""
    app.add_middleware(Outcomes)


def outcome(problem: Mapping[str, Any], *, lang: str) -> tuple[int, bytes]:
    """Status and OperationOutcome of problem details with our `code` and `facts`."""
    code = str(problem.get("code", ""))
    facts: Mapping[str, Any] = problem.get("facts", {})
    status = int(problem["status"])
    status, issue = ISSUES.get(code, (status, _BY_STATUS.get(status, "exception")))
    made = clinical.operation_outcome(
        ("error", issue, _sentences(code, lang, facts)),
        path=str(facts.get("path", "")),
        system=systems.REFUSAL,
        details=code,
    )
    return int(status), gate.dump(made)


def language(accepted: str) -> words.Lang:
    """The first of our languages that an Accept-Language header names; Chinese without one."""
    wanted = []
    for place, item in enumerate(accepted.split(",")[:16]):
        tag, _, quality = item.strip().partition(";q=")
        weight = float(quality) if quality.replace(".", "", 1).isdecimal() else 1.0
        wanted.append((-weight, place, tag.lower()[:2]))
    known = [tag for weight, _place, tag in sorted(wanted) if weight and tag in words.LANGS]
    return "en" if known and known[0] == "en" else "zh"


class Outcomes:
    """Turns problem details below the FHIR door into OperationOutcome, and faults too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(DOOR):
            await self.app(scope, receive, send)
            return
        lang = language(Headers(scope=scope).get("accept-language", ""))
        answer = _Answer(send, lang)
        try:
            await self.app(scope, receive, answer.send)
        except Exception:
            # a door: the fault is logged by the app, which is given it again
            if not answer.started:
                number = secrets.token_hex(4)
                _log.error("fhir.fault", number=number)
                problem = {"status": 500, "code": "web.broken", "facts": {"number": number}}
                await _respond(problem, lang, {})(scope, receive, send)
            raise


class _Answer:
    """One answer on its way out: held back while it is problem details, passed on otherwise."""

    def __init__(self, send: Send, lang: words.Lang) -> None:
        self._send = send
        self._lang = lang
        self._held: Message | None = None
        self._body = bytearray()
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if MutableHeaders(scope=message).get("content-type", "").startswith(PROBLEM):
                self._held = message
                return
        if self._held is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._convert(self._held)

    async def _convert(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        kept = {
            name: value
            for name, value in headers.items()
            if name not in {"content-type", "content-length"}
        }
        response = _respond(json.loads(self._body), self._lang, kept)
        start["status"] = response.status_code
        start["headers"] = response.raw_headers
        await self._send(start)
        await self._send({"type": "http.response.body", "body": response.body})


def _respond(problem: Mapping[str, Any], lang: words.Lang, headers: Mapping[str, str]) -> Response:
    status, body = outcome(problem, lang=lang)
    more: dict[str, str] = {"content-language": lang}
    if status == HTTPStatus.UNAUTHORIZED:
        more["www-authenticate"] = 'Basic realm="FHIR", charset="UTF-8"'
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        more["retry-after"] = "600"
    return Response(body, status, {**headers, **more}, media_type=MEDIA)


def _sentences(code: str, lang: str, facts: Mapping[str, Any]) -> str:
    try:
        return " ".join(words.refusal(code, lang, **_said(facts)))
    except KeyError:
        # words may ask for a fact that was not brought along; the stable code says it all
        return code


def _said(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as words ask for them: a limit in bytes is said as a size."""
    limit = str(facts.get("limit", ""))
    size = f"{int(limit) / 1_000_000:.1f} MB" if limit.isdecimal() else ""
    return {"size": size, **facts}
