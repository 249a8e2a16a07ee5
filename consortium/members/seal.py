"""The seal: a member's legal signature, opened by its passphrase for one act and never longer.

The file holds the key under argon2id and AES-GCM. A clinic keeps it in its folder; the
consortium's leaves the hub at `hub init` and is uploaded to sign (PROTOCOL 2). Wrong passphrases
are counted in a file of their own, not in the database: the transaction of the act that asked for
the signature is undone by the refusal, and the count must not be.
"""

import json
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from consortium.exchange import state
from consortium.kernel import box
from consortium.kernel.errors import Refusal, RefusalKind, forbidden, invalid
from consortium.kernel.system import write_durably
from consortium.kernel.time import from_ms, to_ms
from consortium.members.keys import KeyFolder, SeedSigner
from consortium.members.statements import KEY_BYTES, b64, canonical

TRIES_MAX = 5
PAUSE = timedelta(minutes=15)
PASSPHRASE_MIN = 10
FILE_MAX_BYTES = 4096
_FORMAT = "sharing-chain-seal-1"
_NAME = "seal.json"


@dataclass(frozen=True, slots=True)
class SealSignature:
    """A signature by a seal: which key, and 64 bytes in base64url."""

    key_id: str
    value: str


@dataclass(frozen=True, slots=True)
class SealFile:
    """A seal as it lies in a file; tells nothing without the passphrase."""

    member: str
    public: str
    key_id: str
    box: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The file's content."""
        whole = {"format": _FORMAT, **self._bound, "box": self.box.hex()}
        return json.dumps(whole, indent=1) + "\n"

    @property
    def _bound(self) -> dict[str, str]:
        return {"member": self.member, "public": self.public, "key_id": self.key_id}

    @classmethod
    def make(cls, member: str, passphrase: str) -> tuple["SealFile", SeedSigner]:
        """A new seal, closed, and once open for the signatures of joining.

        Raises:
            Refusal: `members.passphrase_short`.
        """
        if len(passphrase) < PASSPHRASE_MIN:
            raise invalid("members.passphrase_short", least=PASSPHRASE_MIN)
        seed = os.urandom(KEY_BYTES)
        signer = SeedSigner(seed)
        bare = cls(member, signer.text, signer.key_id, b"")
        closed = box.lock(seed, passphrase=passphrase, bound=canonical(bare._bound))
        return cls(member, signer.text, signer.key_id, closed), signer

    @classmethod
    def parse(cls, content: bytes) -> "SealFile":
        """Read a seal file. Raises Refusal `members.seal_file`."""
        damaged = invalid("members.seal_file")
        if len(content) > FILE_MAX_BYTES:
            raise damaged
        try:
            whole = dict(json.loads(content))
            if whole.pop("format") == _FORMAT:
                return cls(**{**whole, "box": bytes.fromhex(whole["box"])})
        except (ValueError, TypeError, KeyError, RecursionError):
            raise damaged from None
        raise damaged

    def open(self, passphrase: str) -> SeedSigner | None:
        """The key, None for a wrong passphrase. Costs about 0.1 s and 64 MiB."""
        seed = box.unlock(self.box, passphrase=passphrase, bound=canonical(self._bound))
        if seed is None or len(seed) != KEY_BYTES:
            return None
        signer = SeedSigner(seed)
        return signer if signer.key_id == self.key_id else None


class Seals:
    """Signs with the seals of this installation, or with one that is uploaded for one act."""

    def __init__(self, home: Path) -> None:
        self._folder = KeyFolder(home).path
        self._lock = threading.Lock()

    def keep(self, file: SealFile) -> None:
        """Put a new seal into the folder; joining does, before the ledger knows any seal."""
        write_durably(self._folder / file.member / _NAME, file.text.encode())

    def held(self, member: str) -> bool:
        """Whether this member's seal lies here; the consortium's does not."""
        return (self._folder / member / _NAME).exists()

    def sign(
        self,
        session: Session,
        member: str,
        passphrase: str,
        message: bytes,
        *,
        now: datetime,
        upload: bytes | None = None,
    ) -> SealSignature:
        """Sign bytes with a member's seal.

        Raises:
            Refusal: `members.seal_absent` without a file, `members.seal_file` for a damaged one,
                `members.seal_other` when it is not the seal that the ledger names,
                `members.seal_wrong` for a wrong passphrase, `members.seal_throttled` for 15
                minutes after five of them.
        """
        signer = self.open(session, member, passphrase, now=now, upload=upload)
        return SealSignature(signer.key_id, b64(signer.sign(message)))

    def open(
        self,
        session: Session,
        member: str,
        passphrase: str,
        *,
        now: datetime,
        upload: bytes | None = None,
    ) -> SeedSigner:
        """The open seal, for one act of several signatures; never kept. Raises as `sign`."""
        file = SealFile.parse(self._content(member, upload))
        known = state.read(session, f"member:{member}")
        if file.member != member or known is None or known["seal"] != file.key_id:
            raise forbidden("members.seal_other")
        with self._lock:
            failed = self._failed(member, now)
            signer = file.open(passphrase)
            if signer is None:
                self._count(member, failed + 1, now)
                raise forbidden("members.seal_wrong", left=max(TRIES_MAX - failed - 1, 0))
            if failed:
                self._count(member, 0, now)
        return signer

    def _content(self, member: str, upload: bytes | None) -> bytes:
        if upload is not None:
            return upload
        try:
            return (self._folder / member / _NAME).read_bytes()
        except OSError:
            raise invalid("members.seal_absent") from None

    def _failed(self, member: str, now: datetime) -> int:
        """Wrong tries so far. Raises Refusal `members.seal_throttled` while the pause lasts."""
        try:
            failed, last_ms = map(int, self._tries(member).read_text(encoding="ascii").split())
        except (OSError, ValueError):
            return 0
        if failed < TRIES_MAX:
            return failed
        last, until = from_ms(last_ms), from_ms(last_ms) + PAUSE
        # a moment ahead of the clock was written by a clock that was wrong: it holds nobody up
        if last <= now < until:
            raise Refusal(RefusalKind.THROTTLED, "members.seal_throttled", until_ms=to_ms(until))
        return 0

    def _count(self, member: str, failed: int, now: datetime) -> None:
        write_durably(self._tries(member), f"{failed} {to_ms(now)}\n".encode())

    def _tries(self, member: str) -> Path:
        return self._folder / member / "seal.tries"
