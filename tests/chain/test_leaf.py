"""Leaves: strict in every byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import leaf
from chain.errors import FormatError
from tests.chain.making import jws

JWS = jws(1)
WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}", fullmatch=True)
CODE = st.from_regex(r"[a-z][a-z0-9_]{0,20}(\.[a-z][a-z0-9_]{0,20}){0,2}", fullmatch=True).filter(
    lambda code: code != "ok" and len(code) <= 64
)
ADMITTED = st.lists(WORD, max_size=3).map(lambda words: " ".join(("ok", *words)))
REFUSED = st.tuples(CODE, st.lists(WORD, max_size=1)).map(
    lambda parts: " ".join((parts[0], *parts[1]))
)


@given(st.integers(1, 253_402_300_799_999), ADMITTED | REFUSED, st.integers(0, 1000))
def test_reads_back(time_ms: int, verdict: str, number: int) -> None:
    made = leaf.make(time_ms=time_ms, verdict=verdict, jws=jws(number))
    assert leaf.parse(made.data) == made
    assert (made.time_ms, made.verdict, made.jws) == (time_ms, verdict, jws(number))
    assert made.admitted == verdict.startswith("ok ") or made.admitted == (verdict == "ok")
    assert made.data == f"{time_ms} {verdict}\n".encode() + jws(number)


@pytest.mark.parametrize(
    "verdict",
    [
        "",
        " ok",
        "ok ",
        "ok  moved",
        "ok a b c d",
        "OK",
        "ok\tmoved",
        "ok é",
        "ok -moved",
        "slot.taken 1 2",
        "slot..taken",
        ".slot",
        "slot.",
        "slot-taken",
        "1",
        "a" * 65,
        "ok " + "a" * 65,
        "ok\nmoved",
        "ok moved\r",
    ],
)
def test_malformed_verdicts_are_refused(verdict: str) -> None:
    with pytest.raises(FormatError) as caught:
        leaf.make(time_ms=1, verdict=verdict, jws=JWS)
    assert caught.value.code == "leaf.format"


@pytest.mark.parametrize(
    "time", [b"0", b"01", b"-1", b"+1", b"", b"1.5", b"253402300800000", b"1" * 17]
)
def test_malformed_times_are_refused(time: bytes) -> None:
    with pytest.raises(FormatError):
        leaf.parse(time + b" ok\n" + JWS)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"..",
        b"a.b.c",
        b"AA.AA",
        b"AA.AA.",
        b".AA.AA",
        b"AA..AA",
        b"AA.AA.AA.AA",
        b"AB.AA.AA",
        b"AA.AAB.AA",
        b"AA.AA.AA=",
        b"AA.AA.A+A",
        b"AA.AA.AA\n",
        b"AA.AA.AA ",
        b"AA.AA.\xc3\xa9A",
    ],
)
def test_malformed_jws_are_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        leaf.parse(b"1 ok\n" + text)


@pytest.mark.parametrize(
    "data", [b"", b"1 ok", b"1 ok\n", b"1 ok\r\nAA.AA.AA", b"\n1 ok\nAA.AA.AA"]
)
def test_malformed_leaves_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        leaf.parse(data)


def test_length_ends_at_8_kib() -> None:
    room = 8 * 1024 - len(b"1 ok\nAA.AA.")
    whole = b"1 ok\nAA.AA." + b"A" * (room - room % 4)
    assert leaf.parse(whole).data == whole
    with pytest.raises(FormatError):
        leaf.parse(whole + b"A" * 4)


@given(st.binary(max_size=120))
def test_the_parser_only_refuses_or_reads_back(data: bytes) -> None:
    for text in (data, b"1 ok\n" + data, data + b"\nAA.AA.AA"):
        try:
            read = leaf.parse(text)
        except FormatError:
            continue
        assert read.data == text
