"""Keys: Ed25519 (RFC 8032) and ML-DSA-44 (FIPS 204), both kept as 32-byte seeds.

Public Ed25519 keys in encodings that verifiers disagree about are refused.
OpenSSL and libsodium differ on 165 of 914 edge cases of C2SP/CCTV (research/ledger.md, 5), nearly
all with small-order or non-canonical points. One verifier is used (OpenSSL, through
`cryptography`), and such public keys are refused before one is ever trusted.
"""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from chain.errors import KeyFormatError

KEY_BYTES = 32
SIGNATURE_BYTES = 64
SEED_BYTES = 32
MLDSA_KEY_BYTES = 1312
MLDSA_SIGNATURE_BYTES = 2420

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


# ---------------------------------------------------------------- ML-DSA-44


@lru_cache(maxsize=512)
def mldsa_public_key(raw: bytes) -> MLDSA44PublicKey:
    """Load an ML-DSA-44 public key (FIPS 204, table 2: 1312 bytes, every value is a key).

    Raises:
        KeyFormatError: `key.format` for another length, `key.weak` when its vector t1 is zero
            (anyone can sign for such a key), `key.kind` where the cryptographic library was
            built without ML-DSA.
    """
    if len(raw) != MLDSA_KEY_BYTES:
        raise KeyFormatError("key.format", "An ML-DSA-44 public key is not 1312 bytes long.")
    if not any(raw[32:]):
        raise KeyFormatError("key.weak", "A public key without its vector t1 proves nothing.")
    try:
        return MLDSA44PublicKey.from_public_bytes(raw)
    except UnsupportedAlgorithm as fault:
        raise KeyFormatError("key.kind", "ML-DSA-44 is not supported on this machine.") from fault


def mldsa_public_of(seed: bytes) -> bytes:
    """The 1312 public bytes of a 32-byte seed (FIPS 204, ML-DSA.KeyGen_internal)."""
    return _mldsa_private(seed).public_key().public_bytes_raw()


def mldsa_sign(seed: bytes, message: bytes) -> bytes:
    """Sign with an empty context (FIPS 204, ML-DSA.Sign); 2420 bytes, new ones each time."""
    return _mldsa_private(seed).sign(message)


def mldsa_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is of this key over this message. Raises as `mldsa_public_key`."""
    try:
        mldsa_public_key(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _mldsa_private(seed: bytes) -> MLDSA44PrivateKey:
    if len(seed) != SEED_BYTES:
        raise KeyFormatError("key.format", "A private key is not a seed of 32 bytes.")
    try:
        return MLDSA44PrivateKey.from_seed_bytes(seed)
    except UnsupportedAlgorithm as fault:
        raise KeyFormatError("key.kind", "ML-DSA-44 is not supported on this machine.") from fault


# ---------------------------------------------------------------- points of the curve


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
