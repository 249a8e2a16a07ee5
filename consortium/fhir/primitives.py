"""FHIR primitives: whether a JSON value is what its type allows (hl7.org/fhir/R4/datatypes.html).

fhir.resources takes "true" for a boolean, ids of 255 characters and any text for a reference; what
R4 says is checked here. Answers are refusals without a path, for the walk to name.
"""

import base64
import binascii
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from consortium.fhir.narrative import narrative_fault
from consortium.fhir.text import text_fault
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.time import ZONE

STRING_MAX = 16_384
MARKDOWN_MAX = 65_536
SHORT_MAX = 500
URI_MAX = 2_048
BIRTH_YEAR_MIN = 1880

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CODE = re.compile(r"[^\s]+(?: [^\s]+)*")
_URI = re.compile(r"\S+")
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
_SCHEMES_REFUSED = frozenset({"javascript", "vbscript", "data", "file", "blob", "ftp", "jar"})
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RELATIVE = re.compile(
    r"([A-Z][A-Za-z]{2,40})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
_FRAGMENT = re.compile(r"#(?:[A-Za-z0-9\-.]{1,64})?")
_MIME = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}(?:; ?[\x20-\x7e]{1,80})?"
)
_CURRENCY = re.compile(r"[A-Z]{3}")
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?")
_ZONE = re.compile(r"Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)")
# local times of any zone
_FIRST, _LAST, _END = (datetime(*day) for day in ((1, 1, 2), (9999, 12, 30), (9999, 12, 31)))  # noqa: DTZ001
_INTEGERS = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}
_URIS = frozenset({"uri", "url", "canonical", "oid", "uuid"})
_MIMES = frozenset(
    {
        "Attachment.contentType",
        "Binary.contentType",
        "Signature.sigFormat",
        "Signature.targetFormat",
        "Endpoint.payloadMimeType",
    }
)
_SHORT = frozenset({"HumanName", "Address", "ContactPoint", "Identifier", "Coding"})


def primitive_fault(kind: str, value: object, *, where: str) -> Refusal | None:
    """Why a value is not a `kind`, or None when it is.

    `where` is the model class and element (`Attachment.contentType`); some have tighter rules.
    """
    if kind == "boolean":
        return None if isinstance(value, bool) else invalid("fhir.type")
    if kind in _INTEGERS:
        return _integer_fault(kind, value)
    if kind == "decimal":
        return (
            None
            if isinstance(value, int | float | Decimal) and value is not True
            else invalid("fhir.type")
        )
    if not isinstance(value, str):
        return invalid("fhir.type")
    if not value.strip():
        return invalid("fhir.empty")
    if fault := text_fault(value):
        return fault
    return _text_fault(kind, value, where)


def reference_fault(value: str, targets: frozenset[str]) -> Refusal | None:
    """Why a reference is refused, or None: only `Type/id`, `urn:uuid:` and `#contained` pass."""
    if found := _RELATIVE.fullmatch(value):
        return None if not targets or found[1] in targets else invalid("fhir.reference_type")
    if _UUID.fullmatch(value) or _FRAGMENT.fullmatch(value):
        return None
    return invalid("fhir.reference")


def bounds(text: str) -> tuple[datetime, datetime]:
    """The half-open span that a FHIR date, dateTime or instant stands for, aware UTC.

    A date without a zone is a day of the charter's zone. Raises ValueError for any other text.
    """
    day, _, clock = text.partition("T")
    found = _DATE.fullmatch(day)
    if found is None:
        raise ValueError("no FHIR date")
    if clock:
        # a leap second has no place in Python's clock; the second before stands for it
        start = _utc(datetime.fromisoformat(text.replace(":60", ":59")))
        return start, start + timedelta(seconds=1)
    year, month, last = (int(part) if part else 0 for part in found.groups())
    start = datetime(year, month or 1, last or 1, tzinfo=ZONE)
    if year == _END.year:
        end = _END.replace(tzinfo=ZONE)
    elif last:
        end = start + timedelta(days=1)
    elif month:
        end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=ZONE)
    else:
        end = datetime(year + 1, 1, 1, tzinfo=ZONE)
    return _utc(start), _utc(end, last=_END)


def _utc(moment: datetime, *, last: datetime = _LAST) -> datetime:
    """In UTC, a day or more inside the calendar, so that every zone has room for it.

    Systems write 0001 and 9999 for a time that is not known or never comes.
    """
    bare = min(max(moment.replace(tzinfo=None), _FIRST), last)
    return bare.replace(tzinfo=moment.tzinfo).astimezone(UTC)


def birth_fault(text: str, *, now: datetime) -> Refusal | None:
    """Why a birth date cannot be: after today or before 1880; else None."""
    start, _end = bounds(text)
    if start > now or start.astimezone(ZONE).year < BIRTH_YEAR_MIN:
        return invalid("fhir.birth_date")
    return None


def _integer_fault(kind: str, value: object) -> Refusal | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return invalid("fhir.type")
    return None if _INTEGERS[kind] <= value < 2**31 else invalid("fhir.value")


def _text_fault(kind: str, value: str, where: str) -> Refusal | None:
    if kind == "id":
        good = _ID.fullmatch(value) is not None
    elif kind == "code":
        good = _code_fits(value, where)
    elif kind in _URIS:
        return _uri_fault(kind, value, where)
    elif kind == "base64Binary":
        good = _base64_fits(value)
    elif kind in {"date", "dateTime", "instant"}:
        good = _date_fits(kind, value)
    elif kind == "time":
        good = _TIME.fullmatch(value) is not None
    elif kind == "xhtml":
        return narrative_fault(value)
    else:
        return _length_fault(kind, value, where)
    return None if good else invalid("fhir.value")


def _code_fits(value: str, where: str) -> bool:
    if where in _MIMES:
        return _MIME.fullmatch(value) is not None
    if where == "Money.currency":
        return _CURRENCY.fullmatch(value) is not None
    return len(value) <= SHORT_MAX and _CODE.fullmatch(value) is not None


def _uri_fault(kind: str, value: str, where: str) -> Refusal | None:
    if len(value) > URI_MAX or _URI.fullmatch(value) is None:
        return invalid("fhir.value")
    scheme = _SCHEME.match(value)
    if scheme and scheme[1].lower() in _SCHEMES_REFUSED:
        return invalid("fhir.reference")
    if where == "Attachment.url" and reference_fault(value, frozenset({"Binary"})):
        return invalid("fhir.reference")
    if kind == "oid":
        return None if _OID.fullmatch(value) else invalid("fhir.value")
    if kind == "uuid":
        return None if _UUID.fullmatch(value) else invalid("fhir.value")
    return None


def _length_fault(kind: str, value: str, where: str) -> Refusal | None:
    if kind == "markdown":
        most = MARKDOWN_MAX
    elif where.partition(".")[0] in _SHORT:
        most = SHORT_MAX
    else:
        most = STRING_MAX
    return None if len(value) <= most else invalid("fhir.too_long")


def _base64_fits(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _date_fits(kind: str, value: str) -> bool:
    day, mark, clock = value.partition("T")
    found = _DATE.fullmatch(day)
    if found is None:
        return False
    year, month, last = (int(part) if part else 1 for part in found.groups())
    try:
        date(year, month, last)
    except ValueError:
        return False
    if not mark:
        return kind != "instant"
    zone_at = clock.find("Z") if "Z" in clock else max(clock.find("+"), clock.find("-"))
    whole = found[3] is not None and kind != "date" and zone_at > 0
    return (
        whole
        and _TIME.fullmatch(clock[:zone_at]) is not None
        and _ZONE.fullmatch(clock[zone_at:]) is not None
    )
