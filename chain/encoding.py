"""Base64, decimals and tree heads with exactly one spelling each: no byte varies unseen."""

import binascii
import re

from chain.errors import FormatError

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
INT_MAX = 2**63 - 1


def b64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def unb64(text: str, *, code: str) -> bytes:
    """Decode standard base64; the padding bits must be zero (RFC 4648, section 3.5).

    Raises:
        FormatError: with `code`.
    """
    try:
        given = text.encode("ascii")
        data = binascii.a2b_base64(given)
    except (binascii.Error, ValueError) as fault:
        raise FormatError(code, "A value is not base64.") from fault
    # the spelling decides: whatever else the decoder lets pass is spelt otherwise
    if binascii.b2a_base64(data, newline=False) != given:
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


def tree_head(text: str, *, code: str) -> tuple[str, int, bytes, tuple[str, ...]]:
    """Read the lines of a checkpoint (C2SP tlog-checkpoint, "Note text").

    Returns:
        Origin, size, root of 32 bytes, and extension lines.

    Raises:
        FormatError: with `code`.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise FormatError(code, "A checkpoint has three lines or more, none empty.")
    return lines[0], decimal(lines[1], code=code), hash_of(lines[2], code=code), tuple(lines[3:])
