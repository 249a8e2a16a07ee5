"""Sessions and slots: what they hold, who may take a slot, which are free. Pure (PROTOCOL 7).

A slot is named by its session and a number that counts from 1. It has no value until somebody
takes it: a free slot costs nothing. A slot moves in the same exchange as its case, or neither does.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeGuard

from consortium.kernel.errors import Refusal, conflict, invalid
from consortium.kernel.time import ZONE, Span, from_ms, to_ms

Value = Mapping[str, Any]

STEP_MIN = 5
"""Starts and lengths are whole multiples of this, so that overlaps can be told in the database."""
MINUTES_MOST = 240
STARTS_MOST = 48
AHEAD = timedelta(days=180)
"""How far ahead a session may be published."""
NOON = clock(12)
MIDNIGHT = clock(0)


class SessionKind(StrEnum):
    """What happens in a session."""

    TELECONSULT = "teleconsult"
    CLINIC = "clinic"


class SlotState(StrEnum):
    """States of a slot. `held` has its place in the format; nothing holds a slot yet."""

    FREE = "free"
    HELD = "held"
    BOOKED = "booked"


class SessionState(StrEnum):
    """States of a session."""

    OPEN = "open"
    CANCELLED = "cancelled"


class CancelReason(StrEnum):
    """Why a session does not take place."""

    LEAVE = "leave"
    EMERGENCY = "emergency"
    EQUIPMENT = "equipment"
    OTHER = "other"


# ---------------------------------------------------------------- names


def session_name(session: str) -> str:
    """The subject of a session."""
    return f"session:{session}"


def slot_name(session: str, number: int) -> str:
    """The subject of a slot, `slot:SESSION/3`."""
    return f"slot:{session}/{number}"


def parse_slot(name: str) -> tuple[str, int]:
    """Session id and number of a slot's name. Raises Refusal `slot.unknown` for any other text."""
    family, _, rest = name.partition(":")
    session, _, digits = rest.partition("/")
    if family != "slot" or not session or not _is_number(digits):
        raise invalid("slot.unknown")
    return session, int(digits)


def _is_number(digits: str) -> bool:
    plain = digits.isascii() and digits.isdigit() and not digits.startswith("0")
    return plain and int(digits) <= STARTS_MOST


# ---------------------------------------------------------------- sessions


@dataclass(frozen=True, slots=True)
class Plan:
    """A session before it is published: `starts` in order, each `minutes` long."""

    service: str
    kind: SessionKind
    holder: str
    starts: tuple[datetime, ...]
    minutes: int


def check_starts(starts_ms: Iterable[int], minutes: int, *, time: datetime) -> Refusal | None:
    """Whether these starts make a session at this time: in order, apart, ahead, on the grid.

    Codes: `session.empty`, `session.length`, `session.grid`, `session.overlap`, `session.past`,
    `session.far` (research/reliability.md 5, row 61).
    """
    starts = list(starts_ms)
    if not 0 < len(starts) <= STARTS_MOST:
        return invalid("session.empty", most=STARTS_MOST)
    if not STEP_MIN <= minutes <= MINUTES_MOST or minutes % STEP_MIN:
        return invalid("session.length", most=MINUTES_MOST)
    if any(start % (STEP_MIN * 60_000) for start in starts):
        return invalid("session.grid", minutes=STEP_MIN)
    if any(later - start < minutes * 60_000 for start, later in pairwise(starts)):
        return conflict("session.overlap")
    if starts[0] <= to_ms(time):
        return invalid("session.past")
    if starts[-1] > to_ms(time + AHEAD):
        return invalid("session.far", days=AHEAD.days)
    return None


def opened(
    *,
    provider: str,
    holder: str,
    service: str,
    kind: str,
    starts_ms: Iterable[int],
    minutes: int,
    time: datetime,
) -> dict[str, Any]:
    """The value of a session just published."""
    return {
        "provider": provider,
        "holder": holder,
        "service": service,
        "kind": kind,
        "starts": list(starts_ms),
        "minutes": minutes,
        "state": SessionState.OPEN.value,
        "opened": to_ms(time),
        "cancelled": None,
        "reason": "",
    }


def cancelled(session: Value, *, reason: str, time: datetime) -> dict[str, Any]:
    """The value of a session after its cancelling. Its slots are not written (PROTOCOL 7)."""
    return {
        **session,
        "state": SessionState.CANCELLED.value,
        "cancelled": to_ms(time),
        "reason": reason,
    }


def is_open(session: Value | None) -> TypeGuard[Value]:
    """Whether a session exists and has not been cancelled."""
    return session is not None and session["state"] == SessionState.OPEN


def is_off(session: Value | None) -> bool:
    """Whether a session was cancelled: whoever is booked in it needs another time."""
    return session is not None and not is_open(session)


def is_over(session: Value, *, time: datetime) -> bool:
    """Whether its last slot has ended."""
    end_ms: int = session["starts"][-1] + session["minutes"] * 60_000
    return end_ms <= to_ms(time)


def span_of(session: Value, number: int) -> Span | None:
    """When a slot is, None when the session has no such number."""
    starts = session["starts"]
    if not 1 <= number <= len(starts):
        return None
    start = from_ms(starts[number - 1])
    return Span(start, start + timedelta(minutes=session["minutes"]))


# ---------------------------------------------------------------- slots


def booked(*, provider: str, case: str, holder: str) -> dict[str, Any]:
    """The value of a slot that a case holds: what a `step` writes, when `take` allowed it.

    `provider` publishes the session, `holder` is the member whose patient comes. `allotted`,
    `frozen` and `until` have their place for allotments and holds and are not used yet.
    """
    return {
        "parties": [provider],
        "state": SlotState.BOOKED.value,
        "case": case,
        "holder": holder,
        "allotted": None,
        "frozen": False,
        "until": None,
    }


def take(
    old: Value | None,
    session: Value | None,
    *,
    number: int,
    case: str,
    holder: str,
    provider: str,
    time: datetime,
) -> dict[str, Any] | Refusal:
    """Take a slot for a case: its new value, or why not.

    A slot that the same case holds already is taken again without a change. `provider` is the
    member of the exchange that gives the slot: nobody gives another's. Codes: `slot.unknown`,
    `slot.cancelled`, `slot.past`, `slot.taken`.
    """
    if session is None or session["provider"] != provider:
        return invalid("slot.unknown")
    span = span_of(session, number)
    if span is None:
        return invalid("slot.unknown")
    if not is_open(session):
        return conflict("slot.cancelled")
    if span.start <= time:
        return invalid("slot.past")
    if not is_free(old) and (old or {})["case"] != case:
        return conflict("slot.taken")
    return booked(provider=provider, case=case, holder=holder)


def reach(
    get: Callable[[str], Value | None],
    slot: str,
    *,
    case: str,
    holder: str,
    provider: str,
    time: datetime,
) -> tuple[Value, int] | Refusal:
    """The session of a slot and its number in it where a case can have it, or why not.

    `get` reads shared state by subject. Codes: those of `parse_slot` and `take`.
    """
    try:
        session_id, number = parse_slot(slot)
    except Refusal as refusal:
        return refusal
    session = get(session_name(session_id))
    taken = take(
        get(slot), session, number=number,
        case=case, holder=holder, provider=provider, time=time,
    )  # fmt: skip
    if isinstance(taken, Refusal):
        return taken
    return invalid("slot.unknown") if session is None else (session, number)


def release(old: Value | None, case: str) -> Value | None:
    """Give a slot back: free again if this case holds it, unchanged if another does or none."""
    if is_free(old) or old is None or old["case"] != case:
        return old
    return {**old, "state": SlotState.FREE.value, "case": "", "holder": ""}


def is_free(slot: Value | None) -> bool:
    """Whether nobody holds a slot; one that was never taken has no value."""
    return slot is None or slot["state"] == SlotState.FREE


# ---------------------------------------------------------------- free slots


@dataclass(frozen=True, slots=True, order=True)
class FreeSlot:
    """A slot that can be taken."""

    start: datetime
    session: str
    number: int
    minutes: int
    service: str
    kind: str
    provider: str
    holder: str

    @property
    def name(self) -> str:
        """Its subject."""
        return slot_name(self.session, self.number)

    @property
    def end(self) -> datetime:
        """When it ends."""
        return self.start + timedelta(minutes=self.minutes)


def free_slots(
    session_id: str, session: Value, slots: Mapping[str, Value | None], *, after: datetime
) -> list[FreeSlot]:
    """The free slots of one session that start later than `after`, in order.

    `slots` holds the values of its slots by name; a missing one was never taken.
    """
    if not is_open(session):
        return []
    return [
        FreeSlot(
            start=from_ms(start_ms),
            session=session_id,
            number=number,
            minutes=session["minutes"],
            service=session["service"],
            kind=session["kind"],
            provider=session["provider"],
            holder=session["holder"],
        )
        for number, start_ms in enumerate(session["starts"], start=1)
        if start_ms > to_ms(after) and is_free(slots.get(slot_name(session_id, number)))
    ]


# ---------------------------------------------------------------- a week


def day_of(text: str) -> date:
    """A day written `2026-11-30`. Raises Refusal `session.day`."""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise invalid("session.day") from error
    if not 2000 <= day.year <= 2200:
        raise invalid("session.day")
    return day


def clock_of(text: str) -> clock:
    """A time of day written `08:30`. Raises Refusal `session.time`, for 25:00 too."""
    hours, colon, minutes = text.partition(":")
    if not colon or not (hours + minutes).isdigit() or not text.isascii() or len(minutes) != 2:
        raise invalid("session.time")
    try:
        return clock(int(hours), int(minutes))
    except ValueError as error:
        raise invalid("session.time") from error


def moment_of(day: date, at: clock) -> datetime:
    """The moment of a day and a time of day in the charter's zone.

    Raises Refusal `session.time` where the zone's clock skips that hour or strikes it twice.
    """
    local = datetime.combine(day, at, tzinfo=ZONE)
    moment = local.astimezone(UTC)
    skipped = moment.astimezone(ZONE).replace(tzinfo=None) != local.replace(tzinfo=None)
    if skipped or local.replace(fold=1).astimezone(UTC) != moment:
        raise invalid("session.time")
    return moment


def instant_of(text: str) -> datetime:
    """A FHIR `instant`. Raises Refusal `session.zone` when its zone is missing, `session.time`."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise invalid("session.zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid("session.time") from error


def plans(
    starts: Iterable[datetime], *, service: str, kind: SessionKind, holder: str, minutes: int
) -> list[Plan]:
    """The sessions of these starts: one for each half of a day, so that each half can be cancelled.

    Halves are told by noon in the charter's zone.
    """
    halves: dict[tuple[date, bool], list[datetime]] = {}
    for start in sorted(set(starts)):
        local = start.astimezone(ZONE)
        halves.setdefault((local.date(), local.time() >= NOON), []).append(start)
    return [Plan(service, kind, holder, tuple(half), minutes) for half in halves.values()]


def week_of(day: date) -> tuple[date, ...]:
    """The seven days from Monday of the week that holds this day."""
    monday = day - timedelta(days=day.weekday())
    return tuple(monday + timedelta(days=n) for n in range(7))


def from_template(template: Iterable[tuple[int, str]], week: Sequence[date]) -> list[datetime]:
    """The starts of a weekly template, pairs of weekday (0 is Monday) and time, in this week."""
    return sorted(moment_of(week[weekday], clock_of(at)) for weekday, at in template)
