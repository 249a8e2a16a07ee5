"""Where a replay begins that does not judge everything: the copy of a closed month (PROTOCOL 3).

The facts of old entries may be erased, and whoever lacks them cannot judge. The copy of shared
state as of a month that a mirror agreed to stands in their place: its root is what `state.closed/1`
says, and the replay compares it with that entry when it meets it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from consortium.exchange import closing, state
from consortium.exchange.facts import Value
from consortium.exchange.tables import (
    ClosingRow,
    ClosingSubjectRow,
    FeedHeadRow,
    MarkRow,
    SharedStateRow,
)
from consortium.kernel.database import table_of
from consortium.ledger import journal

_MARK = "replay.base"
_COPY = table_of(ClosingSubjectRow)
_STATE = table_of(SharedStateRow)


@dataclass(slots=True)
class Base:
    """The copy of a month up to entry `index`; `births`: at which entry each feed was opened."""

    month: str
    index: int
    births: Mapping[str, int]
    _read: dict[str, Value | None] = field(default_factory=dict)

    def born(self, index: int) -> Sequence[str]:
        """Members whose feeds were opened at this entry."""
        return sorted(name for name, at in self.births.items() if at == index)

    def read(self, session: Session, name: str) -> Value | None:
        """A subject as the copy has it."""
        if name not in self._read:
            value = session.scalar(
                select(_COPY.c.value).where(_COPY.c.month == self.month, _COPY.c.subject == name)
            )
            self._read[name] = None if value is None else orjson.loads(value)
        return self._read[name]


def load(session: Session, base: Base) -> None:
    """Shared state becomes what the copy says."""
    session.execute(delete(_STATE))
    whole = select(_COPY.c.subject, _COPY.c.value, _COPY.c.entry).where(_COPY.c.month == base.month)
    session.execute(insert(_STATE).from_select(["subject", "value", "entry"], whole))


def offered(session: Session) -> Base | None:
    """The newest month that a mirror agreed to, if this database keeps its copy (hub, mirror)."""
    agreed = state.read(session, closing.AGREED)
    row = session.get(ClosingRow, agreed["month"]) if agreed is not None else None
    if agreed is None or row is None or row.index != agreed["index"]:
        return None
    held = select(_COPY.c.subject).where(_COPY.c.month == row.month).limit(1)
    if session.scalar(held) is None:
        return None
    births = session.execute(
        select(FeedHeadRow.member, FeedHeadRow.begun).where(FeedHeadRow.begun <= row.index)
    )
    return Base(row.month, row.index, {row.member: row.begun for row in births})


def keep(session: Session, base: Base, *, first: int) -> None:
    """Begin with a copy that was taken over; its rows are here already.

    Args:
        first: first entry of its month.
    """
    session.add(ClosingRow(month=base.month, first=first, index=base.index))
    value = {"month": base.month, "index": base.index, "births": dict(base.births)}
    session.merge(MarkRow(name=_MARK, value=orjson.dumps(value).decode()))
    session.flush()


def kept(session: Session) -> Base | None:
    """The copy that this mirror began with; None where it went through everything."""
    row = session.get(MarkRow, _MARK)
    if row is None:
        return None
    value: dict[str, Any] = orjson.loads(row.value)
    return Base(value["month"], value["index"], value["births"])


def judged(session: Session) -> int:
    """At a mirror: how many entries stand under the shared state that it has; 0 before it has."""
    size, base = journal.size(session), kept(session)
    return 0 if base is not None and size <= base.index else size
