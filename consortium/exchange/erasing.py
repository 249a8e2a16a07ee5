"""Facts of cases that have ended are erased when their month is closed (PROTOCOL 3, "Facts").

An entry loses its facts when a mirror has agreed to the close of its month, its case is in a state
that its room calls the end, it is older than a year, and it was not sent to all. Hub and mirror
erase the same; a party erases what its feed and its outbox hold. Header, verdict, receipt and the
value of the case stay, and so does what the closed month says of them. Entries without a case
(keys, charter, sessions) keep their facts: whoever joins later folds them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, select, update
from sqlalchemy.orm import Session

from consortium.audit import service as audit
from consortium.exchange import beginning, closing, state
from consortium.exchange.kinds import Registry
from consortium.exchange.tables import EntryRow, InboxRow, OutboxRow
from consortium.kernel.database import Database, table_of

GRACE = timedelta(days=365)
_AT_ONCE = 500
_ACTOR = "upkeep"
_TO_ALL = '["all"]'
_ENTRY = table_of(EntryRow)
_INBOX = table_of(InboxRow)
_OUTBOX = table_of(OutboxRow)


def erase(database: Database, registry: Registry, *, whole: bool, now: datetime) -> int:
    """Erase what may go; gives how many rows lost their facts. Audited, cut anywhere.

    Args:
        whole: whether this node keeps the whole ledger (hub, mirror); it then erases only up to
            the month whose copy it keeps itself, so that it can always be replayed.
    """
    with database.read() as session:
        agreed = state.read(session, closing.AGREED)
        base = beginning.offered(session) if whole else None
    if agreed is None or (whole and base is None):
        return 0
    upto, before, done = int(agreed["index"]), now - GRACE, 0
    if whole:
        recipients = _ENTRY.c.recipients != _TO_ALL
        done += _each(database, registry, _ENTRY, _ENTRY.c.time, upto, before, recipients, now=now)
    done += _each(database, registry, _INBOX, _INBOX.c.time, upto, before, True, now=now)
    recipients = _OUTBOX.c.recipients != _TO_ALL
    done += _each(
        database, registry, _OUTBOX, _OUTBOX.c.answered_at, upto, before, recipients, now=now
    )
    return done


def _each(
    database: Database,
    registry: Registry,
    table: Table,
    moment: Any,
    upto: int,
    before: datetime,
    more: Any,
    *,
    now: datetime,
) -> int:
    """Go through a table by case, a bounded transaction at a time."""
    done, last = 0, ""
    while True:
        with database.write() as session:
            cases = list(
                session.scalars(
                    select(table.c.case_id)
                    .where(
                        table.c.case_id > last, table.c.facts.is_not(None), table.c.entry <= upto,
                        moment < before, more,
                    )
                    .distinct()
                    .order_by(table.c.case_id)
                    .limit(_AT_ONCE)
                )
            )  # fmt: skip
            ended = _ended(session, registry, cases)
            if ended:
                erased = session.execute(
                    update(table)
                    .where(
                        table.c.case_id.in_(ended), table.c.facts.is_not(None),
                        table.c.entry <= upto, moment < before, more,
                    )
                    .values(facts=None)
                    .returning(table.c.entry)
                ).all()  # fmt: skip
                done += len(erased)
                audit.record(
                    session, actor=_ACTOR, action="exchange.erase", subject=f"facts:{table.name}",
                    now=now, count=len(erased), cases=len(ended),
                )  # fmt: skip
        if len(cases) < _AT_ONCE:
            return done
        last = cases[-1]


def _ended(session: Session, registry: Registry, cases: Sequence[str]) -> list[str]:
    values = state.read_many(session, [f"case:{one}" for one in cases])
    return [one for one in cases if registry.ended(values.get(f"case:{one}", {}))]


def is_erased(time: datetime, now: datetime) -> bool:
    """Whether an entry of this time may have lost its facts; a younger one must have them."""
    return time < now - GRACE
