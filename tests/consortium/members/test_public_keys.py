"""Public keys that prove nothing are refused: small order, second encodings, damaged text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import keys as chain_keys
from chain.errors import KeyFormatError
from consortium.members import age_text, statements
from consortium.members.keys import Age
from consortium.members.statements import b64


def _double(point: tuple[int, int], times: int) -> tuple[int, int]:
    for _ in range(times):
        point = chain_keys._double(point)
    return point


def test_every_key_of_small_order_is_refused() -> None:
    prime = 2**255 - 19
    found = 0
    for y in sorted(statements._WEAK):
        for sign in (0, 1):
            raw = (y | sign << 255).to_bytes(32, "little")
            assert statements.ed25519_public(b64(raw)) is None
            try:
                assert _double(chain_keys._decode(raw), 3) == (0, 1)
                found += 1
            except KeyFormatError:
                assert y in (1, prime - 1)
    assert found == 8


@given(raw=st.binary(min_size=32, max_size=32))
def test_ed25519_keys_are_refused_where_the_chain_refuses_them(raw: bytes) -> None:
    """Points off the curve pass here and fail at their proof; all else is as in `chain`."""
    try:
        chain_keys.public_key(raw)
        fault = ""
    except KeyFormatError as found:
        fault = found.code
    read = statements.ed25519_public(b64(raw))
    if not fault:
        assert read == raw
    elif read is not None:
        assert fault == "key.format"
        assert not statements.verifies(b64(raw), b"m", b64(bytes(64)))


@pytest.mark.parametrize("raw", [b"\xff" * 32, (2**255 - 19 + 1).to_bytes(32, "little")])
def test_a_second_encoding_of_a_point_is_refused(raw: bytes) -> None:
    assert statements.ed25519_public(b64(raw)) is None


@given(data=st.data())
def test_age_recipients_are_read_as_the_age_library_reads_them(data: st.DataObject) -> None:
    recipient = Age.make().recipient
    raw = age_text.public_of(recipient)
    assert raw is not None
    assert len(raw) == 32
    at = data.draw(st.integers(0, len(recipient) - 1))
    letter = data.draw(st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l1bioA"))
    changed = recipient[:at] + letter + recipient[at + 1 :]
    assert changed == recipient or age_text.public_of(changed) is None


def _recipient(raw: bytes) -> str:
    """Bech32 of any 32 bytes, as only a forger writes it."""
    whole = int.from_bytes(raw, "big") << 4
    data = [whole >> 5 * (51 - n) & 31 for n in range(52)]
    check = age_text._checksum([*age_text._expanded(), *data, *[0] * 6]) ^ 1
    data += [check >> 5 * (5 - n) & 31 for n in range(6)]
    return "age1" + "".join(age_text._ALPHABET[one] for one in data)


def test_age_recipients_of_small_order_or_in_a_second_encoding_are_refused() -> None:
    real = Age.make().recipient
    raw = age_text.public_of(real)
    assert raw is not None
    assert _recipient(raw) == real
    prime = 2**255 - 19
    for number in (0, 1, prime - 1, prime, prime + 1, 2**255 + 9):
        assert age_text.public_of(_recipient(number.to_bytes(32, "little"))) is None
