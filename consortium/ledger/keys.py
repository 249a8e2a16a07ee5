"""The log's keys: whoever signs checkpoints under the log's origin (PROTOCOL 2, *log* key).

    log.key        the key that signs
    log-next.key   its successor; while both are there every checkpoint carries both signatures
    log.vkeys      every public key that this log ever had, one vkey a line

A key file is an skey of C2SP in plain, or one line under a passphrase:
`sharing-chain-log-key/1 ORIGIN BASE64`, sealed with argon2id and AES-256-GCM (`kernel.box`), bound
to its origin. A folder of systemd credentials (`CREDENTIALS_DIRECTORY`, systemd.exec(5)) comes
before the node's own, for the keys and for `log.passphrase`.
"""

import base64
import binascii
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from chain.errors import ChainError, KeyFormatError
from chain.note import ED25519, SigningKey, VerifierKey
from consortium.kernel import box
from consortium.kernel.errors import Refusal, RefusalKind, conflict, invalid
from consortium.kernel.system import sync_folder, write_durably
from consortium.ledger.policies import read_policy
from consortium.ports import Signer

LOG_KEY_FILE = "log.key"
NEXT_KEY_FILE = "log-next.key"
VKEYS_FILE = "log.vkeys"
UNLOCK_FILE = "log.passphrase"
_LOCKED = "sharing-chain-log-key/1"

Passphrase = Callable[[], str]
"""Asked only for a key that lies under one."""


class LogKey:
    """A log's origin and the Ed25519 key under it; the private part may live in an HSM.

    Args:
        successor: the key that is to follow; it signs beside this one until this one is retired.

    Raises:
        Refusal: `ledger.key` for an origin or key that cannot be used.
    """

    def __init__(self, origin: str, signer: Signer, *, successor: "LogKey | None" = None) -> None:
        self._signer = signer
        self._successor = successor
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

    @property
    def signers(self) -> tuple["LogKey", ...]:
        """The keys that sign each checkpoint: this one, and during a change its successor."""
        return (self,) if self._successor is None else (self, self._successor)

    def followed_by(self, successor: "LogKey") -> "LogKey":
        """This key with the one that is to take its place."""
        return LogKey(self.origin, self._signer, successor=successor)

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


def make_log_key(path: Path, *, origin: str, passphrase: str = "") -> LogKey:
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
        file.write(_written(key, passphrase))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return LogKey(key.name, _FileSigner(key))


def load_log_key(path: Path, *, passphrase: Passphrase | None = None) -> LogKey:
    """Load a log key from its file.

    Raises:
        Refusal: `ledger.key_file` when it is not there or not a key, `ledger.key_open` when
            others than its owner can read it, `ledger.key_locked` when it lies under a passphrase
            and none is at hand, `ledger.key_passphrase` when that is another one.
    """
    key = _read(path, passphrase)
    return LogKey(key.name, _FileSigner(key))


def load_log_keys(home: Path) -> LogKey:
    """The key that signs, with its successor while there is one. Raises as `load_log_key`."""
    following = _place(home, NEXT_KEY_FILE)
    ask = _passphrase_of(home)
    key = load_log_key(_place(home, LOG_KEY_FILE), passphrase=ask)
    if not following.exists():
        return key
    successor = load_log_key(following, passphrase=ask)
    if successor.origin != key.origin:
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.key_file", name=following.name)
    return key.followed_by(successor)


def lock_log_key(path: Path, *, passphrase: str) -> None:
    """Put a key that lies in plain under a passphrase. Raises as `load_log_key`."""
    write_durably(path, _written(_read(path, None), passphrase))


def add_log_key(home: Path) -> LogKey:
    """Make the successor of the log's key, under the same passphrase if that has one.

    Gives the key with its successor: from the next start on every checkpoint carries both.

    Raises:
        Refusal: as `load_log_key`; `ledger.key_exists` when a change is under way.
    """
    path, ask = _place(home, LOG_KEY_FILE), _passphrase_of(home)
    key = load_log_key(path, passphrase=ask)
    secret = ask() if _is_locked(path) and ask is not None else ""
    made = make_log_key(home / NEXT_KEY_FILE, origin=key.origin, passphrase=secret)
    _remember(home, [key.vkey, made.vkey])
    return key.followed_by(made)


def retire_log_key(home: Path, *, policy: bytes) -> LogKey:
    """End the old key: its successor takes its place, and its private part is gone.

    Args:
        policy: the one in force; members who do not know the new key yet could not check any
            further checkpoint.

    Raises:
        Refusal: as `load_log_key`; `ledger.key_alone` without a successor,
            `ledger.key_unknown` when the policy does not name it.
    """
    keys = load_log_keys(home).signers
    if len(keys) == 1:
        raise conflict("ledger.key_alone")
    if keys[1].verifier not in read_policy(policy).logs:
        raise conflict("ledger.key_unknown")
    _remember(home, [key.vkey for key in keys])
    (home / NEXT_KEY_FILE).replace(home / LOG_KEY_FILE)
    sync_folder(home)
    return load_log_keys(home)


def known_keys(home: Path, *texts: bytes) -> tuple[VerifierKey, ...]:
    """Every key that this log ever had, as far as kept here, and those that policies name.

    Raises:
        Refusal: `ledger.key_file`, `ledger.policy`.
    """
    path = home / VKEYS_FILE
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    try:
        kept = [VerifierKey.parse(line) for line in lines]
    except ChainError:
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.key_file", name=path.name) from None
    named = [key for text in texts for key in read_policy(text).logs]
    return tuple(dict.fromkeys([*kept, *named]))


def _remember(home: Path, vkeys: Sequence[str]) -> None:
    kept = dict.fromkeys([*(key.text for key in known_keys(home)), *vkeys])
    write_durably(home / VKEYS_FILE, "".join(f"{line}\n" for line in kept).encode())


def _place(home: Path, name: str) -> Path:
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    place = Path(given) / name if given else home / name
    return place if place.exists() else home / name


def _passphrase_of(home: Path) -> Passphrase | None:
    path = _place(home, UNLOCK_FILE)
    return (lambda: path.read_text("utf-8").strip()) if path.exists() else None


def _is_locked(path: Path) -> bool:
    return path.read_bytes().startswith(_LOCKED.encode())


def _written(key: SigningKey, passphrase: str) -> bytes:
    if not passphrase:
        return key.text.encode() + b"\n"
    sealed = box.lock(key.seed, passphrase=passphrase, bound=_bound(key.name))
    return f"{_LOCKED} {key.name} {base64.b64encode(sealed).decode()}\n".encode()


def _read(path: Path, passphrase: Passphrase | None) -> SigningKey:
    fault = Refusal(RefusalKind.UNAVAILABLE, "ledger.key_file", name=path.name)
    try:
        # Windows guards the file by its folder's access list, and these bits say nothing there
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Refusal(RefusalKind.UNAVAILABLE, "ledger.key_open", name=path.name)
        text = path.read_bytes().decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise fault from None
    try:
        if not text.startswith(f"{_LOCKED} "):
            return SigningKey.parse(text)
        origin, sealed = text.removeprefix(f"{_LOCKED} ").split(" ")
        data = base64.b64decode(sealed, validate=True)
    except (ChainError, ValueError, binascii.Error):
        raise fault from None
    if passphrase is None:
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.key_locked", name=path.name)
    seed = box.unlock(data, passphrase=passphrase(), bound=_bound(origin))
    if seed is None:
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.key_passphrase", name=path.name)
    return SigningKey(origin, seed)


def _bound(origin: str) -> bytes:
    return f"{_LOCKED}\0{origin}".encode()
