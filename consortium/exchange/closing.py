"""Months that are over: what everything was as of a month's last entry, under one set of hashes.

PROTOCOL 3, "Facts". Whoever appends or replays the first entry of a new month (ledger time, the
charter's zone) first keeps shared state as it stands: then it is that of the last entry of the
month before, at the hub and at every mirror alike, and nobody has to be told where to stop.

    subject = "sharing-chain/subject/1" 00, u32 length and name, u32 length and value, u64 entry
    chain   = "sharing-chain/chain-head/1" 00, u32 length and node, u32 length and lane, u64 seq,
              SHA-256 of the JWS
    figures = SHA-256("sharing-chain/figures/1" 00, JSON)

Integers are big-endian. `state` and `chains` are roots of trees (RFC 6962, 2.1) over these leaves
in order of the bytes of the name, or of node and lane; `feeds` is the root of `heads`. JSON has
sorted names and no white space. Vectors: tests/vectors/exchange-v1.json.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, delete, func, insert, literal, or_, select
from sqlalchemy.orm import Session

from consortium.exchange import heads, state
from consortium.exchange.commitment import b64
from consortium.exchange.judgement import outcome_of
from consortium.exchange.tables import (
    ClosingRow,
    ClosingSubjectRow,
    EntryRow,
    SharedStateRow,
)
from consortium.kernel.database import table_of
from consortium.kernel.time import from_ms, month_of
from consortium.ledger import journal
from consortium.ledger.trees import root_of

NEWEST = "closed:newest"
"""Shared state: the newest `state.closed/1` as `{month, index, entry}`."""
AGREED = "closed:agreed"
"""Shared state: the newest month that a mirror agreed to, as `{month, index, entry}`."""
_SUBJECT_TAG = b"sharing-chain/subject/1\0"
_CHAIN_TAG = b"sharing-chain/chain-head/1\0"
_FIGURES_TAG = b"sharing-chain/figures/1\0"
_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")
_CLOSING = table_of(ClosingRow)
_COPY = table_of(ClosingSubjectRow)
_STATE = table_of(SharedStateRow)
_ENTRY = table_of(EntryRow)
_KEPT = 3
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Closed:
    """A month: entries `first` to `index`, and the hashes as of its last one.

    `figures` are the JSON of its figures; `count` says how many subjects stand under `state`.
    """

    month: str
    first: int
    index: int
    count: int
    state: str
    feeds: str
    chains: str
    figures: bytes

    @property
    def facts(self) -> dict[str, Any]:
        """As `state.closed/1` holds them."""
        return {
            "month": self.month,
            "first": self.first,
            "index": self.index,
            "count": self.count,
            "state": self.state,
            "feeds": self.feeds,
            "chains": self.chains,
            "figures": figures_hash(self.figures),
        }


def subject(month: str) -> str:
    """The subject that holds a closed month: its facts, entry, time and who agreed."""
    return f"closed:{month}"


def leaf_hash(name: str, value: str, entry: int) -> bytes:
    """The leaf of one subject: its name, its value as `state.write` keeps it, its entry."""
    return journal.hash_leaf(_SUBJECT_TAG + _told(name) + _told(value) + _U64.pack(entry))


def chain_leaf_hash(node: str, lane: str, seq: int, digest: bytes) -> bytes:
    """The leaf of the head of one node's chain in one lane."""
    return journal.hash_leaf(_CHAIN_TAG + _told(node) + _told(lane) + _U64.pack(seq) + digest)


def figures_hash(figures: bytes) -> str:
    """What the facts of `state.closed/1` say of the figures in its body."""
    return b64(hashlib.sha256(_FIGURES_TAG + figures).digest())


def _told(text: str) -> bytes:
    raw = text.encode()
    return _U32.pack(len(raw)) + raw


# ---------------------------------------------------------------- when a month is over


def turns(last_ms: int, time_ms: int) -> bool:
    """Whether a leaf of this time is of another month than the leaf before it."""
    return month_of(from_ms(last_ms)) != month_of(from_ms(time_ms))


def keep(session: Session, head: journal.Head) -> None:
    """Keep shared state as of the last entry, because its month is over.

    Called under the head's lock, before anything of the new month is folded. Older copies go, save
    the three newest and that of the newest month agreed.
    """
    month = month_of(from_ms(head.last_ms))
    last = session.scalar(select(func.max(_CLOSING.c.entry)))
    first = 0 if last is None else last + 1
    session.execute(
        insert(_CLOSING).values(
            month=month, first=first, entry=head.size - 1, count=0, state="", feeds="", chains="",
            figures="",
        )
    )  # fmt: skip
    whole = select(literal(month), _STATE.c.subject, _STATE.c.value, _STATE.c.entry)
    session.execute(insert(_COPY).from_select(["month", "subject", "value", "entry"], whole))
    _drop_old(session)


def _drop_old(session: Session) -> None:
    months = list(session.scalars(select(_CLOSING.c.month).order_by(_CLOSING.c.month.desc())))
    agreed = state.read(session, AGREED)
    keep_months = {*months[:_KEPT], agreed["month"] if agreed is not None else ""}
    session.execute(delete(_COPY).where(_COPY.c.month.not_in(keep_months)))


# ---------------------------------------------------------------- what it was


def closed(session: Session, month: str) -> Closed | None:
    """A month that is over, its hashes made when they are asked for first.

    None where this node did not go through it, or keeps no copy that would tell.
    """
    row = session.get(ClosingRow, month)
    if row is None:
        return None
    if not row.state:
        root, row.count = root_of(leaf_hash(*one) for one in subjects(session, month))
        if not row.count:
            return None
        row.state = b64(root)
        row.feeds = b64(heads.as_of(session, row.index).root)
        row.chains = b64(chains_root(session, row.index))
        row.figures = _figures(session, row).decode()
        session.flush()
    return Closed(
        row.month, row.first, row.index, row.count, row.state, row.feeds, row.chains,
        row.figures.encode(),
    )  # fmt: skip


def copied() -> ColumnElement[bool]:
    """Of a row of `ClosingRow`: whether its hashes are made, or can be."""
    kept = select(_COPY.c.subject).where(_COPY.c.month == _CLOSING.c.month)
    return or_(_CLOSING.c.state != "", kept.correlate(_CLOSING).exists())


def subjects(
    session: Session, month: str, *, prefix: str = "", after: str = ""
) -> Iterator[tuple[str, str, int]]:
    """Name, value and entry of every subject as it was, in order of the bytes of the name.

    Args:
        prefix: only names that begin with it (`quota:`).
        after: only names behind it.
    """
    last = max(prefix, after)
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else None
    while True:
        within = and_(_COPY.c.month == month, _COPY.c.subject > last)
        if end is not None:
            within = and_(within, _COPY.c.subject < end)
        rows = session.execute(
            select(_COPY.c.subject, _COPY.c.value, _COPY.c.entry)
            .where(within)
            .order_by(_COPY.c.subject)
            .limit(_AT_ONCE)
        ).all()
        yield from ((name, value, entry) for name, value, entry in rows)
        if len(rows) < _AT_ONCE:
            return
        last = rows[-1].subject


def chains_root(session: Session, index: int) -> bytes:
    """The root over the heads of all chains as of an index."""
    newest = (
        select(_ENTRY.c.node, _ENTRY.c.lane, func.max(_ENTRY.c.seq).label("seq"))
        .where(_ENTRY.c.entry <= index)
        .group_by(_ENTRY.c.node, _ENTRY.c.lane)
        .subquery()
    )
    rows = session.execute(
        select(newest.c.node, newest.c.lane, newest.c.seq, _ENTRY.c.jws_hash).join(
            _ENTRY,
            and_(
                _ENTRY.c.node == newest.c.node,
                _ENTRY.c.lane == newest.c.lane,
                _ENTRY.c.seq == newest.c.seq,
            ),
        )
    ).all()
    ordered = sorted(rows, key=lambda row: (row.node.encode(), row.lane.encode()))
    return root_of(chain_leaf_hash(*row) for row in ordered)[0]


def _figures(session: Session, row: ClosingRow) -> bytes:
    counted = session.execute(
        select(_ENTRY.c.kind, _ENTRY.c.sender, _ENTRY.c.verdict, func.count())
        .where(_ENTRY.c.entry >= row.first, _ENTRY.c.entry <= row.index)
        .group_by(_ENTRY.c.kind, _ENTRY.c.sender, _ENTRY.c.verdict)
    )
    month = f"/{row.month}"
    used = (
        (name.removeprefix("quota:").removesuffix(month), orjson.loads(value)["used"])
        for name, value, _ in subjects(session, row.month, prefix="quota:")
        if name.endswith(month)
    )
    return figures_of(((kind, sender, text, n) for kind, sender, text, n in counted), used)


def figures_of(
    verdicts: Iterable[tuple[str, str, str, int]], quotas: Iterable[tuple[str, int]]
) -> bytes:
    """The figures of a month: pure over its entries and its quotas, the same for whoever replays.

    JSON `{kinds: {kind: {member: [admitted, refused]}}, refused: {code: n}, quotas: {name: used}}`.

    Args:
        verdicts: kind, sender, verdict, and how many entries of these.
        quotas: what was taken of each, under `CONTRACT/SERVICE/TAKER/PROVIDER`.
    """
    kinds: dict[str, dict[str, list[int]]] = {}
    refused: dict[str, int] = {}
    for kind, sender, verdict, count in verdicts:
        ok, words = outcome_of(verdict)
        kinds.setdefault(kind, {}).setdefault(sender, [0, 0])[not ok] += count
        if not ok:
            refused[words[0]] = refused.get(words[0], 0) + count
    told = {"kinds": kinds, "refused": refused, "quotas": dict(quotas)}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
