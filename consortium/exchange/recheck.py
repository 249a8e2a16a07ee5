"""Replays a whole ledger beside the database that keeps it, and compares everything (PROTOCOL 4).

The replay folds into a database of its own; what the kept one holds must be the same to the row:
entries, chains, feeds, shared state.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Table, case, func, null, select, tuple_
from sqlalchemy.orm import Session

from consortium.exchange import beginning, closing
from consortium.exchange.beginning import Base
from consortium.exchange.kinds import Registry
from consortium.exchange.limits import BATCH_MAX
from consortium.exchange.replay import Finding, Replay, Shown
from consortium.exchange.tables import (
    ChainHeadRow,
    ClosingRow,
    ClosingSubjectRow,
    EntryRow,
    FeedHeadRow,
    FeedRow,
    MarkRow,
    SharedStateRow,
)
from consortium.kernel.bulk import insert_rows
from consortium.kernel.database import Base as Tables
from consortium.kernel.database import Database, table_of
from consortium.ledger import journal

FINDINGS_MAX = 1000
_CHUNK = 300
_ENTRY = table_of(EntryRow)
_REPLAYED = [
    table_of(row) for row in (EntryRow, ChainHeadRow, FeedRow, FeedHeadRow, SharedStateRow)
]
_CLOSINGS = [table_of(row) for row in (ClosingRow, ClosingSubjectRow, MarkRow)]
_NOT_REPLAYED = frozenset({"facts", "body"})
"""Columns that the replay reads and does not make."""


@dataclass(slots=True)
class Report:
    """What a replay of everything found, the first 1,000.

    `size`: how many entries were gone through. `halted` as `replay.Taken` says it.
    `erased`: how many have no facts any more; `begun`: the last entry of the closed month whose
    copy stands in their place, -1 where every entry was judged.
    """

    size: int = 0
    erased: int = 0
    begun: int = -1
    findings: list[Finding] = field(default_factory=list)
    halted: str = ""

    @property
    def whole(self) -> bool:
        """Whether every entry was gone through and nothing was found."""
        return not self.findings and not self.halted

    def add(self, found: Sequence[Finding]) -> None:
        self.findings += found[: max(0, FINDINGS_MAX - len(self.findings))]


def shown(session: Session, registry: Registry, start: int, *, limit: int) -> list[Shown]:
    """Entries from an index on as this database keeps them, with open bodies, at most 256.

    They end before the first that is not there.
    """
    if limit <= 0:
        return []
    entries = [
        one
        for index, one in enumerate(journal.entries(session, start, limit=min(limit, BATCH_MAX)))
        if one.index == start + index
    ]
    open_kinds = [name for name, kind in registry.kinds.items() if not kind.sealed]
    body = case((_ENTRY.c.kind.in_(open_kinds), _ENTRY.c.body), else_=null())
    kept = {
        index: (facts, body)
        for index, facts, body in session.execute(
            select(_ENTRY.c.entry, _ENTRY.c.facts, body).where(
                _ENTRY.c.entry >= start, _ENTRY.c.entry < start + len(entries)
            )
        )
    }
    return [Shown(one.leaf, *kept.get(one.index, (None, None))) for one in entries]


def recheck(database: Database, registry: Registry) -> Report:
    """Replay every entry of a database, then compare what the replay and the database hold.

    It may run beside a serving node: everything is read in one snapshot.
    """
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        scratch = Database(f"sqlite:///{Path(folder) / 'scratch.db'}")
        try:
            tables = [*journal.TABLES, *_REPLAYED, *_CLOSINGS]
            Tables.metadata.create_all(scratch.engine, tables=tables)
            with scratch.write() as session:
                journal.create(session)
            with database.read() as session:
                if database.dialect != "sqlite":
                    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                return _recheck(session, scratch, registry)
        finally:
            scratch.close()


def _recheck(session: Session, scratch: Database, registry: Registry) -> Report:
    report, size = Report(), journal.size(session)
    if not size:
        return report  # a workstation keeps its feed, and no ledger
    base = _base(session, scratch, report)
    while report.size < size and not report.halted:
        page = shown(session, registry, report.size, limit=size - report.size)
        with scratch.write() as own:
            taken = Replay(own, registry, base=base).take(page)
        report.size += taken.count
        report.add(taken.findings)
        report.halted = taken.halted or ("" if page else "leaf")
    if not report.halted:
        with scratch.read() as own:
            for table in _REPLAYED:
                report.add(_differences(session, own, table))
    return report


def _base(session: Session, scratch: Database, report: Report) -> Base | None:
    """What stands in the place of erased facts; None where there are all, or no copy is kept."""
    report.erased = session.scalar(
        select(func.count()).select_from(_ENTRY).where(_ENTRY.c.facts.is_(None))
    ) or 0  # fmt: skip
    base = beginning.offered(session) if report.erased else None
    if base is None:
        return None
    report.begun = base.index
    row = session.get_one(ClosingRow, base.month)
    copy = table_of(ClosingSubjectRow)
    with scratch.write() as own:
        rows = closing.subjects(session, base.month)
        for some in iter(lambda: list(islice(rows, _CHUNK)), []):
            insert_rows(own, copy, [(base.month, *one) for one in some])
        beginning.keep(own, base, first=row.first)
    return base


def _differences(kept: Session, replayed: Session, table: Table) -> list[Finding]:
    """Rows of a table that the database has and the replay has not, or otherwise."""
    found: list[Finding] = []
    for mine, theirs in ((replayed, kept), (kept, replayed)):
        for rows in _chunks(mine, table):
            others = _rows(theirs, table, _key(table).in_(list(rows)))
            for key, row in rows.items():
                other = others.get(key)
                if row != other and (mine is replayed or other is None):
                    said, made = (other, row) if mine is replayed else (row, None)
                    found.append(_finding(table, key, said, made))
            if len(found) >= FINDINGS_MAX:
                return found
    return found


def _key(table: Table) -> Any:
    return tuple_(*table.primary_key.columns)


def _columns(table: Table) -> list[Any]:
    keys = set(table.primary_key.columns.keys())
    return [one for one in table.c if one.key not in _NOT_REPLAYED | keys]


def _chunks(session: Session, table: Table) -> Iterator[dict[tuple[Any, ...], tuple[Any, ...]]]:
    key, last = _key(table), None
    while True:
        rows = _rows(session, table, key > last if last is not None else None, limit=_CHUNK)
        if not rows:
            return
        yield rows
        last = list(rows)[-1]


def _rows(
    session: Session, table: Table, where: ColumnElement[bool] | None, *, limit: int = _CHUNK
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    keys = list(table.primary_key.columns)
    query = select(*keys, *_columns(table)).order_by(*keys).limit(limit)
    if where is not None:
        query = query.where(where)
    return {
        tuple(row[: len(keys)]): tuple(_plain(one) for one in row[len(keys) :])
        for row in session.execute(query)
    }


def _plain(value: Any) -> Any:
    """JSON compares by what it says, not by the order of its members."""
    if isinstance(value, str) and value[:1] == "{":
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _finding(table: Table, key: tuple[Any, ...], said: Any, made: Any) -> Finding:
    names = [one.key for one in _columns(table)]
    both = [(said or made), (made or said)]
    index = next(
        (int(value) for row in both for name, value in zip(names, row, strict=True)
         if name == "entry"),
        key[0] if isinstance(key[0], int) else -1,
    )  # fmt: skip
    odd = ["absent"] if not said else ["extra"] if not made else [
        name for name, one, other in zip(names, said, made, strict=True) if one != other
    ]  # fmt: skip
    where = " ".join(str(one) for one in key)
    return Finding(index, "state", table.name[:64], where[:200], " ".join(odd)[:200])
