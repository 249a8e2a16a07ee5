"""Messages inside a case, and telling a sender once that a person has opened what it sent."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium import audit
from consortium.desk import fhir, service, store, tables
from consortium.desk.kinds import MESSAGE, READ
from consortium.exchange import state, timeline
from consortium.exchange.kinds import Opened
from consortium.exchange.outbox import Draft, Post
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, invalid, missing
from consortium.kernel.ids import new_id
from consortium.kernel.paging import bounded

_NOT_CLINICAL = frozenset({"case.read", "body.refuse", "ack", "feed.heads"})
_FAMILIES = frozenset({"contract", "key", "charter", "member", "directory", "state"})
QUEUED, SENT = "queued", "sent"


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a case as a page shows it."""

    exchange: str
    sender: str
    author: str
    text: str
    at: datetime
    mine: bool
    state: str


def say(
    session: Session,
    *,
    actor: Actor,
    post: Post,
    case: str,
    text: str,
    exchange: str,
    now: datetime,
) -> None:
    """Send words to the other parties of a case; the same exchange id again does nothing.

    Raises:
        Refusal: `desk.message` for an empty or too long text, `desk.case_missing` for a case that
            is not this member's, and what the outbox refuses.
    """
    text = text.strip()
    if not 0 < len(text) <= fhir.TEXT_MAX:
        raise invalid("desk.message", limit=fhir.TEXT_MAX)
    value = state.read(session, f"case:{case}")
    others = [one for one in (value or {}).get("parties", ()) if one != actor.member]
    if value is None or actor.member not in value["parties"] or not others:
        raise missing("desk.case_missing")
    body = fhir.communication(
        actor, case=case, to=others[0], text=text, event=MESSAGE, exchange=exchange, now=now
    )
    draft = Draft(
        id=exchange, kind=MESSAGE, sender=actor.member, to=(others[0],), body=body, case=case
    )
    if post.send(session, draft, now=now).again:
        return
    session.add(
        tables.MessageTable(
            member=actor.member,
            exchange=exchange,
            case_id=case,
            sender=actor.member,
            author=actor.name,
            text=text,
            at=now,
            state=QUEUED,
        )
    )
    session.flush()


def of_case(session: Session, *, actor: Actor, case: str, limit: int = 100) -> list[Said]:
    """Messages of a case at the actor's member, newest first."""
    table = tables.MessageTable
    rows = session.scalars(
        select(table)
        .where(table.member == actor.member, table.case_id == case)
        .order_by(table.at.desc(), table.exchange)
        .limit(bounded(limit))
    )
    return [
        Said(
            exchange=row.exchange,
            sender=row.sender,
            author=row.author,
            text=row.text,
            at=row.at,
            mine=row.sender == actor.member,
            state=row.state,
        )
        for row in rows
    ]


def arrived(session: Session, opened: Opened) -> None:
    """A message is on the ledger: settle the sender's row, give the recipient one and a notice."""
    row = session.get(tables.MessageTable, (opened.member, opened.header.id))
    if row is not None:
        row.state, row.at = SENT, opened.time
    elif opened.message is not None:
        session.add(
            tables.MessageTable(
                member=opened.member,
                exchange=opened.header.id,
                case_id=opened.header.case,
                sender=opened.header.sender,
                author=fhir.author_of(opened.message)[:200],
                text=fhir.text_of(opened.message),
                at=opened.time,
                state=SENT,
            )
        )
    session.flush()
    line = store.get(session, member=opened.member, case_id=opened.header.case)
    if line is None:
        return
    service.touch(session, member=opened.member, case=opened.header.case, now=opened.now)
    if not opened.mine:
        service.notify(
            session,
            member=opened.member,
            case=opened.header.case,
            word="desk.notice.message",
            params={"name": line.row.patient_name},
            link=line.row.link,
            roles=line.row.roles,
            owner=line.row.owner or "",
            about=opened.header.id,
            now=opened.now,
        )


def read_told(session: Session, opened: Opened) -> None:
    """The other side has opened something: the case's row is shown anew."""
    if not opened.mine:
        service.touch(session, member=opened.member, case=opened.header.case, now=opened.now)


def person_opens(
    session: Session,
    *,
    actor: Actor,
    post: Post,
    case: str,
    action: str,
    patient: str | None,
    now: datetime,
) -> None:
    """A person opens a case: its senders are told once, and the audit keeps who looked.

    `action` is the audit's word for it; `patient` None while the member knows none.
    """
    _tell_read(session, actor=actor, post=post, case=case, now=now)
    audit.record(
        session, actor=actor, action=action, subject=f"case:{case}", patient=patient, now=now
    )


def _tell_read(session: Session, *, actor: Actor, post: Post, case: str, now: datetime) -> None:
    """Tell the senders of everything clinical in a case that a person has opened it.

    Once for each exchange and member. A node that may not sign now tells it at a later opening.
    """
    for entry in timeline.of_case(session, member=actor.member, case=case):
        if entry.mine or entry.state != "received" or not _clinical(entry.kind):
            continue
        if session.get(tables.ReadTable, (actor.member, entry.id)) is not None:
            continue
        exchange = new_id(now)
        body = fhir.read_of(
            of=entry.id,
            member=actor.member,
            to=entry.sender,
            event=READ,
            exchange=exchange,
            now=now,
        )
        draft = Draft(
            id=exchange,
            kind=READ,
            sender=actor.member,
            to=(entry.sender,),
            body=body,
            case=case,
        )
        try:
            post.send(session, draft, now=now)
        except Refusal:
            continue
        session.add(
            tables.ReadTable(member=actor.member, exchange=entry.id, user_id=actor.user, at=now)
        )
        session.flush()


def _clinical(kind: str) -> bool:
    name = kind.partition("/")[0]
    return name not in _NOT_CLINICAL and name.partition(".")[0] not in _FAMILIES
