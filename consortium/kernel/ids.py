"""Identifiers. All are strings; the types keep them apart for the type checker."""

import os
from datetime import datetime
from typing import NewType

from consortium.kernel.time import to_ms

MemberId = NewType("MemberId", str)
NodeId = NewType("NodeId", str)
ExchangeId = NewType("ExchangeId", str)
CaseId = NewType("CaseId", str)
ContractId = NewType("ContractId", str)
UserId = NewType("UserId", str)
PatientId = NewType("PatientId", str)
KeyId = NewType("KeyId", str)


def new_id(now: datetime) -> str:
    """Make a UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds of `now`, then 74 random bits."""
    raw = bytearray(to_ms(now).to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
