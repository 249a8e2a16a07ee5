"""Answers of admission, one for each exchange pushed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consortium.exchange.commitment import b64
from consortium.exchange.jws import Signed


class Status(StrEnum):
    """`leaf`: it has an index and a verdict; all others come without a leaf (PROTOCOL 4, 1)."""

    LEAF = "leaf"
    MALFORMED = "malformed"
    HELD = "held"
    NODE = "node"
    SIGNATURE = "signature"
    GAP = "expected"
    FORK = "fork"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one exchange.

    `jws` is the base64url SHA-256 of the JWS (of the whole envelope when it had none that could
    be read). `expected` and `head` tell a sender where its chain stands at the hub.
    """

    jws: str
    status: Status
    index: int = -1
    leaf: str = ""
    code: str = ""
    expected: int = 0
    head: str = ""

    @classmethod
    def of(cls, signed: Signed, status: Status, **more: Any) -> "Answer":
        return cls(jws=b64(signed.digest), status=status, **more)

    @classmethod
    def of_raw(cls, raw: bytes, status: Status, *, code: str) -> "Answer":
        return cls(jws=b64(hashlib.sha256(raw).digest()), status=status, code=code)

    def json(self) -> dict[str, Any]:
        """The answer as sent, empty members left out."""
        out: dict[str, Any] = {"jws": self.jws, "status": self.status.value}
        if self.index >= 0:
            out["index"] = self.index
        for name in ("leaf", "code", "head"):
            if value := getattr(self, name):
                out[name] = value
        if self.expected:
            out["expected"] = self.expected
        return out


def read(value: Mapping[str, Any]) -> Answer:
    """Read an answer. Raises ValueError or KeyError for one that is not well formed."""
    return Answer(
        jws=str(value["jws"]),
        status=Status(value["status"]),
        index=int(value.get("index", -1)),
        leaf=str(value.get("leaf", "")),
        code=str(value.get("code", "")),
        expected=int(value.get("expected", 0)),
        head=str(value.get("head", "")),
    )
