"""The hub's rules for records: who may ask, answer and withdraw, and within what."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.contracts.permit import PERMIT
from consortium.exchange.facts import check
from consortium.exchange.header import Header, Lane
from consortium.exchange.judgement import fold
from consortium.exchange.kinds import ExchangeKind, Registry, SubjectType, parties
from consortium.exchange.own_kinds import BodyRefuse
from consortium.kernel.errors import Refusal
from consortium.kernel.time import from_ms
from consortium.records.kinds import KINDS
from consortium.records.model import RELEASABLE, State
from tests.consortium.scheduling.mini import MiniValues
from tests.consortium.scheduling.test_kinds import a_header

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
BY_NAME: dict[str, ExchangeKind] = {kind.name: kind for kind in KINDS}
ASK: dict[str, Any] = {
    "types": ["Observation"],
    "months": 12,
    "urgency": "routine",
    "consent": "explicit",
}
GIVE: dict[str, Any] = {
    "types": ["Observation"],
    "count": 2,
    "by": "auto",
    "more": False,
    "urgency": "routine",
}


def header(kind: str, sender: str = "shiqiao", to: str = "lead", **changes: Any) -> Header:
    return a_header(**{"kind": kind, "sender": sender, "to": (to,), "case": "c1", **changes})


def run(kind: str, facts: dict[str, Any], case: Any = None, **head: Any) -> tuple[str, Any]:
    """The code of a refusal or the outcome words, and the case afterwards."""
    rules = BY_NAME[kind]
    if refusal := check(facts, rules.rules):
        return refusal.code, case
    made = header(kind, **head)
    answer = rules.judge(MiniValues({"case:c1": case} if case else {}), made, facts, NOW)
    if isinstance(answer, Refusal):
        return answer.code, case
    return answer, rules.step("case:c1", case, made, facts, NOW, ("v1", *answer.split()))


def asked(**changes: Any) -> Any:
    return run("record.request/1", {**ASK, **changes})[1]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"consent": "emergency", "urgency": "emergency"}, "emergency"),
        ({"consent": "emergency"}, "record.urgency"),
        ({"urgency": "emergency"}, "record.urgency"),
        ({"types": []}, "record.scope"),
        ({"types": ["Observation", "Observation"]}, "record.scope"),
        ({"months": 0}, "record.scope"),
        ({"months": 121}, "record.scope"),
        ({"types": ["Patient"]}, "exchange.facts"),
        ({"consent": "none"}, "exchange.facts"),
    ],
)
def test_what_the_hub_makes_of_a_request(changes: dict[str, Any], code: str) -> None:
    assert run("record.request/1", {**ASK, **changes})[0] == code


def test_an_emergency_travels_in_the_urgent_lane_and_has_half_an_hour() -> None:
    kind = BY_NAME["record.request/1"]
    assert kind.lane({**ASK, "urgency": "emergency"}) is Lane.URGENT
    assert kind.lane(ASK) is Lane.RECORDS
    case = asked(consent="emergency", urgency="emergency")
    assert (from_ms(case["due"]) - NOW).total_seconds() == 1800
    assert case["version"] == 1


@pytest.mark.parametrize(
    ("kind", "facts", "head", "code"),
    [
        ("record.release/1", GIVE, {"sender": "lead", "to": "shiqiao"}, ""),
        ("record.release/1", GIVE, {}, "record.not_yours"),
        ("record.release/1", GIVE, {"sender": "yunling", "to": "shiqiao"}, "record.recipient"),
        ("record.release/1", GIVE, {"sender": "lead", "to": "yunling"}, "record.recipient"),
        (
            "record.release/1",
            {**GIVE, "types": ["Condition"]},
            {"sender": "lead", "to": "shiqiao"},
            "record.scope",
        ),
        (
            "record.release/1",
            {**GIVE, "urgency": "emergency"},
            {"sender": "lead", "to": "shiqiao"},
            "record.urgency",
        ),
        (
            "record.refuse/1",
            {"reason": "scope", "urgency": "routine"},
            {"sender": "lead", "to": "shiqiao"},
            "",
        ),
        ("consent.withdraw/1", {"reason": "patient"}, {}, ""),
        ("consent.withdraw/1", {"reason": "patient"}, {"sender": "lead", "to": "shiqiao"}, ""),
    ],
)
def test_who_may_answer_and_with_what(
    kind: str, facts: dict[str, Any], head: dict[str, Any], code: str
) -> None:
    assert run(kind, facts, asked(), **head)[0] == code


def test_nothing_is_released_after_the_consent_is_withdrawn() -> None:
    _, case = run("consent.withdraw/1", {"reason": "patient"}, asked())
    assert run("record.release/1", GIVE, case, sender="lead", to="shiqiao")[0] == "record.state"


def test_a_contracts_value_is_never_touched() -> None:
    for kind in KINDS:
        old: dict[str, Any] = {"versions": {}}
        made = header(kind.name, sender="lead", to="shiqiao")
        facts = {**ASK, **GIVE, "reason": "other"}
        assert kind.step("contract:k1", old, made, facts, NOW, ("v1",)) == old


ACTS = st.sampled_from(
    [
        ("record.release/1", GIVE, "lead", "shiqiao"),
        ("record.release/1", {**GIVE, "more": True}, "lead", "shiqiao"),
        ("record.release/1", {**GIVE, "types": list(RELEASABLE)}, "lead", "shiqiao"),
        ("record.refuse/1", {"reason": "consent", "urgency": "routine"}, "lead", "shiqiao"),
        ("record.refuse/1", {"reason": "consent", "urgency": "routine"}, "shiqiao", "lead"),
        ("consent.withdraw/1", {"reason": "patient"}, "shiqiao", "lead"),
    ]
)


@given(st.lists(ACTS, max_size=8))
def test_in_any_order_a_withdrawal_is_the_last_word(acts: list[Any]) -> None:
    case = asked()
    withdrawn = False
    for kind, facts, sender, to in acts:
        code, case = run(kind, facts, case, sender=sender, to=to)
        admitted = "." not in code
        assert not (withdrawn and admitted), "something was admitted after the withdrawal"
        withdrawn = withdrawn or (admitted and kind == "consent.withdraw/1")
        assert (case["turn"] == "lead") == (case["state"] == State.REQUESTED)
        assert set(case["types"]) == {"Observation"}


def test_a_withdrawn_consent_and_a_refusal_stand_whatever_their_bodies() -> None:
    for name, facts, sender in (
        ("consent.withdraw/1", {"reason": "patient"}, "lead"),
        ("record.refuse/1", {"reason": "scope", "urgency": "routine"}, "lead"),
    ):
        made = header(name, sender, "shiqiao")
        values = MiniValues({"case:c1": asked()})
        registry = Registry(KINDS, [SubjectType("case", parties)], PERMIT)
        rest = (made, facts, NOW, ("v1",), ["case:c1"], values)
        after = fold(registry, BY_NAME[name], *rest)["case:c1"]
        refused = header("body.refuse/1", "shiqiao", "lead")
        given = {"of": made.id, "code": "fhir.value"}
        assert BodyRefuse().judge(MiniValues({"case:c1": after}), refused, given, NOW) == ""
        put = BodyRefuse().step("case:c1", after, refused, given, NOW, ())
        assert put is not None
        assert (put["state"], put["body_refused"]) == (after["state"], given)
