"""Sign-in sessions of one serving process: who is signed in, and whether the page is locked.

They live in memory, as the person keys do (members.keyring): after a restart everybody gives their
password again, which the keys need anyway. Only a hash of the cookie is held.
"""

import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consortium.kernel.ids import UserId
from consortium.members.tries import Tries

LIFE_MAX = timedelta(hours=12)
SESSIONS_MAX = 10_000
TOKEN_CHARS_MAX = 64


@dataclass(slots=True)
class SignIn:
    """One signed-in browser. `csrf` goes into its forms; `seen_at` is its last act.

    `place` stands for the machine and browser in which it was opened.
    """

    user: UserId
    csrf: str
    opened_at: datetime
    seen_at: datetime
    locked: bool = False
    place: bytes = b""
    key: bytes = field(repr=False, default=b"")


class Sessions:
    """Every signed-in browser of this process. Safe from any thread.

    `mark` begins each cookie of one web process among several (`relay`).
    """

    def __init__(self, *, idle: timedelta, mark: str = "") -> None:
        self.idle = idle
        self._mark = mark
        self.tries = Tries()
        self._lock = threading.Lock()
        self._open: dict[bytes, SignIn] = {}

    def open(self, user: UserId, *, now: datetime, place: bytes = b"") -> tuple[str, SignIn]:
        """Sign a browser in; gives the cookie's value and the session."""
        token = self._mark + secrets.token_urlsafe(32)
        made = SignIn(user, secrets.token_urlsafe(24), now, now, place=place, key=_hashed(token))
        with self._lock:
            self._trim(now)
            self._open[made.key] = made
        return token, made

    def find(self, token: str | None, *, now: datetime, place: bytes = b"") -> SignIn | None:
        """The session of a cookie, locked when nobody did anything for a while.

        A cookie that comes from another place than it was given to opens nothing.
        """
        if not token or len(token) > TOKEN_CHARS_MAX:
            return None
        with self._lock:
            found = self._open.get(_hashed(token))
            if found is None or found.place != place:
                return None
            if now - found.opened_at >= LIFE_MAX:
                del self._open[found.key]
                return None
            found.locked = found.locked or now - found.seen_at >= self.idle
            return found

    def touch(self, session: SignIn, *, now: datetime) -> None:
        """The person did something."""
        session.seen_at = max(session.seen_at, now)

    def unlock(self, session: SignIn, *, now: datetime) -> None:
        """The person gave the password again."""
        session.locked, session.seen_at = False, now

    def renew(self, session: SignIn, *, now: datetime) -> None:
        """The person's own password changed here: only this browser stays signed in."""
        with self._lock:
            self._open = {
                key: one
                for key, one in self._open.items()
                if one.user != session.user or key == session.key
            }
        session.opened_at = session.seen_at = now

    def close(self, session: SignIn) -> None:
        """Sign out."""
        with self._lock:
            self._open.pop(session.key, None)

    def close_all(self, user: UserId) -> None:
        """Sign a person out everywhere: locked, reset, password changed."""
        with self._lock:
            self._open = {key: one for key, one in self._open.items() if one.user != user}

    def others(self, session: SignIn) -> bool:
        """Whether the person is signed in and not locked in another browser too."""
        with self._lock:
            return any(
                one.user == session.user and one.key != session.key and not one.locked
                for one in self._open.values()
            )

    def alive(self, session: SignIn, *, now: datetime) -> bool:
        """Whether a stream may go on: signed in, not locked, not idle."""
        with self._lock:
            known = session.key in self._open
        return known and not session.locked and now - session.seen_at < self.idle

    def _trim(self, now: datetime) -> None:
        if len(self._open) < SESSIONS_MAX:
            return
        kept = sorted(self._open.values(), key=lambda one: one.seen_at)[SESSIONS_MAX // 10 :]
        self._open = {one.key: one for one in kept if now - one.opened_at < LIFE_MAX}


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
