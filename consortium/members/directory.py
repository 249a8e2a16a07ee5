"""The directory: who the members are, how they are reached, what they offer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy.orm import Session

from consortium.exchange import state
from consortium.exchange.outbox import Draft, Post, Queued
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import invalid
from consortium.kernel.ids import MemberId, new_id
from consortium.members import charter as charters
from consortium.members import details, kinds, model, statements, store
from consortium.members.charter import Charter
from consortium.members.tables import OrganisationRow
from consortium.words import LANGS, Lang


@dataclass(frozen=True, slots=True)
class Organisation:
    """A member as its newest entry tells it. `state`: invited, joined; empty while unknown."""

    member: MemberId
    kind: str
    name_zh: str
    name_en: str
    phone: str
    address: str
    services: Sequence[str]
    state: str


def name(session: Session, member: str) -> str:
    """A member's Chinese name; its id where the directory has no entry."""
    row = store.organisation(session, member)
    return row.name_zh if row is not None else member


def names(session: Session, member: str) -> dict[Lang, str]:
    """A member's name in each language, its id where the directory has no entry.

    For sentences that are kept before anybody reads them.
    """
    row = store.organisation(session, member)
    if row is None:
        return dict.fromkeys(LANGS, member)
    return {"zh": row.name_zh, "en": row.name_en or row.name_zh}


def find(session: Session, member: str) -> Organisation | None:
    """One member's entry."""
    row = store.organisation(session, member)
    return None if row is None else _shown(session, [row])[0]


def members(session: Session, *, kind: str = "") -> list[Organisation]:
    """All members, or those of one kind (consortium, lead, clinic), by id; at most 1000."""
    return _shown(session, store.organisations(session, kind=kind))


def lead(session: Session) -> Organisation | None:
    """The lead hospital: whose emergency desk is called when there is no link."""
    rows = store.organisations(session, kind="lead", limit=1)
    return _shown(session, rows)[0] if rows else None


def emergency_phone(session: Session) -> str:
    """The lead hospital's emergency number; empty while it is not known."""
    found = lead(session)
    return found.phone if found is not None else ""


def charter(session: Session) -> Charter | None:
    """The charter that entry 0 brought; None before this node has taken it."""
    row = store.charter(session)
    return None if row is None else charters.read(row.document)


def publish(
    session: Session,
    *,
    actor: Actor,
    told: Mapping[str, object],
    post: Post,
    now: datetime,
    exchange_id: str = "",
) -> Queued:
    """Tell the actor's member's own entry anew (`details.of`).

    Raises:
        Refusal: `members.details` with the field.
    """
    actor.require(Role.MEMBER_ADMIN, Role.HEAD, Role.CONSORTIUM_ADMIN)
    if field := details.fault(told):
        raise invalid("members.details", field=field)
    exchange_id = exchange_id or new_id(now)
    body = kinds.body(
        model.DIRECTORY,
        sender=actor.member,
        exchange_id=exchange_id,
        facts={"details": statements.details_hash(told)},
        told=told,
        now=now,
    )
    draft = Draft(id=exchange_id, kind=model.DIRECTORY, sender=actor.member, to=("all",), body=body)
    return post.send(session, draft, now=now)


def _shown(session: Session, rows: Sequence[OrganisationRow]) -> list[Organisation]:
    known = state.read_many(session, [f"member:{row.member}" for row in rows])
    return [
        Organisation(
            member=MemberId(row.member),
            kind=row.kind,
            name_zh=row.name_zh,
            name_en=row.name_en,
            phone=row.phone,
            address=row.address,
            services=tuple(orjson.loads(row.services)),
            state=str(known.get(f"member:{row.member}", {}).get("state", "")),
        )
        for row in rows
    ]
