"""The byte gate: JSON as it comes from outside, read once and strictly.

Parsers disagree about duplicate keys, NaN, lone surrogates and huge numbers; whatever two programs
may read differently is refused here, before anything is checked, signed or stored
(research/reliability.md, 0.2 and 5). Decimals keep their text: 1.50 stays 1.50.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson

from consortium.fhir.text import text_fault
from consortium.kernel.errors import Refusal, RefusalKind, invalid

LIMIT_BYTES = 1 << 20
"""Default size of one FHIR document: 1 MiB."""
NESTING_MAX = 50
DIGITS_MAX = 18
EXPONENT_MAX = 300

_BOM = b"\xef\xbb\xbf"
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*+")
_BARE = re.compile(rb"[^\s,\]}]++")


def parse(raw: bytes, *, limit_bytes: int = LIMIT_BYTES) -> Any:
    """Read JSON strictly: objects, lists, str, bool, None, int, and Decimal for decimals.

    Raises:
        Refusal: `fhir.size`, `fhir.encoding`, `fhir.syntax`, `fhir.duplicate_key`, `fhir.number`
            (NaN, Infinity, exponents beyond 300), `fhir.integer` (over 18 digits), `fhir.nesting`
            (deeper than 50), `fhir.control` (NUL and C0 other than tab and line ends, DEL).
    """
    if len(raw) > limit_bytes:
        raise Refusal(RefusalKind.TOO_LARGE, "fhir.size", limit_bytes=limit_bytes)
    text = _decode(raw)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_decimal,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        if error.msg.startswith("Invalid control character"):
            raise invalid("fhir.control", at=error.pos) from None
        raise invalid("fhir.syntax", line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise invalid("fhir.nesting", limit=NESTING_MAX) from None
    _sweep(value)
    return value


def dump(value: Any) -> bytes:
    """Write JSON in the order given, decimals by their text. Raises TypeError for anything else."""
    return orjson.dumps(value, default=_decimal_text)


def entry_spans(raw: bytes) -> list[tuple[int, int]]:
    """Byte spans [start, end) of `entry[i].resource` of a Bundle, one for each entry.

    `raw` must have passed `parse`. Signatures cover exactly `raw[start:end]`.

    Raises:
        Refusal: `fhir.bundle` when an entry has no resource or there is no list of entries.
    """
    entries = _member(raw, _skip(raw, 0), "entry")
    if entries is None or raw[entries[0] : entries[0] + 1] != b"[":
        raise invalid("fhir.bundle", path="Bundle.entry")
    spans = []
    for number, (start, _end) in enumerate(_items(raw, entries[0])):
        span = _member(raw, start, "resource") if raw[start : start + 1] == b"{" else None
        if span is None:
            raise invalid("fhir.bundle", path=f"Bundle.entry[{number}].resource")
        spans.append(span)
    return spans


def _decode(raw: bytes) -> str:
    if raw.startswith(_BOM) or b"\0" in raw[:4]:
        raise invalid("fhir.encoding")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid("fhir.encoding", at=error.start) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise invalid("fhir.duplicate_key")
    return out


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS_MAX:
        raise invalid("fhir.integer", limit=DIGITS_MAX)
    return int(text)


def _decimal(text: str) -> Decimal:
    value = Decimal(text) if len(text) <= 64 else None
    if value is None or abs(value.adjusted()) > EXPONENT_MAX:
        raise invalid("fhir.number")
    return value


def _constant(_text: str) -> Any:
    raise invalid("fhir.number")


def _decimal_text(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"no JSON for {type(value).__name__}")


def _sweep(value: Any) -> None:
    """Depth and text of everything read, without recursion."""
    pending = [(value, 1)]
    while pending:
        one, depth = pending.pop()
        if isinstance(one, str):
            _sweep_text(one)
        elif isinstance(one, dict | list):
            if depth > NESTING_MAX:
                raise invalid("fhir.nesting", limit=NESTING_MAX)
            if isinstance(one, dict):
                for key in one:
                    _sweep_text(key)
            children = one.values() if isinstance(one, dict) else one
            pending.extend((child, depth + 1) for child in children)


def _sweep_text(text: str) -> None:
    if fault := text_fault(text):
        raise fault


def _skip(raw: bytes, at: int) -> int:
    found = _SPACE.match(raw, at)
    return found.end() if found else at


def _value_end(raw: bytes, start: int) -> int:
    """Where the JSON value that starts here ends; `raw` is known to be well formed."""
    opener = raw[start : start + 1]
    if opener == b'"':
        return _matched(_STRING, raw, start)
    if opener not in {b"{", b"["}:
        return _matched(_BARE, raw, start)
    depth = 0
    for token in _TOKEN.finditer(raw, start):
        first = token.group()[:1]
        if first in {b"{", b"["}:
            depth += 1
        elif first in {b"}", b"]"}:
            depth -= 1
            if depth == 0:
                return token.end()
    raise invalid("fhir.syntax")


def _matched(pattern: re.Pattern[bytes], raw: bytes, start: int) -> int:
    found = pattern.match(raw, start)
    if found is None:
        raise invalid("fhir.syntax")
    return found.end()


def _member(raw: bytes, start: int, name: str) -> tuple[int, int] | None:
    """Span of one member's value of the object that starts here, None when it has no such name."""
    at = _skip(raw, start + 1)
    while raw[at : at + 1] == b'"':
        key_end = _value_end(raw, at)
        # decoded, not compared as bytes: "entr\u0079" is the same name
        key = json.loads(raw[at:key_end])
        value_start = _skip(raw, _skip(raw, key_end) + 1)
        value_end = _value_end(raw, value_start)
        if key == name:
            return value_start, value_end
        at = _skip(raw, value_end)
        if raw[at : at + 1] == b",":
            at = _skip(raw, at + 1)
    return None


def _items(raw: bytes, start: int) -> Iterator[tuple[int, int]]:
    at = _skip(raw, start + 1)
    while raw[at : at + 1] != b"]":
        end = _value_end(raw, at)
        yield at, end
        at = _skip(raw, end)
        if raw[at : at + 1] == b",":
            at = _skip(raw, at + 1)
