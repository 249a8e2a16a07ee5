"""The header of an exchange: all that the ledger keeps of it, for ever (PROTOCOL 3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consortium.kernel.errors import invalid

VERSION = 1
EVERYONE = "all"
RECIPIENTS_MAX = 16
PARENTS_MAX = 4
TOKEN = re.compile(r"[A-Za-z0-9_.:/+=@~-]{1,64}")
"""What an id, kind or code may be: no comma, quote, space or control character, so that lists of
them can be joined, and as long as the rows that keep it."""
_MINUTE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z")
# 43 characters hold 32 bytes and two bits over, which are zero
_HASH = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_REQUIRED = {
    "id": TOKEN, "kind": TOKEN, "from": TOKEN, "node": TOKEN, "lane": TOKEN, "prev": _HASH,
    "facts": _HASH, "body": _HASH, "at": _MINUTE,
}  # fmt: skip
_OPTIONAL = {"contract": TOKEN, "case": TOKEN, "purpose": TOKEN, "parts": _HASH}
_FIELDS = frozenset((*_REQUIRED, *_OPTIONAL, "v", "to", "seq", "after"))


class Lane(StrEnum):
    """One hash chain per node and lane; an urgent referral never waits behind records."""

    CONTROL = "control"
    URGENT = "urgent"
    ROUTINE = "routine"
    RECORDS = "records"


# `in Lane` takes values from Python 3.12 on only
_LANES = frozenset(Lane)


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header. Hashes are base64url without padding; `parts` is empty when absent."""

    id: str
    kind: str
    sender: str
    to: tuple[str, ...]
    node: str
    lane: Lane
    seq: int
    prev: str
    facts: str
    body: str
    at: str
    after: tuple[str, ...] = ()
    contract: str = ""
    case: str = ""
    purpose: str = ""
    parts: str = ""
    v: int = VERSION

    @property
    def everyone(self) -> bool:
        """Whether it goes to all members."""
        return self.to == (EVERYONE,)

    @property
    def members(self) -> frozenset[str]:
        """Sender and named recipients."""
        return frozenset((self.sender, *self.to)) - {EVERYONE}

    def json(self) -> dict[str, Any]:
        """The header as the JSON object that is signed; absent members are left out."""
        out: dict[str, Any] = {
            "v": self.v,
            "id": self.id,
            "kind": self.kind,
            "from": self.sender,
            "to": list(self.to),
            "node": self.node,
            "lane": self.lane.value,
            "seq": self.seq,
            "prev": self.prev,
            "at": self.at,
            "facts": self.facts,
            "body": self.body,
        }
        if self.after:
            out["after"] = list(self.after)
        for name in ("contract", "case", "purpose", "parts"):
            if value := getattr(self, name):
                out[name] = value
        return out


def parse(value: object) -> Header:
    """Read the JSON object of a header, strictly.

    Raises:
        Refusal: `exchange.malformed` with the field, or `exchange.version` for an unknown `v`.
    """
    if not isinstance(value, dict):
        raise _bad("header")
    if value.get("v") != VERSION or isinstance(value.get("v"), bool):
        raise invalid(
            "exchange.version", v=value.get("v") if isinstance(value.get("v"), int) else 0
        )
    if unknown := value.keys() - _FIELDS:
        raise _bad(min(unknown)[:32])
    texts = {name: _text(value, name, form) for name, form in _REQUIRED.items()}
    for name, form in _OPTIONAL.items():
        texts[name] = _text(value, name, form) if name in value else ""
    seq = value.get("seq")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 1 <= seq < 2**53:
        raise _bad("seq")
    if texts["lane"] not in _LANES:
        raise _bad("lane")
    to = _names(value, "to", most=RECIPIENTS_MAX)
    if not to or len(set(to)) != len(to) or (EVERYONE in to and len(to) > 1):
        raise _bad("to")
    return Header(
        id=texts["id"],
        kind=texts["kind"],
        sender=texts["from"],
        to=to,
        node=texts["node"],
        lane=Lane(texts["lane"]),
        seq=seq,
        prev=texts["prev"],
        facts=texts["facts"],
        body=texts["body"],
        at=texts["at"],
        after=_names(value, "after", most=PARENTS_MAX),
        contract=texts["contract"],
        case=texts["case"],
        purpose=texts["purpose"],
        parts=texts["parts"],
    )


def _bad(field: str) -> Exception:
    return invalid("exchange.malformed", field=field)


def _text(value: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    text = value.get(name)
    if not isinstance(text, str) or form.fullmatch(text) is None:
        raise _bad(name)
    return text


def _names(value: Mapping[str, Any], name: str, *, most: int) -> tuple[str, ...]:
    names = value.get(name, [])
    if not isinstance(names, list) or len(names) > most:
        raise _bad(name)
    if not all(isinstance(one, str) and TOKEN.fullmatch(one) for one in names):
        raise _bad(name)
    return tuple(names)
