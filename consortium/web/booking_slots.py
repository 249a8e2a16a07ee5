"""Free times as pages offer them (picture 05): day by day, five abreast, or the next three."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from consortium.kernel.actor import Actor
from consortium.kernel.time import ZONE
from consortium.scheduling import service as scheduling
from consortium.scheduling.model import FreeSlot, SessionKind
from consortium.scheduling.service import Free
from consortium.web.node import WebNode
from consortium.web.views import Cell
from consortium.web.wording import clock, day, number, t, weekday, when


@dataclass(frozen=True, slots=True)
class Day:
    """One day with its free times."""

    weekday: str
    date: str
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class SlotsView:
    """Free times of a service, how many, and in words how this is known."""

    days: Sequence[Day]
    offers: Sequence[Cell]
    count: int
    as_of: str
    offline: bool
    unknown: bool


def known_slots(
    session: Session, node: WebNode, *, actor: Actor, service: str, now: datetime, case: str = ""
) -> Free:
    """Free teleconsultation slots of a service; the hub is not asked while the link is cut.

    `case` is the booking that is to be moved.
    """
    return scheduling.free(
        session,
        node.post,
        member=actor.member,
        service=service,
        kind=SessionKind.TELECONSULT,
        now=now,
        ask=node.link_state(actor.member).online,
        case=case,
    )


def choose(known: Free, *, lost: datetime | None = None, taken: bool = False) -> SlotsView:
    """What to choose from, in the language being written; `taken` offers three after `lost`."""
    days: dict[date, list[FreeSlot]] = {}
    for slot in known.slots:
        days.setdefault(slot.start.astimezone(ZONE).date(), []).append(slot)
    offers = scheduling.three_from(known, start=lost) if taken and lost else ()
    return SlotsView(
        days=[
            Day(weekday(one), f"{one:%m-%d}", [_cell(known, slot) for slot in found])
            for one, found in days.items()
        ],
        offers=[_cell(known, slot, dated=True) for slot in offers],
        count=len(known.slots),
        as_of=_as_of(known),
        offline=known.source in ("last", "none"),
        unknown=known.source == "none",
    )


def _cell(known: Free, slot: FreeSlot, *, dated: bool = False) -> Cell:
    label = f"{day(slot.start)} {clock(slot.start)}" if dated else clock(slot.start)
    name = known.holder_name(slot) or t("bookings.form.any")
    return Cell("free", label, name, value=slot.name)


def _as_of(known: Free) -> str:
    if known.as_of is None:
        return t("bookings.form.unknown")
    if known.source == "last":
        return t("bookings.form.last", time=when(known.as_of))
    told = t("bookings.form.as_of", time=clock(known.as_of))
    if known.index is None:
        return told
    index = t("bookings.form.as_of_index", n=number(known.index))
    return t("bookings.form.as_of_both", told=told, index=index)
