"""Ledger time: the clock rule of PROTOCOL 5."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.time import to_ms
from consortium.ledger import journal
from consortium.ledger.clock import DRIFT_MAX_MS, GAP_MAX_MS, Reading, Timekeeper, next_ms
from tests.consortium.ledger.making import begin, new_leaf
from tests.support.clock import VirtualClock

T = 1_767_000_000_000
MS = st.integers(0, 10 * GAP_MAX_MS).map(lambda n: T + n)


def why(caught: pytest.ExceptionInfo[Refusal]) -> object:
    assert caught.value.code == "ledger.clock"
    return caught.value.facts["why"]


@given(MS, MS, st.integers(0, 2**40), st.integers(0, 2**40), MS, st.none() | MS)
def test_time_never_goes_back(
    wall_ms: int, last_wall_ms: int, mono: int, last_mono: int, leaf_ms: int, confirmed: int | None
) -> None:
    before = Reading(last_wall_ms, last_mono)
    for last, start in ((None, None), (before, None), (None, before), (before, before)):
        try:
            time_ms = next_ms(
                Reading(wall_ms, mono),
                last=last,
                start=start,
                last_leaf_ms=leaf_ms,
                confirmed_ms=confirmed,
            )
        except Refusal:
            continue
        assert time_ms >= leaf_ms
        assert time_ms >= wall_ms
        assert time_ms - wall_ms <= DRIFT_MAX_MS


@pytest.mark.parametrize(
    ("off_ms", "good"), [(60_000, True), (-60_000, True), (60_001, False), (-60_001, False)]
)
def test_the_two_clocks_may_part_by_a_minute(off_ms: int, good: bool) -> None:
    last = Reading(T, 5_000)
    now = Reading(T + 3_600_000 + off_ms, 3_605_000)
    if good:
        assert next_ms(now, last=last, last_leaf_ms=T, confirmed_ms=None) == now.wall_ms
        return
    with pytest.raises(Refusal) as caught:
        next_ms(now, last=last, last_leaf_ms=T, confirmed_ms=T)
    assert why(caught) == "drift"


def test_a_quiet_week_in_one_process_is_no_gap() -> None:
    last = Reading(T, 0)
    now = Reading(T + 7 * GAP_MAX_MS, 7 * GAP_MAX_MS)
    assert next_ms(now, last=last, last_leaf_ms=T, confirmed_ms=None) == now.wall_ms


@pytest.mark.parametrize(
    ("after_ms", "confirmed_ms", "good"),
    [
        (GAP_MAX_MS, None, True),
        (GAP_MAX_MS + 1, None, False),
        (5 * GAP_MAX_MS, 5 * GAP_MAX_MS - 1, True),
        (5 * GAP_MAX_MS, 4 * GAP_MAX_MS, True),
        (5 * GAP_MAX_MS, 4 * GAP_MAX_MS - 1, False),
        (5 * GAP_MAX_MS, 5 * GAP_MAX_MS + DRIFT_MAX_MS + 1, False),
    ],
)
def test_a_gap_at_start_asks_two_persons(
    after_ms: int, confirmed_ms: int | None, good: bool
) -> None:
    confirmed = None if confirmed_ms is None else T + confirmed_ms
    now = Reading(T + after_ms, 0)
    if good:
        assert next_ms(now, last=None, last_leaf_ms=T, confirmed_ms=confirmed) == now.wall_ms
        return
    with pytest.raises(Refusal) as caught:
        next_ms(now, last=None, last_leaf_ms=T, confirmed_ms=confirmed)
    assert why(caught) == "gap"


def test_a_quiet_weekend_after_the_start_is_no_gap() -> None:
    start = Reading(T + 1_000, 0)
    now = Reading(T + 1_000 + 3 * GAP_MAX_MS, 3 * GAP_MAX_MS)
    assert next_ms(now, last=None, start=start, last_leaf_ms=T, confirmed_ms=None) == now.wall_ms
    jumped = Reading(now.wall_ms + DRIFT_MAX_MS + 1, now.monotonic_ms)
    with pytest.raises(Refusal) as caught:
        next_ms(jumped, last=None, start=start, last_leaf_ms=T, confirmed_ms=None)
    assert why(caught) == "drift"


@pytest.mark.parametrize(
    ("confirmed_ms", "good"),
    [(None, False), (3 * GAP_MAX_MS, True), (GAP_MAX_MS, True), (GAP_MAX_MS - 1, False)],
)
def test_a_gap_before_the_start_stays_one_until_confirmed(
    confirmed_ms: int | None, good: bool
) -> None:
    """Waiting does not heal it; a confirmation serves as long as the process then runs."""
    start = Reading(T + 2 * GAP_MAX_MS, 0)
    now = Reading(T + 4 * GAP_MAX_MS, 2 * GAP_MAX_MS)
    confirmed = None if confirmed_ms is None else T + confirmed_ms
    if good:
        assert (
            next_ms(now, last=None, start=start, last_leaf_ms=T, confirmed_ms=confirmed)
            == now.wall_ms
        )
        return
    with pytest.raises(Refusal) as caught:
        next_ms(now, last=None, start=start, last_leaf_ms=T, confirmed_ms=confirmed)
    assert why(caught) == "gap"


def test_a_clock_before_the_last_leaf() -> None:
    now = Reading(T - 60_000, 0)
    assert next_ms(now, last=None, last_leaf_ms=T, confirmed_ms=None) == T
    with pytest.raises(Refusal) as caught:
        next_ms(Reading(T - 60_001, 0), last=None, last_leaf_ms=T, confirmed_ms=T - 60_001)
    assert why(caught) == "behind"


def test_an_empty_ledger_takes_the_clock_as_it_is() -> None:
    assert next_ms(Reading(T, 0), last=None, last_leaf_ms=None, confirmed_ms=None) == T


def test_through_the_journal(database: Database, clock: VirtualClock) -> None:
    begin(database)
    keeper = Timekeeper(clock)

    def append(number: int) -> int:
        with database.write() as session:
            head = journal.lock_head(session)
            time_ms = journal.next_time(session, head, keeper)
            journal.append(session, head, [new_leaf(number, time_ms=time_ms)], time_ms=time_ms)
            return time_ms

    first = append(0)
    assert first == to_ms(clock.now())
    clock.advance(hours=48)
    assert append(1) == first + 2 * GAP_MAX_MS
    clock.jump(seconds=-30)
    assert append(2) == first + 2 * GAP_MAX_MS
    clock.jump(seconds=61)
    with pytest.raises(Refusal) as caught:
        append(3)
    assert why(caught) == "drift"
    clock.jump(seconds=-61)
    append(3)

    clock.advance(hours=25)
    keeper = Timekeeper(clock)
    with pytest.raises(Refusal) as caught:
        append(4)
    assert why(caught) == "gap"
    with database.write() as session:
        journal.confirm_clock(session, first="admin", second="head", now=clock.now())
    clock.advance(minutes=1)
    assert append(4) == to_ms(clock.now())


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("", "a"), ("a", "")])
def test_one_person_is_not_two(
    database: Database, clock: VirtualClock, first: str, second: str
) -> None:
    with database.write() as session, pytest.raises(Refusal) as caught:
        journal.confirm_clock(session, first=first, second=second, now=clock.now())
    assert caught.value.code == "ledger.two_persons"


def test_the_timekeeper_is_a_clock(clock: VirtualClock) -> None:
    keeper = Timekeeper(clock)
    before = keeper.read()
    clock.advance(seconds=1.5)
    after = keeper.read()
    assert after.wall_ms - before.wall_ms == after.monotonic_ms - before.monotonic_ms == 1500
    assert keeper.now() - timedelta(0) == clock.now()
