"""The frame of the benches: what a line says and when a goal is met."""

import pytest

from tests.bench.__main__ import groups, main
from tests.bench.measure import Measure, percentile, rate, times_ms


@pytest.mark.parametrize(
    ("value", "smaller", "met"), [(50.0, False, True), (49.0, False, False), (60.0, True, False)]
)
def test_a_goal_is_a_ratio_to_a_limit(value: float, smaller: bool, met: bool) -> None:
    measure = Measure("x.y", value, "1/s", "fsync", 100.0, goal=0.5, smaller=smaller)
    assert measure.line() == {
        "name": "x.y", "value": value, "unit": "1/s", "limit_name": "fsync", "limit": 100.0,
        "ratio": value / 100, "goal": 0.5, "met": met,
    }  # fmt: skip


def test_a_group_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    told = capsys.readouterr()
    assert (told.out, "no group nothing" in told.err) == ("", True)


def test_groups_are_the_modules() -> None:
    assert all(name.isidentifier() for name in groups())


def test_rates_and_times_are_of_the_work_alone() -> None:
    assert rate(lambda: 10, seconds=0.01) > 0
    assert len(times_ms(lambda: None, rounds=7)) == 7
    assert percentile([float(n) for n in range(101)], 95) == 95.0
