"""Salted commitments to facts, body and parts: v1 bytes (PROTOCOL 3).

A commitment opens to one content only, tells nothing without its salt, and dies with it.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import zstandard

from consortium.exchange.limits import PLAIN_MAX_BYTES
from consortium.kernel.errors import Refusal, RefusalKind, invalid

SALT_BYTES = 32
PLAIN, ZSTD = 0, 1
_FACTS_TAG = b"sharing-chain/facts/1\0"
_BODY_TAG = b"sharing-chain/body/1\0"
_PARTS_TAG = b"sharing-chain/parts/1\0"
_RATIO_MAX = 200
_WINDOW_MAX_BYTES = 8 * 1024 * 1024


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Decode canonical base64url without padding. Raises Refusal `exchange.malformed`."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise invalid("exchange.malformed", field="base64") from None
    if b64(raw) != text:
        raise invalid("exchange.malformed", field="base64")
    return raw


@dataclass(frozen=True, slots=True)
class Part:
    """One attachment as committed: size in bytes and SHA-256 (hex) of the sealed file."""

    size: int
    sha256: str


def new_salt() -> bytes:
    return os.urandom(SALT_BYTES)


def facts_bytes(facts: dict[str, Any], salt: bytes) -> bytes:
    """Facts as sent: 32 salt bytes, then UTF-8 JSON with sorted keys."""
    return salt + orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)


def commit_facts(sent: bytes) -> str:
    return b64(hashlib.sha256(_FACTS_TAG + sent).digest())


def open_facts(sent: bytes) -> Any:
    """The JSON behind the salt, in the one form that `facts_bytes` gives it.

    Raises:
        Refusal: `exchange.facts` for anything else: a name given twice would be read in two ways.
    """
    try:
        facts = orjson.loads(sent[SALT_BYTES:])
    except orjson.JSONDecodeError:
        raise invalid("exchange.facts", field="") from None
    if orjson.dumps(facts, option=orjson.OPT_SORT_KEYS) != sent[SALT_BYTES:]:
        raise invalid("exchange.facts", field="form")
    return facts


def plain_body(bundle: bytes, salt: bytes) -> bytes:
    """The plain body that is sealed: salt, one byte naming the encoding, the encoded Bundle.

    Raises:
        Refusal: `exchange.too_large` for a Bundle that no recipient would open.
    """
    if len(bundle) > PLAIN_MAX_BYTES:
        raise Refusal(RefusalKind.TOO_LARGE, "exchange.too_large", part="bundle")
    packed = zstandard.ZstdCompressor(level=9).compress(bundle)
    if len(packed) < len(bundle) <= _grown_max(packed):
        return salt + bytes([ZSTD]) + packed
    return salt + bytes([PLAIN]) + bundle


def _grown_max(packed: bytes) -> int:
    """How many bytes a packed Bundle may become: what grows faster is made to exhaust memory."""
    return min(PLAIN_MAX_BYTES, max(len(packed) * _RATIO_MAX, 64 * 1024))


def open_body(plain: bytes) -> tuple[bytes, bytes]:
    """Salt and decoded Bundle of a plain body.

    Raises:
        Refusal: `exchange.body_encoding`, also for what grows past 4 MiB or 200 to 1.
    """
    if len(plain) <= SALT_BYTES:
        raise invalid("exchange.body_encoding")
    salt, encoding, content = plain[:SALT_BYTES], plain[SALT_BYTES], plain[SALT_BYTES + 1 :]
    if encoding == PLAIN:
        return salt, content
    if encoding != ZSTD:
        raise invalid("exchange.body_encoding")
    limit = _grown_max(content)
    try:
        opener = zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAX_BYTES)
        with opener.stream_reader(content) as reader:
            bundle = reader.read(limit + 1)
    except zstandard.ZstdError:
        raise invalid("exchange.body_encoding") from None
    if len(bundle) > limit:
        raise invalid("exchange.body_encoding")
    return salt, bundle


def commit_body(bundle: bytes, salt: bytes) -> str:
    """Commitment over salt and the DECODED Bundle, so that it may be encoded or sealed again."""
    return b64(hashlib.sha256(_BODY_TAG + salt + bundle).digest())


def commit_parts(parts: Sequence[Part]) -> str:
    """Commitment to the list of attachments; empty text when there are none."""
    if not parts:
        return ""
    listed = "".join(f"{part.size} {part.sha256}\n" for part in parts)
    return b64(hashlib.sha256(_PARTS_TAG + listed.encode()).digest())
