"""Deadlines, roles, absences: pure rules of the desk."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.desk import keys, model
from consortium.kernel.actor import Role
from tests.consortium.desk.factory import HOUR, NOW, row


@given(st.sets(st.sampled_from(Role)))
def test_roles_survive_their_bits(roles: set[Role]) -> None:
    assert model.unmask(model.mask(roles)) == roles


@pytest.mark.parametrize(
    ("used_hours", "tone"),
    [(0.0, "calm"), (6.9, "calm"), (7.0, "amber"), (9.9, "amber"), (10.0, "late")],
)
def test_a_deadline_turns_amber_at_70_percent_and_late_at_its_moment(
    used_hours: float, tone: str
) -> None:
    one = row(started_at=NOW, due_at=NOW + 10 * HOUR)
    found = model.deadline(one, now=NOW + used_hours * HOUR)
    assert found is not None
    assert found.tone == tone
    assert found.used == pytest.approx(used_hours / 10)


def test_no_deadline_without_a_time_to_answer() -> None:
    assert model.deadline(row(due_at=None), now=NOW) is None
    assert model.push_at(row(due_at=None)) is None


def test_only_whoever_must_act_is_reminded_at_80_percent() -> None:
    assert model.push_at(row(started_at=NOW, due_at=NOW + 10 * HOUR)) == NOW + 8 * HOUR
    assert model.push_at(row(turn="theirs")) is None


def test_away_means_hours_or_a_new_day_in_the_charters_zone() -> None:
    evening = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)  # 23:30 in Shanghai
    assert not model.was_away(None, now=NOW)
    assert not model.was_away(NOW, now=NOW + 2 * HOUR)
    assert model.was_away(NOW, now=NOW + 4 * HOUR)
    assert model.was_away(evening, now=evening + HOUR)
    assert not model.was_away(evening, now=evening + timedelta(minutes=40))


@pytest.mark.parametrize("typed", ["钟", "秀英", "zxy", "ZXY", "zhongxiu", "ｚｘｙ", "英"])
def test_a_name_is_found_by_its_parts_pinyin_and_initials(typed: str) -> None:
    words = keys.of_name("钟秀英")
    assert any(word.startswith(keys.fold(typed)) for word in words)


def test_every_reading_of_a_surname_is_a_key() -> None:
    assert {"zxx", "cxx"} <= keys.of_name("曾小小")


def test_a_long_name_of_many_readings_stays_bounded() -> None:
    assert len(keys.of_name("行" * 60)) <= 60 + 10


def test_numbers_are_found_whole_and_by_their_tail() -> None:
    assert keys.of_numbers(["LJ-0039150"]) == {"lj-0039150", "9150"}
