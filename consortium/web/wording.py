"""How numbers, moments and sizes are written (design/ui.md, 8), in the language of a page.

`Look` is all that writing needs: the language, the moment of the page, the token of its forms.
It is set round each rendering, so that macros need no context of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from consortium import words
from consortium.kernel.time import ZONE
from consortium.words import LANGS, Lang

HTML_LANG = {"zh": "zh-CN", "en": "en"}
_NARROW = "\N{NO-BREAK SPACE}"
_KB = 1000


@dataclass(frozen=True, slots=True)
class Look:
    """With what a page is written."""

    lang: Lang
    now: datetime
    csrf: str = ""


_look: ContextVar[Look] = ContextVar("look")


@contextmanager
def written(look: Look) -> Iterator[None]:
    """Write everything inside the block in this look."""
    token = _look.set(look)
    try:
        yield
    finally:
        _look.reset(token)


def look() -> Look:
    """The look of the page being written."""
    return _look.get()


def lang() -> Lang:
    return look().lang


def as_lang(value: str | None) -> Lang | None:
    """A language that we have, or None."""
    return next((known for known in LANGS if known == value), None)


def t(key: str, **params: object) -> str:
    """The words of a key, in the language of the page."""
    return words.say(key, lang(), **params)


def number(value: int) -> str:
    """48 213 in Chinese, with a no-break space; 48,213 in English."""
    grouped = f"{value:,}"
    return grouped.replace(",", _NARROW) if lang() == "zh" else grouped


def yuan(fen: int) -> str:
    """Money with its unit and two decimals."""
    return t("shell.unit.yuan", n=f"{fen // 100}.{fen % 100:02d}")


def size(count: int) -> str:
    """Bytes as KB or MB, never less than 1 KB."""
    if count < _KB * _KB:
        return f"{max(1, round(count / _KB))}{_NARROW}KB"
    return f"{count / _KB / _KB:.1f}{_NARROW}MB"


def local(moment: datetime) -> datetime:
    """A moment in the charter's zone."""
    return moment.astimezone(ZONE)


def clock(moment: datetime) -> str:
    """09:20."""
    return local(moment).strftime("%H:%M")


def weekday(day: date) -> str:
    return t(f"shell.weekday.d{day.isoweekday()}")


def day(moment: datetime | date) -> str:
    """Today, tomorrow and yesterday by word, else 11-26 周四; with its year when that differs."""
    shown = local(moment).date() if isinstance(moment, datetime) else moment
    today = local(look().now).date()
    near = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get((shown - today).days)
    if near:
        return t(f"shell.day.{near}")
    if shown.year != today.year:
        return shown.isoformat()
    return dated(shown)


def dated(shown: date) -> str:
    """11-26 周四, whether near or not."""
    month = t(f"shell.month.m{shown.month}")
    return t(
        "shell.day.dated",
        day=shown.day,
        dd=f"{shown.day:02d}",
        mm=f"{shown.month:02d}",
        month=month,
        weekday=weekday(shown),
    )


def full_day(moment: datetime) -> str:
    """11 月 24 日 周二, as a page's head has it."""
    shown = local(moment).date()
    month = t(f"shell.month.m{shown.month}")
    return t(
        "shell.day.full",
        year=shown.year,
        m=shown.month,
        month=month,
        day=shown.day,
        weekday=weekday(shown),
    )


def when(moment: datetime) -> str:
    """Day and time; of another year the date alone."""
    if local(moment).year != local(look().now).year:
        return day(moment)
    return f"{day(moment)}{_NARROW}{clock(moment)}"


def stamp(moment: datetime) -> str:
    """Date and time to the second, the same in each language: for what is kept or printed."""
    return local(moment).strftime(f"%Y-%m-%d{_NARROW}%H:%M:%S")


def ago(moment: datetime) -> str:
    """The time alone when it was today, else day and time."""
    same = local(moment).date() == local(look().now).date()
    return clock(moment) if same else when(moment)


def length(span: timedelta) -> str:
    """A stretch of time in words: 22 小时, 1 小时 42 分, 2 天; rounded down, at least a minute."""
    minutes = max(1, int(span.total_seconds()) // 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return t("shell.length.days", n=hours // 24)
    if hours >= 12 or (hours and not minutes):
        return t("shell.length.hours", n=hours)
    if hours:
        return t("shell.length.hours_minutes", h=hours, m=minutes)
    return t("shell.length.minutes", n=minutes)


def seconds_on_link(count: int, bytes_s: int) -> str:
    """About how long so many bytes take on this link; empty when the link is fast or unknown."""
    if bytes_s <= 0 or count / bytes_s < 5:
        return ""
    seconds = round(count / bytes_s)
    if seconds < 60:
        return t("shell.length.about_seconds", n=seconds)
    return t("shell.length.about_minutes", n=round(seconds / 60))


def age(born: date) -> int:
    """Whole years at the moment of the page."""
    today = local(look().now).date()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def iso(moment: datetime) -> str:
    """For a `time` element, in UTC to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
