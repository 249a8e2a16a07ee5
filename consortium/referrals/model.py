"""The life of a referral: states x actions, sides, guards, times. Pure (product.md, 5.1).

Shared state holds what is on the ledger only. Draft and queued are local and come before it; the
flag overdue is computed when a page is read and never changes a state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from consortium.kernel.errors import Refusal, conflict, forbidden, invalid
from consortium.kernel.time import ZONE, from_ms, to_ms

Value = Mapping[str, Any]
TOPIC = "referral"


class State(StrEnum):
    """Where a referral stands."""

    REQUESTED = "requested"
    TRIAGE = "triage"
    RETURNED = "returned"
    UNREADABLE = "unreadable"
    WAITING = "waiting"
    BOOKED = "booked"
    ARRIVED = "arrived"
    NO_SHOW = "no_show"
    REPORTED = "reported"
    CLOSED = "closed"
    DECLINED = "declined"
    CANCELLED = "cancelled"


class Action(StrEnum):
    """What a side does; each is one exchange."""

    REQUEST = "request"
    CLAIM = "claim"
    ACCEPT = "accept"
    RETURN = "return"
    RESEND = "resend"
    DECLINE = "decline"
    CANCEL = "cancel"
    ARRIVE = "arrive"
    NO_SHOW = "no_show"
    REPORT = "report"
    ACKNOWLEDGE = "acknowledge"
    CORRECT = "correct"


class Side(StrEnum):
    """Who of the two may act: the clinic that refers, or the hospital that is asked."""

    TAKER = "taker"
    PROVIDER = "provider"


S, A = State, Action
NEW: State | None = None
"""The case that has no value yet."""

TABLE: Mapping[tuple[State | None, Action], frozenset[State]] = {
    (NEW, A.REQUEST): frozenset({S.REQUESTED}),
    (S.REQUESTED, A.CLAIM): frozenset({S.TRIAGE}),
    (S.REQUESTED, A.ACCEPT): frozenset({S.BOOKED, S.WAITING}),
    (S.REQUESTED, A.RETURN): frozenset({S.RETURNED}),
    (S.REQUESTED, A.DECLINE): frozenset({S.DECLINED}),
    (S.REQUESTED, A.CANCEL): frozenset({S.CANCELLED}),
    (S.REQUESTED, A.ARRIVE): frozenset({S.ARRIVED}),
    (S.TRIAGE, A.ACCEPT): frozenset({S.BOOKED, S.WAITING}),
    (S.TRIAGE, A.RETURN): frozenset({S.RETURNED}),
    (S.TRIAGE, A.DECLINE): frozenset({S.DECLINED}),
    (S.TRIAGE, A.CANCEL): frozenset({S.CANCELLED}),
    (S.TRIAGE, A.ARRIVE): frozenset({S.ARRIVED}),
    (S.RETURNED, A.RESEND): frozenset({S.REQUESTED}),
    (S.RETURNED, A.DECLINE): frozenset({S.DECLINED}),
    (S.RETURNED, A.CANCEL): frozenset({S.CANCELLED}),
    (S.UNREADABLE, A.RESEND): frozenset({S.REQUESTED}),
    (S.UNREADABLE, A.CANCEL): frozenset({S.CANCELLED}),
    (S.WAITING, A.ACCEPT): frozenset({S.BOOKED, S.WAITING}),
    (S.WAITING, A.CANCEL): frozenset({S.CANCELLED}),
    (S.WAITING, A.ARRIVE): frozenset({S.ARRIVED}),
    (S.BOOKED, A.ACCEPT): frozenset({S.BOOKED, S.WAITING}),
    (S.BOOKED, A.CANCEL): frozenset({S.CANCELLED}),
    (S.BOOKED, A.ARRIVE): frozenset({S.ARRIVED}),
    (S.BOOKED, A.NO_SHOW): frozenset({S.NO_SHOW}),
    (S.NO_SHOW, A.ACCEPT): frozenset({S.BOOKED, S.WAITING}),
    (S.NO_SHOW, A.ARRIVE): frozenset({S.ARRIVED}),
    (S.NO_SHOW, A.ACKNOWLEDGE): frozenset({S.CLOSED}),
    (S.ARRIVED, A.REPORT): frozenset({S.REPORTED}),
    (S.REPORTED, A.ACKNOWLEDGE): frozenset({S.CLOSED}),
    **{(state, A.CORRECT): frozenset({state}) for state in State},
}
"""Every transition there is; two targets where a slot or a date decides. The rest is refused."""

SIDES: Mapping[Action, Side | None] = {
    A.REQUEST: Side.TAKER,
    A.CLAIM: Side.PROVIDER,
    A.ACCEPT: Side.PROVIDER,
    A.RETURN: Side.PROVIDER,
    A.RESEND: Side.TAKER,
    A.DECLINE: Side.PROVIDER,
    A.CANCEL: Side.TAKER,
    A.ARRIVE: Side.PROVIDER,
    A.NO_SHOW: Side.PROVIDER,
    A.REPORT: Side.PROVIDER,
    A.ACKNOWLEDGE: Side.TAKER,
    A.CORRECT: None,
}
"""Whose act it is; a correction is whoever's act is corrected."""

TURNS: Mapping[State, Side | None] = {
    S.REQUESTED: Side.PROVIDER,
    S.TRIAGE: Side.PROVIDER,
    S.RETURNED: Side.TAKER,
    S.UNREADABLE: Side.TAKER,
    S.WAITING: Side.PROVIDER,
    S.BOOKED: Side.PROVIDER,
    S.ARRIVED: Side.PROVIDER,
    S.NO_SHOW: Side.TAKER,
    S.REPORTED: Side.TAKER,
    S.CLOSED: None,
    S.DECLINED: None,
    S.CANCELLED: None,
}
"""Whose act is next in a state."""

ENDED = frozenset({S.CLOSED, S.DECLINED, S.CANCELLED})
"""States in which nobody acts any more."""
OPEN = frozenset(State) - ENDED
"""States in which a referral still waits for somebody."""
URGENCIES = ("emergency", "urgent", "routine")
CONSENTS = ("explicit", "emergency", "statutory")
DECLINE_REASONS = (
    "out_of_scope",
    "no_capacity",
    "manage_locally",
    "incomplete",
    "duplicate",
    "other",
)
"""Why a hospital declines, in the words of product.md 5.1."""
MISSING = (
    "history",
    "diagnosis",
    "vitals",
    "labs",
    "imaging",
    "ecg",
    "medication",
    "allergies",
    "consent",
    "question",
    "contact",
    "other",
)
"""What a hospital may ask for when it returns a referral."""
CANCEL_REASONS = ("patient_refused", "improved", "went_elsewhere", "mistake", "other")
ADOPTIONS = ("adopted", "partly", "not", "absent")
"""What the clinic did with the report; `absent` closes a referral whose patient never came."""
CORRECTED = ("identity", "diagnosis", "question", "history", "report", "time", "other")
"""What part of an earlier exchange a correction is about."""

WAITING_DAYS_MAX = 180
_RETURN_DAYS, _REPORT_DAYS, _READ_DAYS, _CONTACT_DAYS = 2, 3, 3, 2
_DEFAULT_ANSWER_MIN = {"emergency": 30, "urgent": 240, "routine": 1440}
_REPAIR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a request says of the case that it opens."""

    taker: str
    provider: str
    contract: str
    version: int
    quota: str
    service: str
    urgency: str
    consent: str
    request: str
    answer_min: int


def allowed(value: Value | None, *, side: Side, off: bool = False) -> frozenset[Action]:
    """The acts that the table gives a side in a state, guards of time aside.

    `off`: the session of the booked time was cancelled, so nobody can be missing from it.
    """
    state = None if value is None else State(value["state"])
    return frozenset(
        action
        for (at, action) in TABLE
        if at == state
        and SIDES[action] in (side, None)
        and not _guard(value, action)
        and not (off and action is A.NO_SHOW)
    )


def side_of(value: Value, member: str) -> Side | None:
    """On which side of a case a member stands."""
    if member == value["taker"]:
        return Side.TAKER
    return Side.PROVIDER if member == value["provider"] else None


def check(
    value: Value | None, action: Action, *, sender: str, to: tuple[str, ...], reason: str = ""
) -> Refusal | None:
    """Whether a member may do this to the case now: a Refusal, or None.

    Codes: `referral.unknown` (a case of another topic), `referral.state` (names the state),
    `referral.side`, `referral.recipient`, `referral.returned_once`, `referral.not_urgent`,
    `referral.reason`.
    """
    if value is None:
        return None if action is A.REQUEST else conflict("referral.state", state="none")
    if value["topic"] != TOPIC:
        return invalid("referral.unknown")
    state = State(value["state"])
    if (state, action) not in TABLE:
        return conflict("referral.state", state=state.value)
    side = side_of(value, sender)
    if side is None or SIDES[action] not in (side, None):
        return forbidden("referral.side", side=(SIDES[action] or Side.TAKER).value)
    other = value["provider"] if side is Side.TAKER else value["taker"]
    if to != (other,):
        return invalid("referral.recipient")
    return _guard(value, action, reason=reason)


def _guard(value: Value | None, action: Action, *, reason: str = "incomplete") -> Refusal | None:
    if value is None:
        return None
    state = State(value["state"])
    if action is A.RETURN and value["returned"]:
        return conflict("referral.returned_once")
    # before an answer only an emergency may arrive: the green channel
    if action is A.ARRIVE and state in (S.REQUESTED, S.TRIAGE) and value["urgency"] != "emergency":
        return conflict("referral.not_urgent")
    if action is A.DECLINE and state is S.RETURNED and reason != "incomplete":
        return conflict("referral.reason", state=state.value)
    return None


def check_adoption(value: Value, mark: str) -> Refusal | None:
    """`absent` belongs to a patient who did not come, every other mark to a report."""
    if (mark == "absent") != (value["state"] == S.NO_SHOW):
        return invalid("referral.adoption", state=value["state"])
    return None


def check_no_show(value: Value, *, time: datetime, off: bool) -> Refusal | None:
    """Nobody is missing before the time of the appointment, or from one that was cancelled."""
    if off:
        return conflict("referral.to_move")
    start_ms = value.get("start")
    if start_ms is not None and to_ms(time) < start_ms:
        return conflict("referral.early", start=start_ms)
    return None


def check_waiting(date_ms: int, *, time: datetime) -> Refusal | None:
    """The expected date of a waiting list lies ahead, at most 180 days."""
    day_ms = to_ms(time - timedelta(days=1))
    if not day_ms < date_ms <= to_ms(time + timedelta(days=WAITING_DAYS_MAX)):
        return invalid("referral.date", days=WAITING_DAYS_MAX)
    return None


# ---------------------------------------------------------------- values


def opened(opening: Opening, *, time: datetime) -> dict[str, Any]:
    """The value of a case that a request has opened."""
    return {
        "parties": [opening.taker, opening.provider],
        "topic": TOPIC,
        "state": S.REQUESTED.value,
        "turn": opening.provider,
        # a body that the hospital cannot take leaves the clinic with a case to send again
        "prior": S.UNREADABLE.value,
        "opened": to_ms(time),
        "due": to_ms(time + timedelta(minutes=opening.answer_min)),
        "answer_min": opening.answer_min,
        "contract": opening.contract,
        "version": opening.version,
        "quota": opening.quota,
        "urgency": opening.urgency,
        "taker": opening.taker,
        "provider": opening.provider,
        "service": opening.service,
        "consent": opening.consent,
        "request": opening.request,
        "report": "",
        "returned": False,
        "slot": "",
        "session": "",
        "start": None,
        "reason": "",
        "adoption": "",
    }


def moved(old: Value, state: State, *, due: datetime | None, **changes: Any) -> dict[str, Any]:
    """The value after a step into `state`; `prior` remembers where it came from."""
    side = TURNS[state]
    return {
        **old,
        "prior": old["state"],
        "state": state.value,
        "turn": "" if side is None else old[side.value],
        "due": None if due is None else to_ms(due),
        **changes,
    }


def due_after(state: State, *, time: datetime, value: Value) -> datetime | None:
    """When the next act is due, by the defaults of product.md 4.8; None where nothing is due.

    A booked or waiting patient is due at the time of the appointment, which the accept names.
    """
    match state:
        case S.REQUESTED:
            return time + timedelta(minutes=value["answer_min"])
        case S.TRIAGE:
            return None if value["due"] is None else from_ms(value["due"])
        case S.RETURNED:
            return working_days(time, _RETURN_DAYS)
        case S.UNREADABLE:
            return time + _REPAIR
        case S.ARRIVED:
            return working_days(time, _REPORT_DAYS)
        case S.REPORTED:
            return working_days(time, _READ_DAYS)
        case S.NO_SHOW:
            return working_days(time, _CONTACT_DAYS)
        case _:
            return None


def working_days(time: datetime, days: int) -> datetime:
    """The same hour some Mondays to Fridays later, in the charter's zone.

    Public holidays are not known here: every node and mirror must reckon the same.
    """
    local = time.astimezone(ZONE)
    while days:
        local += timedelta(days=1)
        days -= local.weekday() < 5
    return local.astimezone(time.tzinfo)


def default_answer_min(urgency: str) -> int:
    """Minutes to the first answer where no contract says otherwise (product.md, 4.8)."""
    return _DEFAULT_ANSWER_MIN[urgency]
