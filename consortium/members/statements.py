"""What keys sign in this room: domain-tagged statements, one canonical byte form each.

A proof of possession says "this key is MEMBER's, under this charter"; a list says which keys a
member adds and ends; the charter's signature says that a member keeps to it (PROTOCOL 2).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consortium.members import age_text

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_KID_BYTES = 16
_P = 2**255 - 19
# the y of every point of order 1, 2, 4 or 8; tests compute them by doubling
_ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_WEAK = frozenset({0, 1, _P - 1, _ORDER_8, _P - _ORDER_8})

_KID_TAG = b"sharing-chain/key-id/1\0"
_PROOF_TAG = b"sharing-chain/key-proof/1\0"
_LIST_TAG = b"sharing-chain/key-list/1\0"
_CHARTER_TAG = b"sharing-chain/charter/1\0"
_SIGN_TAG = b"sharing-chain/charter-signature/1\0"
_DETAILS_TAG = b"sharing-chain/details/1\0"
_CODE_TAG = b"sharing-chain/code/1\0"


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str, size: int | None) -> bytes | None:
    """The bytes of canonical base64url without padding, None if it is not that or not `size`.

    A `size` of None takes any length.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return raw if len(raw) == (size or len(raw)) and b64(raw) == text else None


def digest(tag: bytes, content: bytes) -> bytes:
    """32 bytes over a domain tag and what it marks."""
    return hashlib.sha256(tag + content).digest()


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def kid_of(public: bytes) -> str:
    """The id of a key: 128 bits of a hash of its public bytes, whatever its use.

    Two uses of one key would share an id, and the second is refused: they are different keys.
    """
    return digest(_KID_TAG, public)[:_KID_BYTES].hex()


def ed25519_public(text: str) -> bytes | None:
    """32 bytes of an Ed25519 key, None when not canonical or of small order (RFC 8032, 5.1.3).

    Bytes that are no point of the curve pass here; no signature verifies under them.
    """
    raw = unb64(text, KEY_BYTES)
    if raw is None:
        return None
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    return None if y >= _P or y in _WEAK else raw


def public_bytes(use: str, text: str) -> bytes | None:
    """The public bytes of a key of this use, None when the key is refused."""
    if use in ("sealing", "recovery_age"):
        return age_text.public_of(text)
    return ed25519_public(text)


@lru_cache(maxsize=4096)
def verifies(public: str, message: bytes, signature: str) -> bool:
    """Whether the signature (base64url) over the message is of this Ed25519 key (base64url)."""
    key, raw = ed25519_public(public), unb64(signature, SIGNATURE_BYTES)
    if key is None or raw is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(raw, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def proof(*, charter: str, member: str, use: str, public: str, holder: str = "") -> bytes:
    """What a key signs to prove that its owner holds it."""
    return _PROOF_TAG + canonical(
        {"charter": charter, "member": member, "use": use, "public": public, "holder": holder}
    )


def listed(kind: str, charter: str, facts: Mapping[str, Any]) -> bytes:
    """What a seal or recovery key signs: all facts of a key list but the signature itself."""
    rest = {name: value for name, value in facts.items() if name != "signature"}
    return _LIST_TAG + canonical({"kind": kind, "charter": charter, "facts": rest})


def charter(*, charter_hash: str, origin: str, member: str) -> bytes:
    """What a member's seal signs to keep to the charter."""
    return _SIGN_TAG + canonical({"charter": charter_hash, "origin": origin, "member": member})


def charter_hash(document: bytes) -> str:
    """SHA-256 of the charter as it stands, base64url."""
    return b64(digest(_CHARTER_TAG, document))


def details_hash(details: Mapping[str, Any]) -> str:
    """SHA-256 of a member's entry in the directory, base64url."""
    return b64(digest(_DETAILS_TAG, canonical(details)))


def code_mac(secret: bytes, role: str, content: Mapping[str, Any]) -> str:
    """MAC by a one-time code; `role` keeps question and answer apart."""
    message = _CODE_TAG + role.encode() + b"\0" + canonical(content)
    return b64(hmac.new(secret, message, hashlib.sha256).digest())
