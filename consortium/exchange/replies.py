"""Replies of the hub as a node reads them. Whatever cannot be read was no answer of a hub.

A clinic's link may end at a sign-in page of its provider, which answers everything with 200.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy.orm import Session

from consortium.exchange import answers, jws, state
from consortium.exchange.answers import Answer
from consortium.exchange.commitment import unb64
from consortium.exchange.envelope import unframe
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.received import Item
from consortium.exchange.requests import ANSWER
from consortium.kernel.errors import Refusal
from consortium.ports import LinkDown

_FRAMES_MAX = 3 * 256 + 1


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a member's feed, with the hub's news of ledger and recipients."""

    items: list[Item]
    running: str
    more: bool
    checkpoint: bytes
    consistency: list[bytes]
    receipts: dict[int, bytes]
    acks: dict[str, int]
    time_ms: int
    """The hub's clock as it answered."""
    cosign: bool = False
    """Whether the hub asks for a cosignature on this checkpoint."""
    cosigned: int = 0
    """The size of this node's newest cosignature that the hub holds."""
    witnessed: int = 0
    """The size of the newest checkpoint that met the policy's quorum; 0 while none has."""
    heard: Mapping[int, list[bytes]] = field(default_factory=dict)
    """Proofs between the checkpoint and sizes that were heard past the hub."""
    frozen: str = ""
    """The seal's word that the log is frozen; empty while it goes on."""
    heads: "HeadsSaid | None" = None
    """The newest `feed.heads/1` where this member has not seen it yet."""

    def nothing_new(self, *, checkpoint: bytes, acks: Mapping[str, int], frozen: str = "") -> bool:
        """Whether it brings nothing but what is known here: most polls do, and write nothing."""
        return (
            not self.items
            and not self.cosign
            and not self.heard
            and not self.receipts
            and self.heads is None
            and self.frozen == frozen
            and self.checkpoint in (b"", checkpoint)
            and dict(acks) == self.acks
        )


@dataclass(frozen=True, slots=True)
class HeadsSaid:
    """Where the hub says that this member's feed stands under signed heads, with the proofs."""

    entry: int
    receipt: bytes
    facts: bytes
    place: int
    number: int
    running: bytes
    path: list[bytes]


@dataclass(frozen=True, slots=True)
class Given:
    """One answer as it came, with the hub's signature over it where it has no leaf."""

    answer: Answer
    signed: str


def page(body: bytes) -> Page:
    """Read the reply to a pull. Raises LinkDown for what is none."""
    with _or_no_link():
        meta_raw, *parts = unframe(body, most=_FRAMES_MAX)
        meta = orjson.loads(meta_raw)
        told = meta["items"]
        if len(parts) != 3 * len(told):
            raise ValueError("frames")
        return Page(
            items=[_item(one, *parts[3 * at : 3 * at + 3]) for at, one in enumerate(told)],
            running=str(meta["running"]),
            # a page without entries is the last one, whatever it says
            more=bool(meta["more"]) and bool(told),
            checkpoint=str(meta["checkpoint"]).encode(),
            consistency=[unb64(str(one)) for one in meta["consistency"]],
            receipts={int(index): unb64(str(raw)) for index, raw in meta["receipts"].items()},
            acks={str(member): int(index) for member, index in meta["acks"].items()},
            time_ms=int(meta["time_ms"]),
            cosign=bool(meta["cosign"]),
            cosigned=int(meta["cosigned"]),
            witnessed=int(meta["witnessed"]),
            heard={
                int(size): [unb64(str(one)) for one in proof]
                for size, proof in meta["heard"].items()
            },
            frozen=str(meta.get("frozen", "")),
            heads=_heads(meta.get("heads") or {}),
        )


def pushed(body: bytes, *, count: int) -> list[Given]:
    """Read the reply to a push of `count` exchanges. Raises LinkDown for what is none."""
    with _or_no_link():
        told = orjson.loads(body)["answers"]
        if len(told) != count:
            raise ValueError("answers")
        return [Given(answers.read(one), str(one.get("signed", ""))) for one in told]


def hub_says(session: Session, given: Given) -> bool:
    """Whether an answer without a leaf bears the signature of a node of the hub (PROTOCOL 4, 1)."""
    try:
        node, statement = jws.read_statement(given.signed, typ=ANSWER)
        record = state.read(session, f"key:{node}")
        if record is None or (record["member"], record["use"]) != (HUB_MEMBER, "node"):
            return False
        genuine = jws.verify_statement(given.signed, unb64(record["public"]))
    except Refusal:
        return False
    statement.pop("at_ms", None)
    return genuine and record.get("until") is None and statement == given.answer.json()


def _heads(told: Mapping[str, Any]) -> HeadsSaid | None:
    if "receipt" not in told:
        return None
    return HeadsSaid(
        entry=int(told["entry"]),
        receipt=unb64(str(told["receipt"])),
        facts=unb64(str(told["facts"])),
        place=int(told["place"]),
        number=int(told["number"]),
        running=unb64(str(told["running"])),
        path=[unb64(str(one)) for one in told["path"]],
    )


def _item(one: Mapping[str, Any], leaf: bytes, facts: bytes, body: bytes) -> Item:
    has = int(one["has"])
    return Item(
        number=int(one["number"]),
        index=int(one["index"]),
        leaf=leaf,
        facts=facts if has & 1 else None,
        body=body if has & 2 else None,
    )


@contextmanager
def _or_no_link() -> Iterator[None]:
    try:
        yield
    except (Refusal, ValueError, KeyError, TypeError, AttributeError) as odd:
        raise LinkDown("no answer of a hub") from odd
