"""Leaves of a sharing chain: when the ledger took an exchange, what it answered, what was signed.

A leaf is ASCII, at most 8 KiB:

    <ledger time in ms since 1970> SP <verdict> LF <JWS in compact form>

- no other line end, none at the end; the JWS stands exactly as it was signed;
- time: a decimal from 1 to 253402300799999 (the end of the year 9999), no leading zero;
- verdict: `ok` and at most three outcome words, or a refusal's code and at most one detail (the
  contract clause, or the index that a duplicate repeats), parted by single spaces;
- code: lower-case words of letters, digits and `_`, joined by dots, at most 64 characters, not
  `ok`; an outcome word or detail: 1 to 64 of letters, digits and `_.:/-`, first a letter or digit;
- JWS: three base64url parts without padding (RFC 7515, 7.1), none empty, unused bits zero.

The leaf hash is that of RFC 6962 over these bytes.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from chain.errors import FormatError
from chain.merkle import leaf_hash

LEAF_BYTES_MAX = 8 * 1024
TIME_MS_MAX = 253_402_300_799_999
OUTCOME_WORDS_MAX = 3
ADMITTED = "ok"

_HEAD = re.compile(rb"([1-9][0-9]{0,14}) ([!-~]{1,64}(?: [!-~]{1,64}){0,3})")
_CODE = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*")
_DETAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]*")
_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# 2 or 3 characters over a multiple of 4 leave 4 or 2 bits unused, which must be zero
_LAST = {0: _BASE64URL, 1: b"", 2: b"AQgw", 3: b"AEIMQUYcgkosw048"}


@dataclass(frozen=True)
class Leaf:
    """A parsed leaf, one of the entries of C2SP tlog-tiles, "Log entries".

    Made by `parse` or `make`, which check it against the form above.
    """

    time_ms: int
    code: str
    details: tuple[str, ...]
    jws: bytes

    @property
    def admitted(self) -> bool:
        return self.code == ADMITTED

    @property
    def verdict(self) -> str:
        return " ".join((self.code, *self.details))

    @cached_property
    def data(self) -> bytes:
        return b"%d %b\n%b" % (self.time_ms, self.verdict.encode("ascii"), self.jws)

    @cached_property
    def hash(self) -> bytes:
        """RFC 6962 leaf hash."""
        return leaf_hash(self.data)

    @cached_property
    def jws_hash(self) -> bytes:
        """SHA-256 of the JWS: what says that an exchange is on the ledger already."""
        return sha256(self.jws).digest()


def parse(data: bytes) -> Leaf:
    """Read a leaf strictly.

    Raises:
        FormatError: `leaf.format`.
    """
    if len(data) > LEAF_BYTES_MAX:
        raise FormatError("leaf.format", "A ledger entry is longer than 8 KiB.")
    head, gap, jws = data.partition(b"\n")
    match = _HEAD.fullmatch(head)
    if match is None or not gap or not _is_jws(jws):
        raise FormatError("leaf.format", "A ledger entry is not a time, a verdict and a JWS.")
    time_ms = int(match[1])
    code, *details = match[2].decode("ascii").split(" ")
    if time_ms > TIME_MS_MAX:
        raise FormatError("leaf.format", "The time of a ledger entry is out of range.")
    most = OUTCOME_WORDS_MAX if code == ADMITTED else 1
    if not _CODE.fullmatch(code) or len(details) > most or not all(map(_DETAIL.fullmatch, details)):
        raise FormatError("leaf.format", "The verdict of a ledger entry is malformed.")
    return Leaf(time_ms, code, tuple(details), jws)


def make(*, time_ms: int, verdict: str, jws: bytes) -> Leaf:
    """Build the leaf of one exchange. Raises FormatError as `parse`."""
    try:
        return parse(b"%d %b\n%b" % (time_ms, verdict.encode("ascii"), jws))
    except UnicodeEncodeError as fault:
        raise FormatError("leaf.format", "The verdict of a ledger entry is malformed.") from fault


def _is_jws(data: bytes) -> bool:
    # every leaf that is made or checked comes here: four times as fast as one expression
    parts = data.split(b".")
    return (
        len(parts) == 3
        and all(part and part[-1] in _LAST[len(part) % 4] for part in parts)
        and not data.translate(None, _BASE64URL + b".")
    )
