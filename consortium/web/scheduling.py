"""My slots (picture 04): a specialist's week, published and cancelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from consortium.contracts.terms import SERVICES
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, RefusalKind, invalid
from consortium.kernel.ids import new_id
from consortium.kernel.time import ZONE
from consortium.scheduling import model, publishing
from consortium.scheduling.model import CancelReason, SessionKind
from consortium.scheduling.publishing import OwnSession, OwnSlot, Template, Week
from consortium.web import events
from consortium.web.deps import Node, Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.errors import STATUS, refused
from consortium.web.events import Moment
from consortium.web.guard import Fields
from consortium.web.pages import after, environment, look_of, render
from consortium.web.reading import whole
from consortium.web.views import Option
from consortium.web.wording import dated, t, weekday, written

router = APIRouter(route_class=PageRoute)
LENGTHS: Final = (10, 15, 20, 30, 60)
DAY_BEGINS_MIN: Final = 8 * 60
MORNING_ENDS_MIN: Final = 12 * 60
AFTERNOON_BEGINS_MIN: Final = 14 * 60
DAY_ENDS_MIN: Final = 17 * 60 + 30
_DRAWN: Final = {"pending": "held", "past": "off"}
"""How a state is drawn that the grid has no look of its own for."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in the grid: a slot that stands, or a time that may be published."""

    id: str
    name: str
    value: str = ""
    ticked: bool = False
    slot: OwnSlot | None = None
    look: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class WeekView:
    """The page: a grid of days and times, and the sessions of the week with their `spots` in it."""

    monday: date
    days: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    sessions: Sequence[tuple[OwnSession, str, int, str]]
    weeks: Sequence[tuple[str, str, bool]]
    start: str
    end: str
    total: int
    booked: int
    free: int
    services: Sequence[Option]
    kinds: Sequence[Option]
    lengths: Sequence[Option]
    reasons: Sequence[Option]
    has_template: bool
    exchange: str
    spots: frozenset[str]


@dataclass(frozen=True, slots=True)
class Given:
    """What the form holds: chosen starts as `2026-11-30 08:30`, service, kind and length."""

    starts: frozenset[str] = field(default_factory=frozenset)
    service: str = SERVICES[0]
    kind: str = SessionKind.TELECONSULT.value
    minutes: int = 30


@router.get("/slots")
def show(
    request: Request,
    session: Reading,
    actor: SignedIn,
    now: Now,
    week: Annotated[str, Query(max_length=10)] = "",
    template: Annotated[int, Query(ge=0, le=1)] = 0,
    minutes: Annotated[int, Query(ge=5, le=240)] = 0,
    service: Annotated[str, Query(max_length=64)] = "",
    kind: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """The actor's week; the coming one when none is named. `template` ticks the usual week."""
    monday = _monday(week, now=now)
    usual = publishing.template(session, actor=actor)
    given = _usual(usual, monday) if template and usual else _first(usual)
    changes = {"minutes": minutes, "service": service, "kind": kind}
    given = _changed(given, changes)
    return _page(request, session, given, monday=monday, actor=actor, now=now)


@router.post("/slots")
def publish(
    request: Request, fields: Fields, session: Writing, actor: SignedIn, node: Node, now: Now
) -> Response:
    """Sign and queue what is ticked."""
    given, monday = _given(fields), _monday(str(fields.get("week", "")), now=now)
    try:
        with session.begin_nested():
            publishing.publish(
                session,
                _week(given),
                actor=actor,
                post=node.post,
                exchange=_exchange(fields, now=now),
                now=now,
            )
    except Refusal as refusal:
        if refusal.kind is RefusalKind.MISSING:
            raise
        return _page(request, session, given, monday=monday, actor=actor, now=now, refusal=refusal)
    return after(request, f"/slots?week={monday}", toast="slots.published_toast")


@router.post("/slots/template")
def keep(request: Request, fields: Fields, session: Writing, actor: SignedIn, now: Now) -> Response:
    """Keep what is ticked as the usual week."""
    given, monday = _given(fields), _monday(str(fields.get("week", "")), now=now)
    week = _week(given)
    pairs = tuple(
        sorted({(start.astimezone(ZONE).weekday(), _clock(start)) for start in week.starts})
    )
    kept = Template(week.service, week.kind, week.minutes, pairs)
    publishing.keep_template(session, kept, actor=actor)
    return after(request, f"/slots?week={monday}&template=1", toast="slots.template_toast")


@router.post("/slots/sessions/{session_id}/cancel")
def cancel(
    request: Request,
    session_id: str,
    fields: Fields,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
) -> Response:
    """Cancel a session: its bookings have to be moved."""
    publishing.cancel(
        session,
        session_id,
        actor=actor,
        post=node.post,
        exchange=_exchange(fields, now=now),
        reason=str(fields.get("reason", "")),
        now=now,
    )
    monday = _monday(str(fields.get("week", "")), now=now)
    return after(request, f"/slots?week={monday}", toast="slots.cancelled_toast")


# ---------------------------------------------------------------- what the form says


def _monday(text: str, *, now: datetime) -> date:
    """The Monday of the week that is named, else of the coming one."""
    day = model.day_of(text) if text else now.astimezone(ZONE).date() + timedelta(days=7)
    return model.week_of(day)[0]


def _first(usual: Template | None) -> Given:
    if usual is None:
        return Given()
    return Given(frozenset(), usual.service, usual.kind.value, usual.minutes)


def _usual(usual: Template, monday: date) -> Given:
    starts = {
        f"{_day(start)} {_clock(start)}"
        for start in model.from_template(usual.starts, model.week_of(monday))
    }
    return Given(frozenset(starts), usual.service, usual.kind.value, usual.minutes)


def _changed(given: Given, changes: Mapping[str, object]) -> Given:
    return Given(
        given.starts,
        str(changes["service"]) if changes["service"] in SERVICES else given.service,
        str(changes["kind"]) if changes["kind"] in list(SessionKind) else given.kind,
        int(str(changes["minutes"])) or given.minutes,
    )


def _given(fields: FormData) -> Given:
    minutes = str(fields.get("minutes", ""))
    starts = [one for one in fields.getlist("start") if isinstance(one, str)]
    return Given(
        frozenset(starts),
        str(fields.get("service", "")),
        str(fields.get("kind", "")),
        whole(minutes) if len(minutes) < 4 else 0,
    )


def _week(given: Given) -> Week:
    """What is to be published. Raises Refusal for what is no day, time, service or kind."""
    if given.service not in SERVICES or given.kind not in list(SessionKind):
        raise invalid("session.malformed")
    starts = []
    for one in sorted(given.starts):
        day, _, at = one.partition(" ")
        starts.append(model.moment_of(model.day_of(day), model.clock_of(at)))
    return Week(given.service, SessionKind(given.kind), tuple(starts), given.minutes)


def _exchange(fields: FormData, *, now: datetime) -> str:
    given = str(fields.get("exchange", ""))
    return given if len(given) == 36 else new_id(now)


# ---------------------------------------------------------------- what the page shows


def _page(
    request: Request,
    session: Session,
    given: Given,
    *,
    monday: date,
    actor: Actor,
    now: datetime,
    refusal: Refusal | None = None,
) -> Response:
    sessions = publishing.own_week(session, actor=actor, day=monday, now=now)
    usual = publishing.template(session, actor=actor) is not None
    with written(look_of(request)):
        view = _view(sessions, given, monday=monday, usual=usual, now=now)
        told = None if refusal is None else refused(refusal)
    return render(
        request,
        "scheduling/week.html",
        status=200 if refusal is None else STATUS[refusal.kind],
        page="my_slots",
        view=view,
        given=given,
        refusal=told,
    )


def _view(
    sessions: Sequence[OwnSession], given: Given, *, monday: date, usual: bool, now: datetime
) -> WeekView:
    days = [monday + timedelta(days=n) for n in range(7)]
    standing = [slot for one in sessions if one.state != "refused" for slot in one.slots]
    looks = [slot.look for slot in standing]
    starts = [slot.start for one in sessions for slot in one.slots]
    lengths = sorted({*LENGTHS, given.minutes} - {0})
    return WeekView(
        monday=monday,
        days=[(weekday(day), f"{day:%m-%d}") for day in days],
        rows=_rows(standing, given, days=days, now=now),
        sessions=[(one, _line(one), _taken(one), new_id(now)) for one in sessions],
        weeks=_weeks(monday, now=now),
        start=f"{days[0]:%m-%d}",
        end=f"{days[6]:%m-%d}",
        total=sum(look in ("free", "busy", "pending", "past") for look in looks),
        booked=sum(look in ("busy", "move") for look in looks),
        free=looks.count("free"),
        services=[Option(one, t(f"contract.service.{one}")) for one in SERVICES],
        kinds=[Option(one.value, t(f"session.kind_{one.value}")) for one in SessionKind],
        lengths=[Option(str(one), t("slots.minutes_n", n=one)) for one in lengths],
        reasons=[Option(one.value, t(f"session.reason.{one.value}")) for one in CancelReason],
        has_template=usual,
        exchange=new_id(now),
        spots=frozenset(_spot(_day(at), _clock(at)) for at in starts),
    )


def _taken(one: OwnSession) -> int:
    """How many of a session's slots somebody holds."""
    return sum(bool(slot.case) for slot in one.slots)


def _weeks(monday: date, *, now: datetime) -> list[tuple[str, str, bool]]:
    """Ways to other weeks: address, word, whether it is the one shown."""
    this = model.week_of(now.astimezone(ZONE).date())[0]
    found = [
        (f"/slots?week={this + timedelta(days=7 * n)}", t(f"slots.{word}"), False)
        for n, word in enumerate(("this_week", "next_week", "after_next"))
    ]
    return [(href, word, href.endswith(str(monday))) for href, word, _ in found]


def _line(one: OwnSession) -> str:
    start = one.slots[0].start.astimezone(ZONE)
    return t(
        "slots.session_line",
        when=f"{dated(start.date())} {start:%H:%M}",
        service=t(f"contract.service.{one.service}"),
        n=len(one.slots),
    )


def _rows(
    standing: Sequence[OwnSlot], given: Given, *, days: Sequence[date], now: datetime
) -> list[tuple[str, Sequence[Cell | None]]]:
    """One row a time, with a cell a day; a row without cells is the break at noon."""
    by_place = {(_day(slot.start), _clock(slot.start)): slot for slot in standing}
    # a cancelled slot gives its place to one that was published anew
    for slot in standing:
        if slot.look != "off":
            by_place[_day(slot.start), _clock(slot.start)] = slot
    ticked = {one.partition(" ")[2] for one in given.starts}
    times = sorted({*_grid(given.minutes), *ticked, *(at for _, at in by_place)})
    rows: list[tuple[str, Sequence[Cell | None]]] = []
    noon = False
    for at in times:
        if at >= "12:00" and not noon:
            noon = True
            rows.append((t("slots.noon"), ()))
        rows.append((at, [_cell(by_place, given, day, at, now=now) for day in days]))
    return rows


def _grid(minutes: int) -> list[str]:
    """Starts that a day offers for this length, in the hours of a hospital's day."""
    if minutes < model.STEP_MIN:
        return []
    found = []
    for begin, end in (
        (DAY_BEGINS_MIN, MORNING_ENDS_MIN),
        (AFTERNOON_BEGINS_MIN, DAY_ENDS_MIN),
    ):
        found += [
            f"{at // 60:02d}:{at % 60:02d}" for at in range(begin, end - minutes + 1, minutes)
        ]
    return found


def _cell(
    by_place: Mapping[tuple[date, str], OwnSlot], given: Given, day: date, at: str, *, now: datetime
) -> Cell | None:
    slot, value = by_place.get((day, at)), f"{day} {at}"
    place = f"{dated(day)} {at}"
    if slot is not None and (slot.look != "off" or slot.start <= now):
        label = slot.name or t(f"slot.look.{slot.look}")
        return Cell(
            _spot(day, at),
            name=f"{place} {t(f'slot.look.{slot.look}')} {slot.name}".strip(),
            slot=slot,
            look=_DRAWN.get(slot.look, slot.look),
            label=label,
        )
    try:
        start = model.moment_of(day, model.clock_of(at))
    except Refusal:
        return None
    if start <= now:
        return None
    name = t("slots.day_pick", day=dated(day), time=at)
    return Cell(_spot(day, at), name=name, value=value, ticked=value in given.starts,
                label=t("slot.look.off") if slot else "")  # fmt: skip


def _spot(day: date, at: str) -> str:
    """The id of a place in the grid."""
    return f"at-{day}-{at.replace(':', '')}"


def _day(moment: datetime) -> date:
    return moment.astimezone(ZONE).date()


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(ZONE):%H:%M}"


def _live(moment: Moment, argument: str) -> str:
    """The week's sessions and their places; what is ticked in the free ones stays as it is."""
    try:
        sessions = publishing.own_week(
            moment.session, actor=moment.actor, day=model.day_of(argument), now=moment.look.now
        )
        monday = _monday(argument, now=moment.look.now)
    except Refusal:
        return ""
    view = _view(sessions, Given(), monday=monday, usual=False, now=moment.look.now)
    # without ids of its own the piece is sent only when a session changed
    view = replace(view, sessions=[(*one[:3], "") for one in view.sessions])
    return environment().get_template("scheduling/live.html").render(view=view)


events.PARTS["week"] = _live
