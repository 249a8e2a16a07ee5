"""A referral as a line of the worklist: what must be done, by whom, by when. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

from consortium.desk.model import DeskRow
from consortium.kernel.actor import Role
from consortium.kernel.ids import CaseId, MemberId, PatientId, UserId
from consortium.kernel.time import ZONE, end_of_day
from consortium.referrals.model import Side, State
from consortium.words import Lang

Turn = Literal["mine", "theirs", "none"]

QUEUED: Final = "queued"
REFUSED: Final = "refused"
TO_MOVE: Final = "to_move"
"""Booked on the ledger, in a session that was cancelled."""
TOPIC: Final = "referral"
_DOCTOR = frozenset({Role.TOWNSHIP_DOCTOR})
_TRIAGE = frozenset({Role.SPECIALIST, Role.CONSULT_DESK})
_DESK = frozenset({Role.CONSULT_DESK})
_SPECIALIST = frozenset({Role.SPECIALIST})

_PROVIDER_ROLES: Final[Mapping[str, frozenset[Role]]] = {
    State.WAITING: _DESK | _SPECIALIST,
    State.BOOKED: _DESK,
    TO_MOVE: _DESK | _SPECIALIST,
    State.NO_SHOW: _DESK,
    State.ARRIVED: _SPECIALIST,
    State.REPORTED: _SPECIALIST,
}
_TAKER_MINE: Final = frozenset(
    {REFUSED, State.RETURNED, State.UNREADABLE, State.NO_SHOW, State.REPORTED, State.DECLINED}
)
_PROVIDER_MINE: Final = frozenset(
    {State.REQUESTED, State.TRIAGE, State.WAITING, TO_MOVE, State.ARRIVED}
)
_ACTS: Final[Mapping[tuple[Side, str], str]] = {
    (Side.TAKER, QUEUED): "referral.act.outbox",
    (Side.TAKER, REFUSED): "referral.act.fix",
    (Side.TAKER, State.RETURNED): "referral.act.supply",
    (Side.TAKER, State.UNREADABLE): "referral.act.supply",
    (Side.TAKER, State.NO_SHOW): "referral.act.contact",
    (Side.TAKER, State.REPORTED): "referral.act.read_report",
    (Side.TAKER, State.DECLINED): "referral.act.read_reason",
    (Side.PROVIDER, State.REQUESTED): "referral.act.triage",
    (Side.PROVIDER, State.TRIAGE): "referral.act.triage",
    (Side.PROVIDER, State.WAITING): "referral.act.schedule",
    (Side.PROVIDER, State.BOOKED): "referral.act.arrival",
    (Side.PROVIDER, TO_MOVE): "referral.act.schedule",
    (Side.PROVIDER, State.ARRIVED): "referral.act.report",
}


@dataclass(frozen=True, slots=True)
class Card:
    """The patient as a line shows them."""

    patient: PatientId | None
    name: str
    sex: str
    birth: date | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a line is made from: the local row, the shared state, and what the last answer said."""

    member: str
    case: str
    side: Side
    state: str
    """`queued`, `refused`, `to_move`, or the state on the ledger."""
    other: Mapping[Lang, str]
    """The other side's name in each language."""
    """The other member's name."""
    service: str
    urgency: str
    number: str
    author: str
    author_user: str
    question: str
    claimed_by: str
    missing: tuple[str, ...]
    reason: str
    place: str
    start: datetime | None
    due: datetime | None
    opened: datetime
    sending: bool
    """An own act of this case waits in the outbox."""
    link: str


def line(facts: Facts, card: Card) -> DeskRow | None:
    """The line of a case, None when nothing is left to do or to wait for."""
    if not _stays(facts):
        return None
    mine = facts.state in (_TAKER_MINE if facts.side is Side.TAKER else _PROVIDER_MINE)
    mine = mine and not facts.sending
    need, params = _need(facts)
    source, source_params = _source(facts)
    turn: Turn = "mine" if mine else "theirs"
    return DeskRow(
        member=MemberId(facts.member),
        case=CaseId(facts.case),
        topic=TOPIC,
        urgency=facts.urgency,
        patient=card.patient,
        patient_name=card.name,
        patient_sex=card.sex,
        patient_birth=card.birth,
        need=need,
        need_params=params,
        source=source,
        source_params=source_params,
        state=f"referral.state.{facts.state}",
        turn=turn,
        turn_name="" if mine else _turn_name(facts),
        roles=_roles(facts),
        due_at=_due(facts),
        started_at=facts.opened,
        link=facts.link,
        act=_act(facts),
        owner=UserId(facts.author_user) if facts.side is Side.TAKER else None,
        numbers=(facts.number, facts.number.replace("-", "")),
    )


def when_text(moment: datetime) -> str:
    """A time in the charter's zone, the same in both languages: `11-26 09:20`."""
    return moment.astimezone(ZONE).strftime("%m-%d %H:%M")


def _day(moment: datetime) -> dict[str, str]:
    """A day without an hour: `12-31` and its weekday, whose word is the reader's."""
    shown = moment.astimezone(ZONE)
    return {
        "day": shown.strftime("%m-%d"),
        "weekday": f"@shell.weekday.d{shown.isoweekday()}",
    }


def _stays(facts: Facts) -> bool:
    if facts.state in (State.CLOSED, State.CANCELLED):
        return False
    return facts.state != State.DECLINED or facts.side is Side.TAKER


def _roles(facts: Facts) -> frozenset[Role]:
    if facts.side is Side.TAKER:
        return _DOCTOR
    return _PROVIDER_ROLES.get(facts.state, _TRIAGE)


def _due(facts: Facts) -> datetime | None:
    if facts.state in (QUEUED, REFUSED, TO_MOVE, State.DECLINED):
        return None
    if facts.state == State.WAITING and facts.due is not None:
        # a day is expected, not an hour: it is not late before that day is over
        return end_of_day(facts.due)
    return facts.due


def _act(facts: Facts) -> str:
    if facts.sending:
        return "referral.act.outbox" if facts.state == QUEUED else "referral.act.progress"
    return _ACTS.get((facts.side, facts.state), "referral.act.progress")


def _turn_name(facts: Facts) -> str:
    """Who acts next: a word key marked by `@`, or the parameter of the source marked by `$`."""
    if facts.sending or facts.state == QUEUED:
        return "@referral.turn.link"
    if facts.state == State.BOOKED:
        return "@referral.turn.patient"
    if facts.side is Side.TAKER:
        return f"@contract.service.{facts.service}"
    return "$member"


def _need(facts: Facts) -> tuple[str, dict[str, Any]]:
    service = f"@contract.service.{facts.service}"
    side, state = facts.side.value, facts.state
    match state:
        case State.RETURNED if facts.side is Side.TAKER and facts.missing:
            return _missing_need(facts.missing)
        case State.REQUESTED | State.TRIAGE | State.ARRIVED if facts.side is Side.PROVIDER:
            return f"referral.need.{side}.{state}", {"service": service}
        case State.BOOKED | "to_move":
            when = when_text(facts.start or facts.opened)
            return f"referral.need.{side}.{state}", {"when": when}
        case State.WAITING if facts.start is not None:
            return f"referral.need.{side}.waiting_day", _day(facts.start)
        case State.DECLINED:
            reason = f"@referral.decline.{facts.reason or 'other'}"
            return "referral.need.taker.declined", {"reason": reason}
        case _:
            return f"referral.need.{side}.{state}", {}


def _missing_need(missing: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    first, *rest = (f"@referral.missing.{one}" for one in missing)
    if not rest:
        return "referral.need.taker.returned_one", {"a": first}
    if len(rest) == 1:
        return "referral.need.taker.returned_two", {"a": first, "b": rest[0]}
    return "referral.need.taker.returned_more", {"a": first, "b": rest[0], "n": len(missing)}


def _source(facts: Facts) -> tuple[str, dict[str, Any]]:
    service = f"@contract.service.{facts.service}"
    if facts.side is Side.PROVIDER:
        if facts.state == State.TRIAGE and facts.claimed_by:
            claimed = {"name": facts.claimed_by, "member": facts.other}
            return "referral.source.claimed", claimed
        if facts.state in (State.REQUESTED, State.TRIAGE):
            about = {"member": facts.other, "doctor": facts.author, "question": facts.question[:60]}
            return "referral.source.request", about
        return "referral.source.from", {"member": facts.other, "doctor": facts.author}
    if facts.state == State.BOOKED and facts.place:
        return "referral.source.place", {"service": service, "place": facts.place}
    if facts.state == State.TRIAGE and facts.claimed_by:
        return "referral.source.taken", {"service": service, "name": facts.claimed_by}
    return "referral.source.to", {"service": service, "member": facts.other}
