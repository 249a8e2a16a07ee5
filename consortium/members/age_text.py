"""Age recipients as text: Bech32 (BIP 173) of an X25519 public key under the prefix `age`.

Read here because the fold must refuse a bad sealing key by itself, without the age library.
"""

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_PREFIX = "age"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECK_WORDS = 6
_TEXT_CHARS = 62
_P = 2**255 - 19
# any scalar serves: a point of small order gives zero with all of them (RFC 7748, 6.1)
_PROBE = X25519PrivateKey.from_private_bytes(b"\x40" + b"\1" * 31)


def public_of(text: str) -> bytes | None:
    """The 32 bytes of a recipient `age1…`, None unless it is one, canonical and not weak."""
    if len(text) != _TEXT_CHARS or not text.startswith(f"{_PREFIX}1"):
        return None
    words = [_ALPHABET.find(letter) for letter in text[len(_PREFIX) + 1 :]]
    if -1 in words or _checksum([*_expanded(), *words]) != 1:
        return None
    raw = _bytes_of(words[:-_CHECK_WORDS])
    return raw if raw is not None and _sound(raw) else None


def _sound(raw: bytes) -> bool:
    if int.from_bytes(raw, "little") >= _P:
        return False
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(raw))
    except ValueError:
        return False
    return True


def _bytes_of(words: Iterable[int]) -> bytes | None:
    whole, bits = 0, 0
    for word in words:
        whole, bits = whole << 5 | word, bits + 5
    padding = bits % 8
    if whole & ((1 << padding) - 1):
        return None
    return (whole >> padding).to_bytes(bits // 8, "big")


def _expanded() -> list[int]:
    return [*(ord(c) >> 5 for c in _PREFIX), 0, *(ord(c) & 31 for c in _PREFIX)]


def _checksum(values: Iterable[int]) -> int:
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATORS):
            if top >> place & 1:
                state ^= generator
    return state
