"""People of a member, as its admin sees them: add, lock, roles, reset."""

from datetime import datetime

from sqlalchemy.orm import Session

from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import conflict, missing
from consortium.kernel.ids import UserId
from consortium.kernel.paging import Page, bounded
from consortium.members import links, passwords, person_keys, store
from consortium.members.keyring import Keyring
from consortium.members.links import OneTimeLink
from consortium.members.person import Account, account_of, add, check_roles, login_of, note
from consortium.members.tables import AccountRow

MACHINE = "machine"
"""Who acted, when it was whoever sits at the machine itself."""


def first_link(
    session: Session, *, member: str, roles: frozenset[Role], now: datetime
) -> OneTimeLink:
    """The link for the first account of a new installation; its door prints it."""
    return links.new(session, member=member, roles=roles, now=now)


def create(
    session: Session,
    *,
    actor: Actor,
    login: str,
    name: str,
    roles: frozenset[Role],
    now: datetime,
) -> OneTimeLink:
    """Add a person to the actor's member.

    Raises:
        Refusal: `members.login`, `members.login_taken`, `members.name`, `members.roles`.
    """
    actor.require(Role.MEMBER_ADMIN)
    row = add(session, login=login, name=name, member=actor.member, roles=roles, now=now)
    note(session, "members.person_added", row=row, by=actor.user, now=now)
    return links.new(session, member=row.member, roles=roles, user=row.user, now=now)


def listing(session: Session, *, actor: Actor, after: str = "", limit: int = 50) -> Page[Account]:
    """The actor's colleagues by sign-in name."""
    actor.require(Role.MEMBER_ADMIN, Role.HEAD)
    most = bounded(limit)
    rows = store.accounts(session, member=actor.member, after=after, limit=most + 1)
    shown = [account_of(row) for row in rows[:most]]
    return Page(shown, shown[-1].login if len(rows) > most else None)


def person(session: Session, *, actor: Actor, user: UserId) -> Account:
    """One colleague. Raises Refusal `members.no_such_person`."""
    actor.require(Role.MEMBER_ADMIN, Role.HEAD)
    return account_of(_colleague(session, actor, user))


def lock(session: Session, *, actor: Actor, user: UserId, keyring: Keyring, now: datetime) -> None:
    """Keep a person out at once; the key stays as it is.

    Raises:
        Refusal: `members.last_admin` when nobody could unlock any more.
    """
    row = _administered(session, actor, user)
    if row.locked_at is None:
        _keep_an_admin(session, row)
        row.locked_at = row.changed_at = now
        note(session, "members.person_locked", row=row, by=actor.user, now=now)
    keyring.drop(user)


def unlock(session: Session, *, actor: Actor, user: UserId, now: datetime) -> None:
    """Let a person in again, wrong tries forgotten."""
    row = _administered(session, actor, user)
    row.locked_at = None
    passwords.count_right(session, row.login)
    note(session, "members.person_unlocked", row=row, by=actor.user, now=now)


def set_roles(
    session: Session, *, actor: Actor, user: UserId, roles: frozenset[Role], now: datetime
) -> None:
    """Give other roles; the person's key changes with them, at the next sign-in.

    Raises:
        Refusal: `members.roles`, `members.last_admin`.
    """
    row = _administered(session, actor, user)
    check_roles(session, row.member, roles)
    if Role.MEMBER_ADMIN not in roles:
        _keep_an_admin(session, row)
    row.roles, row.changed_at = store.roles_text(roles), now
    note(session, "members.roles_set", row=row, by=actor.user, now=now)


def reset(
    session: Session, *, actor: Actor, user: UserId, keyring: Keyring, now: datetime
) -> OneTimeLink:
    """A new password and a new person key; the old key ends with the head's next list."""
    row = _administered(session, actor, user)
    note(session, "members.person_reset", row=row, by=actor.user, now=now)
    return _reset(session, row, keyring=keyring, now=now)


def reset_on_machine(
    session: Session, login: str, *, keyring: Keyring, now: datetime
) -> OneTimeLink:
    """The way out for whoever sits at the machine (`user reset NAME`); it also unlocks.

    Raises:
        Refusal: `members.no_such_person`.
    """
    row = store.account_by_login(session, login_of(login))
    if row is None:
        raise missing("members.no_such_person")
    row.locked_at = None
    note(session, "members.person_reset", row=row, by=MACHINE, now=now)
    return _reset(session, row, keyring=keyring, now=now)


def _reset(session: Session, row: AccountRow, *, keyring: Keyring, now: datetime) -> OneTimeLink:
    person_keys.leave(session, row, now=now)
    row.password, row.changed_at = "", now
    passwords.count_right(session, row.login)
    keyring.drop(UserId(row.user))
    roles = store.roles(row.roles)
    return links.new(session, member=row.member, roles=roles, user=row.user, now=now)


def _administered(session: Session, actor: Actor, user: UserId) -> AccountRow:
    actor.require(Role.MEMBER_ADMIN)
    return _colleague(session, actor, user)


def _colleague(session: Session, actor: Actor, user: UserId) -> AccountRow:
    row = store.account(session, user, lock=True)
    if row is None or row.member != actor.member:
        raise missing("members.no_such_person")
    return row


def _keep_an_admin(session: Session, row: AccountRow) -> None:
    admin = Role.MEMBER_ADMIN
    if admin not in store.roles(row.roles) or row.locked_at is not None:
        return
    if store.unlocked_with_role(session, member=row.member, role=admin) <= 1:
        raise conflict("members.last_admin")
