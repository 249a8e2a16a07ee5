"""The drawing of an inclusion proof: the last levels of the tree, the way up, what was given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

LEVELS_MAX: Final = 4
_WIDTH, _ROOT_X, _ROOT_Y = 508, 254, 40
_TOP_Y, _STEP_Y = 80, 40

Kind = Literal["", "own", "given"]
"""own: computed on this machine; given: brought by the receipt; "": neither."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the SVG needs. Coordinates are of a box of 508 by 236."""

    index: int
    size: int
    levels: int
    leaf_x: float
    edges: Sequence[tuple[str, bool]]
    nodes: Sequence[tuple[float, float, Kind]]


def draw(*, index: int, size: int, steps: int) -> Drawing:
    """The bottom of the tree round an entry: as many levels as the proof has, at most four."""
    levels = min(steps, LEVELS_MAX)
    place = index % (1 << levels)
    return Drawing(
        index=index,
        size=size,
        levels=levels,
        leaf_x=_x(levels, 0, place),
        edges=list(_edges(levels, place)),
        nodes=list(_nodes(levels, place)),
    )


def _x(levels: int, level: int, place: int) -> float:
    across = 1 << (levels - level)
    return round(_WIDTH * (2 * place + 1) / (2 * across), 1)


def _y(levels: int, level: int) -> float:
    return _TOP_Y + _STEP_Y * (levels - 1 - level)


def _nodes(levels: int, own: int) -> Iterator[tuple[float, float, Kind]]:
    for level in range(levels):
        for place in range(1 << (levels - level)):
            kind: Kind = ""
            if place == own >> level:
                kind = "own"
            elif place == (own >> level) ^ 1:
                kind = "given"
            yield _x(levels, level, place), _y(levels, level), kind


def _edges(levels: int, own: int) -> Iterator[tuple[str, bool]]:
    for level in range(levels):
        for place in range(1 << (levels - level)):
            x, y = _x(levels, level, place), _y(levels, level) - 5
            top = level == levels - 1
            up_x = _ROOT_X if top else _x(levels, level + 1, place >> 1)
            up_y = _ROOT_Y if top else _y(levels, level + 1) + 5
            middle = (y + up_y) / 2
            yield f"M{x} {y}V{middle}H{up_x}V{up_y}", place == own >> level
