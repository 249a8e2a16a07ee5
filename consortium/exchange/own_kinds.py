"""The kinds that belong to no working room (PROTOCOL 1).

Acks, refusals of a body, disputes, suspension of a node that signed two histories, backups.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.orm import Session

from consortium.exchange import alarms, jws, state
from consortium.exchange import facts as rules
from consortium.exchange.commitment import b64, unb64
from consortium.exchange.facts import FactRule, Facts, Value
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import (
    FREED,
    HERE,
    ExchangeKind,
    Opened,
    SubjectType,
    Values,
    Verdict,
    everyone,
    parties,
)
from consortium.exchange.tables import FeedRow
from consortium.fhir import message as messages
from consortium.kernel.errors import Refusal, conflict, forbidden, invalid

if TYPE_CHECKING:
    from consortium.fhir.message import Message

HUB_MEMBER = "consortium"


class _FromParameters(ExchangeKind):
    """Kinds whose facts are the Parameters of their body, no more and no less."""

    def facts_of(self, message: "Message") -> Facts:
        return messages.parameters_of(message)


class Ack(_FromParameters):
    """Up to which index a node's feed is complete, with its number and running hash."""

    name = "ack/1"
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    rules: ClassVar[dict[str, FactRule]] = {
        "index": rules.number(),
        "number": rules.number(),
        "running": rules.code(),
    }

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"ack:{header.sender}",)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        if header.to != (HUB_MEMBER,):
            return invalid("exchange.recipients")
        old = values.get(f"ack:{header.sender}")
        if old is not None and facts["index"] < old["index"]:
            return conflict("ack.backwards")
        return ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        return {
            "parties": sorted({header.sender, HUB_MEMBER}),
            "index": facts["index"],
            "number": facts["number"],
        }

    def apply(self, session: Session, opened: Opened) -> None:
        """The hub compares the running hash with its own: a difference is an alarm."""
        if opened.member != HUB_MEMBER:
            return
        row = session.get(FeedRow, (opened.header.sender, opened.facts["number"]))
        seen = (row.index, b64(row.running)) if row is not None else None
        if seen != (opened.facts["index"], opened.facts["running"]):
            alarms.put(
                session, "feed.ack", about=opened.header.sender, now=opened.now,
                upto=opened.facts["index"], number=opened.facts["number"],
            )  # fmt: skip


class BodyRefuse(_FromParameters):
    """A recipient's answer to a body that it cannot accept (PROTOCOL 4).

    The case goes back to what it was, with the slot that was taken; a step that is not `refusable`
    stands, and the case only says that its body was refused.
    """

    name = "body.refuse/1"
    charter = True
    refusable = False
    puts_back = True
    rules: ClassVar[dict[str, FactRule]] = {"of": rules.code(), "code": rules.code()}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"case:{header.case}", f"case:{header.case}>slot") if header.case else ()

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        if not header.case:
            return ""
        case = values.get(f"case:{header.case}")
        if case is None or header.sender not in case["parties"] or header.sender in header.to:
            return forbidden("exchange.not_party")
        slot, back = case.get("slot"), _back_of(case, header, facts)
        return FREED if slot and back and back.get("slot", slot) != slot else ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        """Only what the refused exchange itself did is put back, and only for its own sender."""
        back = None if old is None else _back_of(old, header, facts)
        if old is None or back is None or not name.startswith("case:"):
            return old
        said = {"body_refused": {"of": facts["of"], "code": facts["code"]}}
        if not back:
            return {**old, **said}
        return {**old, **back, "prior": old["state"], "turn": header.to[0], **said}

    def apply(self, session: Session, opened: Opened) -> None:
        """The room whose body it was puts its local rows back too."""
        from consortium.exchange import timeline

        try:
            entry = timeline.one(session, member=opened.member, exchange_id=opened.facts["of"])
        except Refusal:
            return  # names an exchange that this member never had
        kind = opened.post.registry.kind(entry.kind)
        if kind is not None:
            kind.put_back(session, opened)


def _back_of(case: Value, header: Header, facts: Facts) -> Value | None:
    """What the refused exchange left to put back; None when it was not the last to move the case.

    Empty for a step that stands.
    """
    last = case.get("last") or {}
    if (last.get("id"), last.get("by")) != (facts["of"], header.to[0]):
        return None
    back: Value = last.get("back") or {}
    return back


class DisputeRaise(_FromParameters):
    """A member whose own checks differ from a verdict says so to the hub and the sender."""

    name = "dispute.raise/1"
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    rules: ClassVar[dict[str, FactRule]] = {
        "index": rules.number(),
        "verdict": rules.code(),
        "found": rules.code(),
    }

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return ()

    def apply(self, session: Session, opened: Opened) -> None:
        """At the hub's own members: a verdict of the hub is in doubt."""
        alarms.put(
            session, "dispute", about=f"{opened.header.sender}:{opened.facts['index']}",
            now=opened.now, entry=opened.facts["index"], member=opened.header.sender,
            verdict=opened.facts["verdict"], found=opened.facts["found"],
        )  # fmt: skip


class NodeSuspend(_FromParameters):
    """The hub's node ends the key of a node that signed two exchanges under one number."""

    name = "node.suspend/1"
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar[dict[str, FactRule]] = {
        "node": rules.code(),
        "first": rules.code(),
        "second": rules.code(),
    }

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"key:{facts['node']}",)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        key = values.get(f"key:{facts['node']}")
        if header.sender != HUB_MEMBER or facts["first"] == facts["second"]:
            return forbidden("exchange.not_hub")
        if key is None or key["use"] != "node" or key.get("until") is not None:
            return conflict("exchange.node_ended")
        return ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        return None if old is None else {**old, "until": HERE, "why": "fork"}

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        """Both JWS are in the body: anyone can see that one number was given twice."""
        if opened.message is None:
            return None
        evidence = messages.json_of(opened.message, "evidence")
        key = state.read(session, f"key:{opened.facts['node']}")
        try:
            first, second = (jws.parse(str(evidence[one]).encode()) for one in ("first", "second"))
        except (KeyError, TypeError, Refusal):
            return invalid("exchange.evidence")
        named = (opened.facts["first"], opened.facts["second"])
        public = unb64(key["public"]) if key is not None else b""
        if (
            (b64(first.digest), b64(second.digest)) != named
            or {first.header.node, second.header.node} != {opened.facts["node"]}
            or not (jws.verify(first, public) and jws.verify(second, public))
            or not _two_histories(first, second)
        ):
            return invalid("exchange.evidence")
        return None


def _two_histories(first: jws.Signed, second: jws.Signed) -> bool:
    """Whether no one chain holds both: a number given twice, or a next one that denies the first.

    `first` has its leaf, so it is the history that stands.
    """
    one, two = first.header, second.header
    if one.lane != two.lane or first.raw == second.raw:
        return False
    return one.seq == two.seq or (one.seq + 1 == two.seq and two.prev != b64(first.digest))


class Backup(_FromParameters):
    """A backup of the hub covers the ledger up to a size; its guard may drop what is below."""

    name = "backup/1"
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar[dict[str, FactRule]] = {"size": rules.number()}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return ("backup:hub",)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        old = values.get("backup:hub")
        if header.sender != HUB_MEMBER or (old is not None and facts["size"] < old["size"]):
            return forbidden("exchange.not_hub")
        return ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        return {"size": facts["size"]}


KINDS: list[ExchangeKind] = [Ack(), BodyRefuse(), DisputeRaise(), NodeSuspend(), Backup()]
SUBJECTS = [
    SubjectType("ack", parties),
    SubjectType("backup", everyone),
    SubjectType("case", parties),
]
