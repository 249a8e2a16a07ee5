"""The slot that an accept names: which subjects it stands for, and why it cannot be had. Pure."""

from datetime import datetime

from consortium.exchange.facts import Facts, Value
from consortium.exchange.header import Header
from consortium.exchange.kinds import Values
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.time import to_ms
from consortium.scheduling import model as slots


def names_of(slot: str) -> tuple[str, ...]:
    """Subjects of a slot that facts name; none for a text that is no slot: `judge` refuses it."""
    try:
        slots.parse_slot(slot)
    except Refusal:
        return ()
    return slot, session_of(slot)


def session_of(slot: str) -> str:
    """The session's subject of a slot's name, by its form alone; `judge` has read the name."""
    return slots.session_name(slot.removeprefix("slot:").rpartition("/")[0])


def refusal_of(
    values: Values, case: Value, header: Header, facts: Facts, time: datetime
) -> Refusal | None:
    """Why the slot cannot be had: somebody holds it, it is past, no clinic, not at that time."""
    reached = slots.reach(
        values.get,
        facts["slot"],
        case=header.case,
        holder=case["taker"],
        provider=case["provider"],
        time=time,
    )
    if isinstance(reached, Refusal):
        return reached
    session, number = reached
    if session["kind"] != slots.SessionKind.CLINIC:
        return invalid("referral.slot_kind")
    if session["service"] != case["service"]:
        return invalid("referral.slot_service")
    span = slots.span_of(session, number)
    if span is None or to_ms(span.start) != facts["start"]:
        return invalid("referral.when")
    return None
