"""Bookings: the table of states and actions, and the rule of time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consortium.kernel.errors import Refusal
from consortium.kernel.time import to_ms
from consortium.teleconsult import model
from consortium.teleconsult.model import RULES, Action, Place, Side, State

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
START = NOW + timedelta(hours=2)


def a_case(state: State = State.BOOKED) -> dict[str, Any]:
    made = model.opened(
        Place("slot:s1/1", "session:s1", to_ms(START)),
        taker="shiqiao",
        provider="lead",
        service="cardiology",
        urgency="routine",
        contract="k1",
        version=2,
        quota="quota:k1/cardiology.teleconsult/shiqiao/lead/2026-11",
        time=NOW,
    )
    return {**made, "state": state.value}


def advance(
    case: dict[str, Any],
    action: Action,
    *,
    member: str = "shiqiao",
    time: datetime = NOW,
    session_open: bool = True,
) -> State | Refusal:
    return model.advance(case, action, member=member, session_open=session_open, time=time)


def test_a_case_has_the_common_head_of_all_cases() -> None:
    head = {"parties", "state", "turn", "opened", "due", "contract", "version", "urgency"}
    assert head | {"prior", "topic", "slot", "quota", "service"} <= a_case().keys()
    assert a_case()["parties"] == ["lead", "shiqiao"]
    assert a_case()["topic"] == "booking"


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("member", ["shiqiao", "lead", "yunling"])
def test_only_what_the_table_names_is_allowed(state: State, action: Action, member: str) -> None:
    answer = advance(a_case(state), action, member=member)
    side = {"shiqiao": Side.TAKER, "lead": Side.PROVIDER}.get(member)
    rule = RULES.get((state, action))
    if rule is not None and side in rule[0]:
        assert answer == rule[1]
    else:
        assert isinstance(answer, Refusal)


@pytest.mark.parametrize("action", [Action.MOVE, Action.CANCEL])
def test_nothing_changes_once_the_consult_has_begun(action: Action) -> None:
    assert isinstance(advance(a_case(), action, time=START - timedelta(seconds=1)), State)
    late = advance(a_case(), action, time=START)
    assert isinstance(late, Refusal)
    assert late.code == "booking.begun"


def test_a_time_that_the_specialist_cancelled_can_be_moved_however_late() -> None:
    late = START + timedelta(days=1)
    assert advance(a_case(), Action.MOVE, time=late, session_open=False) == State.BOOKED


def test_a_cancelled_case_names_its_slot_no_longer() -> None:
    ended = model.cancelled(a_case())
    assert ended["slot"] == ""
    assert ended["prior"] == "booked"
    assert ended["quota"] == a_case()["quota"]


def test_a_moved_case_names_its_new_slot() -> None:
    moved = model.moved(a_case(), Place("slot:s2/3", "session:s2", 5))
    assert (moved["slot"], moved["session"], moved["start"]) == ("slot:s2/3", "session:s2", 5)
