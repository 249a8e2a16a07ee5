"""How numbers, moments and stretches of time are written (design/ui.md, 8)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.web import wording
from consortium.web.wording import Look, written
from consortium.words import Lang

NOW = datetime(2026, 11, 24, 2, 12, tzinfo=UTC)
ZH, EN = Look("zh", NOW), Look("en", NOW)
SPACE = "\N{NO-BREAK SPACE}"


def test_a_ledger_number_does_not_break() -> None:
    with written(ZH):
        assert wording.number(48213) == f"48{SPACE}213"
    with written(EN):
        assert wording.number(48213) == "48,213"


@pytest.mark.parametrize(
    ("hours", "zh", "en"),
    [
        (0, "今日 10:12", "today 10:12"),
        (22.5, "明日 08:42", "tomorrow 08:42"),
        (-16, "昨日 18:12", "yesterday 18:12"),
        (47, "11-26 周四 09:12", "Thu 26 Nov 09:12"),
        (-24 * 400, "2025-10-20", "2025-10-20"),
    ],
)
def test_near_days_are_said_by_word(hours: float, zh: str, en: str) -> None:
    moment = NOW + timedelta(hours=hours)
    with written(ZH):
        assert wording.when(moment).replace(SPACE, " ") == zh
    with written(EN):
        assert wording.when(moment).replace(SPACE, " ") == en


def test_today_ends_at_midnight_of_the_charters_zone() -> None:
    late = datetime(2026, 11, 24, 15, 59, tzinfo=UTC)
    with written(ZH):
        assert wording.day(late) == "今日"
        assert wording.day(late + timedelta(minutes=1)) == "明日"


@pytest.mark.parametrize(
    ("minutes", "zh", "en"),
    [
        (0, "1 分", "1 min"),
        (18, "18 分", "18 min"),
        (60, "1 小时", "1 h"),
        (102, "1 小时 42 分", "1 h 42 min"),
        (13 * 60 + 20, "13 小时", "13 h"),
        (47 * 60, "47 小时", "47 h"),
        (48 * 60, "2 天", "2 days"),
    ],
)
def test_stretches_of_time_have_their_units(minutes: int, zh: str, en: str) -> None:
    with written(ZH):
        assert wording.length(timedelta(minutes=minutes)) == zh
    with written(EN):
        assert wording.length(timedelta(minutes=minutes)) == en


@given(st.integers(1, 10**7), st.sampled_from(["zh", "en"]))
def test_a_longer_time_is_never_said_shorter(minutes: int, lang: Lang) -> None:
    with written(Look(lang, NOW)):
        words = wording.length(timedelta(minutes=minutes))
    figures = [int("".join(filter(str.isdigit, part)) or 0) for part in words.split(" ")]
    assert figures[0] >= 1


def test_money_has_two_decimals_and_its_unit() -> None:
    with written(ZH):
        assert (wording.yuan(8000), wording.yuan(5), wording.yuan(12345)) == (
            "80.00 元",
            "0.05 元",
            "123.45 元",
        )


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "1 KB"), (184_000, "184 KB"), (999_999, "1000 KB"), (1_900_000, "1.9 MB")],
)
def test_sizes(count: int, said: str) -> None:
    assert wording.size(count).replace(SPACE, " ") == said


def test_seconds_are_said_only_when_one_waits() -> None:
    with written(ZH):
        assert wording.seconds_on_link(6_000, 8_000) == ""
        assert wording.seconds_on_link(184_000, 8_000) == "约 23 秒"
        assert wording.seconds_on_link(1_900_000, 4_000) == "约 8 分钟"
        assert wording.seconds_on_link(1_900_000, 0) == ""


def test_a_birthday_counts_from_its_day() -> None:
    with written(ZH):
        assert wording.age(date(1963, 11, 24)) == 63
        assert wording.age(date(1963, 11, 25)) == 62


@given(
    st.integers(630_000_000, 2_900_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
)
def test_every_moment_can_be_written_in_both_languages(moment: datetime) -> None:
    for look in (ZH, EN):
        with written(look):
            assert wording.when(moment)
            assert wording.ago(moment)
            assert wording.full_day(moment)
            assert wording.iso(moment).endswith("Z")
