"""The referral form as it is typed: reading its fields, saying what is wrong with each. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from consortium.contracts.terms import SERVICES
from consortium.kernel.time import ZONE
from consortium.referrals.content import (
    DIAGNOSIS_MAX,
    HISTORY_MAX,
    LINE_MAX,
    PAPERS_MAX,
    QUESTION_MAX,
    VITALS,
    Content,
    Vital,
)
from consortium.referrals.model import CONSENTS, URGENCIES

LINES_MAX: Final = 20
_AHEAD: Final = timedelta(minutes=5)
_OLD: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Typed:
    """A form as read: content without its files, the target, and what is wrong by field."""

    content: Content
    provider: str
    papers: tuple[str, ...]
    errors: Mapping[str, str] = field(default_factory=dict)
    """Field name to a word key; a form with errors is not sent."""


def name(patient: str) -> str:
    """The name under which the draft of a form for a patient is kept."""
    return f"referral:{patient}"


def read(fields: Mapping[str, Any], *, now: datetime) -> Typed:
    """Read the fields of a form or of its draft; nothing typed is dropped in silence."""
    errors: dict[str, str] = {}
    provider, _, service = _text(fields, "target").partition("/")
    if not provider or service not in SERVICES:
        provider, service = "", ""
    urgency = _choice(fields, "urgency", URGENCIES)
    consent = _choice(fields, "consent", CONSENTS)
    if consent == "emergency" and urgency != "emergency":
        errors["consent"] = "referral.error.consent_emergency"
    content = Content(
        service=service,
        urgency=urgency,
        question=_long(fields, "question", QUESTION_MAX, errors),
        diagnosis=_long(fields, "diagnosis", DIAGNOSIS_MAX, errors),
        diagnosis_code=_icd(fields, errors),
        history=_long(fields, "history", HISTORY_MAX, errors),
        medication=_lines(fields, "medication", errors),
        allergies=_lines(fields, "allergies", errors),
        consent=consent,
        consent_note=_long(fields, "consent_note", LINE_MAX, errors),
        vitals=_vitals(fields, errors, now=now),
    )
    papers = tuple(dict.fromkeys(_many(fields, "paper")))
    if len(papers) > PAPERS_MAX:
        errors["paper"] = "referral.error.papers"
    return Typed(content, provider, papers[:PAPERS_MAX], errors)


def fields_of(content: Content, *, provider: str) -> dict[str, Any]:
    """The fields that `read` would read as this content."""
    found: dict[str, Any] = {
        "target": f"{provider}/{content.service}" if provider else "",
        "urgency": content.urgency,
        "question": content.question,
        "diagnosis": content.diagnosis,
        "diagnosis_code": content.diagnosis_code,
        "history": content.history,
        "medication": "\n".join(content.medication),
        "allergies": "\n".join(content.allergies),
        "consent": content.consent,
        "consent_note": content.consent_note,
        "paper": [one.sealed for one in content.papers],
    }
    for vital in content.vitals:
        found[vital.code] = vital.value
        if vital.at:
            found["vitals_at"] = vital.at
    return found


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if isinstance(value, list):
        value = value[-1] if value else ""
    return value.strip() if isinstance(value, str) else ""


def _many(fields: Mapping[str, Any], name: str) -> Sequence[str]:
    value = fields.get(name, [])
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and one]


def _choice(fields: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    value = _text(fields, name)
    return value if value in choices else ""


def _long(fields: Mapping[str, Any], name: str, most: int, errors: dict[str, str]) -> str:
    value = _text(fields, name).replace("\r\n", "\n")
    if len(value) > most:
        errors[name] = "referral.error.long"
    elif any(not (char.isprintable() or char == "\n") for char in value):
        errors[name] = "referral.error.characters"
    return value


def _icd(fields: Mapping[str, Any], errors: dict[str, str]) -> str:
    value = _text(fields, "diagnosis_code").upper()
    if not value:
        return ""
    plain = value.replace(".", "").replace("X", "")
    good = len(value) <= 10 and value[:1].isalpha() and plain.isalnum() and value.isascii()
    if not good or len(value) < 3 or not value[1:3].isdigit():
        errors["diagnosis_code"] = "referral.error.icd"
        return ""
    return value


def _lines(fields: Mapping[str, Any], name: str, errors: dict[str, str]) -> tuple[str, ...]:
    text = _long(fields, name, LINE_MAX * LINES_MAX, errors)
    lines = tuple(line for raw in text.split("\n") if (line := raw.strip()))
    if len(lines) > LINES_MAX or any(len(line) > LINE_MAX for line in lines):
        errors[name] = "referral.error.long"
    return lines


def _vitals(
    fields: Mapping[str, Any], errors: dict[str, str], *, now: datetime
) -> tuple[Vital, ...]:
    at = _taken(fields, errors, now=now)
    found = []
    for name, (least, most) in VITALS.items():
        value = _text(fields, name).replace("，", ".").replace(",", ".")
        if not value:
            continue
        try:
            number = Decimal(value)
        except InvalidOperation:
            errors[name] = "referral.error.number"
            continue
        whole = name in ("systolic", "diastolic")
        if not number.is_finite() or not least <= number <= most or len(value) > 6:
            errors[name] = f"referral.error.range_{name}"
        elif whole and number != int(number):
            errors[name] = "referral.error.number"
        else:
            found.append(Vital(name, str(int(number)) if whole else str(number), at))
    _check_pressure(found, errors)
    return tuple(found)


def _check_pressure(found: Sequence[Vital], errors: dict[str, str]) -> None:
    by_code = {one.code: int(one.value) for one in found if one.code.endswith("stolic")}
    if len(by_code) == 1:
        errors.setdefault("systolic", "referral.error.pressure_pair")
    elif len(by_code) == 2 and by_code["systolic"] <= by_code["diastolic"]:
        errors["systolic"] = "referral.error.pressure_order"


def _taken(fields: Mapping[str, Any], errors: dict[str, str], *, now: datetime) -> str:
    """When the vitals were taken; a time without a zone is the charter's, as a clock shows it."""
    text = _text(fields, "vitals_at")
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        errors["vitals_at"] = "referral.error.time"
        return ""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZONE)
    if not now - _OLD <= moment <= now + _AHEAD:
        errors["vitals_at"] = "referral.error.time"
    return stamp(moment)


def stamp(moment: datetime) -> str:
    """A moment as a vital sign bears it: a FHIR dateTime in the charter's zone."""
    return moment.astimezone(ZONE).isoformat(timespec="seconds")
