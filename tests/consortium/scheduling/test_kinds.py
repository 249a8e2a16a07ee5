"""The hub's rules for sessions: whatever facts come, they are judged and never break the fold."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.exchange.facts import check
from consortium.exchange.header import Header, Lane
from consortium.kernel.errors import Refusal
from consortium.kernel.time import to_ms
from consortium.scheduling import model
from consortium.scheduling.kinds import SUBJECTS, SessionCancel, SessionPublish
from tests.consortium.scheduling.mini import MiniValues

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
FIRST = to_ms(datetime(2026, 11, 30, 0, 30, tzinfo=UTC))
FACTS: dict[str, Any] = {
    "session": "x1",
    "service": "cardiology",
    "kind": "teleconsult",
    "holder": "u1",
    "starts": [FIRST, FIRST + 30 * 60_000],
    "minutes": 30,
}


def a_header(**changes: Any) -> Header:
    whole: dict[str, Any] = {
        "id": "x1",
        "kind": "session.publish/1",
        "sender": "lead",
        "to": ("all",),
        "node": "n",
        "lane": Lane.ROUTINE,
        "seq": 1,
        "prev": "-",
        "facts": "-",
        "body": "-",
        "at": "-",
    }
    return Header(**{**whole, **changes})


def judge(
    facts: dict[str, Any], values: dict[str, Any] | None = None, **header: Any
) -> str | Refusal:
    kind = SessionPublish()
    if refusal := check(facts, kind.rules):
        return refusal
    return kind.judge(MiniValues(values or {}), a_header(**header), facts, NOW)


def code_of(answer: str | Refusal) -> str:
    return answer.code if isinstance(answer, Refusal) else answer


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"session": "x2"}, "session.malformed"),
        ({"holder": "h" * 65}, "session.malformed"),
        ({"starts": FIRST}, "session.malformed"),
        ({"starts": [str(FIRST)]}, "session.malformed"),
        ({"starts": [True]}, "session.malformed"),
        ({"starts": []}, "session.empty"),
        ({"starts": [FIRST, FIRST]}, "session.overlap"),
        ({"starts": [to_ms(NOW)]}, "session.past"),
        ({"minutes": 3}, "session.length"),
        ({"kind": "party"}, "exchange.facts"),
        ({"starts": ["2026-11-30T08:30"]}, "session.malformed"),
    ],
)
def test_what_the_hub_makes_of_a_session(changes: dict[str, Any], code: str) -> None:
    assert code_of(judge({**FACTS, **changes})) == code


def test_a_session_goes_to_everyone_and_once() -> None:
    assert code_of(judge(FACTS, to=("shiqiao",))) == "session.malformed"
    kind = SessionPublish()
    value = kind.step("session:x1", None, a_header(), FACTS, NOW, ())
    assert code_of(judge(FACTS, {"session:x1": value})) == "session.exists"


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.just("code"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.just("a"), inner, max_size=1),
    max_leaves=6,
)


@given(TREES, st.integers(-(2**53) + 1, 2**53 - 1))
def test_any_facts_are_judged_and_what_passes_can_be_folded(starts: Any, minutes: int) -> None:
    facts = {**FACTS, "starts": starts, "minutes": minutes}
    if judge(facts) == "":
        value = SessionPublish().step("session:x1", None, a_header(), facts, NOW, ())
        assert value is not None
        assert model.free_slots("x1", value, {}, after=NOW)


@pytest.mark.parametrize(
    ("value", "header", "code"),
    [
        (None, {}, "session.unknown"),
        ("open", {}, ""),
        ("open", {"sender": "other"}, "session.not_yours"),
        ("open", {"to": ("shiqiao",)}, "session.malformed"),
        ("cancelled", {}, "session.cancelled"),
        ("over", {}, "session.over"),
    ],
)
def test_who_may_cancel_what(value: str | None, header: dict[str, Any], code: str) -> None:
    made = SessionPublish().step("session:x1", None, a_header(), FACTS, NOW, ())
    time = NOW
    if value == "cancelled" and made is not None:
        made = model.cancelled(made, reason="leave", time=NOW)
    if value == "over":
        time = NOW + timedelta(days=30)
    values = MiniValues({"session:x1": made} if value and made else {})
    facts = {"session": "x1", "reason": "leave"}
    answer = SessionCancel().judge(values, a_header(kind="session.cancel/1", **header), facts, time)
    assert code_of(answer) == code


def test_only_the_provider_folds_a_slot_even_while_it_is_free() -> None:
    family = next(one for one in SUBJECTS if one.prefix == "slot")
    made = SessionPublish().step("session:x1", None, a_header(), FACTS, NOW, ())
    assert family.holds is not None
    read = {"session:x1": made}.get
    assert family.holds("slot:x1/1", "lead", read)
    assert not family.holds("slot:x1/1", "shiqiao", read)
    assert not family.holds("slot:x2/1", "lead", read)
    assert not family.holds("slot:nonsense", "lead", read)
