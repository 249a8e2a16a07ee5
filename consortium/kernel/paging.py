"""Keyset paging: every list is bounded and goes on from the last row seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

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
