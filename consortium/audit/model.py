"""The hash chain of the audit, pure.

    hash = SHA-256("sharing-chain/audit/1" 00, previous hash, u64 seq, u64 time in ms, and each of
           user, member, action, subject type, subject, patient, facts as u32 length and UTF-8;
           no patient is the length 2^32 - 1; the first row follows 32 zero bytes)

All integers are big-endian. The facts are hashed as they are stored.
"""

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime

from consortium.kernel.time import to_ms

FIRST_PREV = bytes(32)
_TAG = b"sharing-chain/audit/1\0"
_NUMBERS = struct.Struct(">QQ")
_LENGTH = struct.Struct(">I")
_NONE = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Link:
    """One row of the chain, without its hashes."""

    seq: int
    at: datetime
    user: str
    member: str
    action: str
    subject_type: str
    subject: str
    patient: str | None
    facts: str


def hash_of(link: Link, prev: bytes) -> bytes:
    """The hash of a row that follows the row with the hash `prev`."""
    digest = hashlib.sha256(_TAG + prev + _NUMBERS.pack(link.seq, to_ms(link.at)))
    texts = (link.user, link.member, link.action, link.subject_type, link.subject, link.patient)
    for text in (*texts, link.facts):
        if text is None:
            digest.update(_LENGTH.pack(_NONE))
            continue
        data = text.encode()
        digest.update(_LENGTH.pack(len(data)) + data)
    return digest.digest()
