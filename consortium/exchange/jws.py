"""Exchanges as compact JWS (RFC 7515; `Ed25519` of RFC 9864), in one canonical form only.

The protected header is exactly {"alg":"Ed25519","kid":NODE} and the payload is the header of the
exchange in one order of members, without white space. Whatever would serialise otherwise is
refused, so one exchange has one byte form and no parser difference can be signed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consortium.exchange import header as headers
from consortium.exchange.commitment import b64, unb64
from consortium.exchange.header import Header
from consortium.exchange.limits import JWS_MAX_BYTES
from consortium.kernel.errors import invalid
from consortium.ports import Signer

_DOTS = 2
FIRST_PREV = b64(bytes(32))
"""`prev` of number 1 in a chain."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A parsed JWS whose signature has not been checked yet.

    `digest` is the SHA-256 of the JWS as it stands: its identity, and `prev` of the next.
    """

    raw: bytes
    header: Header
    signature: bytes
    digest: bytes


def protected(kid: str) -> str:
    return b64(orjson.dumps({"alg": "Ed25519", "kid": kid}))


def sign(header: Header, signer: Signer) -> bytes:
    """The compact JWS of a header. Raises Refusal `exchange.too_large` over 4 KiB."""
    signing = f"{protected(header.node)}.{b64(orjson.dumps(header.json()))}".encode()
    raw = signing + b"." + b64(signer.sign(signing)).encode()
    if len(raw) > JWS_MAX_BYTES:
        raise invalid("exchange.too_large", part="jws")
    return raw


def parse(raw: bytes) -> Signed:
    """Read a compact JWS strictly.

    Raises:
        Refusal: `exchange.malformed`, `exchange.version` or `exchange.too_large`.
    """
    if len(raw) > JWS_MAX_BYTES:
        raise invalid("exchange.too_large", part="jws")
    if not raw.isascii() or raw.count(b".") != _DOTS:
        raise invalid("exchange.malformed", field="jws")
    first, second, third = raw.decode("ascii").split(".")
    payload, signature = unb64(second), unb64(third)
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise invalid("exchange.malformed", field="payload") from None
    header = headers.parse(value)
    if first != protected(header.node) or orjson.dumps(header.json()) != payload:
        raise invalid("exchange.malformed", field="form")
    return Signed(raw, header, signature, hashlib.sha256(raw).digest())


def verify(signed: Signed, public: bytes) -> bool:
    """Whether the signature is that of the 32-byte Ed25519 public key."""
    message, _, _ = signed.raw.rpartition(b".")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed.signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def digest_text(raw: bytes) -> str:
    """`prev` of the exchange that follows `raw` in its chain."""
    return b64(hashlib.sha256(raw).digest())


def sign_statement(statement: Mapping[str, Any], *, kid: str, signer: Signer, typ: str) -> str:
    """A compact JWS of our own small statements (answers of the hub, requests of a node).

    `typ` keeps the families apart, so that none can pass for an exchange or for another family.
    """
    head = b64(orjson.dumps({"alg": "Ed25519", "kid": kid, "typ": typ}))
    signing = f"{head}.{b64(orjson.dumps(dict(statement)))}"
    return f"{signing}.{b64(signer.sign(signing.encode()))}"


def read_statement(text: str, *, typ: str) -> tuple[str, dict[str, Any]]:
    """Key id and content of a statement, unchecked; check with `verify_statement`.

    Raises:
        Refusal: `exchange.malformed`.
    """
    bad = invalid("exchange.malformed", field="statement")
    try:
        first, second, _ = text.split(".")
        head, content = orjson.loads(unb64(first)), orjson.loads(unb64(second))
    except ValueError:
        raise bad from None
    if not isinstance(head, dict) or not isinstance(content, dict):
        raise bad
    kid = head.get("kid")
    if head != {"alg": "Ed25519", "kid": kid, "typ": typ} or not isinstance(kid, str):
        raise bad
    return kid, content


def verify_statement(text: str, public: bytes) -> bool:
    """Whether the statement's signature is that of the 32-byte Ed25519 public key."""
    signing, _, signature = text.rpartition(".")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(unb64(signature), signing.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
