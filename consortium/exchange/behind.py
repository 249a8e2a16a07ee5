"""A hub whose database is smaller than its ledger: it gives no index until it is recovered.

PROTOCOL 5 ("Restore"). It is told by its guard, by a mirror, or by a member that shows a checkpoint
which the log has signed for more than there is here. What nobody proves changes nothing: a leaf is
committed before its checkpoint is signed, so an honest database is never behind one.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import alarms, pieces
from consortium.exchange.tables import MarkRow
from consortium.kernel.database import table_of
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.time import to_ms
from consortium.ledger import journal

ALARM = "ledger.behind"
_MARK = "ledger:behind"
_SIZE = re.compile("[0-9]{1,15}")
_ROW = table_of(MarkRow)
_VALUE = select(_ROW.c.value).where(_ROW.c.name == _MARK)


def needed(session: Session) -> int:
    """The size that the ledger must reach; 0 where nothing is missing."""
    return int(session.connection().scalar(_VALUE) or 0)


def turn(session: Session) -> int:
    """When it was first told, in ms: tells one loss from the next; 0 while nothing is missing."""
    found = alarms.standing(session, ALARM)
    return to_ms(found.since) if found is not None else 0


def refuse(session: Session) -> None:
    """Raises Refusal `ledger.behind` while entries are missing that were on the ledger."""
    if size := needed(session):
        held = journal.size(session)
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.behind", size=held, kept=size)


def mark(session: Session, size: int, *, now: datetime) -> None:
    """This database lacks entries: `size` is what the ledger had at least."""
    known = needed(session)
    session.merge(MarkRow(name=_MARK, value=str(max(size, known, 1))))
    alarms.put(session, ALARM, now=now, size=journal.size(session), kept=max(size, known))


def claimed(note: str) -> int:
    """The size that a checkpoint claims, before any signature is looked at; 0 for none."""
    lines = note.split("\n", 2)
    return int(lines[1]) if len(lines) > 2 and _SIZE.fullmatch(lines[1]) else 0


def shown(
    session: Session, note: bytes, *, giver: str, rules: Sequence[bytes], now: datetime
) -> bool:
    """Look at a checkpoint that somebody shows; whether it proves that entries are missing here."""
    size = pieces.promise(session, note, giver=giver, rules=rules)
    if size:
        mark(session, size, now=now)
    return bool(size)


def over(session: Session) -> None:
    """Everything is back."""
    row = session.get(MarkRow, _MARK)
    if row is not None:
        session.delete(row)
    alarms.drop(session, ALARM)
