"""Who a patient is and when two are the same. Pure.

Two entries are the same person by machine only when number and name are equal exactly; the same
number with another name or sex is never settled by itself (PROTOCOL 3; reliability.md 5, row 22).
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from consortium.fhir.identity import id_number, number_text, same_name
from consortium.fhir.primitives import birth_fault, bounds
from consortium.fhir.text import text_fault
from consortium.kernel.actor import PATIENT_READERS
from consortium.kernel.errors import invalid
from consortium.kernel.ids import PatientId

SEXES: Final = ("male", "female", "other", "unknown")
NUMBER_KINDS: Final = ("id_number", "social_card", "other")
NO_NUMBER_REASONS: Final = ("newborn", "not_at_hand", "lost", "foreign", "unknown_person")
LOCAL: Final = "local"
"""Kind of the number that the member itself gives."""
READERS: Final = PATIENT_READERS
NAME_MAX: Final = 100
TEXT_MAX: Final = 200

_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{3,28}[0-9]")
_OTHER_NUMBER = re.compile(r"[A-Z0-9]{4,32}")
_BIRTH = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a person types or reads from a card. `birth` is a FHIR date, partial where unsure."""

    name: str
    sex: str = ""
    birth: str = ""
    number: str = ""
    number_kind: str = "id_number"
    no_number_reason: str = ""
    phone: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient as the rooms above see one. `source` is the member whom it came from, or empty."""

    id: PatientId
    member: str
    local_number: str
    name: str
    sex: str
    birth: str
    number: str
    number_kind: str
    no_number_reason: str
    phone: str
    address: str
    source: str
    disputed_with: str
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str

    @property
    def born(self) -> date | None:
        """Day of birth, None when it is not known to the day."""
        return birth_date(self.birth)

    @property
    def number_tail(self) -> str:
        """The last four characters of the number: enough to tell two people apart on a screen."""
        return self.number[-4:]


class Match(StrEnum):
    """What an entry is to a patient who has the same number, or who looks alike."""

    SAME = "same"
    OTHER = "other"


def checked(entry: Entry, *, now: datetime) -> Entry:
    """The entry as it is kept: trimmed, number read, sex and birth filled in from the number.

    Raises:
        Refusal: `patients.name`, `patients.sex`, `patients.birth`, `patients.phone`,
            `patients.address`, `patients.number_kind`, `patients.number`,
            `patients.number_or_reason`, `patients.number_says_other` (fact `field`), or
            `identity.number`.
    """
    entry = replace(
        entry,
        name=_line(entry.name),
        birth=entry.birth.strip(),
        phone=_line(entry.phone),
        address=_line(entry.address),
    )
    if not 1 <= len(entry.name) <= NAME_MAX or not any(c.isalpha() for c in entry.name):
        raise invalid("patients.name")
    if entry.phone and _PHONE.fullmatch(entry.phone) is None:
        raise invalid("patients.phone")
    if len(entry.address) > TEXT_MAX:
        raise invalid("patients.address")
    if any(text_fault(text) for text in (entry.name, entry.address)):
        raise invalid("patients.name")
    entry = _numbered(entry, now=now) if entry.number.strip() else _unnumbered(entry)
    if entry.sex not in SEXES:
        raise invalid("patients.sex")
    _check_birth(entry, now=now)
    return entry


def match(entry: Entry, known: Patient) -> Match:
    """Whether an entry with the number of a known patient is that patient: name and sex are equal.

    A sex that is not known on one side contradicts nothing.
    """
    open_sex = {"unknown", ""}
    sex_fits = entry.sex == known.sex or entry.sex in open_sex or known.sex in open_sex
    return Match.SAME if sex_fits and same_name(entry.name, known.name) else Match.OTHER


def looks_like(entry: Entry, known: Patient) -> bool:
    """Whether an entry without a number may be a known patient: a person must decide."""
    births_fit = not entry.birth or not known.birth or _overlap(entry.birth, known.birth)
    return same_name(entry.name, known.name) and births_fit


def birth_date(birth: str) -> date | None:
    """The day of birth, None when it is not known to the day."""
    return date.fromisoformat(birth) if len(birth) == 10 else None


def _line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _numbered(entry: Entry, *, now: datetime) -> Entry:
    if entry.number_kind not in NUMBER_KINDS:
        raise invalid("patients.number_kind")
    if entry.number_kind != "id_number":
        number = number_text(entry.number)
        if _OTHER_NUMBER.fullmatch(number) is None:
            raise invalid("patients.number")
        return replace(entry, number=number, no_number_reason="")
    says = id_number(entry.number, now=now)
    if entry.sex in {"male", "female"} and entry.sex != says.sex:
        raise invalid("patients.number_says_other", field="sex")
    born = says.birth_date.isoformat()
    if entry.birth and not born.startswith(entry.birth):
        raise invalid("patients.number_says_other", field="birth")
    return replace(entry, number=says.number, sex=says.sex, birth=born, no_number_reason="")


def _unnumbered(entry: Entry) -> Entry:
    if entry.no_number_reason not in NO_NUMBER_REASONS:
        raise invalid("patients.number_or_reason")
    return replace(entry, number="", number_kind="")


def _check_birth(entry: Entry, *, now: datetime) -> None:
    if not entry.birth:
        # somebody who cannot be asked is treated all the same
        if entry.no_number_reason == "unknown_person":
            return
        raise invalid("patients.birth")
    try:
        fault = None if _BIRTH.fullmatch(entry.birth) else invalid("patients.birth")
        fault = fault or birth_fault(entry.birth, now=now)
    except ValueError:
        fault = invalid("patients.birth")
    if fault is not None:
        raise invalid("patients.birth")


def _overlap(one: str, other: str) -> bool:
    try:
        (start, end), (other_start, other_end) = bounds(one), bounds(other)
    except ValueError:  # typed, and no date
        return False
    return start < other_end and other_start < end


VITAL_LIMITS: Final[Mapping[str, tuple[Decimal, Decimal]]] = {
    "systolic": (Decimal(40), Decimal(300)),
    "diastolic": (Decimal(20), Decimal(200)),
    "pulse": (Decimal(20), Decimal(300)),
    "breathing": (Decimal(4), Decimal(90)),
    "temperature": (Decimal(30), Decimal(45)),
    "oxygen": (Decimal(30), Decimal(100)),
    "weight": (Decimal("0.3"), Decimal(400)),
    "height": (Decimal(20), Decimal(250)),
    "glucose": (Decimal("0.5"), Decimal(60)),
}
"""What can be measured in a living person; outside of it somebody mistyped."""


class FactKind(StrEnum):
    """What may be known of a patient now."""

    DIAGNOSIS = "diagnosis"
    VITAL = "vital"
    MEDICATION = "medication"
    ALLERGY = "allergy"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known.

    Of a vital `code` is its name and `text` the value with its digits; else `text` are the words
    and `code` an ICD-10 code or empty. An allergy with the code `none` says that none is known.
    """

    kind: FactKind
    text: str = ""
    code: str = ""


def checked_fact(fact: Fact) -> Fact:
    """The fact as it is kept.

    Raises:
        Refusal: `patients.fact` (empty, too long, control characters) or `patients.vital` (unknown
            or outside what can be measured), with `field`.
    """
    text, code = _line(fact.text), fact.code.strip()
    if fact.kind is FactKind.VITAL:
        return Fact(fact.kind, _vital_text(code, text), code)
    if fact.kind is FactKind.ALLERGY and code == "none":
        return Fact(fact.kind, "", code)
    if not 1 <= len(text) <= TEXT_MAX or len(code) > 32 or text_fault(text + code):
        raise invalid("patients.fact", field=fact.kind.value)
    return Fact(fact.kind, text, code)


def fact_key(fact: Fact) -> str:
    """What a newer fact takes the place of: the same vital, the same words."""
    if fact.kind is FactKind.VITAL or fact.code == "none":
        return fact.code
    return fact.text.casefold()


def _vital_text(name: str, text: str) -> str:
    if name not in VITAL_LIMITS:
        raise invalid("patients.vital", field="name")
    try:
        value = Decimal(unicodedata.normalize("NFKC", text))
    except InvalidOperation:
        raise invalid("patients.vital", field=name) from None
    low, high = VITAL_LIMITS[name]
    if not value.is_finite() or not low <= value <= high or len(text) > 8:
        raise invalid("patients.vital", field=name)
    return f"{value:f}"
