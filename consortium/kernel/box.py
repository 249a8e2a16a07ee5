"""A secret under a passphrase: argon2id (RFC 9106, 4, second choice) and AES-256-GCM.

One byte of version, 16 of salt, 12 of nonce, then the ciphertext. The version fixes the cost.
"""

import os
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

_VERSION = b"\1"
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32
_PASSES, _LANES, _MEMORY_KIB = 3, 4, 64 * 1024


def lock(secret: bytes, *, passphrase: str, bound: bytes) -> bytes:
    """Seal a secret; `bound` names what it belongs to and must be the same when it is opened."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    key = stretch(passphrase, salt)
    return _VERSION + salt + nonce + AESGCM(key).encrypt(nonce, secret, bound)


def unlock(box: bytes, *, passphrase: str, bound: bytes) -> bytes | None:
    """The secret, None for another passphrase, another owner or a damaged box."""
    salt_end = len(_VERSION) + _SALT_BYTES
    nonce_end = salt_end + _NONCE_BYTES
    if box[: len(_VERSION)] != _VERSION or len(box) <= nonce_end:
        return None
    key = stretch(passphrase, box[len(_VERSION) : salt_end])
    try:
        return AESGCM(key).decrypt(box[salt_end:nonce_end], box[nonce_end:], bound)
    except InvalidTag:
        return None


def stretch(passphrase: str, salt: bytes) -> bytes:
    """32 bytes from a passphrase, slowly; full-width letters count as their plain ones."""
    plain = unicodedata.normalize("NFKC", passphrase).encode()
    return Argon2id(
        salt=salt, length=_KEY_BYTES, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
    ).derive(plain)
