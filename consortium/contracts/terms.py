"""Terms of a contract as data, schema `terms/1`: read strictly, written one way only.

Two forms of the same terms. The **document** is what people sign: JSON with names of fields, kept
in the open body. The **tree** is what the fold keeps: short lists of codes and numbers that fit
the 4 KiB of facts even with 40 services. Either form gives the other, except for the title.

Clauses have numbers that never change while a contract lives: a service keeps its own number, so
that `Q3` means the same quota before and after service 2 was struck out.
"""

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.time import ZONE, from_ms, to_ms

SCHEMA = "terms/1"
SERVICES_MAX = 40
PARTIES_MAX = 16
TITLE_MAX = 80
NUMBER_MAX = 999
TREE_MAX_BYTES = 3072
"""Leaves a quarter of the 4 KiB of facts to parties, hash and ids (PROTOCOL 3)."""

URGENCIES = ("routine", "urgent", "emergency")
KINDS = ("referral", "teleconsult")
SERVICES = (
    "cardiology",
    "neurology",
    "endocrinology",
    "orthopedics",
    "nephrology",
    "respiratory",
    "gynecology",
    "pediatrics",
)
TYPES = (
    "Patient",
    "Condition",
    "Observation",
    "AllergyIntolerance",
    "MedicationStatement",
    "MedicationRequest",
    "Immunization",
    "Procedure",
    "Encounter",
    "DiagnosticReport",
    "ImagingStudy",
    "DocumentReference",
    "CarePlan",
    "ServiceRequest",
    "FamilyMemberHistory",
)
"""FHIR R4 resource types that one member may hold for another's patient (hl7.org/fhir/R4)."""
PURPOSES = ("TREAT", "ETREAT", "CAREMGT", "HOPERAT", "PUBHLTH", "HRESCH")
"""Purposes of use, HL7 v3 ActReason (terminology.hl7.org, PurposeOfUse)."""

_TAG = b"sharing-chain/terms/1\0"
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FIELDS = frozenset(
    ("schema", "title", "parties", "services", "types", "purposes", "from", "until", "notice_days")
)
_SERVICE_FIELDS = frozenset(
    ("no", "code", "kind", "provider", "taker", "quota_month", "urgencies", "answer_min")
)


@dataclass(frozen=True, slots=True)
class Service:
    """One thing that `taker` may ask of `provider`: quota a calendar month, answers in minutes."""

    no: int
    code: str
    kind: str
    provider: str
    taker: str
    quota_month: int
    urgencies: tuple[str, ...]
    answer_min: Mapping[str, int] = field(hash=False)

    def clause(self, letter: str) -> str:
        """The number of its clause: `S` service, `Q` quota, `U` urgencies, `A` time to answer."""
        return f"{letter}{self.no}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the machine reads; the span is half-open in ms of ledger time, None an open end."""

    parties: tuple[str, ...]
    services: tuple[Service, ...]
    types: tuple[str, ...]
    purposes: tuple[str, ...]
    start_ms: int | None = None
    end_ms: int | None = None
    notice_days: int = 30

    def service(self, *, code: str, kind: str, taker: str, provider: str) -> Service | None:
        """The line that covers this service in this direction."""
        wanted = (code, kind, taker, provider)
        for one in self.services:
            if (one.code, one.kind, one.taker, one.provider) == wanted:
                return one
        return None


def parse(document: object) -> tuple[str, Terms]:
    """Read the document form: the title and the terms.

    Raises:
        Refusal: `contract.terms` with the `field` that is missing, unknown or of a wrong shape.
            Contradictions between well-formed fields are `model.lint`'s.
    """
    doc = _object(document, "terms", _FIELDS)
    if doc.get("schema") != SCHEMA:
        raise _bad("schema")
    title = doc.get("title")
    if not isinstance(title, str) or not title.strip() or len(title) > TITLE_MAX:
        raise _bad("title")
    if not title.isprintable():
        raise _bad("title")
    parties = _codes(doc.get("parties"), "parties", most=PARTIES_MAX)
    rows = doc.get("services")
    if not isinstance(rows, list) or len(rows) > SERVICES_MAX:
        raise _bad("services")
    start, last = _day(doc.get("from"), "from"), _day(doc.get("until"), "until")
    return title.strip(), Terms(
        parties=parties,
        services=_numbered(rows),
        types=_codes(doc.get("types"), "types", most=len(TYPES), among=TYPES),
        purposes=_codes(doc.get("purposes"), "purposes", most=len(PURPOSES), among=PURPOSES),
        start_ms=None if start is None else _midnight_ms(start),
        end_ms=None if last is None else _midnight_ms(last + timedelta(days=1)),
        notice_days=_int(doc.get("notice_days"), "notice_days", most=366),
    )


def document(title: str, terms: Terms) -> dict[str, Any]:
    """The document form; `parse` gives the same title and terms back."""
    return {
        "schema": SCHEMA,
        "title": title,
        "parties": list(terms.parties),
        "services": [
            {
                "no": one.no,
                "code": one.code,
                "kind": one.kind,
                "provider": one.provider,
                "taker": one.taker,
                "quota_month": one.quota_month,
                "urgencies": list(one.urgencies),
                "answer_min": dict(one.answer_min),
            }
            for one in terms.services
        ],
        "types": list(terms.types),
        "purposes": list(terms.purposes),
        "from": day_text(terms.start_ms),
        "until": day_text(terms.end_ms, last=True),
        "notice_days": terms.notice_days,
    }


def canonical(doc: Mapping[str, Any]) -> bytes:
    """The one way to write a document: sorted members, no spaces, UTF-8."""
    return json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(written: bytes) -> str:
    """What every party signs: SHA-256 of a domain tag and the document as written, base64url."""
    raw = hashlib.sha256(_TAG + written).digest()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def tree(terms: Terms) -> dict[str, Any]:
    """The form that facts and shared state hold; parties are numbers of the list of parties."""
    at = {member: number for number, member in enumerate(terms.parties)}
    return {
        "s": [
            [
                one.no,
                one.code,
                one.kind[0],
                at[one.taker],
                at[one.provider],
                one.quota_month,
                [u[0] for u in one.urgencies],
                [one.answer_min[u] for u in one.urgencies],
            ]
            for one in terms.services
        ],
        "t": list(terms.types),
        "p": list(terms.purposes),
        "d": [terms.start_ms, terms.end_ms],
        "n": terms.notice_days,
    }


def from_tree(parties: Sequence[str], value: Mapping[str, Any]) -> Terms:
    """Read the tree form of an entry that was admitted, or is to be judged.

    Raises:
        Refusal: `contract.terms` when it is not what `tree` writes.
    """
    try:
        start_ms, end_ms = value["d"]
        services = tuple(_from_row(parties, row) for row in value["s"])
        terms = Terms(
            parties=tuple(parties),
            services=services,
            types=tuple(value["t"]),
            purposes=tuple(value["p"]),
            start_ms=start_ms,
            end_ms=end_ms,
            notice_days=value["n"],
        )
        again = tree(terms)
        _, whole = parse(document("-", terms))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        raise _bad("tree") from None
    if again != value or whole != terms:
        raise _bad("tree")
    return terms


def answer_in(
    parties: Sequence[str], value: Mapping[str, Any], *, line: tuple[str, str, str, str]
) -> Mapping[str, int]:
    """Minutes to answer by urgency of a service's line, read in the tree form in place.

    Equal to `from_tree(...).service(...).answer_min` of terms that were admitted, without reading
    them all: it is asked under the lock of the ledger's head. Empty where no line covers it.

    Args:
        line: code, kind, taker and provider of the service.
    """
    code, kind, taker, provider = line
    if taker not in parties or provider not in parties:
        return {}
    wanted = [code, kind[0], parties.index(taker), parties.index(provider)]
    for row in value["s"]:
        if row[1:5] == wanted:
            return {_SHORT_URGENCY[u]: minutes for u, minutes in zip(row[6], row[7], strict=True)}
    return {}


def tree_bytes(terms: Terms) -> int:
    """Size of the tree as facts carry it."""
    return len(canonical(tree(terms)))


def day_text(moment_ms: int | None, *, last: bool = False) -> str | None:
    """The day in the charter's zone on which a span starts, or (`last`) its last whole day."""
    if moment_ms is None:
        return None
    moment = from_ms(moment_ms) - (timedelta(milliseconds=1) if last else timedelta())
    return moment.astimezone(ZONE).date().isoformat()


def _from_row(parties: Sequence[str], row: Sequence[Any]) -> Service:
    no, code, kind, taker, provider, quota, urgencies, answers = row
    names = [_SHORT_URGENCY[letter] for letter in urgencies]
    if min(taker, provider) < 0:
        raise ValueError(row)
    return Service(
        no=no,
        code=code,
        kind=_SHORT_KIND[kind],
        taker=parties[taker],
        provider=parties[provider],
        quota_month=quota,
        urgencies=tuple(names),
        answer_min=dict(zip(names, answers, strict=True)),
    )


_SHORT_URGENCY = {name[0]: name for name in URGENCIES}
_SHORT_KIND = {name[0]: name for name in KINDS}


def _numbered(rows: list[Any]) -> tuple[Service, ...]:
    """Give a number to lines that have none: after the highest, never one that was used here."""
    objects = [_object(row, f"services.{n}", _SERVICE_FIELDS) for n, row in enumerate(rows, 1)]
    numbers = [row["no"] for row in objects if row.get("no") is not None]
    for n, row in enumerate(objects, 1):
        if row.get("no") is not None:
            _int(row["no"], f"services.{n}.no", least=1, most=NUMBER_MAX)
    if len(set(numbers)) != len(numbers):
        raise _bad("services.no")
    following = max(numbers, default=0) + 1
    out = []
    for n, row in enumerate(objects, 1):
        number = row.get("no")
        if number is None:
            number, following = following, following + 1
        out.append(_service(row, n, no=number))
    return tuple(sorted(out, key=lambda one: one.no))


def _service(row: Mapping[str, Any], n: int, *, no: int) -> Service:
    at = f"services.{n}"
    urgencies = _codes(row.get("urgencies"), f"{at}.urgencies", most=3, among=URGENCIES)
    answers = row.get("answer_min")
    if not isinstance(answers, Mapping) or not all(key in URGENCIES for key in answers):
        raise _bad(f"{at}.answer_min")
    if missing := [name for name in urgencies if name not in answers]:
        raise _bad(f"{at}.answer_min.{missing[0]}")
    return Service(
        no=_int(no, f"{at}.no", least=1, most=NUMBER_MAX),
        code=_code(row.get("code"), f"{at}.code"),
        kind=_code(row.get("kind"), f"{at}.kind", among=KINDS),
        provider=_code(row.get("provider"), f"{at}.provider"),
        taker=_code(row.get("taker"), f"{at}.taker"),
        quota_month=_int(row.get("quota_month"), f"{at}.quota_month", most=100_000),
        urgencies=tuple(sorted(urgencies, key=URGENCIES.index)),
        answer_min={
            name: _int(answers[name], f"{at}.answer_min.{name}", most=1_000_000)
            for name in URGENCIES
            if name in urgencies
        },
    )


def _bad(at: str) -> Refusal:
    return invalid("contract.terms", field=at)


def _object(value: object, at: str, fields: Iterable[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _bad(at)
    for name in value:
        if name not in fields:
            raise _bad(f"{at}.{str(name)[:40]}")
    return value


def _code(value: object, at: str, *, among: Sequence[str] = ()) -> str:
    if not isinstance(value, str) or _CODE.fullmatch(value) is None:
        raise _bad(at)
    if among and value not in among:
        raise _bad(at)
    return value


def _codes(value: object, at: str, *, most: int, among: Sequence[str] = ()) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > most:
        raise _bad(at)
    found = tuple(_code(one, at, among=among) for one in value)
    if len(set(found)) != len(found):
        raise _bad(at)
    return tuple(sorted(found, key=among.index)) if among else found


def _int(value: object, at: str, *, least: int = 0, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _bad(at)
    return value


def _day(value: object, at: str) -> date | None:
    if value is None:
        return None
    if not isinstance(value, str) or re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is None:
        raise _bad(at)
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise _bad(at) from None
    if not 2000 <= day.year <= 2200:
        raise _bad(at)
    return day


def _midnight_ms(day: date) -> int:
    return to_ms(datetime.combine(day, time(), tzinfo=ZONE).astimezone(UTC))
