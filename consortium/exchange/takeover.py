"""A new mirror takes over the copy of a closed month instead of judging everything (PROTOCOL 3).

The hub gives the newest month that a mirror agreed to: the receipt and facts of its
`state.closed/1`, and every subject as it was. Nothing is believed: the receipt must hold under the
policy, the entry must be the hub's, and the subjects must make its root. Any cut begins anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from consortium.exchange import beginning, closing, jws, state
from consortium.exchange.beginning import Base
from consortium.exchange.caller import Caller
from consortium.exchange.closing_kind import CLOSED
from consortium.exchange.commitment import b64, commit_facts, open_facts, unb64
from consortium.exchange.envelope import unframe
from consortium.exchange.facts import Facts
from consortium.exchange.judgement import key_public, outcome_of
from consortium.exchange.limits import PULL_MAX_BYTES
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.tables import ClosingSubjectRow, EntryRow
from consortium.kernel.bulk import insert_rows
from consortium.kernel.database import Database, table_of
from consortium.kernel.errors import Refusal, invalid
from consortium.ledger import receipts
from consortium.ledger.trees import root_of
from consortium.ports import LinkDown

_COPY = table_of(ClosingSubjectRow)
_ROWS_MAX = 2000


@dataclass(frozen=True, slots=True)
class _Part:
    """What the hub said: its proof, where feeds began, some subjects, whether there are more."""

    proof: bytes
    facts: bytes
    births: dict[str, int]
    rows: list[tuple[str, str, int]]
    more: bool


# ---------------------------------------------------------------- at who keeps the copy


def answer(session: Session, *, after: str) -> list[bytes]:
    """Frames: JSON, then the subjects after a name as `[[name, value, entry]]`; bounded as a pull.

    JSON: `{}` where no month can be given; else `receipt`, `facts`, `births`, `more`.
    """
    base = beginning.offered(session)
    said = state.read(session, closing.subject(base.month)) if base is not None else None
    if base is None or said is None:
        return [b"{}", b"[]"]
    entry: int = said["entry"]
    proof = receipts.receipt(session, entry)
    facts = session.scalar(select(EntryRow.facts).where(EntryRow.index == entry))
    if proof is None or facts is None:
        return [b"{}", b"[]"]
    rows: list[tuple[str, str, int]] = []
    room, more = PULL_MAX_BYTES // 2, False
    for row in closing.subjects(session, base.month, prefix="", after=after):
        room -= len(row[0]) + len(row[1]) + 16
        if rows and (room < 0 or len(rows) == _ROWS_MAX):
            more = True
            break
        rows.append(row)
    told = {"receipt": b64(proof), "facts": b64(facts), "births": base.births, "more": more}
    return [orjson.dumps(told), orjson.dumps(rows)]


# ---------------------------------------------------------------- at a new mirror


def take_over(database: Database, caller: Caller, *, size: int, policy: bytes) -> bool:
    """Take the copy over; False where the hub has none, or none beyond what is here.

    Args:
        size: how many entries are here already.
        policy: the policy in force.

    Raises:
        LinkDown: a cut; or no answer of a hub.
        Refusal: `closing.unproven` for a copy that is not what the hub has signed.
    """
    part = _ask(caller, "")
    if part is None:
        return False
    said = _proved(part, policy)
    if said.facts["index"] < size:
        return False
    month, after = str(said.facts["month"]), ""
    with database.write() as session:
        session.execute(delete(_COPY).where(_COPY.c.month == month))
    while True:
        with database.write() as session:
            insert_rows(session, _COPY, [(month, *row) for row in part.rows])
        if not part.more:
            break
        after = part.rows[-1][0]
        following = _ask(caller, after)
        if following is None or (following.proof != part.proof and not _same(following, said)):
            raise LinkDown("another month is given by now")
        part = following
    with database.write() as session:
        _finish(session, said, part.births)
    return True


@dataclass(frozen=True, slots=True)
class _Said:
    """The `state.closed/1` that stands behind a copy."""

    signed: jws.Signed
    index: int
    sent: bytes
    facts: Facts


def _ask(caller: Caller, after: str) -> _Part | None:
    reply = caller.request("/sync/mirror", [], beginning=True, after=after)
    try:
        raw, subjects = unframe(reply, most=2)
        meta: dict[str, Any] = orjson.loads(raw)
        if not meta:
            return None
        rows = [(str(name), str(value), int(at)) for name, value, at in orjson.loads(subjects)]
        births = {str(member): int(at) for member, at in meta["births"].items()}
        if not rows or rows[0][0] <= after or rows != sorted(rows, key=_bytes):
            raise LinkDown("no answer of a hub")
        return _Part(unb64(meta["receipt"]), unb64(meta["facts"]), births, rows, bool(meta["more"]))
    except (Refusal, ValueError, KeyError, TypeError, AttributeError) as odd:
        raise LinkDown("no answer of a hub") from odd


def _bytes(row: Sequence[Any]) -> bytes:
    return str(row[0]).encode()


def _same(part: _Part, said: _Said) -> bool:
    """Whether a later part is of the same month, under a newer receipt."""
    return part.facts == said.sent


def _proved(part: _Part, policy: bytes) -> _Said:
    """The entry that the hub shows, if log and header say that it is one."""
    try:
        held = receipts.check(part.proof, policy)
        signed = jws.parse(held.jws)
        facts = open_facts(part.facts)
    except Refusal as refusal:
        raise invalid("closing.unproven", reason=refusal.code) from refusal
    header = signed.header
    if (
        (header.kind, header.sender) != (CLOSED, HUB_MEMBER)
        or not outcome_of(held.verdict)[0]
        or commit_facts(part.facts) != header.facts
    ):
        raise invalid("closing.unproven", reason="entry")
    return _Said(signed, held.index, part.facts, facts)


def _finish(session: Session, said: _Said, births: dict[str, int]) -> None:
    """Begin with the copy if its subjects make the root, and its own key of the hub has signed it.

    Raises:
        Refusal: `closing.unproven`; the copy is dropped.
    """
    facts = said.facts
    month, index = str(facts["month"]), int(facts["index"])
    base = Base(month, index, births)
    rows = closing.subjects(session, month)
    root, count = root_of(closing.leaf_hash(*row) for row in rows)
    key = base.read(session, f"key:{said.signed.header.node}")
    public = key_public(key, member=HUB_MEMBER, index=said.index)
    members = {name for name, *_ in closing.subjects(session, month, prefix="member:")}
    sound = (
        (b64(root), count) == (facts["state"], facts["count"])
        and public is not None
        and jws.verify(said.signed, public)
        and members == {f"member:{one}" for one in births}
        and all(0 <= at <= index for at in births.values())
    )
    if not sound:
        session.execute(delete(_COPY).where(_COPY.c.month == month))
        session.commit()
        raise invalid("closing.unproven", reason="state")
    beginning.keep(session, base, first=int(facts["first"]))
