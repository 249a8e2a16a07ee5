"""What an address, a header or a field says, read so that nothing which is sent can break it."""

from typing import Final
from urllib.parse import SplitResult, urlsplit

_DIGITS_MAX: Final = 15


def whole(text: str) -> int:
    """A whole number in plain digits; 0 for anything else."""
    plain = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    return int(text) if plain else 0


def parts(address: str) -> SplitResult:
    """The parts of an address; of what is no address, empty ones."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
