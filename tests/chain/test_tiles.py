"""Tiles: paths and which of them a log has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import tiles
from chain.errors import FormatError
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
        "tile/0/٠٠٠",
        "tile/0/../000",
        "tile/0/" + "x001/" * 2000 + "000",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(FormatError):
        tiles.parse(path)
