"""Signed requests of a node to the hub, and the nonces that keep them fresh.

Freshness never depends on a clinic PC's clock: the hub gives a nonce at `hello`, and every later
request is a statement signed by the node's key over path, content and nonce, taken once.
"""

import hashlib
import hmac
import os
import re
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from consortium.exchange import jws, state
from consortium.exchange.commitment import b64, unb64
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.time import to_ms
from consortium.ports import Signer

HELLO, REQUEST, ANSWER = "hello", "request", "answer"
NONCE_LIFE = timedelta(minutes=15)
_SEEN_MAX = 100_000
_STAMP = re.compile("[0-9]{1,15}")
_PROCESS = re.compile("[0-9]{1,3}")


def make(
    path: str, content: bytes, *, node: str, signer: Signer, nonce: str, more: Mapping[str, Any]
) -> bytes:
    """A signed request for `path` over the SHA-256 of `content`."""
    statement = {
        **more,
        "path": path,
        "sha256": b64(hashlib.sha256(content).digest()),
        "nonce": nonce,
        "salt": b64(os.urandom(9)),
    }
    return jws.sign_statement(statement, kid=node, signer=signer, typ=REQUEST).encode()


class Elsewhere(Exception):  # noqa: N818 - not wrong, only another's to answer
    """A well-signed request under the nonce of another web process, which alone takes it once."""

    def __init__(self, process: int) -> None:
        super().__init__(process)
        self.process = process


class Requests:
    """One web process's check of signed requests.

    Args:
        process: number of the web process: its nonces name it.
    """

    def __init__(self, process: int = 0) -> None:
        self._process = process
        self._secret = os.urandom(32)
        self._seen: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def nonce(self, node: str, *, now: datetime) -> str:
        """A nonce for one node, good for 15 minutes of this process."""
        text = f"{to_ms(now)}.{node}"
        return f"{to_ms(now)}.{b64(self._mac(text))}.{self._process}"

    def _mac(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode(), "sha256")[:18]

    def hello(self, session: Session, raw: bytes) -> tuple[str, str, dict[str, Any]]:
        """Node, member and members of a hello.

        Raises:
            Refusal: `sync.node` for an unknown or forged one.
        """
        node, statement, member = _signed_by(session, raw, typ=HELLO)
        return node, member, statement

    def check(
        self, session: Session, path: str, raw: bytes, content: bytes, *, now: datetime
    ) -> tuple[str, str, dict[str, Any]]:
        """Node, member and members of a request.

        Raises:
            Refusal: `sync.node`, or `sync.nonce` (stale, of an earlier process, or used before):
                say hello again.
            Elsewhere: the nonce names another web process.
        """
        node, statement, member = _signed_by(session, raw, typ=REQUEST)
        stamp, mac, process = _parts(statement.get("nonce"))
        if process != self._process:
            raise Elsewhere(process)
        wanted = b64(self._mac(f"{stamp}.{node}"))
        age_ms = to_ms(now) - int(stamp) if _STAMP.fullmatch(stamp) else -1
        fresh = 0 <= age_ms <= NONCE_LIFE // timedelta(milliseconds=1)
        if not (fresh and hmac.compare_digest(wanted.encode(), mac.encode())):
            raise Refusal(RefusalKind.SIGN_IN, "sync.nonce")
        if statement.get("path") != path or statement.get("sha256") != b64(
            hashlib.sha256(content).digest()
        ):
            raise Refusal(RefusalKind.SIGN_IN, "sync.node")
        self._once(raw, now=now)
        return node, member, statement

    def _once(self, raw: bytes, *, now: datetime) -> None:
        digest = hashlib.sha256(raw).digest()
        with self._lock:
            if digest in self._seen:
                raise Refusal(RefusalKind.SIGN_IN, "sync.nonce")
            if len(self._seen) >= _SEEN_MAX:
                oldest = to_ms(now - NONCE_LIFE)
                self._seen = {key: at for key, at in self._seen.items() if at >= oldest}
            self._seen[digest] = to_ms(now)


def _parts(nonce: object) -> tuple[str, str, int]:
    """Stamp, MAC and process of a nonce. Raises Refusal `sync.nonce`."""
    stamp, _, rest = str(nonce).partition(".")
    mac, _, process = rest.partition(".")
    if not _PROCESS.fullmatch(process):
        raise Refusal(RefusalKind.SIGN_IN, "sync.nonce")
    return stamp, mac, int(process)


def _signed_by(session: Session, raw: bytes, *, typ: str) -> tuple[str, dict[str, Any], str]:
    """A node that was withdrawn may still ask: only what it sends is refused (PROTOCOL 2)."""
    try:
        node, statement = jws.read_statement(raw.decode("ascii"), typ=typ)
    except (UnicodeDecodeError, Refusal):
        raise Refusal(RefusalKind.SIGN_IN, "sync.node") from None
    record = state.read(session, f"key:{node}")
    if record is None or record["use"] != "node":
        raise Refusal(RefusalKind.SIGN_IN, "sync.node")
    if not jws.verify_statement(raw.decode("ascii"), unb64(record["public"])):
        raise Refusal(RefusalKind.SIGN_IN, "sync.node")
    return node, statement, str(record["member"])
