"""Queries of the desk, each scoped to a member. Private to the room."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, case, delete, func, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consortium.desk import model, tables
from consortium.desk.model import Counts, DeskRow, Line
from consortium.kernel.actor import PATIENT_READERS, Actor
from consortium.kernel.errors import invalid
from consortium.kernel.ids import CaseId, MemberId, PatientId, UserId
from consortium.kernel.paging import Page, bounded
from consortium.kernel.time import from_ms, to_ms

_ROW = tables.RowTable
_ORDER = (_ROW.turn_rank, _ROW.urgency_rank, _ROW.started_at, _ROW.case_id)


def next_version(session: Session) -> int:
    """Count one change of this node's desks."""
    statement = (
        update(tables.VersionTable)
        .where(tables.VersionTable.id == 1)
        .values(version=tables.VersionTable.version + 1)
        .returning(tables.VersionTable.version)
    )
    found = session.execute(statement).scalar()
    if found is None:
        try:
            with session.begin_nested():
                session.add(tables.VersionTable(id=1, version=0))
        except IntegrityError:
            pass  # another process made the first row between the two statements
        found = session.execute(statement).scalar_one()
    return int(found)


def version(session: Session) -> int:
    """The newest version, 0 before any change."""
    return session.scalar(select(tables.VersionTable.version)) or 0


def get(session: Session, *, member: str, case_id: str) -> Line | None:
    """One row of a member."""
    found = session.get(_ROW, (member, case_id))
    return None if found is None else _line(found)


def put(session: Session, row: DeskRow, *, version: int, now: datetime) -> None:
    """Insert or replace the row of (member, case)."""
    old = session.get(_ROW, (row.member, row.case))
    if old is None:
        old = tables.RowTable(member=row.member, case_id=row.case)
        session.add(old)
    for name, value in _columns(row).items():
        setattr(old, name, value)
    old.version, old.updated_at, old.closed_at, old.open = version, now, None, 1
    session.flush()


def set_words(session: Session, *, member: str, case_id: str, words: frozenset[str]) -> None:
    """Replace the search words of a row."""
    keys = tables.KeyTable
    session.execute(delete(keys).where(keys.member == member, keys.case_id == case_id))
    session.add_all(keys(member=member, word=word, case_id=case_id) for word in sorted(words))
    session.flush()


def close(session: Session, *, member: str, case_id: str, version: int, now: datetime) -> None:
    """Take a row out of the worklists; it can still be found."""
    found = session.get(_ROW, (member, case_id))
    if found is not None:
        found.version, found.updated_at, found.closed_at, found.open = version, now, now, 0
        found.turn, found.turn_rank, found.push_at = "none", 2, None
        session.flush()


def touch(session: Session, *, member: str, case_id: str, version: int, now: datetime) -> None:
    """Give a row a new version without changing what it says."""
    found = session.get_one(_ROW, (member, case_id))
    found.version, found.updated_at = version, now
    session.flush()


def _mine(actor: Actor) -> ColumnElement[bool]:
    return (_ROW.roles.op("&")(model.mask(actor.roles)) != 0) & (_ROW.owner.in_(("", actor.user)))


def _visible(actor: Actor) -> ColumnElement[bool]:
    """Rows of the member; what concerns a patient only for those who may see patients."""
    own = _ROW.member == actor.member
    return own if actor.may(*PATIENT_READERS) else own & (_ROW.patient_name == "")


def page(
    session: Session,
    *,
    actor: Actor,
    mine: bool,
    topics: frozenset[str],
    states: frozenset[str],
    after: str | None,
    limit: int,
) -> Page[Line]:
    """Open rows: my turn first, urgent first, oldest first."""
    limit = bounded(limit)
    query = select(_ROW).where(_visible(actor), _ROW.open == 1)
    if mine:
        query = query.where(_mine(actor))
    if topics:
        query = query.where(_ROW.topic.in_(topics))
    if states:
        query = query.where(_ROW.state.in_(states))
    if after:
        place = tuple_(*_place(after), types=[column.type for column in _ORDER])
        query = query.where(tuple_(*_ORDER) > place)
    rows = session.scalars(query.order_by(*_ORDER).limit(limit + 1)).all()
    key = _key(rows[limit - 1]) if len(rows) > limit else None
    return Page([_line(row) for row in rows[:limit]], key)


def counts(session: Session, *, actor: Actor, now: datetime) -> Counts:
    """Open rows by list, topic and state, in one query."""
    late = case(((_ROW.due_at <= now) & (_ROW.turn == "mine"), 1), else_=0)
    mine = case((_mine(actor), 1), else_=0)
    query = (
        select(_ROW.topic, _ROW.state, mine, func.count(), func.sum(late))
        .where(_visible(actor), _ROW.open == 1)
        .group_by(_ROW.topic, _ROW.state, mine)
    )
    total = own = overdue = 0
    topics: dict[str, int] = {}
    states: dict[str, int] = {}
    late_topics: dict[str, int] = {}
    for topic, state, is_mine, count, late_count in session.execute(query):
        total += count
        if is_mine:
            own += count
            overdue += late_count
            topics[topic] = topics.get(topic, 0) + count
            states[state] = states.get(state, 0) + count
            late_topics[topic] = late_topics.get(topic, 0) + late_count
    return Counts(own, total, overdue, topics, states, late_topics)


def changed(session: Session, *, actor: Actor, version: int, limit: int) -> list[Line]:
    """Rows that a person may see with a later version, oldest change first, closed ones too."""
    query = (
        select(_ROW)
        .where(_visible(actor), _ROW.version > version)
        .order_by(_ROW.version)
        .limit(bounded(limit))
    )
    return [_line(row) for row in session.scalars(query)]


def find(session: Session, *, actor: Actor, word: str, limit: int) -> list[Line]:
    """Rows, open or closed, that a search word begins; open ones first, newest first."""
    keys = tables.KeyTable
    cases = (
        select(keys.case_id)
        .where(keys.member == actor.member, keys.word.startswith(word, autoescape=True))
        .distinct()
    )
    query = (
        select(_ROW)
        .where(_visible(actor), _ROW.case_id.in_(cases))
        .order_by(_ROW.open.desc(), _ROW.updated_at.desc(), _ROW.case_id)
        .limit(bounded(limit))
    )
    return [_line(row) for row in session.scalars(query)]


def of_patient(session: Session, *, actor: Actor, patient: str, limit: int) -> list[Line]:
    """Rows of one patient, newest first."""
    query = (
        select(_ROW)
        .where(_visible(actor), _ROW.patient == patient)
        .order_by(_ROW.started_at.desc(), _ROW.case_id)
        .limit(bounded(limit))
    )
    return [_line(row) for row in session.scalars(query)]


def to_push(session: Session, *, now: datetime, limit: int) -> list[Line]:
    """Open rows of any member of this node whose reminder is due, oldest first."""
    query = (
        select(_ROW)
        .where(_ROW.open == 1, _ROW.push_at <= now)
        .order_by(_ROW.push_at, _ROW.member, _ROW.case_id)
        .limit(bounded(limit))
    )
    return [_line(row) for row in session.scalars(query)]


def pushed(session: Session, *, member: str, case_id: str) -> None:
    """The reminder of a row has been given."""
    session.execute(
        update(_ROW)
        .where(_ROW.member == member, _ROW.case_id == case_id)
        .values(push_at=None)
        .execution_options(synchronize_session="fetch")
    )


def notices(session: Session, *, actor: Actor, limit: int) -> Sequence[tables.NoticeTable]:
    """Notices for a person that the person has not put aside, newest first."""
    table = tables.NoticeTable
    seen = select(tables.NoticeSeenTable.notice).where(tables.NoticeSeenTable.user_id == actor.user)
    query = (
        select(table)
        .where(
            table.member == actor.member,
            table.id.not_in(seen),
            or_(
                table.owner == actor.user,
                (table.owner == "") & (table.roles.op("&")(model.mask(actor.roles)) != 0),
            ),
        )
        .order_by(table.at.desc(), table.id)
        .limit(bounded(limit))
    )
    return session.scalars(query).all()


def content(row: DeskRow) -> dict[str, Any]:
    """What a row says, in a form that can be compared."""
    return _columns(row)


def _columns(row: DeskRow) -> dict[str, Any]:
    return {
        "topic": row.topic,
        "urgency": row.urgency,
        "urgency_rank": model.rank(row.urgency),
        "patient": row.patient,
        "patient_name": row.patient_name,
        "patient_sex": row.patient_sex,
        "patient_birth": row.patient_birth,
        "need": row.need,
        "need_params": dump(row.need_params),
        "source": row.source,
        "source_params": dump(row.source_params),
        "state": row.state,
        "act": row.act,
        "turn": row.turn,
        "turn_rank": model.TURNS.index(row.turn),
        "turn_name": row.turn_name,
        "roles": model.mask(row.roles),
        "owner": row.owner or "",
        "numbers": dump(list(row.numbers)),
        "due_at": row.due_at,
        "push_at": model.push_at(row),
        "started_at": row.started_at,
        "link": row.link,
    }


def _line(found: tables.RowTable) -> Line:
    row = DeskRow(
        member=MemberId(found.member),
        case=CaseId(found.case_id),
        topic=found.topic,
        urgency=found.urgency,
        patient=None if found.patient is None else PatientId(found.patient),
        patient_name=found.patient_name,
        patient_sex=found.patient_sex,
        patient_birth=found.patient_birth,
        need=found.need,
        need_params=orjson.loads(found.need_params),
        source=found.source,
        source_params=orjson.loads(found.source_params),
        state=found.state,
        turn=model.TURNS[found.turn_rank],
        turn_name=found.turn_name,
        roles=model.unmask(found.roles),
        due_at=found.due_at,
        started_at=found.started_at,
        link=found.link,
        act=found.act,
        owner=UserId(found.owner) if found.owner else None,
        numbers=tuple(orjson.loads(found.numbers)),
    )
    return Line(row, found.version, found.updated_at, found.closed_at)


def dump(value: object) -> str:
    """JSON text with sorted keys, so that equal content is equal text."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _key(row: tables.RowTable) -> str:
    return f"{row.turn_rank}.{row.urgency_rank}.{to_ms(row.started_at)}.{row.case_id}"


def _place(after: str) -> tuple[int, int, datetime, str]:
    try:
        turn, urgency, started, case_id = after.split(".", 3)
        return int(turn), int(urgency), from_ms(int(started)), case_id
    except (ValueError, OverflowError) as error:
        raise invalid("paging.after") from error
