"""The FHIR R4 door: what rooms offer (`consortium.fhir.face`), read and searched over HTTP.

Read-only. The original bytes go out as they were kept; version and time go into the headers. What
an actor may not see answers as if it were not there.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response

from consortium.api import fhir_query, fhir_statement, problems
from consortium.api.fhir_access import Access, Browser
from consortium.api.node import ApiNode
from consortium.fhir.face import Query, Resource, Resources
from consortium.kernel.errors import Refusal, RefusalKind, invalid, missing

ROOT: Final = "/fhir/R4"
Table = Mapping[str, Sequence[Resources]]
"""Resource type to the rooms that have some."""

router = APIRouter(prefix=ROOT, include_in_schema=False)
_JSON = re.compile(r"json|\*/\*|application/\*|text/json", re.IGNORECASE)


def install(app: FastAPI, node: ApiNode, *, table: Table, browser: Browser) -> None:
    """Open the door on an app: routes, and OperationOutcome for every error below it."""
    app.state.fhir_table = table
    app.state.fhir_access = Access(node.database, browser=browser)
    app.state.fhir_started = node.clock.now()
    app.include_router(router)
    problems.install(app)


@router.get("/metadata")
def metadata(request: Request) -> Response:
    """The CapabilityStatement; needs no sign-in, as FHIR wants it."""
    _check_format(request)
    state = request.app.state
    raw = fhir_statement.statement(
        state.fhir_table,
        base=_base(request),
        version=version("sharing-chain"),
        started=state.fhir_started,
    )
    return Response(raw, media_type=problems.MEDIA)


@router.get("/{resource_type}")
def search(request: Request, resource_type: str) -> Response:
    """A searchset Bundle, at most 100 resources and a link to the next."""
    _check_format(request)
    rooms = _rooms(request, resource_type)
    given = request.query_params.multi_items()
    query = fhir_query.read(resource_type, given)
    node: ApiNode = request.app.state.node
    now = node.clock.now()
    actor = request.app.state.fhir_access.actor(request, now=now)
    # writing, since reading is counted and audited
    with node.database.write() as session:
        found, more = fhir_query.search(session, rooms, query, actor=actor, now=now)
    raw = fhir_query.bundle(found, base=_base(request), given=given, query=query, more=more)
    return Response(raw, media_type=problems.MEDIA)


@router.get("/{resource_type}/{resource_id}")
def read(request: Request, resource_type: str, resource_id: str) -> Response:
    """One resource with ETag and Last-Modified; 304 when the client has it already."""
    _check_format(request)
    rooms = _rooms(request, resource_type)
    if not fhir_query.is_id(resource_id):
        raise invalid("fhir.value", path="id")
    if unknown := set(request.query_params) - {"_format"}:
        raise invalid("fhir.parameter", name=min(unknown)[:40])
    node: ApiNode = request.app.state.node
    now = node.clock.now()
    actor = request.app.state.fhir_access.actor(request, now=now)
    query = Query(resource_type, id=resource_id, limit=1)
    with node.database.write() as session:
        found, _more = fhir_query.search(session, rooms, query, actor=actor, now=now)
    if not found:
        raise missing("fhir.not_found")
    one = found[0]
    headers = {
        "etag": f'W/"{one.version}"',
        "last-modified": format_datetime(one.updated.astimezone(UTC), usegmt=True),
    }
    if _has_it(request, one, headers["etag"]):
        return Response(status_code=304, headers=headers)
    return Response(one.raw, headers=headers, media_type=problems.MEDIA)


def _rooms(request: Request, resource_type: str) -> Sequence[Resources]:
    table: Table = request.app.state.fhir_table
    rooms = table.get(resource_type)
    if rooms is None:
        raise missing("fhir.no_such_type")
    return rooms


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{ROOT}"


def _check_format(request: Request) -> None:
    """JSON is all that is spoken here; `_format` wins over Accept."""
    wanted = request.query_params.get("_format") or request.headers.get("accept") or "*/*"
    if not _JSON.search(wanted):
        raise Refusal(RefusalKind.UNSUPPORTED, "fhir.format")


def _has_it(request: Request, one: Resource, etag: str) -> bool:
    """If-None-Match, or else If-Modified-Since (RFC 9110, 13.1)."""
    if known := request.headers.get("if-none-match"):
        return known.strip() == "*" or etag in (part.strip() for part in known.split(","))
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except ValueError:
        return False
    return since.tzinfo is not None and _whole_second(one.updated) <= since


def _whole_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
