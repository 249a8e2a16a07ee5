"""Parts of a body that are no clinical resource: coded facts, and JSON of our own.

Facts travel as a FHIR Parameters resource, charters and contract terms as JSON in a Binary. The
sender writes them beside the clinical resources; every side derives the header's facts from here,
so that sender, hub and recipient cannot read them differently.
"""

import base64
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from consortium.fhir import gate, systems
from consortium.fhir.primitives import bounds
from consortium.kernel.errors import invalid
from consortium.kernel.time import from_ms, to_ms

if TYPE_CHECKING:
    from consortium.fhir.message import Message

FACTS = "facts"
_ITEM = "item"
_INT32 = 2**31
_INT_MAX = 2**53
_PART_NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_CAPITALS = ("Boolean", "Integer", "Decimal", "String", "DateTime", "Date")


def parameters(name: str = FACTS, /, **values: Any) -> dict[str, Any]:
    """A Parameters resource holding str, bool, int, Decimal, date, datetime, lists and dicts.

    None, empty texts, lists and dicts are left out: FHIR has no empty value. `name` tells several
    apart in one message. Raises TypeError for a float, ValueError for a whole number beyond 2^53.
    """
    out: dict[str, Any] = {
        "resourceType": "Parameters",
        "meta": {"tag": [{"system": systems.PART, "code": name}]},
    }
    if parts := _parts(values):
        out["parameter"] = parts
    return out


def parameters_of(message: "Message", name: str = FACTS) -> dict[str, Any]:
    """The values that `parameters` wrote: lists are lists, datetimes aware UTC.

    Raises:
        Refusal: `fhir.part` when there is not exactly one Parameters resource of this name.
    """
    found = tagged(message.all("Parameters"), name)
    return {one["name"]: _value_of(one) for one in found.get("parameter", ())}


def json_part(name: str, data: Any) -> dict[str, Any]:
    """A Binary that carries JSON of our own (charter, contract terms) under a name.

    `data` may hold what `gate.parse` gives: no float, whole numbers to 18 digits.
    """
    if _PART_NAME.fullmatch(name) is None:
        raise ValueError("a part's name is lower case, at most 64 characters")
    return {
        "resourceType": "Binary",
        "meta": {"tag": [{"system": systems.PART, "code": name}]},
        "contentType": "application/json",
        "data": base64.b64encode(gate.dump(data)).decode("ascii"),
    }


def json_of(message: "Message", name: str) -> Any:
    """The JSON of the part of this name.

    Raises:
        Refusal: `fhir.part` when it is not there exactly once, `fhir.*` when it is no strict JSON.
    """
    return gate.parse(json_bytes_of(message, name))


def json_bytes_of(message: "Message", name: str) -> bytes:
    """The bytes of the part of this name, as they were sent: what a hash is over."""
    found = tagged(message.all("Binary"), name)
    if found.get("contentType") != "application/json" or "data" not in found:
        raise invalid("fhir.part", part=name)
    return base64.b64decode(found["data"], validate=True)


def tagged(resources: Collection[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The one resource that carries the part name. Raises Refusal `fhir.part`."""
    found = [
        one
        for one in resources
        for tag in one.get("meta", {}).get("tag", ())
        if tag.get("system") == systems.PART and tag.get("code") == name
    ]
    if len(found) != 1:
        raise invalid("fhir.part", part=name)
    return found[0]


def instant(moment: datetime) -> str:
    """A FHIR instant in UTC with milliseconds."""
    return from_ms(to_ms(moment)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parts(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts = [_part(name, value) for name, value in values.items()]
    return [part for part in parts if part is not None]


def _part(name: str, value: Any) -> dict[str, Any] | None:
    if value is None or value in ("", [], (), {}):
        return None
    if isinstance(value, dict):
        if _ITEM in value:
            raise ValueError("a member named item would read as a list")
        inner = _parts(value)
        return {"name": name, "part": inner} if inner else None
    if isinstance(value, list | tuple):
        items = [part for one in value if (part := _part(_ITEM, one)) is not None]
        return {"name": name, "part": items} if items else None
    return {"name": name, **_scalar(value)}


def _scalar(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"valueBoolean": value}
        case int() if abs(value) < _INT32:
            return {"valueInteger": value}
        case int() if abs(value) < _INT_MAX:
            # FHIR's integer has 32 bits; a decimal carries the rest without loss
            return {"valueDecimal": value}
        case int():
            raise ValueError("a whole number beyond 2^53")
        case Decimal():
            return {"valueDecimal": value}
        case datetime():
            return {"valueDateTime": instant(value)}
        case date():
            return {"valueDate": value.isoformat()}
        case str():
            return {"valueString": value}
        case _:
            raise TypeError(f"no parameter of {type(value).__name__}")


def _value_of(part: Mapping[str, Any]) -> Any:
    if "part" in part:
        inner = part["part"]
        if all(one["name"] == _ITEM for one in inner):
            return [_value_of(one) for one in inner]
        return {one["name"]: _value_of(one) for one in inner}
    for kind in _CAPITALS:
        if f"value{kind}" in part:
            return _scalar_of(kind, part[f"value{kind}"])
    raise invalid("fhir.part", part=part["name"][:40])


def _scalar_of(kind: str, value: Any) -> Any:
    if kind == "DateTime":
        return bounds(value)[0]
    if kind == "Date":
        return bounds(value)[0].date() if len(value) < 10 else date.fromisoformat(value)
    return value
