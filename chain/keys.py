"""Ed25519 public keys (RFC 8032): the encodings that verifiers disagree about are refused.

OpenSSL and libsodium differ on 165 of 914 edge cases of C2SP/CCTV (research/ledger.md, 5), nearly
all with small-order or non-canonical points. One verifier is used (OpenSSL, through
`cryptography`), and such public keys are refused before one is ever trusted.
"""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from chain.errors import KeyFormatError

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int]


@lru_cache(maxsize=4096)
def public_key(raw: bytes) -> Ed25519PublicKey:
    """Load a public key.

    Raises:
        KeyFormatError: `key.format` when it is not 32 bytes that encode a point of the curve in
            the canonical way (RFC 8032, 5.1.3), `key.weak` when the point has small order.
    """
    if len(raw) != KEY_BYTES:
        raise KeyFormatError("key.format", "A public key is not 32 bytes long.")
    point = _decode(raw)
    for _ in range(3):
        point = _double(point)
    if point == (0, 1):
        raise KeyFormatError("key.weak", "A public key of small order proves nothing.")
    return Ed25519PublicKey.from_public_bytes(raw)


def public_of(seed: bytes) -> bytes:
    """The 32 public bytes of a 32-byte private seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, message: bytes) -> bytes:
    """Sign with a 32-byte private seed; 64 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is of this key over this message. Raises as `public_key`."""
    try:
        public_key(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _decode(raw: bytes) -> _Point:
    value = int.from_bytes(raw, "little")
    sign_bit, y = value >> 255, value & (2**255 - 1)
    fault = KeyFormatError("key.format", "A public key is not a point in canonical encoding.")
    if y >= _P:
        raise fault
    top, bottom = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = top * pow(bottom, 3, _P) * pow(top * pow(bottom, 7, _P), (_P - 5) // 8, _P) % _P
    if (bottom * x * x - top) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (bottom * x * x - top) % _P or (not x and sign_bit):
        raise fault
    return (_P - x if x & 1 != sign_bit else x), y


def _double(point: _Point) -> _Point:
    x, y = point
    product = _D * x * x * y * y % _P
    return (
        2 * x * y * pow(1 + product, -1, _P) % _P,
        (y * y + x * x) * pow(1 - product, -1, _P) % _P,
    )
