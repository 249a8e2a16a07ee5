"""Keyset paging: every list is bounded and goes on from the last row seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from consortium.kernel.errors import invalid
from consortium.kernel.time import from_ms

T = TypeVar("T")
LIMIT_MAX = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows and, when there are more, the key after which the next page begins."""

    rows: Sequence[T]
    after: str | None = None


def bounded(limit: int, *, most: int = LIMIT_MAX) -> int:
    """A page size between 1 and `most`."""
    return max(1, min(limit, most))


def moment_of(text: str) -> datetime:
    """The moment in a key that a page gave, milliseconds since 1970.

    Raises:
        Refusal: `paging.after` for one that no page gave.
    """
    try:
        if text.isascii() and text.isdigit():
            return from_ms(int(text))
    except (ValueError, OverflowError):  # more digits, or years, than there are
        pass
    raise invalid("paging.after")
