"""Queries of members. Private to the room; every list is bounded."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from consortium.kernel.actor import Role
from consortium.members.tables import (
    AccountRow,
    AttemptRow,
    CharterRow,
    EndedKeyRow,
    InvitationRow,
    KeyListRow,
    LinkRow,
    OrganisationRow,
)

MEMBERS_MAX = 1000
ATTEMPTS_KEPT = timedelta(days=1)
WAITING, SENT, DONE, REFUSED = "waiting", "sent", "done", "refused"


# ---------------------------------------------------------------- directory


def tell(session: Session, *, member: str, kind: str, told: Mapping[str, Any], index: int) -> None:
    """Write a member's newest entry; an empty `kind` leaves the one that is there."""
    row = session.get(OrganisationRow, member)
    if row is None:
        row = OrganisationRow(member=member, kind=kind, index=index)
        session.add(row)
    if index < row.index:
        return
    row.kind = kind or row.kind
    row.name_zh, row.name_en = told["name_zh"], told["name_en"]
    row.phone, row.address = told["phone"], told["address"]
    row.services = orjson.dumps(told["services"]).decode()
    row.index = index
    session.flush()


def organisation(session: Session, member: str) -> OrganisationRow | None:
    return session.get(OrganisationRow, member)


def organisations(
    session: Session, *, kind: str = "", after: str = "", limit: int = MEMBERS_MAX
) -> Sequence[OrganisationRow]:
    """Entries by member id."""
    query = select(OrganisationRow).where(OrganisationRow.member > after)
    if kind:
        query = query.where(OrganisationRow.kind == kind)
    return session.scalars(query.order_by(OrganisationRow.member).limit(limit)).all()


def keep_charter(session: Session, *, digest: str, document: bytes, index: int) -> None:
    if session.get(CharterRow, digest) is None:
        session.add(CharterRow(hash=digest, document=document, index=index))
        session.flush()


def charter(session: Session) -> CharterRow | None:
    return session.scalars(select(CharterRow).order_by(CharterRow.index.desc()).limit(1)).first()


# ---------------------------------------------------------------- invitations


def invitation(session: Session, handle: str) -> InvitationRow | None:
    return session.get(InvitationRow, handle, with_for_update=True)


def invitation_of(session: Session, member: str) -> InvitationRow | None:
    return session.scalars(select(InvitationRow).where(InvitationRow.member == member)).first()


def replace_invitation(session: Session, row: InvitationRow) -> None:
    """Keep this one and no older one of the same member."""
    session.execute(delete(InvitationRow).where(InvitationRow.member == row.member))
    session.add(row)
    session.flush()


# ---------------------------------------------------------------- accounts


def roles(text: str) -> frozenset[Role]:
    """Roles as a row holds them."""
    return frozenset(map(Role, orjson.loads(text)))


def roles_text(held: frozenset[Role]) -> str:
    return orjson.dumps(sorted(held)).decode()


def account(session: Session, user: str, *, lock: bool = False) -> AccountRow | None:
    return session.get(AccountRow, user, with_for_update=lock or None)


def account_by_login(session: Session, login: str) -> AccountRow | None:
    return session.scalars(select(AccountRow).where(AccountRow.login == login)).first()


def accounts(session: Session, *, member: str, after: str, limit: int) -> Sequence[AccountRow]:
    """Accounts of a member by login."""
    query = select(AccountRow).where(AccountRow.member == member, AccountRow.login > after)
    return session.scalars(query.order_by(AccountRow.login).limit(limit)).all()


def unlocked_with_role(session: Session, *, member: str, role: str) -> int:
    """How many unlocked people of a member hold a role."""
    held = AccountRow.roles.like(f'%"{role}"%')
    query = select(func.count()).where(
        AccountRow.member == member, AccountRow.locked_at.is_(None), held
    )
    return session.scalar(query) or 0


def waiting_keys(session: Session, *, member: str, limit: int) -> Sequence[AccountRow]:
    """Unlocked accounts whose key, or whose key's roles, the ledger does not hold yet."""
    query = (
        select(AccountRow)
        .where(
            AccountRow.member == member,
            AccountRow.key_id.is_not(None),
            AccountRow.key_index.is_(None),
            AccountRow.locked_at.is_(None),
        )
        .order_by(AccountRow.login)
        .limit(limit)
    )
    return session.scalars(query).all()


def confirm_key(session: Session, *, key_id: str, roles: Sequence[str], index: int) -> None:
    """The ledger holds this key since `index`; nothing happens where nobody has it."""
    session.execute(
        update(AccountRow)
        .where(AccountRow.key_id == key_id, AccountRow.key_index.is_(None))
        .values(key_index=index, key_roles=orjson.dumps(list(roles)).decode())
    )


def end_keys(session: Session, ended: Collection[str]) -> None:
    """The ledger has ended these keys: whoever still has one here has none from now on."""
    if not ended:
        return
    session.execute(delete(EndedKeyRow).where(EndedKeyRow.key_id.in_(ended)))
    session.execute(
        update(AccountRow)
        .where(AccountRow.key_id.in_(ended))
        .values(key_id=None, key_public="", key_proof="", key_box=None, key_index=None)
    )


def to_end(session: Session, *, member: str, limit: int) -> Sequence[EndedKeyRow]:
    """Keys that were left behind and that the ledger still holds valid."""
    query = select(EndedKeyRow).where(EndedKeyRow.member == member)
    return session.scalars(query.order_by(EndedKeyRow.at, EndedKeyRow.key_id).limit(limit)).all()


# ---------------------------------------------------------------- tries, links


def attempt(session: Session, name: str) -> AttemptRow | None:
    return session.get(AttemptRow, name)


def forget_attempts(session: Session, *, before: datetime) -> None:
    session.execute(delete(AttemptRow).where(AttemptRow.last_at < before))


def link(session: Session, token: str) -> LinkRow | None:
    return session.get(LinkRow, token, with_for_update=True)


def drop_links(session: Session, *, user: str, before: datetime) -> None:
    """Remove a user's earlier links, and every link that ended before `before`."""
    if user:
        session.execute(delete(LinkRow).where(LinkRow.user == user))
    session.execute(delete(LinkRow).where(LinkRow.expires_at < before))


# ---------------------------------------------------------------- lists of keys


def key_list(session: Session, list_id: str) -> KeyListRow | None:
    return session.get(KeyListRow, list_id)


def key_lists(
    session: Session, *, states: Collection[str], limit: int, member: str = ""
) -> Sequence[KeyListRow]:
    """Lists in these states, oldest first."""
    query = select(KeyListRow).where(KeyListRow.state.in_(states))
    if member:
        query = query.where(KeyListRow.member == member)
    return session.scalars(query.order_by(KeyListRow.id).limit(limit)).all()


def settle_list(session: Session, list_id: str, *, code: str) -> None:
    """The ledger has taken a list of this node, or the hub has refused it with `code`."""
    session.execute(
        update(KeyListRow)
        .where(KeyListRow.id == list_id)
        .values(state=REFUSED if code else DONE, code=code)
    )
