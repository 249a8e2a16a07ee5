"""Passwords: argon2 hashes, what is too weak, and the pause after wrong tries."""

import threading
import unicodedata
from datetime import datetime, timedelta
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consortium.kernel.errors import Refusal, RefusalKind, invalid
from consortium.kernel.time import to_ms
from consortium.members import store
from consortium.members.tables import AttemptRow

LENGTH_MIN, LENGTH_MAX, DIFFERENT_MIN = 10, 128, 4
TRIES_MAX = 5
PAUSE = timedelta(minutes=15)
_NAME_MAX = 64
_AT_ONCE = threading.BoundedSemaphore(4)
"""Each check takes 64 MiB; forty at once would take a workstation's memory."""


@cache
def _hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(),))


@cache
def _nobodys() -> str:
    return _hasher().hash("a password that nobody has")


def plain(password: str) -> str:
    """One form of a password: full-width and plain letters are the same to an input method."""
    return unicodedata.normalize("NFKC", password)


def hashed(password: str) -> str:
    """An argon2id hash with its own salt."""
    return _hasher().hash(plain(password))


def fits(password: str, known: str) -> bool:
    """Whether the password is the one behind a hash; as slow for a name that nobody has."""
    with _AT_ONCE:
        if not known:
            _hasher().verify(plain(password)[:LENGTH_MAX], _nobodys())
            return False
        return len(password) <= LENGTH_MAX and _hasher().verify(plain(password), known)


def check_strength(password: str, *, login: str) -> None:
    """Refuse what is guessed first.

    Raises:
        Refusal: `members.password_short`, `members.password_long`, `members.password_name` (the
            sign-in name is in it), `members.password_repeats` (fewer than four different letters).
    """
    text = plain(password)
    if len(text) < LENGTH_MIN:
        raise invalid("members.password_short", least=LENGTH_MIN)
    if len(text) > LENGTH_MAX:
        raise invalid("members.password_long", most=LENGTH_MAX)
    if login and login in text.casefold():
        raise invalid("members.password_name")
    if len(set(text)) < DIFFERENT_MIN:
        raise invalid("members.password_repeats")


def refuse_if_paused(session: Session, name: str, *, now: datetime) -> None:
    """Raise Refusal `members.throttled` while the pause after five wrong tries lasts."""
    row = store.attempt(session, name[:_NAME_MAX])
    if row is not None and row.until is not None and now < row.until:
        raise Refusal(RefusalKind.THROTTLED, "members.throttled", until_ms=to_ms(row.until))


def count_wrong(session: Session, name: str, *, now: datetime) -> None:
    """Count a wrong try, of a name that exists or not, and commit it.

    The refusal that follows would undo the count, so whoever checks a password has written nothing
    else in that transaction before.
    """
    store.forget_attempts(session, before=now - store.ATTEMPTS_KEPT)
    row = _attempt(session, name[:_NAME_MAX], now)
    row.failed = row.failed + 1 if now - row.last_at < store.ATTEMPTS_KEPT else 1
    row.last_at = now
    row.until = None
    if row.failed >= TRIES_MAX:
        row.failed, row.until = 0, now + PAUSE
    session.commit()


def count_right(session: Session, name: str) -> None:
    """Forget the wrong tries of a name."""
    row = store.attempt(session, name[:_NAME_MAX])
    if row is not None:
        session.delete(row)


def _attempt(session: Session, name: str, now: datetime) -> AttemptRow:
    row = store.attempt(session, name)
    if row is not None:
        return row
    try:
        with session.begin_nested():
            row = AttemptRow(name=name, failed=0, last_at=now, until=None)
            session.add(row)
    except IntegrityError:  # another process counted the first try between the two statements
        return session.get_one(AttemptRow, name)
    return row
