"""Base64 and decimals with exactly one spelling each, so that no byte of a file can vary unseen."""

import base64
import binascii
import re

from chain.errors import FormatError

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
INT_MAX = 2**63 - 1


def b64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str, *, code: str) -> bytes:
    """Decode standard base64; the padding bits must be zero (RFC 4648, section 3.5).

    Raises:
        FormatError: with `code`.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise FormatError(code, "A value is not base64.") from fault
    if b64(data) != text:
        raise FormatError(code, "A base64 value is not in its one canonical spelling.")
    return data


def hash_of(text: str, *, code: str) -> bytes:
    """Decode the base64 of a SHA-256 hash.

    Raises:
        FormatError: with `code`, also when it is not 32 bytes.
    """
    data = unb64(text, code=code)
    if len(data) != 32:
        raise FormatError(code, "A hash is not 32 bytes long.")
    return data


def decimal(text: str, *, code: str) -> int:
    """Read a decimal without sign or leading zero, at most 2^63 - 1.

    Raises:
        FormatError: with `code`.
    """
    if not _DECIMAL.fullmatch(text) or (value := int(text)) > INT_MAX:
        raise FormatError(code, "A number is not a plain decimal below 2^63.")
    return value
