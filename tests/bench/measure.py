"""What one bench line holds, and how times and rates are taken."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """A value beside the limit that it is held against.

    `limit` is what `limit_name` names: a physical bound measured here (one core's signatures, one
    disk's fsyncs) or a promise to users. `goal` is the ratio value / limit to reach: at least for
    rates, at most where `smaller` is better (times, sizes).
    """

    name: str
    value: float
    unit: str
    limit_name: str
    limit: float
    goal: float = 1.0
    smaller: bool = False

    @property
    def ratio(self) -> float:
        """Value over limit."""
        return self.value / self.limit

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio <= self.goal if self.smaller else self.ratio >= self.goal

    def line(self) -> dict[str, object]:
        """The fields of a bench line, in their order."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "limit_name": self.limit_name,
            "limit": round(self.limit, 4),
            "ratio": round(self.ratio, 4),
            "goal": self.goal,
            "met": self.met,
        }


def rate(work: Callable[[], int], *, seconds: float = 2.0) -> float:
    """Units of work a second: `work` returns how many it did; the first call warms up."""
    work()
    done, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        done += work()
    return done / spent


def times_ms(work: Callable[[], object], *, rounds: int = 200) -> list[float]:
    """How long each call took, in milliseconds; the first one warms up and is not counted."""
    work()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def percentile(taken: Sequence[float], at: int) -> float:
    """The value below which `at` percent of the values lie."""
    return statistics.quantiles(taken, n=100, method="inclusive")[at - 1]
