"""One-time codes of invitations: 4 letters that name the invitation, 12 that are its secret.

The code itself never travels. Both sides make a key from it, slowly, and prove it by MACs, so that
a code cannot be taken from a link without TLS and used first.
"""

import re
import secrets
from dataclasses import dataclass, field

from consortium.kernel import box
from consortium.kernel.errors import invalid
from consortium.members import statements

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKALIKES = str.maketrans("OIL", "011")
_HANDLE, _SECRET = 4, 12
_SHAPE = re.compile(f"[{_ALPHABET}]{{{_HANDLE + _SECRET}}}")
_SALT_BYTES = 16
_SALT_TAG = b"sharing-chain/code-salt/1\0"


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time code. `handle` may be known to anyone."""

    handle: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The code as it is printed and typed."""
        whole = self.handle + self.secret
        return "-".join(whole[at : at + 4] for at in range(0, len(whole), 4))

    def key(self) -> bytes:
        """The MAC key; costs about 0.1 s, which makes guessing from a MAC hopeless."""
        salt = statements.digest(_SALT_TAG, self.handle.encode())[:_SALT_BYTES]
        return box.stretch(self.secret, salt)


def make() -> Code:
    """A fresh code: 60 secret bits, for ten minutes."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_HANDLE + _SECRET))
    return Code(letters[:_HANDLE], letters[_HANDLE:])


def parse(text: str) -> Code:
    """Read a typed code; case, dashes, spaces and look-alikes do not matter.

    Raises:
        Refusal: `members.code_form`.
    """
    plain = re.sub(r"[\s-]", "", text).upper().translate(_LOOKALIKES)
    if _SHAPE.fullmatch(plain) is None:
        raise invalid("members.code_form")
    return Code(plain[:_HANDLE], plain[_HANDLE:])
