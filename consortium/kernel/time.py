"""Time: aware UTC inside, half-open spans; the charter's zone when shown or when months count."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs its zone")
    return (moment - _EPOCH) // _MS


def from_ms(value_ms: int) -> datetime:
    """The aware UTC datetime of milliseconds since 1970."""
    return _EPOCH + value_ms * _MS


@lru_cache(maxsize=256)
def month_of(moment: datetime) -> str:
    """The quota month (`2026-11`) that a moment falls in, in the charter's zone (PROTOCOL 5)."""
    return moment.astimezone(ZONE).strftime("%Y-%m")


def end_of_day(moment: datetime) -> datetime:
    """The last millisecond of a moment's day in the charter's zone: when only a day is due."""
    shown = moment.astimezone(ZONE)
    last = shown.replace(hour=23, minute=59, second=59, microsecond=999_000)
    return last.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time, `start` in, `end` out."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("a span ends after it starts")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share a moment."""
        return self.start < other.end and other.start < self.end
