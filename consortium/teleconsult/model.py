"""Bookings: who may do what in which state. Pure (product.md, 5.3; PROTOCOL 7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from consortium.kernel.errors import Refusal, conflict, forbidden
from consortium.kernel.time import to_ms

Value = Mapping[str, Any]
TOPIC = "booking"
QUESTION_MAX = 2000


class State(StrEnum):
    """States of a booking on the ledger; SENT_BACK when the recipient could not take it."""

    SENT_BACK = "sent_back"
    BOOKED = "booked"
    CANCELLED = "cancelled"


ENDED = frozenset({State.BOOKED, State.CANCELLED})
"""States that a booking is left in: a year later the session of one that stood is over."""


class Action(StrEnum):
    """What a member does with a booking."""

    REQUEST = "request"
    MOVE = "move"
    CANCEL = "cancel"


class Side(StrEnum):
    """Whose act it is: the member whose patient it is, or the one whose specialist it is."""

    TAKER = "taker"
    PROVIDER = "provider"


class CancelReason(StrEnum):
    """Why a booking is given up."""

    PATIENT = "patient"
    SOLVED = "solved"
    STAFF = "staff"
    OTHER = "other"


class Basis(StrEnum):
    """On what a booking is shared (PROTOCOL 3, *Consent*)."""

    EXPLICIT = "explicit"
    EMERGENCY = "emergency"
    STATUTORY = "statutory"


class Shown(StrEnum):
    """What a page says of a booking: its state, and what lies before and beside the ledger."""

    PENDING = "pending"
    BOOKED = "booked"
    TO_MOVE = "to_move"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    OVER = "over"


RULES: Final[Mapping[tuple[State, Action], tuple[frozenset[Side], State]]] = MappingProxyType(
    {
        (State.BOOKED, Action.MOVE): (frozenset(Side), State.BOOKED),
        (State.BOOKED, Action.CANCEL): (frozenset(Side), State.CANCELLED),
        # the slot of a booking that came back is still held until the booking is cancelled
        (State.SENT_BACK, Action.CANCEL): (frozenset(Side), State.CANCELLED),
    }
)
"""The states x actions table; what it does not name is refused. A request opens a new case."""


def side_of(case: Value, member: str) -> Side | None:
    """The side of a member in a case, None for a stranger."""
    if member == case["taker"]:
        return Side.TAKER
    return Side.PROVIDER if member == case["provider"] else None


def advance(
    case: Value, action: Action, *, member: str, session_open: bool, time: datetime
) -> State | Refusal:
    """The state after an action, or why not: `booking.not_yours`, `booking.state`, `booking.begun`.

    Nothing is moved or cancelled after its time has begun (reliability.md 5, row 63), unless that
    time was cancelled by the specialist.
    """
    side = side_of(case, member)
    if side is None:
        return forbidden("booking.not_yours")
    rule = RULES.get((State(case["state"]), action))
    if rule is None:
        return conflict("booking.state", state=case["state"])
    sides, new = rule
    if side not in sides:
        return forbidden("booking.not_yours")
    if session_open and case["start"] <= to_ms(time):
        return conflict("booking.begun", state=case["state"])
    return new


@dataclass(frozen=True, slots=True)
class Place:
    """A slot in time: names of its `slot:` and `session:` subjects, and its start."""

    slot: str
    session: str
    start_ms: int


def opened(
    place: Place,
    *,
    taker: str,
    provider: str,
    service: str,
    urgency: str,
    contract: str,
    version: int,
    quota: str,
    time: datetime,
) -> dict[str, Any]:
    """The case of a booking just admitted, with the common head of every case.

    Nobody's act is next: both wait for the time itself.
    """
    return {
        "parties": sorted({taker, provider}),
        "state": State.BOOKED.value,
        "turn": "",
        "opened": to_ms(time),
        "due": None,
        "contract": contract,
        "version": version,
        "urgency": urgency,
        "prior": State.SENT_BACK.value,
        "topic": TOPIC,
        "taker": taker,
        "provider": provider,
        "service": service,
        "quota": quota,
        "slot": place.slot,
        "session": place.session,
        "start": place.start_ms,
    }


def moved(case: Value, place: Place) -> dict[str, Any]:
    """The case after it got another slot."""
    return {
        **case,
        "prior": case["state"],
        "turn": "",
        "slot": place.slot,
        "session": place.session,
        "start": place.start_ms,
    }


def cancelled(case: Value) -> dict[str, Any]:
    """The case after it was given up; it names its slot no longer."""
    return {
        **case,
        "prior": case["state"],
        "state": State.CANCELLED.value,
        "turn": "",
        "due": None,
        "slot": "",
    }
