"""What an account is, and how one is added; shared by sign-in and administration."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consortium.audit import service as audit
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import conflict, invalid
from consortium.kernel.ids import MemberId, UserId, new_id
from consortium.members import model, store
from consortium.members.tables import AccountRow
from consortium.words import Lang

_LOGIN = re.compile(r"[^\W_][\w.-]{1,31}")
_NAME_MAX = 80


@dataclass(frozen=True, slots=True)
class Account:
    """A person at this node. `key`: none, waiting (for the head), confirmed (on the ledger)."""

    actor: Actor
    login: str
    locked: bool
    has_password: bool
    key: Literal["none", "waiting", "confirmed"]
    key_id: str
    key_index: int | None
    changed_at: datetime
    """When password, roles or lock last changed: a sign-in from before counts no more."""
    language: Lang
    theme: str
    large_text: bool

    @property
    def open(self) -> bool:
        """Whether this person can be signed in."""
        return self.has_password and not self.locked


def login_of(name: str) -> str:
    """The one form of a sign-in name, in whatever case and width it is typed."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def actor_of(row: AccountRow) -> Actor:
    """The actor of an account; its key only once the ledger holds it."""
    return Actor(
        user=UserId(row.user),
        name=row.name,
        member=MemberId(row.member),
        roles=store.roles(row.roles),
        key=str(row.key_id) if row.key_index is not None else "",
    )


def account_of(row: AccountRow) -> Account:
    """An account without its secrets."""
    key: Literal["none", "waiting", "confirmed"] = "none"
    if row.key_id is not None:
        key = "waiting" if row.key_index is None else "confirmed"
    return Account(
        actor=actor_of(row),
        login=row.login,
        locked=row.locked_at is not None,
        has_password=bool(row.password),
        key=key,
        key_id=row.key_id or "",
        key_index=row.key_index,
        changed_at=row.changed_at,
        language=cast("Lang", row.language),
        theme=row.theme,
        large_text=row.large_text,
    )


def add(
    session: Session, *, login: str, name: str, member: str, roles: frozenset[Role], now: datetime
) -> AccountRow:
    """A new account without a password.

    Raises:
        Refusal: `members.login`, `members.login_taken`, `members.name`, `members.roles`.
    """
    login, name = login_of(login), name.strip()
    if _LOGIN.fullmatch(login) is None:
        raise invalid("members.login")
    if not name or len(name) > _NAME_MAX or not name.isprintable():
        raise invalid("members.name")
    check_roles(session, member, roles)
    row = AccountRow(
        user=new_id(now),
        login=login,
        name=name,
        member=member,
        roles=store.roles_text(roles),
        password="",
        made_at=now,
        changed_at=now,
        key_public="",
        key_proof="",
        key_roles="[]",
        language="zh",
        theme="",
        large_text=False,
    )
    if store.account_by_login(session, login) is not None:
        raise conflict("members.login_taken")
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise conflict("members.login_taken") from None
    return row


def check_roles(session: Session, member: str, roles: frozenset[Role]) -> None:
    """Refuse no role at all, or one that people of this member cannot have."""
    organisation = store.organisation(session, member)
    kind = organisation.kind if organisation is not None else ""
    if not roles or not roles <= model.roles_of(kind):
        raise invalid("members.roles")


def note(session: Session, act: str, *, row: AccountRow, by: str, now: datetime) -> None:
    """Write into the audit who did what to which account."""
    session.flush()
    audit.record(
        session, actor=by, action=act, subject=f"account:{row.user}", member=row.member, now=now
    )
