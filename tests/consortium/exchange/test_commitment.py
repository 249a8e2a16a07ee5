"""Commitments: open to one content, in one form, and never to more bytes than promised."""

import hashlib

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from consortium.exchange import commitment
from consortium.exchange.commitment import Part
from consortium.exchange.limits import PLAIN_MAX_BYTES
from consortium.kernel.errors import Refusal

SALT = bytes(range(32))
values = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text("abcXYZ019_.", max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner),
    max_leaves=12,
)


@given(facts=st.dictionaries(st.text("abcdefg", min_size=1, max_size=9), values, max_size=8))
def test_facts_open_to_what_was_committed(facts: dict[str, object]) -> None:
    sent = commitment.facts_bytes(facts, SALT)
    assert sent[:32] == SALT
    assert commitment.open_facts(sent) == facts
    again = commitment.facts_bytes(dict(reversed(facts.items())), SALT)
    assert commitment.commit_facts(again) == commitment.commit_facts(sent)


def test_the_commitment_is_a_hash_over_tag_salt_and_json() -> None:
    sent = commitment.facts_bytes({"b": 1, "a": True}, SALT)
    plain = b"sharing-chain/facts/1\0" + SALT + b'{"a":true,"b":1}'
    assert commitment.unb64(commitment.commit_facts(sent)) == hashlib.sha256(plain).digest()


@pytest.mark.parametrize(
    "json",
    [b"", b"{", b'{"a":1,"a":2}', b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":NaN}', b"\xff", b"{}\n"],
)
def test_facts_have_one_form(json: bytes) -> None:
    with pytest.raises(Refusal, match=r"exchange\.facts"):
        commitment.open_facts(SALT + json)


def test_a_short_salt_leaves_no_facts() -> None:
    with pytest.raises(Refusal, match=r"exchange\.facts"):
        commitment.open_facts(b'{"a":1}')


# ---------------------------------------------------------------- bodies


@given(bundle=st.binary(min_size=1, max_size=4_000))
def test_a_body_opens_to_the_bundle_and_its_salt(bundle: bytes) -> None:
    plain = commitment.plain_body(bundle, SALT)
    assert commitment.open_body(plain) == (SALT, bundle)
    assert len(plain) <= len(bundle) + 33


def test_encoding_does_not_change_the_commitment() -> None:
    """So that a body may be packed and sealed anew for a new key."""
    bundle = b"abc" * 1000
    packed = commitment.plain_body(bundle, SALT)
    loose = SALT + bytes([commitment.PLAIN]) + bundle
    assert packed[32] == commitment.ZSTD
    assert {commitment.open_body(one) for one in (packed, loose)} == {(SALT, bundle)}
    whole = hashlib.sha256(b"sharing-chain/body/1\0" + SALT + bundle).digest()
    assert commitment.unb64(commitment.commit_body(bundle, SALT)) == whole


@pytest.mark.parametrize("plain", [b"", SALT, SALT[:-1] + b"\0", SALT + b"\2abc", SALT + b"\1abc"])
def test_a_body_without_salt_or_of_unknown_encoding_is_refused(plain: bytes) -> None:
    with pytest.raises(Refusal, match="body_encoding"):
        commitment.open_body(plain)


def bomb(size: int, *, level: int = 19) -> bytes:
    return SALT + bytes([commitment.ZSTD]) + zstandard.ZstdCompressor(level=level).compress(
        bytes(size)
    )  # fmt: skip


@pytest.mark.parametrize("size", [100 * 1024, PLAIN_MAX_BYTES + 1, 256 * 1024 * 1024])
def test_a_bomb_is_not_opened(size: int) -> None:
    with pytest.raises(Refusal, match="body_encoding"):
        commitment.open_body(bomb(size))


def test_a_bomb_of_many_frames_ends_with_its_first() -> None:
    frame = zstandard.ZstdCompressor().compress(b"x" * 60_000)
    salt, bundle = commitment.open_body(SALT + bytes([commitment.ZSTD]) + frame * 500)
    assert (salt, len(bundle)) == (SALT, 60_000)


def test_a_window_larger_than_any_body_is_refused() -> None:
    """A frame of a few bytes may ask for 128 MiB of memory before its first byte comes out."""
    params = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=params).compressobj()
    frame = packer.compress(b"abc") + packer.flush()
    assert len(frame) < 100
    with pytest.raises(Refusal, match="body_encoding"):
        commitment.open_body(SALT + bytes([commitment.ZSTD]) + frame)


def test_a_torn_frame_does_not_open_the_commitment() -> None:
    bundle = hashlib.shake_256(b"x").digest(9_000) * 2
    plain = commitment.plain_body(bundle, SALT)
    assert plain[32] == commitment.ZSTD
    try:
        _, torn = commitment.open_body(plain[:-500])
    except Refusal:
        return
    assert commitment.commit_body(torn, SALT) != commitment.commit_body(bundle, SALT)


@pytest.mark.parametrize("size", [100, 70_000, 1_000_000, PLAIN_MAX_BYTES])
def test_whatever_a_sender_packs_a_recipient_opens(size: int) -> None:
    """A Bundle that packs too well to be believed is sent as it stands."""
    bundle = b"\0" * size
    assert commitment.open_body(commitment.plain_body(bundle, SALT)) == (SALT, bundle)


def test_a_bundle_that_nobody_would_open_is_not_packed() -> None:
    with pytest.raises(Refusal, match="too_large"):
        commitment.plain_body(bytes(PLAIN_MAX_BYTES + 1), SALT)


# ---------------------------------------------------------------- parts and base64


def test_parts_are_committed_in_order_with_their_sizes() -> None:
    one, two = Part(3, "a" * 64), Part(4, "b" * 64)
    listed = f"sharing-chain/parts/1\0{one.size} {one.sha256}\n{two.size} {two.sha256}\n".encode()
    whole = commitment.b64(hashlib.sha256(listed).digest())
    assert commitment.commit_parts([one, two]) == whole
    others = [[two, one], [one], [one, two, two], [Part(5, one.sha256), two]]
    assert whole not in {commitment.commit_parts(parts) for parts in others}
    assert commitment.commit_parts([]) == ""


@given(st.binary(max_size=80))
def test_base64_is_read_in_its_one_form(raw: bytes) -> None:
    text = commitment.b64(raw)
    assert commitment.unb64(text) == raw
    for odd in (text + "=", text + "\n", "+" + text, text + "!"):
        with pytest.raises(Refusal):
            commitment.unb64(odd)


def test_facts_with_a_number_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(Refusal):
        commitment.open_facts(SALT + b'{"a":' + b"9" * 30 + b"}")
    assert orjson.loads(b"1e2") == 100.0
