"""Tiles (C2SP tlog-tiles): the hashes of a tree in files of at most 256, by path."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chain.encoding import INT_MAX
from chain.errors import FormatError
from chain.merkle import Coordinate

HEIGHT = 8
WIDTH = 1 << HEIGHT
LEVEL_MAX = 63
_PATH = re.compile(
    r"tile/(0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile (C2SP tlog-tiles, "Merkle Tree"): `width` hashes, 1 to 256, side by side.

    The first is hash `index * 256` of tree level `level * 8`.
    """

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        last = f"{self.index % 1000:03}"
        rest, groups = self.index // 1000, ""
        while rest:
            groups = f"x{rest % 1000:03}/{groups}"
            rest //= 1000
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{groups}{last}{partial}"

    @property
    def coordinates(self) -> list[Coordinate]:
        """The complete subtrees whose hashes the tile holds, in order."""
        first = self.index * WIDTH
        return [(self.level * HEIGHT, first + offset) for offset in range(self.width)]

    def within(self, size: int) -> bool:
        """Whether a log of this size has the tile."""
        end = self.index * WIDTH + self.width
        return end << (self.level * HEIGHT) <= size


def parse(path: str) -> Tile:
    """Read the path of a hash tile.

    Raises:
        FormatError: `tile.path`.
    """
    match = _PATH.fullmatch(path)
    fault = FormatError("tile.path", "The path is not that of a tile.")
    if match is None:
        raise fault
    index = int((match[2] + match[3]).replace("x", "").replace("/", ""))
    tile = Tile(int(match[1]), index, int(match[4] or WIDTH))
    # one path for each tile: no leading groups of zeros, no partial tile of full width
    if tile.level > LEVEL_MAX or index > INT_MAX or tile.path != path:
        raise fault
    return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of a log of this size, full and partial, level by level."""
    level, count = 0, size
    while count:
        for index in range(count // WIDTH):
            yield Tile(level, index)
        if count % WIDTH:
            yield Tile(level, count // WIDTH, count % WIDTH)
        level, count = level + 1, count // WIDTH
