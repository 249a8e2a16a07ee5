"""Who asks at the FHIR door: a browser that is signed in, or a program with name and password.

HTTP Basic (RFC 7617), since FHIR clients speak it and the door is local or behind TLS. A password
that was right is remembered for a few minutes as a keyed hash: checking it anew costs more than
the whole read.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request

from consortium.kernel.actor import Actor
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.ids import UserId
from consortium.members import accounts
from consortium.members.keyring import Keyring
from consortium.members.tries import Tries

Browser = Callable[[Request], Actor | None]
"""The person of the browser's session, None when nobody is signed in or the page is locked."""
REMEMBERED = timedelta(minutes=5)
REMEMBERED_MAX = 100


@dataclass(frozen=True, slots=True)
class _Known:
    user: UserId
    at: datetime


class Access:
    """Finds the actor of a request."""

    def __init__(self, database: Database, *, browser: Browser) -> None:
        self._database = database
        self._browser = browser
        self._secret = secrets.token_bytes(32)
        self._tries = Tries()
        self._lock = threading.Lock()
        self._known: dict[bytes, _Known] = {}

    def actor(self, request: Request, *, now: datetime) -> Actor:
        """Who asks.

        Raises:
            Refusal: `fhir.sign_in` when nobody says who they are; else as `accounts.sign_in`.
        """
        header = request.headers.get("authorization", "")
        if not header:
            found = self._browser(request)
            if found is None:
                raise Refusal(RefusalKind.SIGN_IN, "fhir.sign_in")
            return found
        mark = hmac.digest(self._secret, header.encode("utf-8", "replace"), hashlib.sha256)
        remembered = self._remembered(mark, now=now)
        if remembered is not None:
            return remembered
        name, password = _basic(header)
        # a key ring of its own: whoever reads as a program signs nothing
        signed = accounts.sign_in_apart(
            self._database, name, password, keyring=Keyring(), now=now, tries=self._tries,
            address=request.client.host if request.client is not None else "",
        )  # fmt: skip
        with self._lock:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[mark] = _Known(signed.user, now)
        return signed

    def _remembered(self, mark: bytes, *, now: datetime) -> Actor | None:
        """The person of a password that was right a moment ago, if nothing changed since."""
        with self._lock:
            known = self._known.get(mark)
        if known is None:
            return None
        with self._database.read() as session:
            account = accounts.find(session, known.user)
        fresh = known.at <= now < known.at + REMEMBERED
        if account is None or not account.open or not fresh or known.at < account.changed_at:
            with self._lock:
                self._known.pop(mark, None)
            return None
        return account.actor


def _basic(header: str) -> tuple[str, str]:
    scheme, _, token = header.partition(" ")
    try:
        name, colon, password = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Refusal(RefusalKind.SIGN_IN, "fhir.sign_in") from None
    if scheme.lower() != "basic" or not colon or "\x00" in name:
        raise Refusal(RefusalKind.SIGN_IN, "fhir.sign_in")
    return name, password
