"""The states x actions table of a referral, checked cell by cell, and its guards."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.kernel.time import ZONE, from_ms, to_ms
from consortium.referrals import model
from consortium.referrals.model import Action, Side, State
from tests.consortium.referrals.factory import DAY, NOW

# what a doctor may check by reading: row = state, then who may do what
#   T = the clinic, P = the hospital, . = refused
MATRIX = """
             claim accept return resend decline cancel arrive no_show report acknowledge correct
requested      P     P      P      .      P       T      P      .       .       .          TP
triage         .     P      P      .      P       T      P      .       .       .          TP
returned       .     .      .      T      P       T      .      .       .       .          TP
unreadable     .     .      .      T      .       T      .      .       .       .          TP
waiting        .     P      .      .      .       T      P      .       .       .          TP
booked         .     P      .      .      .       T      P      P       .       .          TP
arrived        .     .      .      .      .       .      .      .       P       .          TP
no_show        .     P      .      .      .       .      P      .       .       T          TP
reported       .     .      .      .      .       .      .      .       .       T          TP
closed         .     .      .      .      .       .      .      .       .       .          TP
declined       .     .      .      .      .       .      .      .       .       .          TP
cancelled      .     .      .      .      .       .      .      .       .       .          TP
"""


def cells() -> list[tuple[State, Action, str]]:
    head, *rows = [line.split() for line in MATRIX.strip().splitlines()]
    return [
        (State(row[0]), Action(action), cell)
        for row in rows
        for action, cell in zip(head, row[1:], strict=True)
    ]


def value(state: State, **changes: Any) -> dict[str, Any]:
    opening = model.Opening(
        taker="shiqiao",
        provider="lead",
        contract="ct-1",
        version=1,
        quota="quota:q",
        service="cardiology",
        urgency="emergency",
        consent="explicit",
        request="x1",
        answer_min=30,
    )
    return {**model.opened(opening, time=NOW), "state": state.value, **changes}


def test_the_matrix_names_every_state_and_action() -> None:
    assert {cell[0] for cell in cells()} == set(State)
    assert {cell[1] for cell in cells()} == set(Action) - {Action.REQUEST}


@pytest.mark.parametrize(("state", "action", "who"), cells())
def test_each_cell_of_the_table(state: State, action: Action, who: str) -> None:
    case = value(state)
    for side, member, other in (
        (Side.TAKER, "shiqiao", "lead"),
        (Side.PROVIDER, "lead", "shiqiao"),
    ):
        refusal = model.check(case, action, sender=member, to=(other,), reason="incomplete")
        may = side.name[0] in who
        assert (refusal is None) == may
        assert (action in model.allowed(case, side=side)) == may
        if who == ".":
            assert refusal is not None
            assert (refusal.code, refusal.facts["state"]) == ("referral.state", state.value)


@pytest.mark.parametrize("state", State)
def test_a_case_is_opened_once(state: State) -> None:
    refusal = model.check(value(state), Action.REQUEST, sender="shiqiao", to=("lead",))
    assert refusal is not None
    assert refusal.facts["state"] == state.value
    assert model.check(None, Action.REQUEST, sender="shiqiao", to=("lead",)) is None


@pytest.mark.parametrize("action", [one for one in Action if one is not Action.REQUEST])
def test_nothing_can_be_done_to_a_case_that_is_not_there(action: Action) -> None:
    refusal = model.check(None, action, sender="lead", to=("shiqiao",))
    assert refusal is not None
    assert refusal.facts["state"] == "none"


@pytest.mark.parametrize(("state", "action", "who"), [c for c in cells() if c[2] != "."])
def test_a_stranger_and_a_wrong_recipient_are_refused(
    state: State, action: Action, who: str
) -> None:
    case = value(state)
    refusal = model.check(case, action, sender="yunling", to=("lead",))
    assert refusal is not None
    assert refusal.code == "referral.side"
    sender, other = ("lead", "shiqiao") if "P" in who else ("shiqiao", "lead")
    for to in ((), ("yunling",), (other, "yunling")):
        refusal = model.check(case, action, sender=sender, to=to)
        assert refusal is not None
        assert refusal.code == "referral.recipient"


def test_it_is_returned_once_only() -> None:
    case = value(State.REQUESTED, returned=True)
    refusal = model.check(case, Action.RETURN, sender="lead", to=("shiqiao",))
    assert refusal is not None
    assert refusal.code == "referral.returned_once"
    assert Action.RETURN not in model.allowed(case, side=Side.PROVIDER)


@pytest.mark.parametrize("state", [State.REQUESTED, State.TRIAGE])
def test_only_an_emergency_arrives_before_the_answer(state: State) -> None:
    case = value(state, urgency="urgent")
    refusal = model.check(case, Action.ARRIVE, sender="lead", to=("shiqiao",))
    assert refusal is not None
    assert refusal.code == "referral.not_urgent"


def test_what_was_returned_is_declined_for_missing_papers_only() -> None:
    case = value(State.RETURNED)
    for reason in model.DECLINE_REASONS:
        refusal = model.check(case, Action.DECLINE, sender="lead", to=("shiqiao",), reason=reason)
        assert (refusal is None) == (reason == "incomplete")


@pytest.mark.parametrize("mark", model.ADOPTIONS)
def test_absent_closes_a_no_show_and_nothing_else(mark: str) -> None:
    assert (model.check_adoption(value(State.NO_SHOW), mark) is None) == (mark == "absent")
    assert (model.check_adoption(value(State.REPORTED), mark) is None) == (mark != "absent")


def test_nobody_is_missing_before_the_time() -> None:
    case = value(State.BOOKED, start=to_ms(NOW))
    assert model.check_no_show(case, time=NOW, off=False) is None
    refusal = model.check_no_show(case, time=NOW - timedelta(milliseconds=1), off=False)
    assert refusal is not None
    assert refusal.code == "referral.early"
    off = model.check_no_show(case, time=NOW, off=True)
    assert off is not None
    assert off.code == "referral.to_move"


@pytest.mark.parametrize(("days", "good"), [(-2, False), (0, True), (180, True), (181, False)])
def test_an_expected_date_lies_ahead_and_within_half_a_year(days: int, good: bool) -> None:
    refusal = model.check_waiting(to_ms(NOW + days * DAY), time=NOW)
    assert (refusal is None) == good


@pytest.mark.parametrize("state", State)
def test_a_step_names_whose_turn_it_is_and_where_it_came_from(state: State) -> None:
    moved = model.moved(value(State.TRIAGE), state, due=None)
    side = model.TURNS[state]
    assert moved["turn"] == ("" if side is None else {"taker": "shiqiao", "provider": "lead"}[side])
    assert moved["prior"] == "triage"
    assert (state in model.OPEN) == (side is not None)


@pytest.mark.parametrize("state", State)
def test_whoever_must_act_knows_by_when(state: State) -> None:
    case = value(State.REQUESTED)
    due = model.due_after(state, time=NOW, value=case)
    computed = state not in {State.BOOKED, State.WAITING} and state in model.OPEN
    assert (due is not None) == computed
    if state is State.TRIAGE:
        assert due == from_ms(case["due"])


def test_two_working_days_pass_over_the_weekend() -> None:
    friday = datetime(2026, 11, 27, 9, 0, tzinfo=ZONE)
    assert model.working_days(friday, 2) == datetime(2026, 12, 1, 9, 0, tzinfo=ZONE)
    late_friday = datetime(2026, 11, 27, 17, 0, tzinfo=UTC)  # Saturday in Shanghai
    assert model.working_days(late_friday, 1) == datetime(2026, 11, 29, 17, 0, tzinfo=UTC)


@given(st.integers(min_value=0, max_value=2000 * 24), st.integers(min_value=0, max_value=9))
def test_working_days_end_on_one_and_skip_none(hours: int, days: int) -> None:
    moment = NOW + timedelta(hours=hours)
    end = model.working_days(moment, days)
    local = end.astimezone(ZONE)
    assert days == 0 or local.weekday() < 5
    assert timedelta(days=days) <= end - moment <= timedelta(days=days + 2 * (days // 5 + 1))


def test_the_value_has_the_common_head_of_every_case() -> None:
    case = value(State.REQUESTED)
    head = {"parties", "state", "turn", "opened", "due", "contract", "version", "urgency", "prior"}
    assert head | {"topic"} <= set(case)
    assert case["due"] - case["opened"] == 30 * 60_000
