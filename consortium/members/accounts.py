"""Accounts of a node: sign-in, one-time links, one's own password and preferences.

Whoever is added or reset gets a one-time link and chooses the password alone, so that no admin
ever knows it or could sign as somebody else (PROTOCOL 2, *person* key).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, RefusalKind, invalid, missing
from consortium.kernel.ids import MemberId, UserId
from consortium.members import links, passwords, person_keys, store
from consortium.members.keyring import Keyring
from consortium.members.person import Account, account_of, actor_of, add, login_of, note
from consortium.members.tables import AccountRow
from consortium.members.tries import Tries
from consortium.words import LANGS

__all__ = [
    "Account",
    "LinkInfo",
    "change_password",
    "find",
    "link_info",
    "prefer",
    "sign_in",
    "sign_in_apart",
    "use_link",
]

THEMES = ("", "light", "dark")


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """Whom a one-time link is for; `login` and `name` are empty for a first account."""

    member: MemberId
    login: str
    name: str
    roles: frozenset[Role]


def find(session: Session, user: UserId) -> Account | None:
    """An account as of now, None when there is none."""
    row = store.account(session, user)
    return None if row is None else account_of(row)


def sign_in(
    session: Session, name: str, password: str, *, keyring: Keyring, now: datetime
) -> Actor:
    """Check name and password, open the person key, give the actor.

    Runs in a transaction of its own: a wrong try is committed before it is refused.

    Raises:
        Refusal: `members.sign_in_wrong` (also for a name that nobody has), `members.throttled`
            for 15 minutes after five of them, `members.locked`.
    """
    row = _checked(session, login_of(name), password, now=now)
    return _let_in(session, row, password, keyring=keyring, now=now)


def sign_in_apart(
    database: Database,
    name: str,
    password: str,
    *,
    keyring: Keyring,
    now: datetime,
    tries: Tries,
    address: str,
) -> Actor:
    """As `sign_in`, with everything slow done between two short transactions.

    A password is stretched for a tenth of a second on purpose; strangers who guess must not keep
    the one write lock of a SQLite node for as long.

    Raises:
        Refusal: as `sign_in`, and `members.throttled_here` for an address that guessed often.
    """
    tries.refuse_if_many(address, now=now)
    login = login_of(name)
    with database.read() as session:
        passwords.refuse_if_paused(session, login, now=now)
        seen = store.account_by_login(session, login)
    known = seen.password if seen is not None else ""
    right = passwords.fits(password, known)
    opened = person_keys.opened(seen, password) if right and seen is not None else None
    try:
        with database.write() as session:
            row = _judged(session, login, lambda held: right and held == known, now=now)
            return _let_in(session, row, password, keyring=keyring, now=now, opened=opened)
    except Refusal as refusal:
        if refusal.kind is RefusalKind.SIGN_IN:
            tries.count(address, now=now)
        raise


def link_info(session: Session, token: str, *, now: datetime) -> LinkInfo:
    """Whom a link is for. Raises Refusal `members.link` when used, too old or unknown."""
    link = links.find(session, token, now=now)
    row = store.account(session, link.user) if link.user else None
    return LinkInfo(
        member=MemberId(link.member),
        login=row.login if row else "",
        name=row.name if row else "",
        roles=store.roles(row.roles if row else link.roles),
    )


def use_link(
    session: Session,
    token: str,
    *,
    password: str,
    keyring: Keyring,
    now: datetime,
    login: str = "",
    name: str = "",
) -> Actor:
    """Set the password and make the person key; a first account also takes its name.

    Raises:
        Refusal: `members.link`, `members.password_*`, `members.login`, `members.login_taken`,
            `members.name`.
    """
    link = links.find(session, token, now=now)
    row = store.account(session, link.user, lock=True) if link.user else None
    if row is None:
        row = add(
            session,
            login=login,
            name=name,
            member=link.member,
            roles=store.roles(link.roles),
            now=now,
        )
    passwords.check_strength(password, login=row.login)
    link.used_at = now
    row.password, row.changed_at = passwords.hashed(password), now
    passwords.count_right(session, row.login)
    person_keys.make(session, row, password, keyring=keyring, now=now)
    note(session, "members.password_set", row=row, by=row.user, now=now)
    session.flush()
    return actor_of(row)


def change_password(
    session: Session, *, actor: Actor, old: str, new: str, keyring: Keyring, now: datetime
) -> None:
    """Another password for the same key. Runs in a transaction of its own, as `sign_in`.

    Raises:
        Refusal: as `sign_in` for the old one, `members.password_*` for the new one.
    """
    row = _own(session, actor)
    passwords.check_strength(new, login=row.login)
    row = _checked(session, row.login, old, now=now)
    passwords.count_right(session, row.login)
    if not person_keys.wrap_anew(row, old, new):
        person_keys.make(session, row, new, keyring=keyring, now=now)
    row.password, row.changed_at = passwords.hashed(new), now
    note(session, "members.password_set", row=row, by=row.user, now=now)


def prefer(
    session: Session,
    *,
    actor: Actor,
    language: str | None = None,
    theme: str | None = None,
    large_text: bool | None = None,
) -> None:
    """Keep how a person wants pages shown. Raises Refusal `members.preference`."""
    row = _own(session, actor)
    if (language or "zh") not in LANGS or (theme or "") not in THEMES:
        raise invalid("members.preference")
    row.language = row.language if language is None else language
    row.theme = row.theme if theme is None else theme
    row.large_text = row.large_text if large_text is None else large_text


def _own(session: Session, actor: Actor) -> AccountRow:
    row = store.account(session, actor.user, lock=True)
    if row is None:
        raise missing("members.no_such_person")
    return row


def _let_in(
    session: Session,
    row: AccountRow,
    password: str,
    *,
    keyring: Keyring,
    now: datetime,
    opened: person_keys.OpenedKey | None = None,
) -> Actor:
    if row.locked_at is not None:
        raise Refusal(RefusalKind.FORBIDDEN, "members.locked")
    passwords.count_right(session, row.login)
    person_keys.open_with(session, row, password, keyring=keyring, now=now, opened=opened)
    note(session, "members.sign_in", row=row, by=row.user, now=now)
    session.flush()
    return actor_of(row)


def _checked(session: Session, login: str, password: str, *, now: datetime) -> AccountRow:
    return _judged(session, login, lambda known: passwords.fits(password, known), now=now)


def _judged(
    session: Session, login: str, fits: Callable[[str], bool], *, now: datetime
) -> AccountRow:
    """The account whose password fits; a wrong try is counted, of a name that nobody has too."""
    passwords.refuse_if_paused(session, login, now=now)
    row = store.account_by_login(session, login)
    if not fits(row.password if row else "") or row is None:
        if row is not None:
            note(session, "members.sign_in_refused", row=row, by=row.user, now=now)
        passwords.count_wrong(session, login, now=now)
        raise Refusal(RefusalKind.SIGN_IN, "members.sign_in_wrong")
    return row
