"""Public keys that verifiers disagree about are never trusted."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import keys
from chain.errors import KeyFormatError
from tests.chain.test_merkle import VECTORS


@pytest.mark.parametrize("text", VECTORS["keys"]["small_order_hex"])
def test_small_order_is_refused(text: str) -> None:
    with pytest.raises(KeyFormatError) as caught:
        keys.public_key(bytes.fromhex(text))
    assert caught.value.code == "key.weak"


@pytest.mark.parametrize("text", VECTORS["keys"]["malformed_hex"])
def test_non_canonical_and_off_the_curve_is_refused(text: str) -> None:
    with pytest.raises(KeyFormatError) as caught:
        keys.public_key(bytes.fromhex(text))
    assert caught.value.code == "key.format"


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_every_honest_key_is_accepted_and_signs(seed: bytes, message: bytes) -> None:
    public = keys.public_of(seed)
    signature = keys.sign(seed, message)
    assert keys.public_key(public).public_bytes_raw() == public
    assert keys.verifies(public, message, signature)
    assert not keys.verifies(public, message + b"x", signature)


@given(st.binary(min_size=32, max_size=32))
def test_what_is_accepted_is_a_point_in_its_one_encoding(raw: bytes) -> None:
    try:
        keys.public_key(raw)
    except KeyFormatError:
        return
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    p = 2**255 - 19
    assert y < p
    d = -121665 * pow(121666, -1, p)
    assert pow((y * y - 1) * pow(d * y * y + 1, -1, p), (p - 1) // 2, p) == 1


def test_a_short_signature_does_not_verify() -> None:
    public = keys.public_of(os.urandom(32))
    assert not keys.verifies(public, b"", b"")
    assert not keys.verifies(public, b"", bytes(64))
