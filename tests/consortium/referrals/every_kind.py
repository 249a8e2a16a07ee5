"""Every kind of the program over shared state alone, for tests of what holds for all of them."""

from collections.abc import Iterator
from typing import Any

from consortium.contracts.terms import TYPES
from consortium.exchange.facts import FactRule, Value
from consortium.exchange.header import Header
from consortium.exchange.kinds import ExchangeKind
from consortium.kernel.ids import new_id
from consortium.records import model as records
from consortium.referrals import model as referrals
from consortium.teleconsult import model as bookings
from consortium.wiring import rooms
from tests.consortium.referrals.factory import CASE, CONTRACT, HOUR, NOW, SLOT, contract

REGISTRY = rooms.registry()
TAKER, PROVIDER = "shiqiao", "lead"
_ANY_CASE = frozenset({"case.message/1", "case.read/1", "body.refuse/1"})
"""Kinds that go in a case of whatever topic."""


def fact(rule: FactRule) -> Any:
    """A fact that fits a rule."""
    match rule.shape:
        case "code":
            return min(rule.choices, default="x")
        case "codes":
            return [min(rule.choices, default="x")]
        case "int":
            return 1
        case "bool":
            return False
        case _:
            return []


def facts_of(kind: ExchangeKind, **changes: Any) -> dict[str, Any]:
    """Facts that fit a kind, every one there."""
    made = {name: fact(rule) for name, rule in kind.rules.items()}
    return made | {name: one for name, one in changes.items() if name in kind.rules}


def header(
    kind: ExchangeKind,
    facts: dict[str, Any],
    *,
    sender: str = TAKER,
    to: tuple[str, ...] = (PROVIDER,),
    case: str = CASE,
    contract_id: str = CONTRACT,
) -> Header:
    return Header(
        id=new_id(NOW), kind=kind.name, sender=sender, to=to, node="n1", lane=kind.lane(facts),
        seq=1, prev="x", facts="f", body="b", at="2026-11-24T02:12Z", contract=contract_id,
        case=case, purpose="TREAT",
    )  # fmt: skip


def of_cases() -> list[ExchangeKind]:
    """The kinds that belong to cases of one topic."""
    found = []
    for kind in REGISTRY.kinds.values():
        facts = facts_of(kind, slot=SLOT)
        named = kind.subjects(header(kind, facts), facts)
        if f"case:{CASE}" in named and kind.name not in _ANY_CASE:
            found.append(kind)
    return found


def topic_of(kind: ExchangeKind) -> str:
    """The topic of the cases that a kind belongs to."""
    family = kind.name.partition(".")[0]
    return {"consent": "record"}.get(family, family)


def cases() -> Iterator[tuple[str, Value]]:
    """A case of every topic in every state, with its topic."""
    opening = referrals.Opening(
        taker=TAKER, provider=PROVIDER, contract=CONTRACT, version=1, quota="",
        service="cardiology", urgency="urgent", consent="explicit", request="r", answer_min=30,
    )  # fmt: skip
    referral = referrals.opened(opening, time=NOW)
    place = bookings.Place("slot:s9/1", "session:s9", 0)
    booking = bookings.opened(
        place, taker=TAKER, provider=PROVIDER, service="cardiology", urgency="urgent",
        contract=CONTRACT, version=1, quota="", time=NOW,
    )  # fmt: skip
    record = records.opened(
        asker=TAKER, holder=PROVIDER, types=["Condition"], basis="explicit", urgency="urgent",
        contract=CONTRACT, version=1, time=NOW, answer=HOUR,
    )  # fmt: skip
    for topic, value, states in (
        ("referral", referral, referrals.State),
        ("booking", booking, bookings.State),
        ("record", record, records.State),
    ):
        for state in states:
            yield topic, {**value, "state": state.value}


def wide_contract() -> dict[str, Any]:
    """A contract for referrals, consults and records of every type."""
    made = contract(quota=50)
    terms = made["versions"]["1"]["terms"]
    (row,) = terms["s"]
    consults = [2, row[1], "t", *row[3:]]
    return {
        **made,
        "versions": {
            "1": {**made["versions"]["1"], "terms": {
                **terms, "s": [row, consults], "t": list(TYPES)}},
        },
    }  # fmt: skip
