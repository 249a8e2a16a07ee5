"""Tiles and entry bundles (C2SP tlog-tiles): a tree and its entries in files, 256 in each.

A file of one width never changes. The rightmost file of a level may be partial: 1 to 255 wide, its
width in its path; width 0 is never written or served. What a tree of one size needs as a partial
file may be cut from the full one, which is all that a log has to keep once it is full. Only full
tiles are hashed into the level above.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from chain.encoding import INT_MAX
from chain.errors import FormatError, ProofError
from chain.merkle import HASH_BYTES, Coordinate

HEIGHT = 8
WIDTH = 1 << HEIGHT
LEVEL_MAX = 63
ENTRY_BYTES_MAX = 0xFFFF
BUNDLE_BYTES_MAX = WIDTH * (2 + ENTRY_BYTES_MAX)
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)
Fetch = Callable[[str], bytes | None]
"""Gives the file at a path, None when there is none; may raise what its transport raises."""


def _place(index: int, width: int) -> str:
    """`<N>[.p/<W>]` of a path."""
    groups, rest = f"{index % 1000:03}", index // 1000
    while rest:
        groups, rest = f"x{rest % 1000:03}/{groups}", rest // 1000
    return groups if width == WIDTH else f"{groups}.p/{width}"


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
        return f"tile/{self.level}/{_place(self.index, self.width)}"

    @property
    def full(self) -> "Tile":
        """The same tile when it is 256 wide."""
        return Tile(self.level, self.index)

    @property
    def coordinates(self) -> list[Coordinate]:
        """The complete subtrees whose hashes the tile holds, in order."""
        first = self.index * WIDTH
        return [(self.level * HEIGHT, first + offset) for offset in range(self.width)]

    def within(self, size: int) -> bool:
        """Whether a log of this size has the tile."""
        end = self.index * WIDTH + self.width
        return end << (self.level * HEIGHT) <= size


@dataclass(frozen=True, slots=True)
class Bundle:
    """Entries `index * 256` and on; `width` of them, 1 to 256."""

    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        return f"tile/entries/{_place(self.index, self.width)}"

    @property
    def full(self) -> "Bundle":
        """The same bundle when it is 256 wide."""
        return Bundle(self.index)

    @property
    def start(self) -> int:
        """Index of its first entry."""
        return self.index * WIDTH

    def within(self, size: int) -> bool:
        """Whether a log of this size has the bundle."""
        return self.start + self.width <= size


def parse_any(path: str) -> Tile | Bundle:
    """Read the path of a hash tile or of an entry bundle.

    Raises:
        FormatError: `tile.path`.
    """
    match = _PATH.fullmatch(path)
    fault = FormatError("tile.path", "The path is not that of a tile.")
    if match is None:
        raise fault
    index = int((match[2] + match[3]).replace("x", "").replace("/", ""))
    width = int(match[4] or WIDTH)
    found: Tile | Bundle = (
        Bundle(index, width) if match[1] == "entries" else Tile(int(match[1]), index, width)
    )
    # one path for each file: no leading groups of zeros, no partial tile of full width
    deep = isinstance(found, Tile) and found.level > LEVEL_MAX
    if deep or index > INT_MAX or width > WIDTH or found.path != path:
        raise fault
    return found


def parse(path: str) -> Tile:
    """Read the path of a hash tile.

    Raises:
        FormatError: `tile.path`, also for an entry bundle.
    """
    found = parse_any(path)
    if isinstance(found, Bundle):
        raise FormatError("tile.path", "The path is not that of a tile.")
    return found


def parse_bundle(path: str) -> Bundle:
    """Read the path of an entry bundle.

    Raises:
        FormatError: `tile.path`, also for a hash tile.
    """
    found = parse_any(path)
    if isinstance(found, Tile):
        raise FormatError("tile.path", "The path is not that of an entry bundle.")
    return found


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of a log of this size, full and partial, level by level."""
    level, count = 0, size
    while count:
        for index in range(count // WIDTH):
            yield Tile(level, index)
        if count % WIDTH:
            yield Tile(level, count // WIDTH, count % WIDTH)
        level, count = level + 1, count // WIDTH


def edge_of(size: int) -> list[Tile]:
    """The partial tiles of a log of this size, at most one a level, lowest level first."""
    level, count, found = 0, size, []
    while count:
        if count % WIDTH:
            found.append(Tile(level, count // WIDTH, count % WIDTH))
        level, count = level + 1, count // WIDTH
    return found


def bundles_of(size: int, *, start: int = 0) -> Iterator[Bundle]:
    """Every bundle of a log of this size that holds an entry from `start` on."""
    for index in range(start // WIDTH, size // WIDTH):
        yield Bundle(index)
    if size % WIDTH and start < size:
        yield Bundle(size // WIDTH, size % WIDTH)


# ---------------------------------------------------------------- bytes


def encode(entries: Iterable[bytes]) -> bytes:
    """The bytes of a bundle: each entry after its length in two bytes, big-endian.

    Raises:
        FormatError: `bundle.entry` for an entry of over 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise FormatError("bundle.entry", "An entry is longer than 65,535 bytes.")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def decode(data: bytes) -> list[bytes]:
    """The whole entries at the beginning of a bundle's bytes; a cut one at the end is left out."""
    entries, at, end = [], 0, len(data)
    while at + 2 <= end:
        following = at + 2 + (data[at] << 8 | data[at + 1])
        if following > end:
            break
        entries.append(data[at + 2 : following])
        at = following
    return entries


def entries_of(data: bytes, width: int) -> list[bytes]:
    """The entries of a bundle of this width.

    Raises:
        FormatError: `bundle.format` when the bytes are not exactly so many entries.
    """
    entries = decode(data)
    if len(entries) != width or sum(map(len, entries)) + 2 * width != len(data):
        raise FormatError("bundle.format", "An entry bundle does not hold what its path says.")
    return entries


def hashes_of(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile of this width.

    Raises:
        FormatError: `tile.format` when it is not so many times 32 bytes.
    """
    if len(data) != width * HASH_BYTES:
        raise FormatError("tile.format", "A tile is not as long as its path says.")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """Root of a row of hashes whose number is a power of two, such as a full tile."""
    row = hashes
    while len(row) > 1:
        row = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(row[::2], row[1::2], strict=True)
        ]
    return row[0]


# ---------------------------------------------------------------- reading


class TileReader:
    """The tree of a log of `size` entries behind its tiles, with the last tiles kept at hand.

    Nothing is authenticated here: whoever reads a proof out of tiles verifies the proof.
    """

    def __init__(self, fetch: Fetch, size: int, *, keep: int = 1024) -> None:
        self.size = size
        self._fetch = fetch
        self._tile = lru_cache(maxsize=keep)(self._load)

    def tile(self, level: int, index: int) -> list[bytes]:
        """Hashes of one tile as wide as the size makes it; a partial one may be cut from a full.

        Raises:
            ProofError: `tile.missing` when it is not there, or the tree has no such tile.
            FormatError: `tile.format`.
        """
        return self._tile(level, index)

    def _load(self, level: int, index: int) -> list[bytes]:
        width = min(WIDTH, (self.size >> (level * HEIGHT)) - index * WIDTH)
        if width > 0:
            tile = Tile(level, index, width)
            data = self._fetch(tile.path)
            if data is not None:
                return hashes_of(data, width)
            data = None if width == WIDTH else self._fetch(tile.full.path)
            if data is not None:
                return hashes_of(data, WIDTH)[:width]
        raise ProofError("tile.missing", f"Tile {index} of level {level} is not there.")

    def __call__(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree: a `merkle.HashReader`. Raises as `tile`."""
        above, rest = divmod(level, HEIGHT)
        first = index << rest
        hashes = self.tile(above, first // WIDTH)
        at = first % WIDTH
        row = hashes[at : at + (1 << rest)]
        if len(row) != 1 << rest:
            raise ProofError("tile.missing", "A tile is not as wide as the tree needs.")
        return subtree_root(row)

    def entries(self, bundle: Bundle) -> list[bytes]:
        """The entries of a bundle; a partial one may be cut from the full.

        Raises:
            ProofError: `tile.missing`.
            FormatError: `bundle.format`.
        """
        data = self._fetch(bundle.path)
        if data is not None:
            return entries_of(data, bundle.width)
        data = None if bundle.width == WIDTH else self._fetch(bundle.full.path)
        if data is None:
            raise ProofError("tile.missing", f"The entries from {bundle.start} on are not there.")
        return entries_of(data, WIDTH)[: bundle.width]
