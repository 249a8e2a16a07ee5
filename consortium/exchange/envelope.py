"""Envelopes and frames: byte strings with a big-endian u32 length before each (PROTOCOL 3)."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from consortium.exchange.limits import FACTS_MAX_BYTES, JWS_MAX_BYTES, SEALED_MAX_BYTES
from consortium.kernel.errors import Refusal, RefusalKind, invalid

_PREFIX = struct.Struct(">I")
_PARTS = 3


@dataclass(frozen=True, slots=True)
class Envelope:
    """One exchange on the wire: JWS; facts with salt; sealed or open body. Passed on as it came."""

    jws: bytes
    facts: bytes
    body: bytes

    def pack(self) -> bytes:
        return frames((self.jws, self.facts, self.body))

    @property
    def size(self) -> int:
        return 3 * _PREFIX.size + len(self.jws) + len(self.facts) + len(self.body)


def frames(parts: Iterable[bytes]) -> bytes:
    """Byte strings one after the other, each behind its u32 length."""
    out = bytearray()
    for part in parts:
        out += _PREFIX.pack(len(part))
        out += part
    return bytes(out)


def unframe(raw: bytes, *, most: int) -> list[bytes]:
    """The byte strings of `frames`. Raises Refusal `exchange.malformed` on any odd byte."""
    parts: list[bytes] = []
    at = 0
    while at < len(raw):
        if len(parts) == most or at + _PREFIX.size > len(raw):
            raise invalid("exchange.malformed", field="frames")
        (size,) = _PREFIX.unpack_from(raw, at)
        at += _PREFIX.size
        if at + size > len(raw):
            raise invalid("exchange.malformed", field="frames")
        parts.append(raw[at : at + size])
        at += size
    return parts


def unpack(raw: bytes) -> Envelope:
    """Read one envelope.

    Raises:
        Refusal: `exchange.malformed`, or `exchange.too_large` naming the part.
    """
    parts = unframe(raw, most=_PARTS)
    if len(parts) != _PARTS:
        raise invalid("exchange.malformed", field="envelope")
    check_sizes(parts)
    return Envelope(*parts)


def check_sizes(parts: Sequence[bytes]) -> None:
    """Refuse what is over the limits of version 1, naming the part."""
    limits = (("jws", JWS_MAX_BYTES), ("facts", FACTS_MAX_BYTES), ("body", SEALED_MAX_BYTES))
    for part, (name, most) in zip(parts, limits, strict=True):
        if len(part) > most:
            raise Refusal(RefusalKind.TOO_LARGE, "exchange.too_large", part=name)
