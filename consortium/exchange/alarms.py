"""Alarms: whatever at this node does not fit what the hub, the ledger or the clock says.

One place for all of them (issue 4): marks that couriers and kinds raise, entries that this node's
own checks found wrong, two heads of the ledger that contradict each other. An alarm stands until
it is mended; a person who has looked at it is written down, and it still stands. Facts are codes,
numbers and ids. Words: `alarm.CODE` with `happened`, `safe`, `do`.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.audit import service as audit
from consortium.exchange.tables import AlarmSeenRow, InboxRow, MarkRow
from consortium.kernel.actor import Actor
from consortium.kernel.errors import missing
from consortium.kernel.paging import bounded
from consortium.kernel.time import from_ms, to_ms
from consortium.ledger import witness

_MARK: Final = "alarm:"
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `about`: member, index or other id that it speaks of; `since`: when it was found.

    `seen_by` and `seen_at` say which person has looked at it last, empty and None before.
    """

    id: str
    code: str
    about: str
    since: datetime
    facts: Mapping[str, Any]
    seen_by: str = ""
    seen_at: datetime | None = None


def put(session: Session, code: str, *, about: str = "", now: datetime, **facts: str | int) -> None:
    """Raise an alarm; one that stands keeps its time and its facts, and takes facts that are new.

    Args:
        code: `feed.short`; its words are `alarm.CODE`.
        about: what tells it from others of its code (member, index).
    """
    name = f"{_MARK}{code}:{about}"
    row = session.get(MarkRow, name)
    if row is None:
        value = {"code": code, "about": about, "since_ms": to_ms(now), "facts": facts}
        session.add(MarkRow(name=name, value=orjson.dumps(value).decode()))
    else:
        value = orjson.loads(row.value)
        value["facts"] = {**facts, **value["facts"]}
        row.value = orjson.dumps(value).decode()
    session.flush()


def drop(session: Session, code: str, *, about: str = "") -> None:
    """A condition is over (clock set right, heads are coming again). Evidence is never dropped."""
    row = session.get(MarkRow, f"{_MARK}{code}:{about}")
    if row is not None:
        session.delete(row)
        seen = session.get(AlarmSeenRow, row.name)
        if seen is not None:
            session.delete(seen)
        session.flush()


def standing(session: Session, code: str, *, about: str = "") -> Alarm | None:
    """An alarm that was raised by `put` and stands."""
    row = session.get(MarkRow, f"{_MARK}{code}:{about}")
    return None if row is None else _marked(row)


def of_node(session: Session, *, limit: int = 100) -> list[Alarm]:
    """Every alarm of this node, newest first, at most 100."""
    found = [*_marks(session), *_entries(session), *_evidence(session)]
    found.sort(key=lambda one: (one.since, one.id), reverse=True)
    found = found[: bounded(limit)]
    seen = {
        row.alarm: row
        for row in session.scalars(
            select(AlarmSeenRow).where(AlarmSeenRow.alarm.in_([one.id for one in found]))
        )
    }
    return [_with(one, seen.get(one.id)) for one in found]


def acknowledge(session: Session, alarm: str, *, actor: Actor, now: datetime) -> None:
    """A named person has looked at an alarm: audited, and the alarm stands on.

    Raises:
        Refusal: `alarm.unknown` for one that does not stand.
    """
    if all(one.id != alarm for one in of_node(session)):
        raise missing("alarm.unknown")
    session.merge(AlarmSeenRow(alarm=alarm, person=actor.user, name=actor.name, at=now))
    audit.record(session, actor=actor, action="alarm.seen", subject=f"alarm:{alarm}", now=now)


def _with(one: Alarm, seen: AlarmSeenRow | None) -> Alarm:
    if seen is None:
        return one
    return Alarm(one.id, one.code, one.about, one.since, one.facts, seen.name, seen.at)


def counts(session: Session) -> dict[str, int]:
    """How many alarms stand, by code; of evidence and of entries at most 100 are counted."""
    names = session.scalars(select(MarkRow.name).where(MarkRow.name.startswith(_MARK)))
    found = Counter(name.split(":")[1] for name in names.yield_per(_MOST))
    found.update(one.code for one in (*_entries(session), *_evidence(session)))
    return dict(sorted(found.items()))


def _marks(session: Session) -> list[Alarm]:
    """The newest marks: all are looked at, for a mark's time stands in its value."""
    rows = session.scalars(select(MarkRow).where(MarkRow.name.startswith(_MARK)))
    every = map(_marked, rows.yield_per(_MOST))
    return heapq.nlargest(_MOST, every, key=lambda one: (one.since, one.id))


def _marked(row: MarkRow) -> Alarm:
    value = orjson.loads(row.value)
    since = from_ms(value["since_ms"])
    return Alarm(row.name, value["code"], value["about"], since, value["facts"])


def _entries(session: Session) -> list[Alarm]:
    """Entries whose leaf, facts or verdict this node's own checks found wrong."""
    rows = session.scalars(
        select(InboxRow)
        .where(InboxRow.state == "alarm")
        .order_by(InboxRow.index.desc())
        .limit(bounded(_MOST))
    )
    return [
        Alarm(
            f"entry:{row.member}:{row.index}",
            "entry",
            row.member,
            row.time,
            {"entry": row.index, "kind": row.kind, "found": row.alarm, "exchange": row.exchange},
        )
        for row in rows
    ]


def _evidence(session: Session) -> list[Alarm]:
    return [
        Alarm(
            "evidence:" + hashlib.sha256(one.held + one.offered).hexdigest()[:32],
            one.code,
            "",
            one.at,
            {},
        )
        for one in witness.evidence(session, limit=100)
    ]
