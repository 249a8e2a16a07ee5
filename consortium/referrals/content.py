"""What a referral says: the content of the form, as it is typed, sent, read and shown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

REQUIRED: Final = (
    "patient",
    "service",
    "urgency",
    "question",
    "diagnosis",
    "history",
    "consent",
    "signature",
)
"""The eight required fields, in the order of the form (product.md, required form)."""
EMERGENCY_NEEDS: Final = frozenset({"patient", "service", "urgency", "question", "signature"})
"""Of an emergency the rest may follow within 24 hours (product.md, 4.1)."""
QUESTION_MAX, DIAGNOSIS_MAX, HISTORY_MAX, LINE_MAX, NOTE_MAX = 500, 300, 4000, 300, 1000
PAPERS_MAX = 16

VITALS: Final[Mapping[str, tuple[int, int]]] = {
    "systolic": (40, 300),
    "diastolic": (20, 200),
    "pulse": (20, 300),
    "oxygen": (30, 100),
    "temperature": (25, 45),
    "glucose": (0, 60),
}
"""Vital signs of the form (names of fhir/clinical.VITALS): least and most that can be meant."""


@dataclass(frozen=True, slots=True)
class Vital:
    """A measured value: its number as text, so that 36.50 stays 36.50; `at` is a FHIR dateTime."""

    code: str
    value: str
    at: str = ""


def timed(vitals: Sequence[Vital], *, before: Sequence[Vital], at: str) -> tuple[Vital, ...]:
    """Vital signs each with the time of its measurement, as a FHIR dateTime.

    `before` are those that the form was shown with: a value left as it was keeps its time, and
    the form's one time is theirs, not that of a value typed over them. What is new and bears no
    time of its own was taken `at`. Both pressures are one measurement.
    """
    old = {one.code: one for one in before}
    shown = {one.at for one in before}
    changed = {
        _group(one) for one in vitals if one.code not in old or old[one.code].value != one.value
    }
    found = []
    for one in vitals:
        taken = one.at
        if not taken or taken in shown:
            taken = at if _group(one) in changed else old[one.code].at or at
        found.append(replace(one, at=taken))
    return tuple(found)


def _group(vital: Vital) -> str:
    return "pressure" if vital.code in ("systolic", "diastolic") else vital.code


@dataclass(frozen=True, slots=True)
class Paper:
    """A file that goes with the referral. `sealed` is the SHA-256 of its sealed bytes."""

    title: str
    content_type: str
    size: int
    sealed: str
    attachment: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that a referral form holds besides the patient."""

    service: str = ""
    urgency: str = ""
    question: str = ""
    diagnosis: str = ""
    diagnosis_code: str = ""
    history: str = ""
    medication: tuple[str, ...] = ()
    allergies: tuple[str, ...] = ()
    consent: str = ""
    consent_note: str = ""
    vitals: tuple[Vital, ...] = ()
    papers: tuple[Paper, ...] = ()

    def missing(self, *, patient: bool, signature: bool = True) -> list[str]:
        """Required fields that are empty, in the order of the form."""
        have = {"patient": patient, "signature": signature}
        needed = EMERGENCY_NEEDS if self.urgency == "emergency" else frozenset(REQUIRED)
        have |= {name: self.has(name) for name in REQUIRED[1:-1]}
        return [name for name in REQUIRED if name in needed and not have[name]]

    def filled(self) -> int:
        """How many of the eight required fields a signed request holds."""
        return 2 + sum(self.has(name) for name in REQUIRED[1:-1])

    def has(self, name: str) -> bool:
        """Whether a required field of the content is filled."""
        return bool(getattr(self, name))

    def json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return asdict(self)


def from_json(value: Mapping[str, Any]) -> Content:
    """Read what `json` gave."""
    return Content(
        **{
            **value,
            "medication": tuple(value.get("medication", ())),
            "allergies": tuple(value.get("allergies", ())),
            "vitals": tuple(Vital(**one) for one in value.get("vitals", ())),
            "papers": tuple(Paper(**one) for one in value.get("papers", ())),
        }
    )


@dataclass(frozen=True, slots=True)
class Note:
    """What an answer says besides its code: who wrote it, the words, when (UTC)."""

    author: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ReportText:
    """A specialist's report: what was found and done, and what the clinic should do next."""

    diagnosis: str
    findings: str
    advice: str
    author: str = ""

    @property
    def empty(self) -> bool:
        return not (self.diagnosis.strip() and self.findings.strip())
