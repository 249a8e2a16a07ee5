"""Headers: one strict form, and nothing that a row or a list could not hold."""

import hashlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.exchange import header, jws
from consortium.exchange.commitment import b64
from consortium.exchange.header import Header, Lane
from consortium.exchange.limits import JWS_MAX_BYTES
from consortium.kernel.errors import Refusal
from tests.consortium.exchange.world import KeyInMemory

HASH = b64(hashlib.sha256(b"x").digest())
WHOLE: dict[str, Any] = {
    "v": 1, "id": "0190-x", "kind": "test.open/1", "from": "a", "to": ["lead", "b"], "node": "a-1",
    "lane": "routine", "seq": 7, "prev": HASH, "at": "2026-11-24T01:00Z", "facts": HASH,
    "body": HASH, "after": ["p1", "p2"], "contract": "k1", "case": "c1", "purpose": "TREAT",
    "parts": HASH,
}  # fmt: skip
OPTIONAL = ("after", "contract", "case", "purpose", "parts")
KEY = KeyInMemory("a-1", bytes(32))


def refused(value: object) -> str:
    with pytest.raises(Refusal) as told:
        header.parse(value)
    return str(told.value.facts.get("field", told.value.code))


def test_a_whole_header_reads_back_as_it_was() -> None:
    assert header.parse(WHOLE).json() == WHOLE


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_is_optional_may_be_absent(name: str) -> None:
    less = {key: value for key, value in WHOLE.items() if key != name}
    assert header.parse(less).json() == less


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - set(OPTIONAL) - {"v"}))
def test_what_is_required_must_be_there(name: str) -> None:
    assert refused({key: value for key, value in WHOLE.items() if key != name}) == name


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - {"v"}))
@pytest.mark.parametrize("value", [None, 1.5, True, {}, "", " ", "a b", "a\0b", "a\n", "ä", "a,b"])
def test_no_field_takes_another_form(name: str, value: object) -> None:
    assert refused({**WHOLE, name: value}) == name
    if name in ("to", "after"):
        assert refused({**WHOLE, name: [value]}) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seq", 0), ("seq", -1), ("seq", 2**53), ("seq", "1"), ("lane", "fast"), ("to", []),
        ("to", ["b", "b"]), ("to", ["all", "b"]), ("to", [f"m{n}" for n in range(17)]),
        ("after", [f"p{n}" for n in range(5)]), ("id", "x" * 65), ("case", "x" * 65),
        ("prev", HASH[:-1]), ("prev", HASH + "A"), ("body", HASH[:-1] + "9"),
        ("at", "2026-11-24 01:00"), ("at", "2026-11-24T01:00:00Z"),
    ],
)  # fmt: skip
def test_values_out_of_bounds_are_refused(name: str, value: object) -> None:
    assert refused({**WHOLE, name: value}) == name


def test_an_unknown_field_is_refused_by_its_name() -> None:
    assert refused({**WHOLE, "extra": 1}) == "extra"


@pytest.mark.parametrize("v", [0, 2, 99, "1", None, True])
def test_an_unknown_version_is_told_before_anything_else(v: object) -> None:
    assert refused({"v": v}) == "exchange.version"


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_a_header_is_an_object(value: object) -> None:
    assert refused(value) == "header"


def test_names_fit_the_rows_that_keep_them() -> None:
    longest = "x" * 64
    assert header.parse({**WHOLE, "id": longest, "kind": longest}).id == longest


def made(**more: Any) -> Header:
    return header.parse({**WHOLE, **more})


# ---------------------------------------------------------------- JWS


@pytest.fixture(scope="module")
def raw() -> bytes:
    return jws.sign(made(), KEY)


def test_a_signed_header_is_read_and_verified(raw: bytes) -> None:
    signed = jws.parse(raw)
    assert (signed.header, signed.digest) == (made(), hashlib.sha256(raw).digest())
    assert jws.verify(signed, KEY.public)
    assert not jws.verify(signed, KeyInMemory("a-1", bytes([1]) * 32).public)


def test_each_byte_flipped_is_refused(raw: bytes) -> None:
    """Whatever bit of whatever byte changes: it does not read, or the signature does not hold."""
    for place in range(len(raw)):
        for bit in (1, 2, 0x20, 0x80):
            odd = raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]
            try:
                signed = jws.parse(odd)
            except Refusal:
                continue
            assert not jws.verify(signed, KEY.public), (place, bit)


def rewritten(payload: bytes, *, head: bytes = b'{"alg":"Ed25519","kid":"a-1"}') -> bytes:
    """A JWS whose signature holds over bytes that the product would not have written."""
    signing = f"{b64(head)}.{b64(payload)}".encode()
    return signing + b"." + b64(KEY.sign(signing)).encode()


PLAIN = orjson.dumps(WHOLE)
CANONICAL = orjson.dumps(header.parse(WHOLE).json())


def test_the_signed_bytes_have_one_form() -> None:
    assert jws.verify(jws.parse(rewritten(CANONICAL)), KEY.public)


@pytest.mark.parametrize(
    "payload",
    [
        orjson.dumps(dict(reversed(header.parse(WHOLE).json().items()))),
        CANONICAL.replace(b'"seq":7', b'"seq": 7'),
        CANONICAL.replace(b'"seq":7', b'"seq":7,"seq":7'),
        CANONICAL.replace(b'"seq":7', b'"seq":7.0'),
        CANONICAL.replace(b'"v":1', b'"v":1.0'),
        CANONICAL.replace(b"TREAT", b"TR\\u0045AT"),
        CANONICAL[:-1] + b',"after":[]}',
        CANONICAL + b" ", b"[]", b"", b"\xff", b"NaN",
    ],
)  # fmt: skip
def test_another_form_of_the_same_header_is_refused(payload: bytes) -> None:
    with pytest.raises(Refusal):
        jws.parse(rewritten(payload))


@pytest.mark.parametrize(
    "head",
    [
        b'{"alg":"none","kid":"a-1"}', b'{"alg":"EdDSA","kid":"a-1"}', b'{"kid":"a-1"}',
        b'{"alg":"Ed25519","kid":"b-1"}', b'{"alg":"Ed25519","kid":"a-1","typ":"request"}',
        b'{"alg":"Ed25519", "kid":"a-1"}', b'{"kid":"a-1","alg":"Ed25519"}', b"", b"{}",
    ],
)  # fmt: skip
def test_the_protected_header_names_algorithm_and_node_and_nothing_else(head: bytes) -> None:
    with pytest.raises(Refusal):
        jws.parse(rewritten(CANONICAL, head=head))


@pytest.mark.parametrize("odd", [b"", b".", b"..", b"a.b", b"a.b.c.d", "ä.b.c".encode()])
def test_what_is_no_compact_form_is_refused(odd: bytes) -> None:
    with pytest.raises(Refusal):
        jws.parse(odd)


def test_base64_with_bits_left_over_is_refused(raw: bytes) -> None:
    for odd in (raw + b"=", raw[:-1] + bytes([raw[-1] + 1]), raw.replace(b".", b" .", 1)):
        with pytest.raises(Refusal):
            jws.parse(odd)


def test_a_header_over_the_limit_is_not_signed_and_not_read() -> None:
    long = made(
        to=[f"{n:064}" for n in range(16)], after=[f"{n:064}" for n in range(4)], case="c" * 64
    )
    whole = jws.sign(long, KEY)
    assert len(whole) < JWS_MAX_BYTES
    with pytest.raises(Refusal, match="too_large"):
        jws.parse(whole.ljust(JWS_MAX_BYTES + 1, b"A"))
    with pytest.raises(Refusal, match="too_large"):
        jws.sign(Header(**{**_fields(long), "purpose": "p" * 2000}), KEY)


def _fields(one: Header) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Header.__slots__}


@given(
    to=st.lists(st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True), min_size=1, max_size=16,
                unique=True).filter(lambda names: "all" not in names),
    seq=st.integers(1, 2**53 - 1),
    lane=st.sampled_from(list(Lane)),
    optional=st.dictionaries(st.sampled_from(["contract", "case", "purpose"]),
                             st.from_regex(r"[A-Za-z0-9_.:/+=@~-]{1,64}", fullmatch=True)),
)  # fmt: skip
def test_every_header_survives_signing(
    to: list[str], seq: int, lane: Lane, optional: dict[str, str]
) -> None:
    one = made(to=to, seq=seq, lane=lane.value, **optional)
    signed = jws.parse(jws.sign(one, KEY))
    assert signed.header == one
    assert jws.verify(signed, KEY.public)


# ---------------------------------------------------------------- statements


def test_a_statement_is_of_one_family_and_one_key() -> None:
    text = jws.sign_statement({"path": "/sync/pull"}, kid="a-1", signer=KEY, typ="request")
    assert jws.read_statement(text, typ="request") == ("a-1", {"path": "/sync/pull"})
    assert jws.verify_statement(text, KEY.public)
    for typ in ("answer", "hello", ""):
        with pytest.raises(Refusal):
            jws.read_statement(text, typ=typ)
    with pytest.raises(Refusal):
        jws.parse(text.encode())


def test_an_exchange_is_no_statement(raw: bytes) -> None:
    with pytest.raises(Refusal):
        jws.read_statement(raw.decode(), typ="request")


@pytest.mark.parametrize("odd", ["", "a.b", "a.b.c.d", "e30.e30.e30", "!.e30.e30", "W10.W10.x"])
def test_what_is_no_statement_is_refused(odd: str) -> None:
    with pytest.raises(Refusal):
        jws.read_statement(odd, typ="request")
