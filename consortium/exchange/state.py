"""Shared state: the fold over the ledger, one row a subject; written only by this room."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange.facts import Value
from consortium.exchange.tables import SharedStateRow
from consortium.kernel.bulk import insert_rows, upsert_rows
from consortium.kernel.database import table_of

_T = table_of(SharedStateRow)
_CHUNK = 400


def read(session: Session, name: str) -> dict[str, Any] | None:
    """The value of one subject as this node has folded it, None when it has none."""
    return read_many(session, (name,)).get(name)


def read_many(session: Session, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The values of several subjects; absent ones are left out."""
    wanted = list(dict.fromkeys(names))
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(wanted), _CHUNK):
        rows = session.execute(
            select(_T.c.subject, _T.c.value).where(_T.c.subject.in_(wanted[start : start + _CHUNK]))
        )
        found.update((subject, orjson.loads(value)) for subject, value in rows)
    return found


def scan(
    session: Session, prefix: str, *, after: str = "", limit: int = 1000
) -> list[tuple[str, dict[str, Any]]]:
    """Subjects whose name begins with `prefix` (`slot:SESSION/`), by name, those after one name."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    rows = session.execute(
        select(_T.c.subject, _T.c.value)
        .where(_T.c.subject >= prefix, _T.c.subject < end, _T.c.subject > after)
        .order_by(_T.c.subject)
        .limit(limit)
    )
    return [(subject, orjson.loads(value)) for subject, value in rows]


def write(
    session: Session, changed: Mapping[str, tuple[Value, int]], known: frozenset[str]
) -> None:
    """Write changed subjects as (value, entry index); `known` are those that had a row.

    Values stand in one form, names sorted, so that whoever folds the same has the same bytes
    (`closing.leaf_hash`).
    """
    fresh: list[tuple[str, str, int]] = []
    stale: list[tuple[str, str, int]] = []
    for name, (value, index) in changed.items():
        row = (name, orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode(), index)
        (stale if name in known else fresh).append(row)
    insert_rows(session, _T, fresh)
    upsert_rows(session, _T, stale)


class Held:
    """Values of the subjects an exchange names, changed in memory as entries are folded.

    Links (`case:ID>slot`) resolve through the values in memory, so a later exchange of a batch
    follows what an earlier one wrote.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._values: dict[str, Value | None] = {}
        self._stored: set[str] = set()
        self.changed: dict[str, tuple[Value, int]] = {}

    def load(self, names: Iterable[str]) -> None:
        """Fetch subjects in one SELECT, then whatever their links name in a second one."""
        plain: list[str] = []
        links: list[str] = []
        for name in names:
            (links if ">" in name else plain).append(name)
        plain.extend(link.partition(">")[0] for link in links)
        self._fetch(plain)
        self._fetch([target for link in links if (target := self.target(link))])

    def _fetch(self, names: Sequence[str]) -> None:
        new = [name for name in dict.fromkeys(names) if name not in self._values]
        if not new:
            return
        found = read_many(self._session, new)
        self._stored.update(found)
        for name in new:
            self._values[name] = found.get(name)

    def get(self, name: str) -> Value | None:
        if name not in self._values:
            self._fetch((name,))
        return self._values[name]

    def target(self, link: str) -> str:
        """The subject that `case:ID>slot` names now; empty when it names none."""
        name, _, field = link.partition(">")
        value = self.get(name)
        return str(value.get(field) or "") if value else ""

    def link(self, name: str) -> tuple[str, Value | None]:
        target = self.target(name)
        return target, self.get(target) if target else None

    def resolve(self, names: Iterable[str]) -> list[str]:
        """Names with links followed, empty ones dropped, each once."""
        out: dict[str, None] = {}
        for name in names:
            if real := self.target(name) if ">" in name else name:
                out[real] = None
        return list(out)

    def put(self, name: str, value: Value, index: int) -> None:
        self._values[name] = value
        self.changed[name] = (value, index)

    def flush(self) -> None:
        """Write what changed into the session."""
        if self.changed:
            write(self._session, self.changed, frozenset(self._stored))
            self._stored.update(self.changed)
            self.changed = {}
