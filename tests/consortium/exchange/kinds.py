"""Kinds that live in tests: a seed for keys and members, a case, a thing that only one may hold."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from consortium.exchange import closing_kind, heads_kind
from consortium.exchange import facts as rules
from consortium.exchange.facts import FactRule, Facts, Value
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import (
    HERE,
    ExchangeKind,
    Opened,
    Registry,
    SubjectType,
    Values,
    Verdict,
    everyone,
    parties,
)
from consortium.exchange.own_kinds import KINDS as OWN_KINDS
from consortium.exchange.own_kinds import SUBJECTS as OWN_SUBJECTS
from consortium.fhir import message as messages
from consortium.fhir.message import Message
from consortium.kernel.database import Base
from consortium.kernel.errors import Refusal, conflict, invalid

MIRROR = "watch"
"""The member that is a regulator, in worlds where it is one of the clinics."""


class TakenRow(Base):
    """What `apply` did, so that a test sees once from never and from twice."""

    __tablename__ = "test_taken"
    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    exchange: Mapped[str] = mapped_column(String(64), primary_key=True)
    what: Mapped[str] = mapped_column(String(16), primary_key=True)
    order: Mapped[int] = mapped_column("place")


def taken(session: Session, member: str, what: str = "applied") -> list[str]:
    """Exchanges that were applied (or told refused) at a member, in that order."""
    return list(
        session.scalars(
            select(TakenRow.exchange)
            .where(TakenRow.member == member, TakenRow.what == what)
            .order_by(TakenRow.order)
        )
    )


class PowerCutError(Exception):
    """The program ends in the middle of an apply."""


CUTS: set[str] = set()
"""Members whose next apply or refusal ends with a power cut, after its rows were written."""


def _note(session: Session, opened: Opened, what: str) -> None:
    session.add(
        TakenRow(member=opened.member, exchange=opened.header.id, what=what, order=opened.index)
    )
    session.flush()
    if opened.member in CUTS:
        CUTS.discard(opened.member)
        raise PowerCutError


class _Told(ExchangeKind):
    def facts_of(self, message: Message) -> Facts:
        return messages.parameters_of(message)

    def apply(self, session: Session, opened: Opened) -> None:
        _note(session, opened, "applied")

    def refused(self, session: Session, opened: Opened) -> None:
        _note(session, opened, "refused")


class Seed(_Told):
    """Entry 0 of a test ledger: every key and member at once."""

    name = "test.seed/1"
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar[dict[str, FactRule]] = {
        "nodes": rules.tree(), "sealing": rules.tree(), "witnesses": rules.tree(optional=True),
    }  # fmt: skip

    def facts_of(self, message: Message) -> Facts:
        facts: Facts = messages.json_of(message, "seed")
        return facts

    def introduces(self, header: Header, facts: Facts) -> Value | None:
        return _key(header.sender, facts["nodes"][header.sender], start=0)

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (
            [f"key:{member}-1" for member in facts["nodes"]]
            + [f"member:{member}" for member in facts["nodes"]]
            + [f"key:{member}-w" for member in facts.get("witnesses", {})]
        )

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        family, _, rest = name.partition(":")
        if family == "key":
            if rest.endswith("-w"):
                member = rest.removesuffix("-w")
                public = facts["witnesses"][member]
                return {**_key(member, public, start=HERE), "use": "witness", "node": f"{member}-1"}
            member = rest.removesuffix("-1")
            return _key(member, facts["nodes"][member], start=HERE)
        value = {"state": "joined", "sealing": facts["sealing"][rest], "recovery": ""}
        value["kind"] = {MIRROR: "regulator", "consortium": rest}.get(rest, "clinic")
        if rest in facts.get("witnesses", {}):
            value["witnesses"] = {f"{rest}-1": f"{rest}-w"}
        return value


def _key(member: str, public: str, *, start: int) -> Value:
    return {
        "member": member,
        "use": "node",
        "alg": "Ed25519",
        "public": public,
        "from": start,
        "until": None,
    }


class Open(_Told):
    """Opens a case between two members; urgent ones overtake."""

    name = "test.open/1"
    lanes = frozenset({Lane.ROUTINE, Lane.URGENT})
    opens_case = True
    rules: ClassVar[dict[str, FactRule]] = {"urgency": rules.code("routine", "urgent")}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"case:{header.case}",)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        return conflict("test.open") if values.get(f"case:{header.case}") else ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        return {
            "parties": sorted(header.members), "state": "open", "turn": header.to[0],
            "said": 0, "opened_at": HERE, "prior": "", "topic": "talk",
        }  # fmt: skip


class Say(_Told):
    """Says one more thing in an open case; refused when it is closed."""

    name = "test.say/1"
    rules: ClassVar[dict[str, FactRule]] = {"close": rules.flag(), "bad": rules.flag(optional=True)}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"case:{header.case}",)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        case = values.get(f"case:{header.case}")
        if case is None or not header.members <= set(case["parties"]):
            return conflict("test.no_case")
        return conflict("test.closed") if case["state"] == "closed" else ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if old is None:
            return None
        state = "closed" if facts["close"] else old["state"]
        return {**old, "said": old["said"] + 1, "prior": old["state"], "state": state}

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        return invalid("test.bad_body") if opened.facts.get("bad") else None


class Claim(_Told):
    """Takes a thing of the lead's that only one may hold; its history is not the claimer's."""

    name = "test.claim/1"
    opens_case = True
    rules: ClassVar[dict[str, FactRule]] = {"thing": rules.code()}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"case:{header.case}", f"thing:{facts['thing']}")

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        thing = values.get(f"thing:{facts['thing']}")
        return conflict("test.taken") if thing and thing["holder"] else "got"

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if name.startswith("thing:"):
            return {"parties": [header.to[0]], "case": header.case, "holder": header.sender}
        return {
            "parties": sorted(header.members), "state": outcome[0], "turn": "", "prior": "",
            "thing": f"thing:{facts['thing']}",
        }  # fmt: skip


class GiveBack(_Told):
    """Gives a claimed thing back, found through the case's link."""

    name = "test.give_back/1"

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"case:{header.case}", f"case:{header.case}>thing")

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        case = values.get(f"case:{header.case}")
        if case is None or case["state"] != "got":
            return conflict("test.not_got")
        return ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if name.startswith("thing:"):
            return {"parties": old["parties"], "case": "", "holder": ""} if old else None
        return {**old, "state": "given", "prior": old["state"]} if old else None


class AllowAll:
    """A permit that finds nothing against anything."""

    def subjects(
        self, kind: ExchangeKind, header: Header, facts: Facts, time: datetime
    ) -> Sequence[str]:
        return ()

    def decide(
        self, kind: ExchangeKind, header: Header, facts: Facts, values: Values, time: datetime
    ) -> Verdict:
        return ""


def registry() -> Registry:
    """The registry of a test world."""
    return Registry(
        [
            Seed(),
            Open(),
            Say(),
            Claim(),
            GiveBack(),
            *OWN_KINDS,
            *heads_kind.KINDS,
            *closing_kind.kinds("regulator"),
        ],
        [
            SubjectType("key", everyone),
            SubjectType("member", everyone),
            SubjectType("thing", parties, holds=lambda _name, member, _read: member == "lead"),
            *OWN_SUBJECTS,
            *heads_kind.SUBJECTS,
            *closing_kind.SUBJECTS,
        ],
        AllowAll(),
        {"talk": frozenset({"closed"})},
    )
