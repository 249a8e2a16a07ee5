"""Records between members: whose patient it is, what a consent covers, what may leave. Pure.

A hospital answers a request by itself only when one patient matches by number and name and the
consent covers what is asked; all else is a person's decision (product.md, 5.6; PROTOCOL 3).
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from consortium.fhir.identity import number_text, same_name
from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal, conflict, forbidden
from consortium.kernel.time import ZONE, to_ms

Value = Mapping[str, Any]
TOPIC = "record"
MONTHS_MOST = 120
RELEASABLE: Final = (
    "AllergyIntolerance",
    "CarePlan",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "ImagingStudy",
    "Immunization",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Procedure",
)
"""Resource types that a request may name."""


class State(StrEnum):
    """States of a request on the ledger; SENT_BACK when the recipient could not take it."""

    SENT_BACK = "sent_back"
    REQUESTED = "requested"
    RELEASED = "released"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


ENDED = frozenset({State.REFUSED, State.WITHDRAWN})
"""States in which nobody acts any more; what was released can still be withdrawn."""


class Action(StrEnum):
    """What a member does with a request."""

    REQUEST = "request"
    RELEASE = "release"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


class Side(StrEnum):
    """Who asks, and who holds the records."""

    ASKER = "asker"
    HOLDER = "holder"


ASKERS: Final = frozenset({Role.TOWNSHIP_DOCTOR, Role.SPECIALIST})
"""Who may ask for records."""
DECIDERS: Final = ASKERS | {Role.CONSULT_DESK}
"""Who may let records go, or refuse to."""


class Basis(StrEnum):
    """On what a request stands (PROTOCOL 3)."""

    EXPLICIT = "explicit"
    EMERGENCY = "emergency"
    STATUTORY = "statutory"


class Reason(StrEnum):
    """Why records are not released."""

    NO_MATCH = "no_match"
    IDENTITY_CONFLICT = "identity_conflict"
    CONSENT = "consent"
    SCOPE = "scope"
    OTHER = "other"


class WithdrawReason(StrEnum):
    """Who brought the patient's word that a consent is withdrawn."""

    PATIENT = "patient"
    GUARDIAN = "guardian"
    MISTAKE = "mistake"


class By(StrEnum):
    """Who decided a release: the node by itself, or a person."""

    AUTO = "auto"
    PERSON = "person"


_BOTH = frozenset(Side)
RULES: Final[Mapping[tuple[State, Action], tuple[frozenset[Side], State]]] = MappingProxyType(
    {
        (State.REQUESTED, Action.RELEASE): (frozenset({Side.HOLDER}), State.RELEASED),
        (State.REQUESTED, Action.REFUSE): (frozenset({Side.HOLDER}), State.REFUSED),
        (State.REQUESTED, Action.WITHDRAW): (_BOTH, State.WITHDRAWN),
        (State.RELEASED, Action.WITHDRAW): (_BOTH, State.WITHDRAWN),
        (State.REFUSED, Action.WITHDRAW): (_BOTH, State.WITHDRAWN),
    }
)
"""The states x actions table; what it does not name is refused. A request opens a new case."""


def side_of(case: Value, member: str) -> Side | None:
    """The side of a member in a case, None for a stranger."""
    if member == case["asker"]:
        return Side.ASKER
    return Side.HOLDER if member == case["holder"] else None


def advance(case: Value, action: Action, *, member: str) -> State | Refusal:
    """The state after an action, or why not: `record.not_yours`, `record.state`."""
    side = side_of(case, member)
    if side is None:
        return forbidden("record.not_yours")
    rule = RULES.get((State(case["state"]), action))
    if rule is None:
        return conflict("record.state", state=case["state"])
    sides, new = rule
    return new if side in sides else forbidden("record.not_yours")


def opened(
    *,
    asker: str,
    holder: str,
    types: Sequence[str],
    basis: str,
    urgency: str,
    contract: str,
    version: int,
    time: datetime,
    answer: timedelta,
) -> dict[str, Any]:
    """The case of a request just admitted, with the common head of every case.

    `answer` is the time that the holder has; `types` bound what any release may hold.
    """
    return {
        "parties": sorted({asker, holder}),
        "state": State.REQUESTED.value,
        "turn": holder,
        "opened": to_ms(time),
        "due": to_ms(time + answer),
        "contract": contract,
        "version": version,
        "urgency": urgency,
        "prior": State.SENT_BACK.value,
        "topic": TOPIC,
        "asker": asker,
        "holder": holder,
        "consent": basis,
        "types": list(types),
    }


def answered(case: Value, new: State, *, more: bool = False) -> dict[str, Any]:
    """The case after an answer or a withdrawal; with `more`, further parts of a release follow."""
    if more:
        return {**case, "prior": case["state"]}
    return {**case, "prior": case["state"], "state": new.value, "turn": "", "due": None}


# ---------------------------------------------------------------- whose patient


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one person from another. Empty or None where it is not known."""

    number: str = ""
    name: str = ""
    birth: date | None = None
    sex: str = ""


class Match(StrEnum):
    """How near two identities are."""

    EXACT = "exact"
    CONFLICT = "conflict"
    POSSIBLE = "possible"
    NONE = "none"


def match(asked: Identity, held: Identity) -> Match:
    """Compare an identity that is asked for with one that is held.

    EXACT: one number and one name, and nothing known speaks against it. CONFLICT: the number with
    something else that differs, or name and birth date with another number. POSSIBLE: name and
    birth date where a number is missing.
    """
    one, other = number_text(asked.number), number_text(held.number)
    names = same_name(asked.name, held.name)
    births = asked.birth is not None and asked.birth == held.birth
    if one and one == other:
        return Match.EXACT if names and not _contradicts(asked, held) else Match.CONFLICT
    if not (names and births):
        return Match.NONE
    return Match.CONFLICT if one and other else Match.POSSIBLE


def strangers(asked: Identity, held: Identity) -> bool:
    """Whether two identities have nothing in common: no number, no name, no birth date.

    A person may know better than `match` that two are one, but not of these.
    """
    one, other = number_text(asked.number), number_text(held.number)
    births = asked.birth is not None and asked.birth == held.birth
    return not (one and one == other) and not same_name(asked.name, held.name) and not births


def _contradicts(asked: Identity, held: Identity) -> bool:
    births = asked.birth and held.birth and asked.birth != held.birth
    known = {"male", "female"}
    sexes = {asked.sex, held.sex} <= known and asked.sex != held.sex
    return bool(births) or sexes


# ---------------------------------------------------------------- what a consent covers


@dataclass(frozen=True, slots=True)
class Scope:
    """Types of resources and the half-open stretch of days, [start, end), that they lie in."""

    types: frozenset[str]
    start: datetime
    end: datetime

    def within(self, other: "Scope") -> bool:
        """Whether everything in this scope lies in the other."""
        return self.types <= other.types and other.start <= self.start and self.end <= other.end

    def cut(self, other: "Scope") -> "Scope":
        """What lies in both; no types when the stretches do not meet."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        if start >= end:
            return Scope(frozenset(), self.start, self.start)
        return Scope(self.types & other.types, start, end)


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent: its basis, what it covers, for whom and what purpose, until when it is valid."""

    basis: Basis
    scope: Scope
    party: str
    purpose: str
    until: datetime
    evidence: bool
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says: whom it is about, which days, on which consent, and why."""

    patient_id: str
    identity: Identity
    scope: Scope
    consent: Consent
    image: Mapping[str, Any] | None
    question: str
    author: str
    author_name: str


def covers(consent: Consent, asked: Scope, *, party: str, purpose: str, time: datetime) -> bool:
    """Whether a patient's own consent covers a request: types, days, party, purpose, validity.

    An emergency or a statutory basis never does: it names no will of the patient, so a person
    decides.
    """
    return (
        consent.basis is Basis.EXPLICIT
        and consent.evidence
        and not consent.withdrawn
        and time < consent.until
        and consent.party == party
        and consent.purpose == purpose
        and asked.within(consent.scope)
    )


def scope_of(asked: Scope, consent: Consent) -> Scope:
    """The most that may leave: what is asked for, and of it what an explicit consent covers."""
    if consent.withdrawn:
        return Scope(frozenset(), asked.start, asked.start)
    return asked.cut(consent.scope) if consent.basis is Basis.EXPLICIT else asked


class Why(StrEnum):
    """Why a request waits for a person."""

    NO_MATCH = "no_match"
    IDENTITY_CONFLICT = "identity_conflict"
    NOT_SURE = "not_sure"
    SEVERAL = "several"
    CONSENT = "consent"
    EMERGENCY = "emergency"
    NOT_SENT = "not_sent"
    TOO_MANY = "too_many"
    """More than one release may hold: a part of it would pass for all."""
    UNREADABLE = "unreadable"
    """The consent's picture is here and does not open."""
    PICTURE = "picture"
    """The consent's picture is still to come; then the node answers by itself."""


def decide(
    asked: Identity,
    held: Iterable[tuple[str, Identity]],
    *,
    covered: bool,
    basis: Basis,
) -> tuple[str, Why | None]:
    """(patient, None) when the node may answer by itself, else ("", why a person must).

    `held` are the patients that could be meant. One exact match answers only while no other
    patient bears the same number or the same name and birth date.
    """
    found = [(patient, match(asked, one)) for patient, one in held]
    near = [(patient, grade) for patient, grade in found if grade is not Match.NONE]
    if not near:
        return "", Why.NO_MATCH
    if any(grade is Match.CONFLICT for _, grade in near):
        return "", Why.IDENTITY_CONFLICT
    if len(near) > 1:
        return "", Why.SEVERAL
    patient, grade = near[0]
    if grade is Match.POSSIBLE:
        return "", Why.NOT_SURE
    if covered:
        return patient, None
    return "", Why.EMERGENCY if basis is Basis.EMERGENCY else Why.CONSENT


def asked_scope(types: Sequence[str], *, months: int, now: datetime) -> Scope:
    """The scope of a request made now: to the end of today, back over months of 30.4 days."""
    today = now.astimezone(ZONE).date()
    midnight = datetime(today.year, today.month, today.day, tzinfo=ZONE) + timedelta(days=1)
    end = midnight.astimezone(UTC)
    return Scope(frozenset(types), end - timedelta(days=round(months * 365 / 12)), end)


# ---------------------------------------------------------------- the consent's picture

_PNG, _JPEG, _PDF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%PDF-"
_TAIL = 1024


def opens(raw: bytes) -> bool:
    """Whether a picture of a consent is whole: a PNG, JPEG or PDF from its first mark to its last.

    What it shows only a person can say. PNG: w3.org/TR/png 5; JPEG: ITU-T T.81 B.1.1; PDF: ISO
    32000-1 7.5.5.
    """
    if raw.startswith(_PNG):
        return _png_opens(raw)
    if raw.startswith(_JPEG):
        return raw.rstrip(b"\0").endswith(b"\xff\xd9")
    return raw.startswith(_PDF) and b"%%EOF" in raw[-_TAIL:]


def _png_opens(raw: bytes) -> bool:
    """Whether every chunk bears its checksum, from the header to the end."""
    at, names = len(_PNG), list[bytes]()
    while at + 12 <= len(raw) and names[-1:] != [b"IEND"]:
        end = at + 8 + int.from_bytes(raw[at : at + 4])
        if zlib.crc32(raw[at + 4 : end]) != int.from_bytes(raw[end : end + 4].ljust(4, b"\0")):
            return False
        names.append(raw[at + 4 : at + 8])
        at = end + 4
    return at <= len(raw) and names[:1] == [b"IHDR"] and b"IDAT" in names and names[-1] == b"IEND"
