"""A specialist's own sessions: publish a week, cancel, and what the ledger makes of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import orjson
from sqlalchemy.orm import Session

from consortium.desk import service as desk
from consortium.exchange import state
from consortium.exchange.header import EVERYONE
from consortium.exchange.outbox import Draft, Post
from consortium.fhir import message, parts
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import invalid, missing
from consortium.kernel.time import from_ms, to_ms
from consortium.scheduling import fhir, model, store, tables
from consortium.scheduling.model import Plan, SessionKind, SessionState

PUBLISH = "session.publish/1"
CANCEL = "session.cancel/1"
PURPOSE = "TREAT"

# ---------------------------------------------------------------- publish and cancel


@dataclass(frozen=True, slots=True)
class Week:
    """What a specialist wants to publish: single starts, each `minutes` long."""

    service: str
    kind: SessionKind
    starts: tuple[datetime, ...]
    minutes: int


def publish(
    session: Session, week: Week, *, actor: Actor, post: Post, exchange: str, now: datetime
) -> list[str]:
    """Sign and queue the sessions of a week: one for each half day that has new starts.

    Starts that stand in an own session already are left alone, so the form may be sent again with
    some added. `exchange` is the id of the form; the same one again publishes nothing new.
    Returns the ids of the sessions.

    Raises:
        Refusal: `session.nothing` when every start is published already, `session.overlap`,
            `session.past` and the others of `model.check_starts`.
    """
    actor.require(Role.SPECIALIST)
    plans = _new_plans(session, week, actor=actor)
    for plan in plans:
        if refusal := model.check_starts(map(to_ms, plan.starts), plan.minutes, time=now):
            raise refusal
    ids = [nth_id(exchange, n) for n in range(len(plans))]
    if not plans:
        return _again(session, exchange)
    for session_id, plan in zip(ids, plans, strict=True):
        _publish_one(session, session_id, plan, actor=actor, post=post, now=now)
    return ids


def _again(session: Session, exchange: str) -> list[str]:
    """The sessions that this form made before; Refusal when it made none."""
    found: list[str] = []
    while session.get(tables.SessionTable, nth_id(exchange, len(found))) is not None:
        found.append(nth_id(exchange, len(found)))
    if not found:
        raise invalid("session.nothing")
    return found


def _new_plans(session: Session, week: Week, *, actor: Actor) -> list[Plan]:
    if not week.starts:
        raise invalid("session.nothing")
    first, last = min(week.starts), max(week.starts)
    rows = store.of_holder(
        session,
        provider=actor.member,
        holder=actor.user,
        start=first - timedelta(days=1),
        end=last + timedelta(days=1),
    )
    known = {
        start_ms
        for row in rows
        if row.state in store.STANDING and row.minutes == week.minutes
        for start_ms in orjson.loads(row.starts)
    }
    fresh = [start for start in week.starts if to_ms(start) not in known]
    return model.plans(
        fresh, service=week.service, kind=week.kind, holder=actor.user, minutes=week.minutes
    )


def _publish_one(
    session: Session, session_id: str, plan: Plan, *, actor: Actor, post: Post, now: datetime
) -> None:
    starts_ms = [to_ms(start) for start in plan.starts]
    row = tables.SessionTable(
        id=session_id,
        provider=actor.member,
        holder=plan.holder,
        holder_name=actor.name,
        service=plan.service,
        kind=plan.kind.value,
        minutes=plan.minutes,
        starts=orjson.dumps(starts_ms).decode(),
        first_at=plan.starts[0],
        last_at=plan.starts[-1],
        state=store.PENDING,
        code="",
        reason="",
        changed_at=now,
    )
    store.claim(session, row, starts=plan.starts, minutes=plan.minutes)
    value = model.opened(
        provider=actor.member,
        holder=plan.holder,
        service=plan.service,
        kind=plan.kind.value,
        starts_ms=starts_ms,
        minutes=plan.minutes,
        time=now,
    )
    body = message.build(
        PUBLISH,
        source=actor.member,
        destinations=(),
        resources=[
            fhir.schedule(session_id, value, holder_name=actor.name),
            *fhir.slots(session_id, value, {}),
        ],
        exchange_id=session_id,
        now=now,
    )
    draft = Draft(session_id, PUBLISH, actor.member, (EVERYONE,), body, purpose=PURPOSE)
    post.send(session, draft, now=now)


def nth_id(exchange: str, n: int) -> str:
    """The id of the n-th exchange that one form sends: the first is the form's own.

    The others keep its time and take their other bits from its hash, so that the same form sent
    twice names the same exchanges (UUIDv7, RFC 9562, 5.7).
    """
    if n == 0:
        return exchange
    digest = hashlib.sha256(f"{exchange}/{n}".encode()).hexdigest()
    variant = "89ab"[int(digest[3], 16) % 4]
    return f"{exchange[:14]}7{digest[:3]}-{variant}{digest[4:7]}-{digest[7:19]}"


def cancel(
    session: Session,
    session_id: str,
    *,
    actor: Actor,
    post: Post,
    exchange: str,
    reason: str,
    now: datetime,
) -> None:
    """Cancel an own session. Its bookings keep their slots until they are moved.

    Raises:
        Refusal: `session.unknown`, `session.not_yours`, `session.cancelled`, `session.over`.
    """
    actor.require(Role.SPECIALIST, Role.CONSULT_DESK)
    row = session.get(tables.SessionTable, session_id)
    if row is None or row.provider != actor.member:
        raise missing("session.unknown")
    if row.holder != actor.user and not actor.may(Role.CONSULT_DESK):
        raise missing("session.unknown")
    body = message.build(
        CANCEL,
        source=actor.member,
        destinations=(),
        resources=[parts.parameters(session=session_id, reason=reason)],
        exchange_id=exchange,
        now=now,
    )
    draft = Draft(exchange, CANCEL, actor.member, (EVERYONE,), body, purpose=PURPOSE)
    if not post.send(session, draft, now=now).again:
        row.state, row.reason, row.changed_at = store.CANCELLING, reason, now


# ---------------------------------------------------------------- rows that the ledger moves


def published(
    session: Session,
    *,
    provider: str,
    facts: Mapping[str, Any],
    holder_name: str,
    now: datetime,
) -> None:
    """A session is on the ledger: it can be booked."""
    row = session.get(tables.SessionTable, facts["session"])
    if row is not None:
        if row.state == store.PENDING:
            row.state, row.changed_at = SessionState.OPEN.value, now
        return
    starts = [from_ms(one) for one in facts["starts"]]
    session.add(
        tables.SessionTable(
            id=facts["session"],
            provider=provider,
            holder=facts["holder"],
            holder_name=holder_name[:200],
            service=facts["service"],
            kind=facts["kind"],
            minutes=facts["minutes"],
            starts=orjson.dumps(facts["starts"]).decode(),
            first_at=starts[0],
            last_at=starts[-1],
            state=SessionState.OPEN.value,
            code="",
            reason="",
            changed_at=now,
        )
    )
    session.flush()


def publish_refused(session: Session, session_id: str, *, code: str, now: datetime) -> None:
    """The ledger did not take a session: its time is free for another try."""
    row = session.get(tables.SessionTable, session_id)
    if row is not None:
        row.state, row.code, row.changed_at = store.REFUSED, code[:64], now
        store.free_cells(session, session_id)


def cancelled(
    session: Session, session_id: str, *, provider: str, reason: str, now: datetime
) -> None:
    """A session is cancelled on the ledger."""
    row = session.get(tables.SessionTable, session_id)
    if row is not None and row.provider == provider:
        row.state, row.reason = SessionState.CANCELLED.value, reason
        row.changed_at = now
        store.free_cells(session, session_id)


def cancel_refused(session: Session, session_id: str, *, code: str, now: datetime) -> None:
    """The ledger did not take a cancelling: the session stands as shared state says."""
    row = session.get(tables.SessionTable, session_id)
    value = state.read(session, model.session_name(session_id))
    if row is not None and value is not None:
        row.state, row.code, row.changed_at = value["state"], code[:64], now


# ---------------------------------------------------------------- the week as its owner sees it

Look = Literal["pending", "free", "busy", "off", "move", "past"]


@dataclass(frozen=True, slots=True)
class OwnSlot:
    """A slot of an own session. `case`, `name` and `link` tell who comes, where it is taken."""

    start: datetime
    minutes: int
    session: str
    number: int
    look: Look
    case: str = ""
    name: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class OwnSession:
    """An own session with its slots. `code` says why the ledger did not take it."""

    id: str
    service: str
    kind: str
    minutes: int
    state: str
    code: str
    reason: str
    slots: tuple[OwnSlot, ...]


def own_week(session: Session, *, actor: Actor, day: date, now: datetime) -> list[OwnSession]:
    """The actor's sessions in the week that holds this day, in order of time."""
    actor.require(Role.SPECIALIST)
    week = model.week_of(day)
    rows = store.of_holder(
        session,
        provider=actor.member,
        holder=actor.user,
        start=model.moment_of(week[0], model.MIDNIGHT),
        end=model.moment_of(week[0] + timedelta(days=7), model.MIDNIGHT),
    )
    return [_own(session, row, actor=actor, now=now) for row in rows]


def _own(session: Session, row: tables.SessionTable, *, actor: Actor, now: datetime) -> OwnSession:
    starts = [from_ms(one) for one in orjson.loads(row.starts)]
    names = [model.slot_name(row.id, number) for number in range(1, len(starts) + 1)]
    held = state.read_many(session, names)
    slots = []
    for number, start in enumerate(starts, start=1):
        value = held.get(model.slot_name(row.id, number))
        case = "" if value is None or model.is_free(value) else value["case"]
        line = desk.row(session, member=actor.member, case=case) if case else None
        look = _look(row.state, taken=bool(case), past=start <= now)
        name, link = (line.row.patient_name, line.row.link) if line else ("", "")
        slots.append(OwnSlot(start, row.minutes, row.id, number, look, case, name, link))
    return OwnSession(
        row.id, row.service, row.kind, row.minutes, row.state, row.code, row.reason, tuple(slots)
    )


def _look(state_: str, *, taken: bool, past: bool) -> Look:
    if state_ in {store.CANCELLING, SessionState.CANCELLED}:
        return "move" if taken else "off"
    if state_ == store.PENDING:
        return "pending"
    if taken:
        return "busy"
    return "past" if past else "free"


# ---------------------------------------------------------------- the usual week


@dataclass(frozen=True, slots=True)
class Template:
    """A person's usual week: pairs of weekday (0 is Monday) and time (`08:30`)."""

    service: str
    kind: SessionKind
    minutes: int
    starts: tuple[tuple[int, str], ...]


def template(session: Session, *, actor: Actor) -> Template | None:
    """The actor's usual week, None when none was kept."""
    row = session.get(tables.TemplateTable, actor.user)
    if row is None:
        return None
    pairs = tuple((weekday, at) for weekday, at in orjson.loads(row.starts))
    return Template(row.service, SessionKind(row.kind), row.minutes, pairs)


def keep_template(session: Session, kept: Template, *, actor: Actor) -> None:
    """Keep a week as the actor's usual one.

    Raises:
        Refusal: `session.day` or `session.time` for what is no weekday or no time of day.
    """
    actor.require(Role.SPECIALIST)
    for weekday, at in kept.starts:
        model.clock_of(at)
        if not 0 <= weekday <= 6:
            raise invalid("session.day")
    row = session.get(tables.TemplateTable, actor.user)
    if row is None:
        row = tables.TemplateTable(holder=actor.user)
        session.add(row)
    row.service, row.kind, row.minutes = kept.service, kept.kind.value, kept.minutes
    row.starts = orjson.dumps(sorted(kept.starts)).decode()
    session.flush()
