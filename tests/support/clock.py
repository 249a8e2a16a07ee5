"""A clock that moves only when a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


class VirtualClock:
    """Wall clock and monotonic clock of one simulated machine (`consortium.ports.Clock`)."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic_s = 1_000.0

    def now(self) -> datetime:
        """The wall clock, aware UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return self._monotonic_s

    def advance(self, *, seconds: float = 0, **more: float) -> datetime:
        """Let time pass on both clocks; `minutes`, `hours`, `days` as in timedelta."""
        step = timedelta(seconds=seconds, **more)
        if step < timedelta(0):
            raise ValueError("time does not run backwards; `jump` sets the wall clock")
        self._now += step
        self._monotonic_s += step.total_seconds()
        return self._now

    def jump(self, *, seconds: float = 0, **more: float) -> datetime:
        """Set the wall clock forwards or back, as a hand or a wrong battery does."""
        self._now += timedelta(seconds=seconds, **more)
        return self._now
