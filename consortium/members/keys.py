"""Key files of an installation: `keys/MEMBER/` in its folder, readable by its owner only.

Node, sealing and witness key open unattended; the seal is `members.seal`'s and opens only under
its passphrase (PROTOCOL 2).
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyrage import IdentityError, x25519

from consortium.kernel.errors import Refusal, RefusalKind, conflict
from consortium.kernel.system import sync_folder
from consortium.members.statements import KEY_BYTES, b64, kid_of, unb64

_NODE = "node.key"
_SEALING = "sealing.key"
_WITNESS = "witness.key"
_MARK = "sharing-chain-ed25519-seed "


class SeedSigner:
    """Signs with an Ed25519 seed held in memory."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.key_id = kid_of(self.public)

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    @property
    def text(self) -> str:
        """The public key as base64url."""
        return b64(self.public)


@dataclass(frozen=True, slots=True)
class Age:
    """An age identity, a secret, and its recipient."""

    identity: str = field(repr=False)
    recipient: str

    @classmethod
    def make(cls) -> "Age":
        fresh = x25519.Identity.generate()
        return cls(str(fresh), str(fresh.to_public()))

    @classmethod
    def parse(cls, text: str) -> "Age":
        """Read `AGE-SECRET-KEY-1…`. Raises ValueError."""
        try:
            known = x25519.Identity.from_str(text)
        except IdentityError as fault:
            raise ValueError("not an age identity") from fault
        return cls(text, str(known.to_public()))


class KeyFolder:
    """The key files of every member that lives in one installation."""

    def __init__(self, home: Path) -> None:
        self.path = home / "keys"

    def members(self) -> list[str]:
        """Members that have a node key here, by name."""
        return sorted(one.parent.name for one in self.path.glob(f"*/{_NODE}"))

    def make(self, member: str) -> tuple[SeedSigner, Age]:
        """Make node key and sealing key of a member, or give those that an earlier try made."""
        if not (self.path / member / _SEALING).exists():
            write_new(self.path / member / _SEALING, Age.make().identity + "\n")
        if not (self.path / member / _NODE).exists():
            write_new(self.path / member / _NODE, f"{_MARK}{b64(os.urandom(KEY_BYTES))}\n")
        return self.node(member), self.sealing(member)

    def make_witness(self, member: str) -> SeedSigner:
        """Make the key that cosigns checkpoints, or give the one that an earlier try made."""
        if not (self.path / member / _WITNESS).exists():
            write_new(self.path / member / _WITNESS, f"{_MARK}{b64(os.urandom(KEY_BYTES))}\n")
        return self._seeded(member, _WITNESS)

    def witness(self, member: str) -> SeedSigner | None:
        """The key that cosigns checkpoints; None for a member of the hub. Raises as `node`."""
        if not (self.path / member / _WITNESS).exists():
            return None
        return self._seeded(member, _WITNESS)

    def node(self, member: str) -> SeedSigner:
        """The node key.

        Raises:
            Refusal: `members.key_file` when the file is absent or damaged.
        """
        return self._seeded(member, _NODE)

    def sealing(self, member: str) -> Age:
        """The key that opens bodies. Raises as `node`."""
        try:
            return Age.parse(self._read(member, _SEALING))
        except ValueError:
            raise _damaged(member, _SEALING) from None

    def _seeded(self, member: str, name: str) -> SeedSigner:
        text = self._read(member, name)
        seed = unb64(text.removeprefix(_MARK), KEY_BYTES) if text.startswith(_MARK) else None
        if seed is None:
            raise _damaged(member, name)
        return SeedSigner(seed)

    def _read(self, member: str, name: str) -> str:
        try:
            return (self.path / member / name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise _damaged(member, name) from None


def write_new(path: Path, text: str) -> None:
    """Write a secret file that must not exist yet: whole, on disk, for its owner only.

    Raises:
        Refusal: `members.key_exists` when it does.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise conflict("members.key_exists", name=path.name) from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def _damaged(member: str, name: str) -> Refusal:
    return Refusal(RefusalKind.UNAVAILABLE, "members.key_file", member=member, name=name)
