"""Tiles: paths and which of them a log has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import merkle, tiles
from chain.errors import FormatError, ProofError
from tests.chain.making import reader
from tests.chain.test_merkle import VECTORS

EXAMPLE = VECTORS["tiles"]


def test_the_example_of_the_specification() -> None:
    found = list(tiles.tiles_of(EXAMPLE["size"]))
    paths = [tile.path for tile in found]
    assert sum(path.startswith("tile/0/") for path in paths) == EXAMPLE["full_level_0"] + 1
    assert [path for path in paths if ".p/" in path] == EXAMPLE["partial"]
    assert sum(tile.level == 1 and tile.width == 256 for tile in found) == EXAMPLE["full_level_1"]


def test_a_large_index_is_spelled_in_groups() -> None:
    assert tiles.Tile(0, EXAMPLE["index"]).path == EXAMPLE["path"]
    assert tiles.parse(EXAMPLE["path"]) == tiles.Tile(0, EXAMPLE["index"])


def test_size_256_has_a_full_tile_and_one_above() -> None:
    assert [tile.path for tile in tiles.tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert list(tiles.tiles_of(0)) == []


@given(st.integers(0, 63), st.integers(0, 2**55), st.integers(1, 256))
def test_paths_read_back(level: int, index: int, width: int) -> None:
    tile = tiles.Tile(level, index, width)
    assert tiles.parse(tile.path) == tile


@given(st.integers(1, 100_000))
def test_a_log_has_its_tiles_and_no_wider_ones(size: int) -> None:
    for tile in tiles.tiles_of(size):
        assert tile.within(size)
        assert tile.coordinates[0] == (tile.level * 8, tile.index * 256)
        assert len(tile.coordinates) == tile.width
        if tile.width < 256:
            assert not tiles.Tile(tile.level, tile.index, tile.width + 1).within(size)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/000/",
        "/tile/0/000",
        "tile/00/000",
        "tile/64/000",
        "tile/0/0",
        "tile/0/1234",
        "tile/0/001/002",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/8/0/000",
        "tile/entries/000",
        "tile/Entries/000",
        "tile/0/٠٠٠",
        "tile/0/../000",
        "tile/0/" + "x001/" * 2000 + "000",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(FormatError):
        tiles.parse(path)


# ---------------------------------------------------------------- bundles


def test_bundles_have_paths_of_their_own() -> None:
    assert tiles.Bundle(1_234_067, 7).path == "tile/entries/x001/x234/067.p/7"
    assert tiles.parse_bundle("tile/entries/000") == tiles.Bundle(0)
    assert tiles.parse_any("tile/entries/001.p/9") == tiles.Bundle(1, 9)
    assert tiles.parse_any("tile/1/001.p/9") == tiles.Tile(1, 1, 9)
    for path in ("tile/entries/000.p/0", "tile/entries/000.p/256", "tile/0/000", "tile/entries/0"):
        with pytest.raises(FormatError):
            tiles.parse_bundle(path)


@pytest.mark.parametrize(
    ("size", "last"),
    [(255, "000.p/255"), (256, "000"), (257, "001.p/1"), (65_535, "255.p/255"), (65_536, "255")],
)
def test_which_bundles_a_log_has(size: int, last: str) -> None:
    bundles = list(tiles.bundles_of(size))
    assert bundles[-1].path == f"tile/entries/{last}"
    assert sum(bundle.width for bundle in bundles) == size
    assert [bundle.start for bundle in bundles] == list(range(0, size, 256))
    assert list(tiles.bundles_of(size, start=size - 1)) == bundles[-1:]
    assert list(tiles.bundles_of(size, start=size)) in ([], bundles[-1:])
    assert all(bundle.within(size) for bundle in bundles)
    assert not tiles.Bundle(bundles[-1].index + 1, 1).within(size)


def test_the_edge_is_the_partial_tiles() -> None:
    for size in (0, 1, 255, 256, 257, 65_535, 65_536, 65_537, EXAMPLE["size"]):
        assert tiles.edge_of(size) == [tile for tile in tiles.tiles_of(size) if tile.width < 256]


def test_a_bundle_is_entries_after_their_lengths() -> None:
    data = tiles.encode([b"", b"ab", b"x" * 65_535])
    assert data[:6] == b"\x00\x00\x00\x02ab"
    assert data[6:8] == b"\xff\xff"
    assert tiles.entries_of(data, 3) == [b"", b"ab", b"x" * 65_535]
    with pytest.raises(FormatError):
        tiles.encode([b"x" * 65_536])


@given(st.lists(st.binary(max_size=20), max_size=9), st.binary(max_size=9))
def test_a_bundle_reads_back_whole_or_not_at_all(entries: list[bytes], more: bytes) -> None:
    data = tiles.encode(entries)
    assert tiles.entries_of(data, len(entries)) == entries
    with pytest.raises(FormatError):
        tiles.entries_of(data, len(entries) + 1)
    assert tiles.decode(data + more)[: len(entries)] == entries
    if more:
        with pytest.raises(FormatError):
            tiles.entries_of(data + more, len(entries))
    for cut in range(len(data)):
        assert tiles.decode(data[:cut]) == entries[: len(tiles.decode(data[:cut]))]


# ---------------------------------------------------------------- reading a tree


HASHES = [merkle.leaf_hash(b"entry %d" % n) for n in range(700)]
NODES = reader(HASHES)


def served(size: int) -> dict[str, bytes]:
    """The hash tiles of the first leaves, by path."""
    return {
        tile.path: b"".join(NODES(*place) for place in tile.coordinates)
        for tile in tiles.tiles_of(size)
    }


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 700])
def test_a_tree_is_read_through_its_tiles(size: int) -> None:
    read = tiles.TileReader(served(size).get, size)
    assert merkle.root(size, read) == merkle.root(size, NODES)
    for index in (0, size // 2, size - 1):
        found = merkle.inclusion_proof(index, size, read)
        assert found == merkle.inclusion_proof(index, size, NODES)


def test_a_partial_tile_may_be_cut_from_the_full_one() -> None:
    kept = served(512) | {"tile/1/000.p/1": served(300)["tile/1/000.p/1"]}
    read = tiles.TileReader(kept.get, 300)
    assert merkle.root(300, read) == merkle.root(300, NODES)
    bundles = {tiles.Bundle(0).path: tiles.encode([b"%d" % n for n in range(256)])}
    read = tiles.TileReader(bundles.get, 200)
    assert read.entries(tiles.Bundle(0, 200)) == [b"%d" % n for n in range(200)]


def test_what_is_not_there_or_not_as_wide_is_refused() -> None:
    read = tiles.TileReader(served(300).get, 700)
    for level, index in ((0, 500), (0, 700), (9, 1), (8, 9)):
        with pytest.raises(ProofError):
            read(level, index)
    with pytest.raises(ProofError):
        read.entries(tiles.Bundle(0))
    with pytest.raises(FormatError):
        tiles.TileReader({"tile/0/000.p/2": bytes(63)}.get, 2)(0, 0)
