"""Sessions in FHIR: a Schedule with its Slots, written and read."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from consortium.fhir import systems
from consortium.fhir.message import Message
from consortium.fhir.parts import instant
from consortium.kernel.errors import invalid
from consortium.kernel.time import from_ms, to_ms
from consortium.scheduling.model import SlotState, instant_of

KIND = f"{systems.ROOT}/CodeSystem/session-kind"
_STATUS = {SlotState.FREE: "free", SlotState.HELD: "busy-tentative", SlotState.BOOKED: "busy"}


def slot_id(session: str, number: int) -> str:
    """The FHIR id of a slot: names of subjects hold characters that ids may not."""
    return f"{session}-{number}"


def schedule(session_id: str, session: Mapping[str, Any], *, holder_name: str) -> dict[str, Any]:
    """A session as Schedule. `session` is its value (`model.opened`)."""
    starts = session["starts"]
    end = from_ms(starts[-1]) + timedelta(minutes=session["minutes"])
    actor = {
        "type": "Practitioner",
        "identifier": {"system": systems.PERSON, "value": session["holder"]},
    }
    if holder_name:
        actor["display"] = holder_name
    return {
        "resourceType": "Schedule",
        "id": session_id,
        "active": session["state"] == "open",
        "serviceCategory": [{"coding": [{"system": KIND, "code": session["kind"]}]}],
        "serviceType": [{"coding": [{"system": systems.SERVICE, "code": session["service"]}]}],
        "actor": [actor],
        "planningHorizon": {"start": instant(from_ms(starts[0])), "end": instant(end)},
    }


def slots(
    session_id: str, session: Mapping[str, Any], held: Mapping[int, Mapping[str, Any] | None]
) -> list[dict[str, Any]]:
    """The slots of a session; `held` are values of slots by number."""
    return [
        _slot(session_id, session, number, start_ms, held.get(number))
        for number, start_ms in enumerate(session["starts"], start=1)
    ]


def _slot(
    session_id: str,
    session: Mapping[str, Any],
    number: int,
    start_ms: int,
    value: Mapping[str, Any] | None,
) -> dict[str, Any]:
    start = from_ms(start_ms)
    status = _STATUS[SlotState(value["state"]) if value else SlotState.FREE]
    if session["state"] != "open" and status == "free":
        status = "busy-unavailable"
    return {
        "resourceType": "Slot",
        "id": slot_id(session_id, number),
        "schedule": {"reference": f"Schedule/{session_id}"},
        "status": status,
        "start": instant(start),
        "end": instant(start + timedelta(minutes=session["minutes"])),
    }


def session_facts(message: Message) -> dict[str, Any]:
    """The facts of a published session, from its Schedule and Slots.

    Raises:
        Refusal: `session.malformed` where the resources do not say one session, `session.zone`,
            `session.time`.
    """
    plan, all_slots = message.one("Schedule"), message.all("Slot")
    spans = [_span(plan["id"], number, one) for number, one in enumerate(all_slots, start=1)]
    lengths = {end - start for start, end in spans}
    if len(lengths) != 1 or len(plan["actor"]) != 1:
        raise invalid("session.malformed")
    minutes, rest = divmod(lengths.pop(), timedelta(minutes=1))
    if rest:
        raise invalid("session.malformed")
    return {
        "session": plan["id"],
        "service": _code(plan.get("serviceType"), systems.SERVICE),
        "kind": _code(plan.get("serviceCategory"), KIND),
        "holder": str(plan["actor"][0].get("identifier", {}).get("value", "")),
        "starts": [to_ms(start) for start, _ in spans],
        "minutes": minutes,
    }


def holder_name(message: Message) -> str:
    """The name of the person whose session it is."""
    return str(message.one("Schedule")["actor"][0].get("display", ""))


def _span(session_id: str, number: int, one: Mapping[str, Any]) -> tuple[datetime, datetime]:
    ours = one["id"] == slot_id(session_id, number)
    if not ours or one["schedule"].get("reference") != f"Schedule/{session_id}":
        raise invalid("session.malformed")
    return instant_of(one["start"]), instant_of(one["end"])


def _code(concepts: Sequence[Mapping[str, Any]] | None, system: str) -> str:
    for concept in concepts or ():
        for coding in concept.get("coding", ()):
            if coding.get("system") == system:
                return str(coding.get("code", ""))
    raise invalid("session.malformed")
