"""Bodies of exchanges: FHIR R4 message Bundles (hl7.org/fhir/R4/messaging.html).

A body is put together from resources that are each serialised once, by themselves; their bytes
stand in the Bundle unchanged, so that signatures over them hold wherever the Bundle goes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consortium.fhir import gate, systems
from consortium.fhir.bindings import check
from consortium.fhir.parts import (
    instant,
    json_bytes_of,
    json_of,
    json_part,
    parameters,
    parameters_of,
)
from consortium.kernel.errors import Refusal, RefusalKind, invalid, missing
from consortium.kernel.ids import new_id
from consortium.kernel.time import from_ms

__all__ = [
    "Message",
    "build",
    "instant",
    "json_bytes_of",
    "json_of",
    "json_part",
    "parameters",
    "parameters_of",
    "read",
    "references_of",
]

LIMIT_BYTES = 8 << 20
ENTRIES_MAX = 1_000

# a record that was asked for in part points to what stayed behind; these stay with their message
_INSIDE_ONLY = frozenset({"MessageHeader", "Bundle", "Parameters", "OperationOutcome", "Binary"})
_BUNDLE_KEYS = frozenset({"resourceType", "id", "type", "timestamp", "entry"})
_ENTRY_KEYS = frozenset({"fullUrl", "resource"})


@dataclass(frozen=True, slots=True)
class Message:
    """A body, read and checked. `resources` are all but the header, with their byte spans."""

    raw: bytes
    header: Mapping[str, Any]
    resources: tuple[Mapping[str, Any], ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def event(self) -> str:
        """The kind of exchange that the body says it is."""
        return str(self.header["eventCoding"]["code"])

    @property
    def exchange_id(self) -> str:
        return str(self.header["id"])

    @property
    def source(self) -> str:
        """The sending member's id."""
        return _member_of(self.header["source"]["endpoint"])

    @property
    def destinations(self) -> tuple[str, ...]:
        """Member ids that it names; none when it is for all."""
        return tuple(_member_of(one["endpoint"]) for one in self.header.get("destination", ()))

    @property
    def response_to(self) -> str:
        """The exchange that it answers, or an empty string."""
        return str(self.header.get("response", {}).get("identifier", ""))

    def bytes_of(self, number: int) -> bytes:
        """The bytes of `resources[number]` exactly as they stand in the body."""
        start, end = self.spans[number]
        return self.raw[start:end]

    def all(self, resource_type: str) -> list[Mapping[str, Any]]:
        """Every resource of a type, in order."""
        return [one for one in self.resources if one["resourceType"] == resource_type]

    def first(self, resource_type: str) -> Mapping[str, Any] | None:
        """The first resource of a type."""
        return next(iter(self.all(resource_type)), None)

    def one(self, resource_type: str) -> Mapping[str, Any]:
        """The only resource of a type. Raises Refusal `fhir.expected` for any other count."""
        found = self.all(resource_type)
        if len(found) != 1:
            raise invalid("fhir.expected", type=resource_type, count=len(found))
        return found[0]

    def original(self, resource: Mapping[str, Any]) -> bytes:
        """The bytes of a resource of this message, found by type and id."""
        for number, one in enumerate(self.resources):
            if _name(one) == _name(resource):
                return self.bytes_of(number)
        raise missing("fhir.expected", type=str(resource.get("resourceType", "")), count=0)


def build(
    event: str,
    *,
    source: str,
    destinations: Sequence[str],
    resources: Sequence[Mapping[str, Any] | bytes],
    exchange_id: str,
    now: datetime,
    focus: Sequence[str] | None = None,
    response_to: str = "",
) -> bytes:
    """The bytes of a message Bundle: MessageHeader first, then the resources in the order given.

    A dict is serialised once and gets an id if it has none; bytes stay as they are and must have
    one. `destinations` are member ids, empty when it is for all. `focus` are references; by default
    the first resource. `response_to` is the exchange that this one answers.

    Raises:
        Refusal: what `read` would raise at the recipient.
    """
    entries = [_entry(resource, now=now) for resource in resources]
    if focus is None:
        focus = [name for name, _raw in entries[:1]]
    header = gate.dump(
        _header(
            event,
            source=source,
            destinations=destinations,
            exchange_id=exchange_id,
            focus=focus,
            response_to=response_to,
        )
    )
    entries.insert(0, (f"MessageHeader/{exchange_id}", header))
    parts = [
        b'{"fullUrl":' + gate.dump(systems.BASE + name) + b',"resource":' + raw + b"}"
        for name, raw in entries
    ]
    shell = {
        "resourceType": "Bundle",
        "id": exchange_id,
        "type": "message",
        "timestamp": instant(now),
    }
    raw = gate.dump(shell)[:-1] + b',"entry":[' + b",".join(parts) + b"]}"
    read(raw, now=now)
    return raw


def read(raw: bytes, *, now: datetime, limit_bytes: int = LIMIT_BYTES) -> Message:
    """Read and check a body: gate, Bundle, every resource, full URLs, references.

    Raises:
        Refusal: `fhir.*` with `path`; see `gate.parse` and `bindings.check`.
    """
    bundle = gate.parse(raw, limit_bytes=limit_bytes)
    entries = _entries(bundle)
    spans = gate.entry_spans(raw)
    names = set()
    for number, entry in enumerate(entries):
        check_entry(entry["resource"], number=number, now=now)
        name = _full_url(entry, number)
        if name in names:
            raise invalid("fhir.full_url", path=f"Bundle.entry[{number}].fullUrl")
        names |= {name} | _inner_names(entry["resource"])
    header = entries[0]["resource"]
    _check_header(header, entries)
    for number, entry in enumerate(entries):
        _check_references(entry["resource"], names, path=f"Bundle.entry[{number}].resource")
    resources = tuple(entry["resource"] for entry in entries[1:])
    return Message(raw=raw, header=header, resources=resources, spans=tuple(spans[1:]))


def check_entry(resource: object, *, number: int, now: datetime) -> None:
    """`bindings.check` with the entry in the path."""
    try:
        check(resource, now=now)
    except Refusal as refusal:
        refusal.facts["path"] = f"Bundle.entry[{number}]:{refusal.facts.get('path', '')}"
        raise


def member_url(member: str) -> str:
    """The endpoint that stands for a member in a MessageHeader; nobody ever calls it."""
    return f"{systems.BASE}Organization/{member}"


def references_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every literal reference below a JSON value, with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "reference" and isinstance(inner, str):
                yield f"{path}.reference", inner
            else:
                yield from references_of(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from references_of(inner, f"{path}[{number}]")


def _header(
    event: str,
    *,
    source: str,
    destinations: Sequence[str],
    exchange_id: str,
    focus: Sequence[str],
    response_to: str,
) -> dict[str, Any]:
    header: dict[str, Any] = {
        "resourceType": "MessageHeader",
        "id": exchange_id,
        "eventCoding": {"system": systems.EVENT, "code": event},
    }
    if destinations:
        header["destination"] = [{"endpoint": member_url(one)} for one in destinations]
    header["source"] = {"endpoint": member_url(source)}
    if response_to:
        header["response"] = {"identifier": response_to, "code": "ok"}
    if focus:
        header["focus"] = [{"reference": one} for one in focus]
    return header


def _entry(resource: Mapping[str, Any] | bytes, *, now: datetime) -> tuple[str, bytes]:
    """Type/id and bytes of one resource."""
    if isinstance(resource, bytes):
        return _name(gate.parse(resource, limit_bytes=LIMIT_BYTES)), resource
    whole = dict(resource)
    if "id" not in whole:
        kind = whole.pop("resourceType", "")
        whole = {"resourceType": kind, "id": new_id(now), **whole}
    return _name(whole), gate.dump(whole)


def _name(resource: Any) -> str:
    if not isinstance(resource, Mapping) or "id" not in resource:
        raise invalid("fhir.required", path="id")
    return f"{resource.get('resourceType', '')}/{resource['id']}"


def _entries(bundle: Any) -> list[dict[str, Any]]:
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise invalid("fhir.bundle", path="Bundle")
    if bundle.get("type") != "message":
        raise invalid("fhir.bundle", path="Bundle.type")
    if not bundle.keys() <= _BUNDLE_KEYS:
        raise invalid("fhir.bundle", path="Bundle")
    entries = bundle.get("entry")
    if not isinstance(entries, list) or not entries:
        raise invalid("fhir.bundle", path="Bundle.entry")
    if len(entries) > ENTRIES_MAX:
        raise Refusal(
            RefusalKind.TOO_LARGE, "fhir.too_many", path="Bundle.entry", limit=ENTRIES_MAX
        )
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.keys() != _ENTRY_KEYS:
            raise invalid("fhir.bundle", path=f"Bundle.entry[{number}]")
    shell = {name: value for name, value in bundle.items() if name != "entry"}
    check(shell, now=from_ms(0))
    return entries


def _full_url(entry: Mapping[str, Any], number: int) -> str:
    """The name by which others refer to an entry: `Type/id`, or its `urn:uuid:`."""
    url, resource = entry["fullUrl"], entry["resource"]
    path = f"Bundle.entry[{number}].fullUrl"
    if not isinstance(url, str):
        raise invalid("fhir.full_url", path=path)
    if url == systems.BASE + _name(resource):
        return _name(resource)
    if url == f"urn:uuid:{resource['id']}":
        return url
    raise invalid("fhir.full_url", path=path)


def _check_header(header: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> None:
    kinds = [entry["resource"]["resourceType"] for entry in entries]
    if kinds[0] != "MessageHeader" or kinds.count("MessageHeader") != 1:
        raise invalid("fhir.bundle", path="Bundle.entry[0].resource")
    event = header.get("eventCoding", {})
    if event.get("system") != systems.EVENT or "code" not in event:
        raise invalid("fhir.required", path="MessageHeader.eventCoding")
    for one in (header["source"], *header.get("destination", ())):
        _member_of(one.get("endpoint", ""))


def _member_of(endpoint: str) -> str:
    prefix = member_url("")
    if not endpoint.startswith(prefix) or len(endpoint) == len(prefix):
        raise invalid("fhir.value", path="MessageHeader.endpoint")
    return endpoint.removeprefix(prefix)


def _inner_names(resource: Mapping[str, Any]) -> set[str]:
    """What the entries of a Bundle inside the message are called."""
    names = set()
    for entry in resource.get("entry", ()) if resource["resourceType"] == "Bundle" else ():
        names |= {entry.get("fullUrl", ""), _name(entry["resource"])}
    return names


def _check_references(resource: Mapping[str, Any], names: set[str], *, path: str) -> None:
    inner = {f"#{one['id']}" for one in resource.get("contained", ())} | {"#"}
    has_patient = any(name.startswith("Patient/") for name in names)
    for place, reference in references_of(resource):
        plain = reference.partition("/_history/")[0]
        kind = plain.partition("/")[0]
        if reference.startswith("#"):
            good = reference in inner
        elif plain in names:
            good = True
        elif kind == "Patient":
            # a message that holds a patient speaks of that one and no other
            good = not has_patient
        else:
            good = kind not in _INSIDE_ONLY and not reference.startswith("urn:uuid:")
        if not good:
            raise invalid("fhir.reference_open", path=path + place)
