"""A hub's ledger for the tests of this room: leaves appended, a key, a guard that remembers."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

from chain.note import SigningKey
from consortium.kernel.database import Database
from consortium.ledger import journal
from consortium.ledger.keys import LogKey

START_MS = 1_767_000_000_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = "hub.example/ledger"


class SeedSigner:
    """An Ed25519 key in memory (`consortium.ports.Signer`)."""

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey("in memory".replace(" ", "-"), seed)
        self.key_id = self._key.verifier.key_id.hex()
        self.public = self._key.verifier.public

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def log_key(seed: bytes = b"\x01" * 32, origin: str = ORIGIN) -> LogKey:
    return LogKey(origin, SeedSigner(seed))


class Memory:
    """A guard that keeps in memory what a file would keep on disk."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, bytes]] = []

    def checkpoint(self, size: int, root: bytes) -> None:
        self.kept.append((size, root))


def jws(number: int) -> bytes:
    parts = (b'{"alg":"Ed25519"}', b'{"n":%d}' % number, sha256(b"%d" % number).digest() * 2)
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)


def new_leaf(number: int, *, time_ms: int, verdict: str = "ok") -> journal.NewLeaf:
    raw = jws(number)
    leaf = journal.make_leaf(time_ms=time_ms, verdict=verdict, jws=raw)
    return journal.NewLeaf(leaf, sha256(raw).digest())


def begin(database: Database) -> None:
    with database.write() as session:
        journal.create(session)


def grow(database: Database, numbers: Iterable[int]) -> range:
    """Append leaves numbered so, in one transaction."""
    with database.write() as session:
        head = journal.lock_head(session)
        time_ms = max(head.last_ms, START_MS) + 1
        new = [new_leaf(number, time_ms=time_ms) for number in numbers]
        return journal.append(session, head, new, time_ms=time_ms)
