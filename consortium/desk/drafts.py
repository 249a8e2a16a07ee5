"""Drafts: what a person has typed into a form and not yet sent.

A draft gets its exchange id when the form is first shown, so that a double click, a reload or a
second tab sends one exchange. It is saved by the browser two seconds after typing and by a button.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consortium.desk import store, tables
from consortium.kernel.actor import Actor
from consortium.kernel.errors import invalid
from consortium.kernel.ids import ExchangeId, new_id
from consortium.kernel.paging import bounded

FIELDS_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Draft:
    """A form's fields, the exchange id it will be sent under, and why it came back if it did."""

    form: str
    owner: str
    exchange: ExchangeId
    fields: Mapping[str, Any]
    revision: int
    first_at: datetime
    saved_at: datetime | None
    code: str = ""
    clause: str = ""


def begin(
    session: Session,
    *,
    actor: Actor,
    form: str,
    now: datetime,
    seed: Mapping[str, Any] | None = None,
) -> Draft:
    """The draft of a form, made with `seed` when this person has none yet."""
    found = _row(session, actor, form)
    if found is None:
        found = tables.DraftTable(
            user_id=actor.user,
            form=form,
            member=actor.member,
            exchange=new_id(now),
            fields=store.dump(dict(seed or {})),
            revision=0,
            first_at=now,
            saved_at=None,
            code="",
            clause="",
        )
        try:
            with session.begin_nested():
                session.add(found)
        except IntegrityError:
            # a second tab opened the same form at the same moment: both go on with one draft
            found = session.get_one(tables.DraftTable, (actor.user, form))
    return _draft(found)


def read(session: Session, *, actor: Actor, form: str) -> Draft | None:
    """The person's draft of a form, None when there is none."""
    found = _row(session, actor, form)
    return None if found is None else _draft(found)


def save(
    session: Session, *, actor: Actor, form: str, fields: Mapping[str, Any], now: datetime
) -> Draft:
    """Keep what has been typed; the exchange id stays.

    Raises:
        Refusal: `desk.draft_large` above 64 KiB.
    """
    text = store.dump(dict(fields))
    if len(text.encode()) > FIELDS_MAX_BYTES:
        raise invalid("desk.draft_large", limit=FIELDS_MAX_BYTES)
    begin(session, actor=actor, form=form, now=now)
    found = session.get_one(tables.DraftTable, (actor.user, form))
    if found.fields != text or found.saved_at is None:
        found.fields, found.revision = text, found.revision + 1
    found.saved_at = now
    session.flush()
    return _draft(found)


def discard(session: Session, *, actor: Actor, form: str) -> None:
    """Drop a draft: it was sent, or the person threw it away."""
    found = _row(session, actor, form)
    if found is not None:
        session.delete(found)
        session.flush()


def give_back(
    session: Session,
    *,
    user: str,
    member: str,
    form: str,
    fields: Mapping[str, Any],
    code: str,
    clause: str,
    now: datetime,
) -> None:
    """Put a refused form back on its author's desk, with the reason and a new exchange id.

    What the author has begun to type meanwhile in the same form is kept instead; a form that was
    only opened is not.
    """
    found = session.get(tables.DraftTable, (user, form))
    if found is not None and found.saved_at is not None:
        return
    if found is not None:
        session.delete(found)
        session.flush()
    session.add(
        tables.DraftTable(
            user_id=user,
            form=form,
            member=member,
            exchange=new_id(now),
            fields=store.dump(dict(fields)),
            revision=1,
            first_at=now,
            saved_at=now,
            code=code,
            clause=clause,
        )
    )
    session.flush()


def of(
    session: Session, *, actor: Actor, prefix: str = "", member: bool = False, limit: int = 20
) -> list[Draft]:
    """Saved drafts of the person, or of all people of the member, last saved first."""
    table = tables.DraftTable
    query = select(table).where(table.member == actor.member, table.saved_at.is_not(None))
    if not member:
        query = query.where(table.user_id == actor.user)
    if prefix:
        query = query.where(table.form.startswith(prefix, autoescape=True))
    query = query.order_by(table.saved_at.desc(), table.exchange).limit(bounded(limit))
    return [_draft(found) for found in session.scalars(query)]


def _row(session: Session, actor: Actor, form: str) -> tables.DraftTable | None:
    found = session.get(tables.DraftTable, (actor.user, form))
    return found if found is not None and found.member == actor.member else None


def _draft(found: tables.DraftTable) -> Draft:
    return Draft(
        form=found.form,
        owner=found.user_id,
        exchange=ExchangeId(found.exchange),
        fields=orjson.loads(found.fields),
        revision=found.revision,
        first_at=found.first_at,
        saved_at=found.saved_at,
        code=found.code,
        clause=found.clause,
    )
