"""Hash tiles: the tree as rows of 256 hashes, grown in bulk and read a few rows at a time.

A tile of level L holds hashes of the tree's level 8 L (C2SP tlog-tiles): whatever lies between two
tile levels is hashed again when it is read, at most 255 hashes for each tile.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from sqlalchemy.orm import Session

from chain import tiles
from chain.errors import ChainError
from chain.merkle import HASH_BYTES, Coordinate, HashReader
from consortium.kernel.errors import missing
from consortium.ledger import store
from consortium.ledger.store import Place, TileHashes, damaged

TILE_BYTES = tiles.WIDTH * HASH_BYTES
_ENTRIES = "tile/entries/"
_PAIR_BYTES = 2 * HASH_BYTES

Edge = Mapping[int, bytes]
"""The partial tiles at the right edge of a tree, by level; none where a level ends with a tile."""


def widths(size: int) -> dict[int, int]:
    """How many hashes the partial tile of each level has in a tree of this size, 1 to 255."""
    found, level = {}, 0
    while size:
        if width := size % tiles.WIDTH:
            found[level] = width
        size, level = size // tiles.WIDTH, level + 1
    return found


def edge(session: Session, size: int) -> dict[int, bytes]:
    """The right edge of the published tree.

    Raises:
        Refusal: `ledger.damaged` when a tile of it is absent or not as long as the size says.
    """
    places = {(level, size >> 8 * (level + 1)): width for level, width in widths(size).items()}
    found = store.tiles(session, places)
    for place, width in places.items():
        if len(found.get(place, b"")) != width * HASH_BYTES:
            raise damaged("tile", level=place[0], index=place[1])
    return {level: hashes for (level, _), hashes in found.items()}


def subtrees(edge: Edge) -> tuple[bytes, ...]:
    """Hashes of the complete subtrees that a tree with this edge is made of, largest first."""
    found = []
    for level in sorted(edge, reverse=True):
        rows, width = pyramid(edge[level]), len(edge[level]) // HASH_BYTES
        at = 0
        for height in range(tiles.HEIGHT - 1, -1, -1):
            if width >> height & 1:
                found.append(_nth(rows[height], at >> height))
                at += 1 << height
    return tuple(found)


def grow(
    edge: Edge, size: int, fresh: Sequence[bytes]
) -> tuple[dict[int, bytes], list[TileHashes]]:
    """Append leaf hashes to a tree of this size: its new edge, and the tiles that this changes."""
    after, rows = dict(edge), []
    level, added = 0, b"".join(fresh)
    while added:
        whole, position, roots = after.pop(level, b"") + added, size >> 8 * (level + 1), []
        for start in range(0, len(whole), TILE_BYTES):
            hashes = whole[start : start + TILE_BYTES]
            rows.append((level, position + start // TILE_BYTES, hashes))
            if len(hashes) == TILE_BYTES:
                roots.append(_root(hashes))
            else:
                after[level] = hashes
        level, added = level + 1, b"".join(roots)
    return after, rows


def _root(hashes: bytes) -> bytes:
    while len(hashes) > HASH_BYTES:
        hashes = _paired(hashes)
    return hashes


def _paired(hashes: bytes) -> bytes:
    sha256 = hashlib.sha256
    return b"".join(
        [
            sha256(b"\x01" + hashes[at : at + _PAIR_BYTES]).digest()
            for at in range(0, len(hashes) - HASH_BYTES, _PAIR_BYTES)
        ]
    )


@lru_cache(maxsize=16)
def pyramid(hashes: bytes) -> Sequence[bytes]:
    """Level by level, the hashes of the complete subtrees over a tile's hashes, the tile first.

    The tiles at the right edge and near the top are in every proof, so the last few are kept.
    """
    rows = [hashes]
    while len(hashes) >= _PAIR_BYTES:
        hashes = _paired(hashes)
        rows.append(hashes)
    return rows


def hashes(session: Session, wanted: Iterable[Coordinate]) -> dict[Coordinate, bytes]:
    """Hashes of complete subtrees of the published tree, leaves among them.

    Raises:
        Refusal: `ledger.damaged` when a tile does not hold one.
    """
    coordinates = sorted(set(wanted))
    rows = store.tiles(session, (_place(*one)[0] for one in coordinates))
    known: dict[Place, Sequence[bytes]] = {}
    found: dict[Coordinate, bytes] = {}
    for level, index in coordinates:
        place, offset = _place(level, index)
        if place not in known:
            known[place] = pyramid(rows.get(place, b""))
        height = level % tiles.HEIGHT
        value = _nth(known[place][height], offset) if height < len(known[place]) else b""
        if len(value) != HASH_BYTES:
            raise damaged("tile", level=place[0], index=place[1])
        found[level, index] = value
    return found


def reader(session: Session, wanted: Iterable[Coordinate]) -> HashReader:
    """A reader of hashes that were fetched at once. Raises as `hashes`."""
    found = hashes(session, wanted)
    return lambda level, index: found[level, index]


def tile(session: Session, path: str) -> bytes:
    """The hash tile at `tile/<L>/<N>[.p/<W>]` of the published tree, cut to the width asked for.

    Raises:
        Refusal: `ledger.no_tile` for a malformed path or a tile that the tree does not have,
            `ledger.damaged` when the database lacks it.
    """
    last = store.newest(session)
    wanted = _parsed(path)
    if last is None or not wanted.within(last.size):
        raise missing("ledger.no_tile")
    place = (wanted.level, wanted.index)
    found = store.tiles(session, [place]).get(place, b"")[: wanted.width * HASH_BYTES]
    if len(found) != wanted.width * HASH_BYTES:
        raise damaged("tile", level=wanted.level, index=wanted.index)
    return found


def bundle(session: Session, path: str) -> bytes:
    """The entry bundle at `tile/entries/<N>[.p/<W>]`: each leaf behind its length in two bytes.

    Bundles hold who wrote to whom: they are for mirrors and whoever exports, never for everybody
    (PROTOCOL 5).

    Raises:
        Refusal: as `tile`.
    """
    if not path.startswith(_ENTRIES):
        raise missing("ledger.no_tile")
    last = store.newest(session)
    wanted = _parsed(f"tile/0/{path.removeprefix(_ENTRIES)}")
    if last is None or not wanted.within(last.size):
        raise missing("ledger.no_tile")
    start = wanted.index * tiles.WIDTH
    leaves = [one.leaf for one in store.leaves(session, start, wanted.width)]
    if len(leaves) != wanted.width:
        raise damaged("index", index=start)
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def _parsed(path: str) -> tiles.Tile:
    try:
        return tiles.parse(path)
    except ChainError as fault:
        raise missing("ledger.no_tile") from fault


def _place(level: int, index: int) -> tuple[Place, int]:
    """The tile that a subtree's hash is made from, and which of its height it is there."""
    tile_level, height = divmod(level, tiles.HEIGHT)
    per_tile = tiles.WIDTH >> height
    return (tile_level, index // per_tile), index % per_tile


def _nth(row: bytes, index: int) -> bytes:
    return row[index * HASH_BYTES : (index + 1) * HASH_BYTES]
