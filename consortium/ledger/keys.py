"""The log's key: whoever signs checkpoints under the log's origin (PROTOCOL 2, *log* key)."""

import os
import stat
from pathlib import Path

from chain.errors import ChainError, KeyFormatError
from chain.note import ED25519, SigningKey, VerifierKey
from consortium.kernel.errors import Refusal, RefusalKind, conflict, invalid
from consortium.kernel.system import sync_folder
from consortium.ports import Signer


class LogKey:
    """A log's origin and the Ed25519 key under it; the private part may live in an HSM.

    Raises:
        Refusal: `ledger.key` for an origin or key that cannot be used.
    """

    def __init__(self, origin: str, signer: Signer) -> None:
        self._signer = signer
        try:
            self.verifier = VerifierKey(origin, ED25519, signer.public)
        except KeyFormatError as fault:
            raise invalid("ledger.key", reason=fault.code) from fault

    @property
    def origin(self) -> str:
        return self.verifier.name

    @property
    def vkey(self) -> str:
        """The public key as C2SP writes it: pinned at joining, the fingerprint of the log."""
        return self.verifier.text

    def sign(self, message: bytes) -> bytes:
        """Sign the text of a checkpoint."""
        return self._signer.sign(message)


class _FileSigner:
    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @property
    def key_id(self) -> str:
        return self._key.verifier.key_id.hex()

    @property
    def public(self) -> bytes:
        return self._key.verifier.public

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def make_log_key(path: Path, *, origin: str) -> LogKey:
    """Make a log key in a new file that only its owner can read.

    Raises:
        Refusal: `ledger.key_exists`; `ledger.key` for a bad origin.
    """
    try:
        key = SigningKey.make(origin)
    except KeyFormatError as fault:
        raise invalid("ledger.key", reason=fault.code) from fault
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise conflict("ledger.key_exists", name=path.name) from None
    with os.fdopen(handle, "wb") as file:
        file.write(key.text.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return LogKey(key.name, _FileSigner(key))


def load_log_key(path: Path) -> LogKey:
    """Load the log key from its file.

    Raises:
        Refusal: `ledger.key_file` when it is not there or not a key, `ledger.key_open` when
            others than its owner can read it.
    """
    try:
        # Windows guards the file by its folder's access list, and these bits say nothing there
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Refusal(RefusalKind.UNAVAILABLE, "ledger.key_open", name=path.name)
        text = path.read_bytes().decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.key_file", name=path.name) from None
    try:
        key = SigningKey.parse(text)
    except ChainError:
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.key_file", name=path.name) from None
    return LogKey(key.name, _FileSigner(key))
