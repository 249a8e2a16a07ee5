"""Sessions and slots: who may take a slot, whatever comes in whatever order."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consortium.kernel.errors import Refusal
from consortium.kernel.time import ZONE, to_ms
from consortium.scheduling import model
from consortium.scheduling.model import SessionKind

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
FIRST = datetime(2026, 11, 30, 0, 30, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


def a_session(*, count: int = 4, provider: str = "lead") -> dict[str, Any]:
    return model.opened(
        provider=provider,
        holder="p1",
        service="cardiology",
        kind="teleconsult",
        starts_ms=[to_ms(FIRST + n * HALF_HOUR) for n in range(count)],
        minutes=30,
        time=NOW,
    )


def take(
    old: Mapping[str, Any] | None, session: Mapping[str, Any] | None, **changes: Any
) -> dict[str, Any] | Refusal:
    fields: dict[str, Any] = {
        "number": 1,
        "case": "c1",
        "holder": "shiqiao",
        "provider": "lead",
        "time": NOW,
    }
    return model.take(old, session, **{**fields, **changes})


def code_of(answer: object) -> str:
    return answer.code if isinstance(answer, Refusal) else ""


def test_a_free_slot_is_taken_with_the_case_that_holds_it() -> None:
    assert take(None, a_session()) == {
        "parties": ["lead"],
        "state": "booked",
        "case": "c1",
        "holder": "shiqiao",
        "allotted": None,
        "frozen": False,
        "until": None,
    }


def test_a_taken_slot_is_refused_to_another_case_and_not_to_its_own() -> None:
    held = take(None, a_session())
    assert not isinstance(held, Refusal)
    assert code_of(take(held, a_session(), case="c2")) == "slot.taken"
    assert take(held, a_session()) == held


@pytest.mark.parametrize(
    ("session", "changes", "code"),
    [
        (None, {}, "slot.unknown"),
        (a_session(), {"number": 5}, "slot.unknown"),
        (a_session(), {"number": 0}, "slot.unknown"),
        (a_session(provider="other"), {}, "slot.unknown"),
        (model.cancelled(a_session(), reason="leave", time=NOW), {}, "slot.cancelled"),
        (a_session(), {"time": FIRST}, "slot.past"),
        (a_session(), {"time": FIRST + HALF_HOUR}, "slot.past"),
    ],
)
def test_a_slot_that_cannot_be_given_says_why(
    session: dict[str, Any] | None, changes: dict[str, Any], code: str
) -> None:
    assert code_of(take(None, session, **changes)) == code


def test_a_slot_that_starts_later_today_is_still_given_when_the_session_has_begun() -> None:
    assert not isinstance(take(None, a_session(), number=3, time=FIRST + HALF_HOUR), Refusal)


def test_a_released_slot_is_free_for_anyone() -> None:
    held = take(None, a_session())
    assert not isinstance(held, Refusal)
    free = model.release(held, "c1")
    assert model.is_free(free)
    assert not isinstance(take(free, a_session(), case="c2"), Refusal)


def test_nobody_releases_the_slot_of_another_case() -> None:
    held = take(None, a_session())
    assert not isinstance(held, Refusal)
    assert model.release(held, "c2") == held
    assert model.release(None, "c1") is None


def test_free_slots_are_those_that_nobody_holds_and_that_lie_ahead() -> None:
    session = a_session()
    slots = {"slot:s1/2": take(None, session, number=2)}
    free = model.free_slots("s1", session, slots, after=FIRST)  # type: ignore[arg-type]
    assert [slot.name for slot in free] == ["slot:s1/3", "slot:s1/4"]
    assert free[0].start == FIRST + 2 * HALF_HOUR
    assert free[0].end == FIRST + 3 * HALF_HOUR
    cancelled = model.cancelled(session, reason="leave", time=NOW)
    assert model.free_slots("s1", cancelled, {}, after=NOW) == []


def starts(*minutes: int) -> list[int]:
    return [to_ms(FIRST) + n * 60_000 for n in minutes]


@pytest.mark.parametrize(
    ("starts_ms", "minutes", "code"),
    [
        (starts(0, 30, 60), 30, ""),
        ([], 30, "session.empty"),
        (starts(*range(0, 49 * 30, 30)), 30, "session.empty"),
        (starts(0, 20), 30, "session.overlap"),
        (starts(30, 0), 30, "session.overlap"),
        (starts(0, 0), 30, "session.overlap"),
        (starts(0), 0, "session.length"),
        (starts(0), 7, "session.length"),
        (starts(0), 245, "session.length"),
        ([to_ms(FIRST) + 1], 30, "session.grid"),
        ([to_ms(NOW)], 30, "session.past"),
        ([to_ms(NOW + timedelta(days=181))], 30, "session.far"),
    ],
)
def test_starts_that_make_no_session_are_refused(
    starts_ms: list[int], minutes: int, code: str
) -> None:
    assert code_of(model.check_starts(starts_ms, minutes, time=NOW)) == code


@pytest.mark.parametrize("text", ["25:00", "8", "08:60", "08:5", "-1:00", "0８:30", "08:30:00"])
def test_a_time_of_day_that_no_clock_shows_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        model.clock_of(text)
    assert caught.value.code == "session.time"


def test_a_moment_without_its_zone_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        model.instant_of("2026-11-30T08:30:00")
    assert caught.value.code == "session.zone"
    assert model.instant_of("2026-11-30T08:30:00+08:00") == FIRST
    with pytest.raises(Refusal) as caught:
        model.instant_of("2026-11-30T25:30:00+08:00")
    assert caught.value.code == "session.time"


def test_an_hour_that_the_zone_skips_or_repeats_is_refused() -> None:
    # the zone kept summer time in 1986: clocks went from 02:00 to 03:00 on 4 May, and back at
    # 02:00 on 14 September (IANA tz, asia, rule "PRC")
    for day, at in ((date(1986, 5, 4), clock(2, 30)), (date(1986, 9, 14), clock(1, 30))):
        with pytest.raises(Refusal):
            model.moment_of(day, at)
    assert model.moment_of(date(2026, 11, 30), clock(8, 30)) == FIRST


def test_a_day_that_no_calendar_has_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        model.day_of("2026-02-30")
    assert caught.value.code == "session.day"


@pytest.mark.parametrize("name", ["slot:s1", "slot:s1/0", "slot:s1/03", "case:s1/3", "slot:/3", ""])
def test_a_text_that_names_no_slot_is_refused(name: str) -> None:
    with pytest.raises(Refusal):
        model.parse_slot(name)


@given(st.integers(1, model.STARTS_MOST))
def test_a_slot_name_is_read_back(number: int) -> None:
    assert model.parse_slot(model.slot_name("s1", number)) == ("s1", number)


def test_a_template_makes_one_session_for_each_half_of_a_day() -> None:
    week = model.week_of(date(2026, 12, 2))
    assert week[0] == date(2026, 11, 30)
    assert week[6] == date(2026, 12, 6)
    template = [(0, "08:30"), (0, "09:00"), (0, "14:00"), (3, "11:30"), (3, "12:00")]
    made = model.plans(
        model.from_template(template, week),
        service="cardiology",
        kind=SessionKind.TELECONSULT,
        holder="p1",
        minutes=30,
    )
    assert [[s.astimezone(ZONE).strftime("%m-%d %H:%M") for s in p.starts] for p in made] == [
        ["11-30 08:30", "11-30 09:00"],
        ["11-30 14:00"],
        ["12-03 11:30"],
        ["12-03 12:00"],
    ]


class Clinics(RuleBasedStateMachine):
    """Cases that take, release and move among slots of sessions that get cancelled, folded in turn.

    The harm: two patients travel for the same half hour, or a case believes in a slot it lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sessions = {name: a_session(count=3) for name in ("s1", "s2")}
        self.slots: dict[str, Mapping[str, Any] | None] = {}
        self.cases: dict[str, str] = {}

    @rule(
        case=st.sampled_from(["c1", "c2", "c3", "c4", "c5"]),
        session=st.sampled_from(["s1", "s2", "s9"]),
        number=st.integers(0, 4),
    )
    def take_or_move(self, case: str, session: str, number: int) -> None:
        name = model.slot_name(session, number)
        new = take(self.slots.get(name), self.sessions.get(session), number=number, case=case)
        if isinstance(new, Refusal):
            return
        before = self.cases.get(case, "")
        if before and before != name:
            self.slots[before] = model.release(self.slots[before], case)
        self.slots[name] = new
        self.cases[case] = name

    @precondition(lambda self: self.cases)
    @rule(data=st.data())
    def cancel_case(self, data: st.DataObject) -> None:
        case = data.draw(st.sampled_from(sorted(self.cases)))
        name = self.cases.pop(case)
        self.slots[name] = model.release(self.slots[name], case)

    @rule(session=st.sampled_from(["s1", "s2"]))
    def cancel_session(self, session: str) -> None:
        before = dict(self.slots)
        self.sessions[session] = model.cancelled(self.sessions[session], reason="leave", time=NOW)
        assert self.slots == before

    @invariant()
    def a_case_and_its_slot_agree(self) -> None:
        for case, name in self.cases.items():
            slot = self.slots[name]
            assert slot is not None
            assert slot["case"] == case

    @invariant()
    def a_slot_is_held_by_one_case_that_knows_it(self) -> None:
        held = {n: s["case"] for n, s in self.slots.items() if s and not model.is_free(s)}
        assert {case: name for name, case in held.items()} == self.cases

    @invariant()
    def what_is_shown_as_free_can_be_taken(self) -> None:
        for name, session in self.sessions.items():
            for slot in model.free_slots(name, session, self.slots, after=NOW):
                old = self.slots.get(slot.name)
                assert not isinstance(take(old, session, number=slot.number, case="new"), Refusal)


TestClinics = Clinics.TestCase
