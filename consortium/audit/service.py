"""Write what was done, say who has seen a patient, and check that nothing was changed since."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import Table, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consortium.audit.model import FIRST_PREV, Link, hash_of
from consortium.audit.tables import AuditHeadRow, EventRow
from consortium.kernel.actor import Actor
from consortium.kernel.paging import bounded

_EVENT = cast("Table", EventRow.__table__).c
_HEADS = cast("Table", AuditHeadRow.__table__)
_LINK = (
    _EVENT.seq,
    _EVENT.at,
    _EVENT.user_id,
    _EVENT.member,
    _EVENT.action,
    _EVENT.subject_type,
    _EVENT.subject,
    _EVENT.patient,
    _EVENT.facts,
)
_ACTION = re.compile(r"[a-z][a-z_]*(?:\.[a-z][a-z_]*)+")
_FACTS_BYTES_MAX = 2048
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """One act, as a page shows it. `subject` is `type:id`; `facts` are codes and numbers."""

    seq: int
    at: datetime
    user: str
    member: str
    action: str
    subject: str
    patient: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: what a later ledger entry states, so that the past stays fixed."""

    seq: int
    hash: bytes


def record(
    session: Session,
    *,
    actor: Actor | str,
    action: str,
    subject: str,
    now: datetime,
    patient: str | None = None,
    member: str = "",
    **facts: object,
) -> int:
    """Append one act, in the caller's transaction; give its number.

    Locks the end of the chain until the transaction ends, so call it last.

    Args:
        session: the transaction of the act itself.
        actor: the signed-in person; or the id of a user, or the name of what acted (`cli`).
        action: `room.word`: `records.view`.
        subject: `type:id` of what it was done to.
        now: when.
        patient: local id of the patient whose data it touched.
        member: whose data, where it is not the actor's own member.
        facts: ids, codes, numbers; never a name or a clinical word. At most 2 KiB of JSON.

    Raises:
        ValueError: a malformed action or subject, or facts that are too long.
    """
    kind, gap, name = subject.partition(":")
    text = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
    if not _ACTION.fullmatch(action) or not (kind and gap and name):
        raise ValueError("an act is room.word, done to type:id")
    if len(text.encode()) > _FACTS_BYTES_MAX:
        raise ValueError("facts of an act are too long")
    person, own = (actor.user, actor.member) if isinstance(actor, Actor) else (actor, "")
    last = _lock(session)
    link = Link(last.seq + 1, now, person, member or own, action, kind, name, patient, text)
    digest = hash_of(link, last.hash)
    session.execute(insert(EventRow).values(**asdict(link), prev=last.hash, hash=digest))
    session.execute(update(_HEADS).where(_HEADS.c.id == 1).values(seq=link.seq, hash=digest))
    return link.seq


def viewed_by(
    session: Session, patient: str, *, before: int | None = None, limit: int = 50
) -> list[Event]:
    """Acts that touched a patient's data, newest first, at most 100.

    `before` is the number of the last act of the page before this one.
    """
    query = select(*_LINK).where(_EVENT.patient == patient).order_by(_EVENT.seq.desc())
    if before is not None:
        query = query.where(_EVENT.seq < before)
    return [
        Event(
            seq=link.seq,
            at=link.at,
            user=link.user,
            member=link.member,
            action=link.action,
            subject=f"{link.subject_type}:{link.subject}",
            patient=link.patient,
            facts=orjson.loads(link.facts),
        )
        for link in (Link(*row) for row in session.execute(query.limit(bounded(limit))))
    ]


def head(session: Session) -> Head | None:
    """The end of the chain, None before the first act."""
    row = session.execute(select(_HEADS.c.seq, _HEADS.c.hash)).one_or_none()
    return None if row is None or not row.seq else Head(*row)


def verify(session: Session, *, known: Head | None = None) -> int | None:
    """Go through the whole chain; the number of the first act that is not as it was, or None.

    `known` is a head stated elsewhere (on the ledger): it also finds a chain that was cut or made
    anew from there on.
    """
    seq, last = 0, FIRST_PREV
    for link, prev, digest in _chain(session):
        if link.seq != seq + 1 or prev != last or hash_of(link, prev) != digest:
            return seq + 1
        seq, last = link.seq, digest
        if known is not None and known.seq == seq and known.hash != digest:
            return seq
    end = head(session) or Head(0, FIRST_PREV)
    if end.seq != seq:
        return min(end.seq, seq) + 1
    if end.hash != last:
        return max(seq, 1)
    return seq + 1 if known is not None and known.seq > seq else None


def _chain(session: Session) -> Iterator[tuple[Link, bytes, bytes]]:
    """Every row in order, a bounded number at a time."""
    query = select(*_LINK, _EVENT.prev, _EVENT.hash).order_by(_EVENT.seq).limit(_CHUNK)
    after: int | None = None
    while True:
        page = query if after is None else query.where(_EVENT.seq > after)
        rows = session.execute(page).all()
        for *link, prev, digest in rows:
            yield Link(*link), prev, digest
        if len(rows) < _CHUNK:
            return
        after = rows[-1].seq


def _lock(session: Session) -> Head:
    """Lock the end of the chain, making it at the first act."""
    query = select(_HEADS.c.seq, _HEADS.c.hash).with_for_update()
    row = session.execute(query).one_or_none()
    if row is None:
        try:
            with session.begin_nested():
                session.execute(insert(_HEADS).values(id=1, seq=0, hash=FIRST_PREV))
        except IntegrityError:
            # another process was first; its row is there now
            row = session.execute(query).one()
        else:
            return Head(0, FIRST_PREV)
    return Head(*row)
