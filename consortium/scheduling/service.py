"""Free slots: computed where they are known, asked at the hub elsewhere.

A member is offered its own and those of members that a contract in force lets it book with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy.orm import Session

from consortium.contracts import service as contracts
from consortium.exchange import state
from consortium.exchange.outbox import Post
from consortium.kernel.errors import invalid
from consortium.kernel.time import from_ms, to_ms
from consortium.scheduling import model, store, tables
from consortium.scheduling.model import FreeSlot, SessionKind

FREE = "slots.free"
FREE_MOST = 60
SESSIONS_MOST = 40
PAGES_MOST = 25
AFTER_MOST_MS = 4_102_444_800_000

CONTRACTS_MOST = 64
CLAUSE = {SessionKind.TELECONSULT: "teleconsult", SessionKind.CLINIC: "referral"}
"""The contract's kind of service under which slots of a session are booked."""

Source = Literal["here", "hub", "last", "none"]


@dataclass(frozen=True, slots=True)
class Free:
    """Free slots, and how this is known: computed `here`, asked at the `hub`, or the `last` answer.

    `as_of` is the ledger time up to which it holds, None where nothing is known; `index` the last
    entry that it counts, None when computed here.
    """

    slots: tuple[FreeSlot, ...]
    source: Source
    as_of: datetime | None
    index: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def holder_name(self, slot: FreeSlot) -> str:
        """Whose slot it is by name, "" where the session itself has not arrived here yet."""
        return self.names.get(slot.session, "")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which sessions are looked through: a service, a kind, a moment to come after, members."""

    service: str
    kind: str
    after: datetime
    among: frozenset[str]

    def upcoming(
        self, session: Session, *, last: tables.SessionTable | None
    ) -> Sequence[tables.SessionTable]:
        return store.upcoming(
            session,
            service=self.service,
            kind=self.kind,
            providers=self.among,
            after=self.after,
            last=last,
            limit=SESSIONS_MOST,
        )


def free(
    session: Session,
    post: Post,
    *,
    member: str,
    service: str,
    kind: SessionKind,
    now: datetime,
    ask: bool = True,
    case: str = "",
) -> Free:
    """Free slots of a service from now on, the nearest first, at most 60.

    Computed here for own sessions, asked at the hub for others'; with no link, or without `ask`,
    the last answer is given with its time. Asking takes as long as a call to the hub: not for
    writing transactions. `case` is the one whose slot is to be moved: its members stay in.
    """
    covering = contracts.covering(
        session, taker=member, service=service, kind=CLAUSE[kind], now=now
    )
    among = {one.provider for one in covering} | _by_case(session, case, asker=member)
    slots = _Wanted(service, kind.value, now, frozenset(among))
    if _is_own(session, post, slots):
        return _named(session, tuple(_compute(session, slots)), "here", now)
    params = {
        "service": service,
        "kind": kind.value,
        "after": to_ms(now),
        "contracts": sorted({one.contract for one in covering})[:CONTRACTS_MOST],
        "case": case,
    }
    answered = post.query(member, FREE, params) if ask else None
    if answered is None:
        return _last(session, member, service, kind, after=now)
    found = _read(answered["answer"], service=service, kind=kind, after=now)
    return _named(session, found, "hub", from_ms(answered["time_ms"]), answered["index"])


def remember(
    session: Session, known: Free, *, member: str, service: str, kind: SessionKind
) -> None:
    """Keep an answer of the hub for hours without a link; anything else is let be."""
    if known.source != "hub" or known.as_of is None or known.index is None:
        return
    row = session.get(tables.SeenTable, (member, service, kind.value))
    if row is None:
        row = tables.SeenTable(member=member, service=service, kind=kind.value)
        session.add(row)
    row.answer = orjson.dumps(_rows_of(known.slots)).decode()
    row.index, row.as_of = known.index, known.as_of
    session.flush()


def three_from(known: Free, *, start: datetime) -> tuple[FreeSlot, ...]:
    """Three free slots to offer to whom a slot at `start` was taken from: later ones first."""
    later = [slot for slot in known.slots if slot.start >= start]
    earlier = [slot for slot in known.slots if slot.start < start]
    return (*later[:3], *reversed(earlier))[:3]


def answer(session: Session, asker: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The hub's answer to `slots.free`: rows of session, number, start, minutes, holder, provider.

    The asker names contracts of its own, so that the hub need not look through all of them; what
    they say is read here. A booking is judged by the ledger's time, what is offered by `after`.

    Raises:
        Refusal: `slot.query` for a question that is none.
    """
    service, kind, after = (params.get(name) for name in ("service", "kind", "after"))
    if not isinstance(service, str) or len(service) > 64 or kind not in list(SessionKind):
        raise invalid("slot.query")
    if type(after) is not int or not 0 <= after < AFTER_MOST_MS:
        raise invalid("slot.query")
    named, case = params.get("contracts", []), params.get("case", "")
    if not isinstance(named, list) or len(named) > CONTRACTS_MOST or not isinstance(case, str):
        raise invalid("slot.query")
    if not all(isinstance(one, str) for one in named):
        raise invalid("slot.query")
    moment, clause = from_ms(after), CLAUSE[SessionKind(kind)]
    among = contracts.providers(
        session, named, taker=asker, service=service, kind=clause, now=moment
    ) | _by_case(session, case, asker=asker)
    return _rows_of(_compute(session, _Wanted(service, str(kind), moment, among)))


def _by_case(session: Session, case: str, *, asker: str) -> frozenset[str]:
    """The asker, and the other members of a case of its own."""
    value = state.read(session, f"case:{case}") if case else None
    parties = frozenset(value["parties"]) if value is not None else frozenset()
    return parties | {asker} if asker in parties else frozenset({asker})


def _rows_of(slots: Sequence[FreeSlot]) -> dict[str, Any]:
    return {
        "slots": [
            [one.session, one.number, to_ms(one.start), one.minutes, one.holder, one.provider]
            for one in slots
        ]
    }


def slot_at(session: Session, name: str) -> FreeSlot:
    """The time and place that a slot's name stands for, whoever holds it.

    Raises:
        Refusal: `slot.unknown` when its session is not known here or has no such number.
    """
    session_id, number = model.parse_slot(name)
    row = session.get(tables.SessionTable, session_id)
    starts = orjson.loads(row.starts) if row is not None else []
    if row is None or number > len(starts):
        raise invalid("slot.unknown")
    return FreeSlot(
        start=from_ms(starts[number - 1]),
        session=session_id,
        number=number,
        minutes=row.minutes,
        service=row.service,
        kind=row.kind,
        provider=row.provider,
        holder=row.holder,
    )


def holder_name(session: Session, session_id: str) -> str:
    """The name of the person whose session it is, "" when it is not known here."""
    row = session.get(tables.SessionTable, session_id)
    return "" if row is None else row.holder_name


def _is_own(session: Session, post: Post, wanted: _Wanted) -> bool:
    """Whether the nearest sessions of a service are all of this installation's members."""
    rows = wanted.upcoming(session, last=None)
    return bool(rows) and all(row.provider in post.members for row in rows)


def _compute(session: Session, wanted: _Wanted) -> list[FreeSlot]:
    """The nearest free slots by shared state; full sessions are passed over, a page at a time."""
    found: list[FreeSlot] = []
    last: tables.SessionTable | None = None
    for _ in range(PAGES_MOST):
        rows = wanted.upcoming(session, last=last)
        found += _free_in(session, rows, after=wanted.after)
        if len(found) >= FREE_MOST or len(rows) < SESSIONS_MOST:
            break
        last = rows[-1]
    return sorted(found)[:FREE_MOST]


def _free_in(
    session: Session, rows: Sequence[tables.SessionTable], *, after: datetime
) -> list[FreeSlot]:
    values = state.read_many(session, [model.session_name(row.id) for row in rows])
    names = [
        model.slot_name(row.id, number)
        for row in rows
        for number in range(1, len(orjson.loads(row.starts)) + 1)
    ]
    held = state.read_many(session, names)
    found: list[FreeSlot] = []
    for row in rows:
        if value := values.get(model.session_name(row.id)):
            found += model.free_slots(row.id, value, held, after=after)
    return found


def _read(
    known: Mapping[str, Any], *, service: str, kind: SessionKind, after: datetime
) -> tuple[FreeSlot, ...]:
    found = [
        FreeSlot(from_ms(start), session, number, minutes, service, kind.value, provider, holder)
        for session, number, start, minutes, holder, provider in known["slots"]
    ]
    return tuple(sorted(one for one in found if one.start > after))[:FREE_MOST]


def _last(
    session: Session, member: str, service: str, kind: SessionKind, *, after: datetime
) -> Free:
    row = session.get(tables.SeenTable, (member, service, kind.value))
    if row is None:
        return Free((), "none", None)
    found = _read(orjson.loads(row.answer), service=service, kind=kind, after=after)
    return _named(session, found, "last", row.as_of, row.index)


def _named(
    session: Session,
    slots: tuple[FreeSlot, ...],
    source: Source,
    as_of: datetime,
    index: int | None = None,
) -> Free:
    names = {one: holder_name(session, one) for one in {slot.session for slot in slots}}
    return Free(slots, source, as_of, index, names)
