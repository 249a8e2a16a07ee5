"""The patients room in FHIR: building and reading Patient resources, and the door's search."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium.fhir import systems, types
from consortium.fhir.face import Query, Resource
from consortium.kernel.actor import Actor
from consortium.patients import looks, model, store
from consortium.patients.model import Entry

_SYSTEMS = {
    "id_number": systems.ID_NUMBER,
    "social_card": systems.SOCIAL_CARD,
    "other": systems.OTHER_NUMBER,
    model.LOCAL: systems.LOCAL_NUMBER,
}
_KINDS = {system: kind for kind, system in _SYSTEMS.items()}
_IDE = {"url": systems.ISO_PINYIN, "valueCode": "IDE"}


def resource_of(entry: Entry, *, patient: str, member: str, local_number: str) -> dict[str, Any]:
    """The Patient resource of an entry."""
    return types.patient(
        id_=patient,
        name=entry.name,
        sex=entry.sex,
        birth_date=entry.birth,
        number=entry.number,
        number_system=_SYSTEMS[entry.number_kind or "id_number"],
        local_number=local_number,
        member=member,
        phone_number=entry.phone,
        address_text=entry.address,
        no_number_reason=entry.no_number_reason,
    )


def entry_of(resource: Mapping[str, Any]) -> Entry:
    """What a Patient resource says, as a person would type it; not yet checked."""
    kind, number = _number(resource)
    return Entry(
        name=_name(resource),
        sex=str(resource.get("gender", "unknown")),
        birth=str(resource.get("birthDate", "")),
        number=number,
        number_kind=kind,
        no_number_reason="" if number else _reason(resource),
        phone=_phone(resource),
        address=_address(resource),
    )


def resources(session: Session, *, actor: Actor, query: Query, now: datetime) -> Sequence[Resource]:
    """Patients of the actor's member for the FHIR door (`consortium.fhir.face.Resources`).

    Raises:
        Refusal: `patients.too_many_looks`.
    """
    if not actor.may(*model.READERS):
        return []
    looks.count(session, actor=actor, now=now)
    system, value = query.identifier
    found = store.listed(
        session,
        member=actor.member,
        patient=query.id or query.patient,
        numbers=(_KINDS.get(system, "none") if system else "", value) if value else None,
        after=query.after,
        limit=query.limit,
    )
    for one, _raw in found:
        looks.record(session, actor, "patients.view", one, now=now)
    return [Resource("Patient", one.id, one.version, one.updated_at, raw) for one, raw in found]


def _number(resource: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and number of the identifier that says most, or two empty texts."""
    held = {
        _KINDS[one["system"]]: one["value"]
        for one in resource.get("identifier", ())
        if one.get("system") in _KINDS and "value" in one and one.get("use") != "old"
    }
    for kind in model.NUMBER_KINDS:
        if kind in held:
            return kind, held[kind]
    return "", ""


def _name(resource: Mapping[str, Any]) -> str:
    """The name as written: the one marked ideographic, else the official one, else the first."""
    names = [one for one in resource.get("name", ()) if one.get("use") != "old"]
    marked = [one for one in names if _IDE in one.get("extension", ())]
    official = [one for one in names if one.get("use") == "official"]
    for one in (*marked, *official, *names):
        parts = (*one.get("given", ()), one.get("family"))
        if text := one.get("text") or " ".join(part for part in parts if part):
            return str(text)
    return ""


def _reason(resource: Mapping[str, Any]) -> str:
    for one in resource.get("extension", ()):
        if one.get("url") == systems.NO_NUMBER_REASON:
            return str(one.get("valueCode", ""))
    return "not_at_hand"


def _phone(resource: Mapping[str, Any]) -> str:
    for one in resource.get("telecom", ()):
        if one.get("system") in {"phone", "sms"} and "value" in one:
            return str(one["value"])
    return ""


def _address(resource: Mapping[str, Any]) -> str:
    for one in resource.get("address", ()):
        parts = (one.get("state"), one.get("city"), one.get("district"), *one.get("line", ()))
        return str(one.get("text") or "".join(part for part in parts if part))
    return ""
