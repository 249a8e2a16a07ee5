"""The desk's use cases: put a case before a member, list what waits, tell what changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.desk import keys, model, store, tables
from consortium.desk.model import Counts, DeskRow, Line
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import missing
from consortium.kernel.ids import new_id
from consortium.kernel.paging import Page

Scope = Literal["mine", "member"]
PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Since:
    """What a person had seen before going away: the moment and the version."""

    at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for whoever it concerns: a word key with its parameters."""

    id: str
    case: str
    word: str
    params: Mapping[str, Any]
    link: str
    at: datetime


def put(session: Session, row: DeskRow, *, now: datetime) -> None:
    """Write the one row of (member, case); the same content again changes nothing."""
    old = store.get(session, member=row.member, case_id=row.case)
    if old is not None and old.open and _same(old.row, row):
        return
    store.put(session, row, version=_changed(session), now=now)
    words = keys.of_name(row.patient_name) | keys.of_numbers((row.case, *row.numbers))
    store.set_words(session, member=row.member, case_id=row.case, words=words)


def close(session: Session, *, member: str, case: str, now: datetime) -> None:
    """Take a case out of a member's worklists; it is still found by its words."""
    old = store.get(session, member=member, case_id=case)
    if old is not None and old.open:
        store.close(session, member=member, case_id=case, version=_changed(session), now=now)


def touch(session: Session, *, member: str, case: str, now: datetime) -> None:
    """Something beside the row changed (a message, a reading): whoever looks is shown it anew."""
    if store.get(session, member=member, case_id=case) is not None:
        store.touch(session, member=member, case_id=case, version=_changed(session), now=now)


def row(session: Session, *, member: str, case: str) -> Line | None:
    """The row of one case, open or closed; None when the member has none."""
    return store.get(session, member=member, case_id=case)


def worklist(
    session: Session,
    *,
    actor: Actor,
    scope: Scope = "mine",
    topic: str | frozenset[str] | None = None,
    state: str | frozenset[str] | None = None,
    after: str | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Line]:
    """Open rows: my turn first, then urgent, then oldest.

    Raises:
        Refusal: `paging.after` when the key of the next page is not one that a page gave.
    """
    return store.page(
        session,
        actor=actor,
        mine=scope == "mine",
        topics=_set(topic),
        states=_set(state),
        after=after,
        limit=limit,
    )


def counts(session: Session, *, actor: Actor, now: datetime) -> Counts:
    """How many rows stand in the lists of a person and of the member."""
    return store.counts(session, actor=actor, now=now)


def version(session: Session) -> int:
    """The version of this node's desks; larger after each change."""
    return store.version(session)


def changed_since(session: Session, *, actor: Actor, version: int, limit: int = 50) -> list[Line]:
    """Rows of the actor's member that changed after a version, closed ones too, oldest first."""
    return store.changed(session, actor=actor, version=version, limit=limit)


def find(session: Session, *, actor: Actor, text: str, limit: int = 20) -> list[Line]:
    """Cases of the member by the beginning of a name, of its pinyin or initials, or of a number."""
    word = keys.fold(text)
    return store.find(session, actor=actor, word=word, limit=limit) if word else []


def of_patient(session: Session, *, actor: Actor, patient: str, limit: int = 50) -> list[Line]:
    """Cases of one patient at the actor's member, newest first."""
    return store.of_patient(session, actor=actor, patient=patient, limit=limit)


def visit(session: Session, *, actor: Actor, now: datetime) -> Since | None:
    """Note that a person looks at the first screen.

    Returns where the person left off when this is the first screen after hours or a night, until
    `caught_up`; else None.
    """
    newest = store.version(session)
    seen = session.get(tables.VisitTable, actor.user)
    if seen is None:
        session.add(
            tables.VisitTable(
                user_id=actor.user, seen_at=now, seen_version=newest, since_at=None, since_version=0
            )
        )
        return None
    # an earlier absence that nobody read stays the beginning
    if seen.since_at is None and model.was_away(seen.seen_at, now=now):
        seen.since_at, seen.since_version = seen.seen_at, seen.seen_version
    seen.seen_at, seen.seen_version = now, newest
    return None if seen.since_at is None else Since(seen.since_at, seen.since_version)


def caught_up(session: Session, *, actor: Actor) -> None:
    """The person has read what changed."""
    seen = session.get(tables.VisitTable, actor.user)
    if seen is not None:
        seen.since_at = None


def notify(
    session: Session,
    *,
    member: str,
    case: str,
    word: str,
    params: Mapping[str, Any],
    link: str,
    roles: frozenset[Role],
    now: datetime,
    about: str = "",
    owner: str = "",
) -> bool:
    """Give a notice once for (member, case, word, about). Returns whether it is new."""
    table = tables.NoticeTable
    known = session.scalar(
        select(table.id).where(
            table.member == member,
            table.case_id == case,
            table.word == word,
            table.about == about,
        )
    )
    if known is not None:
        return False
    session.add(
        table(
            id=new_id(now),
            member=member,
            case_id=case,
            word=word,
            about=about,
            params=store.dump(dict(params)),
            roles=model.mask(roles),
            owner=owner,
            link=link,
            at=now,
        )
    )
    session.flush()
    _changed(session)
    return True


def notices(session: Session, *, actor: Actor, limit: int = 5) -> list[Notice]:
    """Notices for the actor that are not put aside, newest first."""
    return [
        Notice(n.id, n.case_id, n.word, orjson.loads(n.params), n.link, n.at)
        for n in store.notices(session, actor=actor, limit=limit)
    ]


def dismiss(session: Session, *, actor: Actor, notice: str) -> None:
    """Put a notice aside for this person.

    Raises:
        Refusal: `desk.notice_missing` when the member has no such notice.
    """
    found = session.get(tables.NoticeTable, notice)
    if found is None or found.member != actor.member:
        raise missing("desk.notice_missing")
    if session.get(tables.NoticeSeenTable, (notice, actor.user)) is None:
        session.add(tables.NoticeSeenTable(notice=notice, user_id=actor.user))


def remind(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Give the one reminder of each row that has used 80% of its time (product.md, 4.8).

    Safe to run again: a row is reminded once for each deadline. Returns how many were given.
    """
    given = 0
    for line in store.to_push(session, now=now, limit=limit):
        one = line.row
        due = "" if one.due_at is None else one.due_at.isoformat()
        late = one.due_at is not None and one.due_at <= now
        given += notify(
            session,
            member=one.member,
            case=one.case,
            word="desk.notice.late" if late else "desk.notice.soon",
            params={**one.need_params, "need": f"@{one.need}"},
            link=one.link,
            roles=one.roles,
            now=now,
            about=due,
            owner=one.owner or "",
        )
        store.pushed(session, member=one.member, case_id=one.case)
    return given


def redraw(session: Session) -> None:
    """Something beside the rows changed that open pages show."""
    _changed(session)


def _set(value: str | frozenset[str] | None) -> frozenset[str]:
    if value is None:
        return frozenset()
    return frozenset({value}) if isinstance(value, str) else value


def _same(old: DeskRow, new: DeskRow) -> bool:
    return store.content(old) == store.content(new)


def _changed(session: Session) -> int:
    return store.next_version(session)
