"""Ledger time: when an index may be given, by the wall clock and the monotonic clock together."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from consortium.kernel.errors import Refusal, RefusalKind, invalid
from consortium.kernel.time import to_ms
from consortium.ledger import store
from consortium.ledger.tables import ClockRow
from consortium.ports import Clock

DRIFT_MAX_MS = 60_000
GAP_MAX_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks of a machine at one moment, in ms."""

    wall_ms: int
    monotonic_ms: int


class Timekeeper:
    """The clock of one sequencing process; remembers both clocks as of its start and last leaf.

    One object for each process and ledger, as long as the process lives. Is itself a Clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.last: Reading | None = None
        self.start = self.read()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def read(self) -> Reading:
        """Both clocks now."""
        return Reading(to_ms(self.now()), int(self.monotonic() * 1000))


def next_ms(
    reading: Reading,
    *,
    last: Reading | None,
    last_leaf_ms: int | None,
    confirmed_ms: int | None,
    start: Reading | None = None,
) -> int:
    """The time of the next leaves; never before the last leaf (PROTOCOL 5).

    A clock up to 60 s behind the last leaf, as after a correction or on a second host, gives the
    last leaf's time again.

    Args:
        reading: both clocks now.
        last: both clocks at this process's last leaf, None before its first.
        start: both clocks when the process began; a quiet weekend after it is no gap.
        last_leaf_ms: time of the last leaf, None on an empty ledger.
        confirmed_ms: when two persons last found the clock right.

    Raises:
        Refusal: `ledger.clock` with `seconds` and `why`: `drift` (the clocks went apart by over
            60 s since the last leaf), `behind` (the wall clock is over 60 s before the last
            leaf), `gap` (at start, over 24 h after it, and not confirmed in the last 24 h).
    """
    wall_ms = reading.wall_ms
    since = last or start
    if since is not None:
        drift_ms = (wall_ms - since.wall_ms) - (reading.monotonic_ms - since.monotonic_ms)
        if abs(drift_ms) > DRIFT_MAX_MS:
            raise _wrong("drift", drift_ms)
    if last_leaf_ms is None:
        return wall_ms
    if wall_ms < last_leaf_ms - DRIFT_MAX_MS:
        raise _wrong("behind", wall_ms - last_leaf_ms)
    begun_ms = start.wall_ms if start is not None else wall_ms
    confirmed = confirmed_ms is not None and (
        begun_ms - GAP_MAX_MS <= confirmed_ms <= wall_ms + DRIFT_MAX_MS
    )
    if last is None and begun_ms > last_leaf_ms + GAP_MAX_MS and not confirmed:
        raise _wrong("gap", begun_ms - last_leaf_ms)
    return max(wall_ms, last_leaf_ms)


def confirm_clock(session: Session, *, first: str, second: str, now: datetime) -> None:
    """Two persons have compared `now` with another clock and found it right; holds 24 h.

    Raises:
        Refusal: `ledger.two_persons` when they are one.
    """
    if not first or not second or first == second:
        raise invalid("ledger.two_persons")
    session.execute(
        insert(ClockRow).values(
            at=now,
            first_person=first,
            second_person=second,
            checksum=store.checksum(now, first, second),
        )
    )


def confirmed_ms(session: Session) -> int | None:
    """When two persons last found the clock right."""
    at = session.scalar(select(func.max(ClockRow.at)))
    return None if at is None else to_ms(at)


def _wrong(why: str, off_ms: int) -> Refusal:
    return Refusal(RefusalKind.UNAVAILABLE, "ledger.clock", why=why, seconds=abs(off_ms) // 1000)
