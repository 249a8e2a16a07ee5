"""Tiles: grown in any steps they are those of the one tree; bundles hold the leaves as hashed."""

import random
from hashlib import sha256

import pytest

from chain import merkle, tiles
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import publisher, store, tilework
from tests.consortium.ledger.making import NOW, Memory, begin, grow, log_key

EDGES = (1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537)


def _leaves(count: int) -> list[bytes]:
    return [sha256(b"%d" % number).digest() for number in range(count)]


def _grown(
    leaves: list[bytes], stops: list[int]
) -> tuple[dict[int, bytes], dict[tuple[int, int], bytes]]:
    edge: dict[int, bytes] = {}
    held: dict[tuple[int, int], bytes] = {}
    size = 0
    for stop in stops:
        edge, rows = tilework.grow(edge, size, leaves[size:stop])
        held.update(((level, position), hashes) for level, position, hashes in rows)
        size = stop
    return edge, held


@pytest.mark.parametrize("size", EDGES)
def test_tiles_at_the_edges_of_tiles(size: int, rng: random.Random) -> None:
    leaves = _leaves(size)
    stops = sorted({*(rng.randint(1, size) for _ in range(3)), size})
    edge, held = _grown(leaves, stops)
    assert tilework.widths(size) == {level: len(row) // 32 for level, row in edge.items()}
    assert merkle.fold(tilework.subtrees(edge)) == merkle.root_after(0, [], leaves)
    assert {place: len(row) // 32 for place, row in held.items()} == {
        (tile.level, tile.index): tile.width for tile in tiles.tiles_of(size)
    }
    assert _grown(leaves, [size]) == (edge, held)
    for (level, position), row in held.items():
        span = 256**level
        for at in {0, len(row) // 32 - 1}:
            start = (position * 256 + at) * span
            whole = merkle.root_after(0, [], leaves[start : start + span])
            assert row[at * 32 : at * 32 + 32] == whole


def test_every_step_of_a_small_tree() -> None:
    leaves = _leaves(600)
    edge: dict[int, bytes] = {}
    frontier = merkle.Frontier()
    for size, leaf in enumerate(leaves):
        edge, _ = tilework.grow(edge, size, [leaf])
        frontier.extend([leaf])
        assert tilework.subtrees(edge) == frontier.hashes


def test_hashes_between_tile_levels(database: Database) -> None:
    begin(database)
    grow(database, range(700))
    publisher.publish(database, log_key(), Memory(), now=NOW)
    with database.read() as session:
        leaves = [entry.leaf_hash for entry in store.leaves(session, 0, 700)]
        made = merkle.Frontier().extend(leaves)
        assert tilework.hashes(session, [(level, index) for level, index, _ in made]) == {
            (level, index): value for level, index, value in made
        }
        for absent in ((0, 700), (2, 175), (9, 1), (17, 0)):
            with pytest.raises(Refusal) as caught:
                tilework.hashes(session, [absent])
            assert caught.value.code == "ledger.damaged"


def test_bundles_hold_the_published_leaves(database: Database) -> None:
    begin(database)
    grow(database, range(300))
    publisher.publish(database, log_key(), Memory(), now=NOW)
    grow(database, range(300, 310))
    with database.read() as session:
        leaves = [entry.leaf for entry in store.leaves(session, 0, 310)]
        for path, start, width in (
            ("tile/entries/000", 0, 256),
            ("tile/entries/001.p/44", 256, 44),
            ("tile/entries/001.p/7", 256, 7),
        ):
            data, found = tilework.bundle(session, path), []
            while data:
                length = int.from_bytes(data[:2], "big")
                found.append(data[2 : 2 + length])
                data = data[2 + length :]
            assert found == leaves[start : start + width]
        for path in ("tile/entries/001.p/45", "tile/entries/001", "tile/0/000", "tile/entries/1"):
            with pytest.raises(Refusal) as caught:
                tilework.bundle(session, path)
            assert caught.value.code == "ledger.no_tile"
