"""Small FHIR data types as plain dicts; what is not given is left out."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from consortium.fhir import systems
from consortium.fhir.identity import pinyin
from consortium.kernel.time import ZONE


def resource(resource_type: str, *, id_: str, **elements: Any) -> dict[str, Any]:
    """A resource with these elements; None, empty texts, lists and dicts are left out.

    A name that ends in an underscore loses it (`for_`, `class_`).
    """
    return {"resourceType": resource_type, "id": id_, **kept(**elements)}


def kept(**elements: Any) -> dict[str, Any]:
    """An element of what is given, as `resource` does it."""
    return {
        name.removesuffix("_"): value
        for name, value in elements.items()
        if value is not None and value not in ("", [], {})
    }


def moment(at: datetime) -> str:
    """A FHIR dateTime or instant in the charter's zone, to the second."""
    return at.astimezone(ZONE).isoformat(timespec="seconds")


def day(value: date | str | None) -> str | None:
    """A FHIR date; a partial date comes as text (`1961`, `1961-05`)."""
    return value.isoformat() if isinstance(value, date) else value


def reference(name: str, *, display: str = "") -> dict[str, Any]:
    """A reference to `Type/id`."""
    return kept(reference=name, display=display)


def references(names: Sequence[str]) -> list[dict[str, Any]]:
    """A reference to each `Type/id`."""
    return [reference(name) for name in names]


def optional(name: str, *, display: str = "") -> dict[str, Any] | None:
    """A reference, or None for an empty name."""
    return reference(name, display=display) if name else None


def coding(system: str, code: str, *, display: str = "") -> dict[str, Any]:
    """One code of a system."""
    return kept(system=system, code=code, display=display)


def concept(*codings: Mapping[str, Any], text: str = "") -> dict[str, Any]:
    """A CodeableConcept of codings and the words that the author saw."""
    return kept(coding=[dict(one) for one in codings], text=text)


def identifier(system: str, value: str, *, use: str = "") -> dict[str, Any]:
    """A business identifier."""
    return kept(use=use, system=system, value=value)


def human_names(name: str) -> list[dict[str, Any]]:
    """A name as written and, for Chinese characters, its pinyin as a second one.

    iso21090-EN-representation: IDE ideographic, SYL syllabic. Family and given name are not split:
    only the person knows where (research/fhir.md, 5).
    """
    written: dict[str, Any] = {"use": "official", "text": name}
    if not any("\u3400" <= char <= "\u9fff" or char >= "\U00020000" for char in name):
        return [written]
    return [
        {"extension": [_representation("IDE")], **written},
        {"extension": [_representation("SYL")], "use": "official", "text": pinyin(name)},
    ]


def phone(number: str) -> list[dict[str, Any]]:
    """A telephone number, empty when there is none."""
    return [{"system": "phone", "value": number}] if number else []


def address(text: str) -> list[dict[str, Any]]:
    """A postal address in one line, empty when there is none."""
    return [{"text": text, "country": "CN"}] if text else []


def note(text: str) -> list[dict[str, Any]]:
    """An annotation, empty when there is none."""
    return [{"text": text}] if text else []


def period(start: datetime | None, end: datetime | None) -> dict[str, Any]:
    """A period; an open end is left out."""
    return kept(start=moment(start) if start else None, end=moment(end) if end else None)


def quantity(value: Decimal | int, unit: str, *, code: str) -> dict[str, Any]:
    """A measured value with its UCUM unit. The value's digits are kept as given."""
    return {"value": value, "unit": unit, "system": systems.UCUM, "code": code}


def _representation(code: str) -> dict[str, Any]:
    return {"url": systems.ISO_PINYIN, "valueCode": code}
