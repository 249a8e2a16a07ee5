"""The byte gate against every row of bad JSON that it owns (research/reliability.md, 5)."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.fhir import gate
from consortium.fhir.text import text_fault
from consortium.kernel.errors import Refusal, RefusalKind

BAD = {
    "not a number": (b'{"a":NaN}', "fhir.number"),
    "infinity": (b"[-Infinity]", "fhir.number"),
    "huge exponent": (b'{"a":1e400}', "fhir.number"),
    "tiny exponent": (b"1e-400", "fhir.number"),
    "sixty-five digits": (b"1" * 60 + b".12345", "fhir.number"),
    "duplicate key": (b'{"a":1,"b":2,"a":1}', "fhir.duplicate_key"),
    "duplicate key under an escape": (b'{"a":1,"\\u0061":2}', "fhir.duplicate_key"),
    "duplicate key deep inside": (b'[{"x":{"a":1,"a":2}}]', "fhir.duplicate_key"),
    "lone surrogate": (b'"\\ud800"', "fhir.encoding"),
    "lone surrogate in a key": (b'{"\\udfff":1}', "fhir.encoding"),
    "invalid UTF-8": (b'"\xff"', "fhir.encoding"),
    "overlong UTF-8": (b'"\xc0\xaf"', "fhir.encoding"),
    "UTF-16 with mark": ('{"a":1}'.encode("utf-16"), "fhir.encoding"),
    "UTF-16 without mark": ('{"a":1}'.encode("utf-16-le"), "fhir.encoding"),
    "UTF-32": ('{"a":1}'.encode("utf-32-be"), "fhir.encoding"),
    "byte order mark": (b'\xef\xbb\xbf{"a":1}', "fhir.encoding"),
    "escaped NUL": (b'{"name":"a\\u0000b"}', "fhir.control"),
    "NUL in a key": (b'{"a\\u0000":1}', "fhir.control"),
    "raw control": (b'{"name":"a\x01b"}', "fhir.control"),
    "escaped escape": (b'["\\u001b[31m"]', "fhir.control"),
    "delete": (b'["\\u007f"]', "fhir.control"),
    "51 levels": (b"[" * 51 + b"]" * 51, "fhir.nesting"),
    "51 levels of objects": (b'{"a":' * 50 + b"[1]" + b"}" * 50, "fhir.nesting"),
    "100,000 levels": (b"[" * 100_000 + b"]" * 100_000, "fhir.nesting"),
    "19 digits": (b"1234567890123456789", "fhir.integer"),
    "5,000 digits": (b'{"a":-' + b"9" * 5000 + b"}", "fhir.integer"),
    "empty": (b"", "fhir.syntax"),
    "cut": (b'{"a":', "fhir.syntax"),
    "two documents": (b"{}{}", "fhir.syntax"),
    "comma at the end": (b"[1,]", "fhir.syntax"),
    "comment": (b"[1 /* one */]", "fhir.syntax"),
    "single quotes": (b"{'a':1}", "fhir.syntax"),
    "form feed": (b"\x0c{}", "fhir.syntax"),
}


@pytest.mark.parametrize(("raw", "code"), BAD.values(), ids=list(BAD))
def test_the_gate_refuses(raw: bytes, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        gate.parse(raw)
    assert refused.value.code == code
    assert refused.value.kind is RefusalKind.INVALID


def test_size_is_counted_in_bytes() -> None:
    raw = '"中"'.encode()
    assert gate.parse(raw, limit_bytes=5) == "中"
    with pytest.raises(Refusal) as refused:
        gate.parse(raw, limit_bytes=4)
    assert refused.value.kind is RefusalKind.TOO_LARGE


def test_what_is_at_the_limits_passes() -> None:
    assert gate.parse(b"[" * 50 + b"]" * 50)
    assert gate.parse(b"-123456789012345678") == -123456789012345678
    assert gate.parse(b'"a\\tb\\n\\r"') == "a\tb\n\r"
    assert gate.parse(b'"\\ud842\\udfb7"') == "𠮷"


def test_decimals_keep_their_text() -> None:
    value = gate.parse(b'{"a":1.50,"b":0.010,"c":-0.0,"d":2}')
    assert [str(value[name]) for name in "abcd"] == ["1.50", "0.010", "-0.0", "2"]
    assert gate.dump(value) == b'{"a":1.50,"b":0.010,"c":-0.0,"d":2}'


def test_dump_refuses_what_json_does_not_know() -> None:
    for value in (Decimal("NaN"), Decimal("Infinity"), object(), {1}):
        with pytest.raises(TypeError):
            gate.dump({"a": value})


json_texts = st.text(st.characters(codec="utf-8"))
plain_texts = json_texts.filter(lambda text: text_fault(text) is None)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-9999, max_value=9999)
    | plain_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain_texts, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_what_is_written_is_read_back(value: Any) -> None:
    raw = gate.dump(value)
    again = gate.parse(raw)
    assert again == value
    assert gate.dump(again) == raw


@given(json_values, st.data())
def test_no_byte_makes_the_gate_fail_otherwise_than_by_refusing(
    value: Any, data: st.DataObject
) -> None:
    raw = bytearray(gate.dump(value))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    code = "fhir."
    try:
        gate.parse(bytes(raw))
    except Refusal as refusal:
        code = refusal.code
    assert code.startswith("fhir.")


@given(st.lists(st.dictionaries(plain_texts, json_values, max_size=3), max_size=5), st.booleans())
def test_spans_are_the_bytes_of_each_resource(
    resources: list[dict[str, Any]], spaced: bool
) -> None:
    entries = [{"fullUrl": "u", "resource": one, "search": {"mode": "]}"}} for one in resources]
    bundle = {"type": '{"entry":[1]}', "meta": {"entry": [1]}, "entry": entries, "z": [{}]}
    raw = gate.dump(bundle)
    if spaced:
        raw = json.dumps(json.loads(raw), indent=3, ensure_ascii=False).encode()
    spans = gate.entry_spans(raw)
    assert [gate.parse(raw[start:end]) for start, end in spans] == gate.parse(
        gate.dump([one["resource"] for one in gate.parse(raw)["entry"]])
    )


def test_spans_find_a_name_that_is_written_with_escapes() -> None:
    raw = b'{"\\u0065ntry" : [ {"r\\u0065source" : {"a":1} } ]}'
    assert [raw[start:end] for start, end in gate.entry_spans(raw)] == [b'{"a":1}']


@pytest.mark.parametrize(
    "raw", [b"{}", b'{"entry":{}}', b'{"entry":[{}]}', b'{"entry":[1]}', b'{"entry":[{"a":1}]}']
)
def test_spans_need_a_resource_in_every_entry(raw: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        gate.entry_spans(raw)
    assert refused.value.code == "fhir.bundle"


def test_an_open_string_full_of_escapes_takes_no_time() -> None:
    # read by a backtracking pattern, this would take hours
    with pytest.raises(Refusal):
        gate.parse(b'{"a":"' + b'\\"' * 400_000)
