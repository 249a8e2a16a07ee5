"""Searches at the FHIR door: parameters read strictly, results page by page.

Strict always: a parameter that is not understood would silently widen a search
(hl7.org/fhir/R4/search.html#errors). Pages go on by the last id seen.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Final
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from consortium.fhir import gate
from consortium.fhir.face import Query, Resource, Resources
from consortium.kernel.actor import Actor
from consortium.kernel.errors import invalid
from consortium.kernel.paging import LIMIT_MAX

COUNT_DEFAULT: Final = 20
_WITHOUT_IDENTIFIER = frozenset({"AuditEvent", "Binary", "MessageHeader", "Provenance"})
_WITHOUT_PATIENT = frozenset(
    {"Binary", "Endpoint", "HealthcareService", "Location", "Medication", "MessageHeader"}
    | {"Organization", "Patient", "Practitioner", "PractitionerRole", "Schedule", "Slot"}
)
_PAGE: Final = frozenset({"_count", "_after", "_format"})
_ID_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")


def parameters(resource_type: str) -> dict[str, str]:
    """Search parameters of a type with their FHIR kinds; the table of routes and statement."""
    found = {"_id": "token"}
    if resource_type not in _WITHOUT_IDENTIFIER:
        found["identifier"] = "token"
    if resource_type not in _WITHOUT_PATIENT:
        found["patient"] = "reference"
    return found


def read(resource_type: str, given: Sequence[tuple[str, str]]) -> Query:
    """The query of a search.

    Raises:
        Refusal: `fhir.parameter` for one that is not known (or comes twice, or with a modifier),
            `fhir.parameter_value` for one that does not fit; fact `name`.
    """
    known = parameters(resource_type)
    values: dict[str, str] = {}
    for name, value in given:
        if name not in known and name not in _PAGE:
            raise invalid("fhir.parameter", name=_shown(name))
        if name in values or "," in value:
            # several values mean AND or OR; neither is offered here
            raise invalid("fhir.parameter", name=name)
        values[name] = value
    return Query(
        type=resource_type,
        id=_id(values, "_id"),
        patient=_id(values, "patient", prefix="Patient/"),
        identifier=_identifier(values),
        after=_id(values, "_after"),
        limit=_count(values),
    )


def search(
    session: Session,
    rooms: Sequence[Resources],
    query: Query,
    *,
    actor: Actor,
    now: datetime,
) -> tuple[list[Resource], bool]:
    """Resources of every room that has the type, by rising id; whether there are more."""
    asked = Query(
        type=query.type,
        id=query.id,
        patient=query.patient,
        identifier=query.identifier,
        after=query.after,
        limit=query.limit + 1,
    )
    found = [room(session, actor=actor, query=asked, now=now) for room in rooms]
    # a room may give no more than a page, and then cannot say whether there is another
    full = any(len(some) >= min(asked.limit, LIMIT_MAX) for some in found)
    merged = _merge(found)
    return merged[: query.limit], len(merged) > query.limit or (full and bool(merged))


def bundle(
    found: Iterable[Resource],
    *,
    base: str,
    given: Sequence[tuple[str, str]],
    query: Query,
    more: bool,
) -> bytes:
    """A searchset Bundle in which every resource stands with its original bytes."""
    rows = list(found)
    here = f"{base}/{query.type}"
    links = [{"relation": "self", "url": _url(here, given)}]
    if more and rows:
        kept = [(name, value) for name, value in given if name not in {"_after", "_count"}]
        onward = [*kept, ("_count", str(query.limit)), ("_after", rows[-1].id)]
        links.append({"relation": "next", "url": _url(here, onward)})
    shell: dict[str, object] = {"resourceType": "Bundle", "type": "searchset"}
    if not more and not query.after:
        shell["total"] = len(rows)
    shell["link"] = links
    if not rows:
        return gate.dump(shell)
    entries = b",".join(
        b'{"fullUrl":'
        + gate.dump(f"{base}/{one.type}/{one.id}")
        + b',"resource":'
        + one.raw
        + b',"search":{"mode":"match"}}'
        for one in rows
    )
    return gate.dump(shell)[:-1] + b',"entry":[' + entries + b"]}"


def is_id(text: str) -> bool:
    """Whether a text can be a resource's id."""
    return 1 <= len(text) <= 64 and _ID_CHARS.issuperset(text)


def _merge(found: Sequence[Sequence[Resource]]) -> list[Resource]:
    by_id = attrgetter("id")
    ordered = heapq.merge(*(sorted(some, key=by_id) for some in found), key=by_id)
    return [next(group) for _id, group in groupby(ordered, key=by_id)]


def _id(values: Mapping[str, str], name: str, *, prefix: str = "") -> str:
    if name not in values:
        return ""
    text = values[name].removeprefix(prefix)
    if not is_id(text):
        raise invalid("fhir.parameter_value", name=name)
    return text


def _identifier(values: Mapping[str, str]) -> tuple[str, str]:
    """`system|value` or `value`. A system alone, or a value of no system, is not offered."""
    if "identifier" not in values:
        return "", ""
    system, bar, value = values["identifier"].rpartition("|")
    if not value or (bar and not system) or len(value) > 256 or len(system) > 256:
        raise invalid("fhir.parameter_value", name="identifier")
    return system, value


def _count(values: Mapping[str, str]) -> int:
    text = values.get("_count", str(COUNT_DEFAULT))
    if not (text.isascii() and text.isdigit()) or int(text[:9]) < 1:
        raise invalid("fhir.parameter_value", name="_count")
    return min(int(text[:9]), LIMIT_MAX)


def _url(here: str, given: Sequence[tuple[str, str]]) -> str:
    return f"{here}?{urlencode(given)}" if given else here


def _shown(name: str) -> str:
    return name[:40] if name.isascii() and name.isprintable() else "?"
