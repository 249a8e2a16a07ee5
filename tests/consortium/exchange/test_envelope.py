"""Envelopes and frames: length-prefixed, whole, within the limits of version 1."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.exchange.envelope import Envelope, frames, unframe, unpack
from consortium.exchange.limits import FACTS_MAX_BYTES, JWS_MAX_BYTES, SEALED_MAX_BYTES
from consortium.kernel.errors import Refusal

parts = st.lists(st.binary(max_size=40), max_size=6)


@given(parts)
def test_frames_read_back(given_parts: list[bytes]) -> None:
    raw = frames(given_parts)
    assert raw == b"".join(struct.pack(">I", len(one)) + one for one in given_parts)
    assert unframe(raw, most=6) == given_parts


@given(parts.filter(bool), st.data())
def test_a_cut_is_refused_unless_it_leaves_whole_frames(
    given_parts: list[bytes], data: st.DataObject
) -> None:
    raw = frames(given_parts)
    cut = data.draw(st.integers(0, len(raw) - 1))
    whole = [n for n in range(len(given_parts)) if len(frames(given_parts[:n])) == cut]
    if whole:
        assert unframe(raw[:cut], most=9) == given_parts[: whole[0]]
        return
    with pytest.raises(Refusal, match="malformed"):
        unframe(raw[:cut], most=9)


def test_more_frames_than_asked_for_are_refused() -> None:
    with pytest.raises(Refusal, match="malformed"):
        unframe(frames([b"", b"", b""]), most=2)


def test_a_length_beyond_the_end_is_refused() -> None:
    with pytest.raises(Refusal, match="malformed"):
        unframe(struct.pack(">I", 2**32 - 1) + b"x", most=3)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        envelope = unpack(raw)
    except Refusal:
        return
    assert envelope.pack() == raw


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_an_envelope_has_three_parts(count: int) -> None:
    with pytest.raises(Refusal, match="malformed"):
        unpack(frames([b"x"] * count))


@pytest.mark.parametrize(
    ("place", "limit"), [(0, JWS_MAX_BYTES), (1, FACTS_MAX_BYTES), (2, SEALED_MAX_BYTES)]
)
def test_each_part_has_its_limit(place: int, limit: int) -> None:
    whole = [b"j", b"f", b"b"]
    whole[place] = bytes(limit)
    assert unpack(frames(whole)) == Envelope(*whole)
    whole[place] = bytes(limit + 1)
    with pytest.raises(Refusal, match="too_large") as told:
        unpack(frames(whole))
    assert told.value.facts["part"] == ("jws", "facts", "body")[place]


def test_the_limits_are_those_of_version_1() -> None:
    assert (JWS_MAX_BYTES, FACTS_MAX_BYTES, SEALED_MAX_BYTES) == (4096, 4096, 524288)
    assert Envelope(b"a", b"bc", b"").size == len(Envelope(b"a", b"bc", b"").pack()) == 15
