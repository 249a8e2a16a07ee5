"""Sealing bodies and attachments in the age format (age-encryption.org/v1) to X25519 recipients."""

from collections.abc import Iterable, Sequence

import pyrage
from pyrage import x25519

from consortium.kernel.errors import invalid

MAGIC = b"age-encryption.org/v1\n"
"""How an age file begins (age-encryption.org/v1, header)."""


def seal(plain: bytes, recipients: Iterable[str]) -> bytes:
    """Encrypt to age recipients (`age1…`), each once. Raises ValueError for none."""
    unique = sorted(set(recipients))
    if not unique:
        raise ValueError("sealed to nobody")
    sealed: bytes = pyrage.encrypt(plain, [x25519.Recipient.from_str(one) for one in unique])
    return sealed


def unseal(sealed: bytes, identities: Sequence[str]) -> bytes:
    """Decrypt with whichever identity (`AGE-SECRET-KEY-…`) opens it.

    Raises:
        Refusal: `exchange.sealed_to_others` when none does, or the file is damaged.
    """
    try:
        plain: bytes = pyrage.decrypt(sealed, [x25519.Identity.from_str(one) for one in identities])
    except pyrage.DecryptError:
        raise invalid("exchange.sealed_to_others") from None
    return plain


def new_identity() -> tuple[str, str]:
    """A fresh identity and its recipient."""
    identity = x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def looks_sealed(body: bytes) -> bool:
    """Whether bytes begin as an age file does."""
    return body.startswith(MAGIC)
