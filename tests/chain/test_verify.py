"""Checking a whole folder: what is wrong is found, and where it begins."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chain import merkle, policy, tiles, verify
from chain.store import Folder
from tests.chain.making import policy_text
from tests.chain.test_log import ENTRIES, HASHES, KEY, POLICY, grown, signed

SIZE = 530


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "log")
    grown(folder, 2, 300, SIZE)
    return folder


def first(folder: Folder, rules: policy.Policy = POLICY) -> verify.Problem:
    """The first problem found."""
    report = verify.check(folder, rules)
    assert not report.holds
    return report.problems[0]


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(bytes(data))


def entry_place(index: int) -> int:
    """Where an entry's first byte stands in its bundle."""
    return len(tiles.encode(ENTRIES[index // 256 * 256 : index])) + 2


def test_a_whole_log_holds(folder: Folder) -> None:
    report = verify.check(folder, POLICY)
    assert report.holds
    assert (report.entries, report.beyond) == (SIZE, 0)
    assert report.trusted is not None
    assert report.trusted.checkpoint.size == SIZE
    # 3 bundles, 3 tiles of level 0, 1 of level 1; older partial files are not counted as needed
    assert report.files >= 7


@pytest.mark.parametrize("index", [0, 7, 255, 256, 511, 512, 529])
def test_a_changed_entry_is_named(folder: Folder, index: int) -> None:
    bundle = list(tiles.bundles_of(SIZE))[index // 256]
    flip(folder.root / bundle.path, entry_place(index))
    found = first(folder)
    assert (found.index, found.path, found.code) == (index, bundle.path, "entry.differs")


@pytest.mark.parametrize("index", [0, 7, 256, 529])
def test_a_changed_length_is_named(folder: Folder, index: int) -> None:
    bundle = list(tiles.bundles_of(SIZE))[index // 256]
    flip(folder.root / bundle.path, entry_place(index) - 1)
    found = first(folder)
    assert (found.index, found.path, found.code) == (index, bundle.path, "entry.format")


@pytest.mark.parametrize("index", [0, 7, 256, 529])
def test_a_changed_tile_is_told_from_a_changed_entry(folder: Folder, index: int) -> None:
    tile = list(tiles.tiles_of(SIZE))[index // 256]
    flip(folder.root / tile.path, index % 256 * 32)
    found = first(folder)
    assert (found.index, found.path, found.code) == (index, tile.path, "tile.differs")


def test_a_changed_hash_above_is_named_with_the_first_entry_under_it(folder: Folder) -> None:
    flip(folder.root / "tile/1/000.p/2", 40)
    found = first(folder)
    assert (found.index, found.path, found.code) == (256, "tile/1/000.p/2", "tile.differs")


def test_older_partial_files_must_fit(folder: Folder) -> None:
    flip(folder.root / "tile/1/000.p/1", 0)
    assert first(folder).path == "tile/1/000.p/1"
    shutil.rmtree(folder.root / "tile/1/000.p")
    assert first(folder).code == "tile.missing"


def test_an_older_partial_bundle_must_fit(folder: Folder) -> None:
    folder.put([(tiles.Bundle(2, 3), tiles.encode(ENTRIES[512:515]))])
    assert verify.check(folder, POLICY).holds
    (folder.root / "tile/entries/002.p/2").write_bytes(tiles.encode([b"x", b"y"]))
    found = first(folder)
    assert (found.code, found.index) == ("partial.differs", 512)


def removed(path: str) -> Callable[[Folder], None]:
    return lambda folder: (folder.root / path).unlink()


def cut(path: str) -> Callable[[Folder], None]:
    def change(folder: Folder) -> None:
        file = folder.root / path
        file.write_bytes(file.read_bytes()[:-1])

    return change


@pytest.mark.parametrize(
    ("change", "code", "index"),
    [
        (removed("tile/entries/001"), "entry.missing", 256),
        (removed("tile/entries/002.p/18"), "entry.missing", 512),
        (removed("tile/0/001"), "tile.missing", 256),
        (removed("tile/0/002.p/18"), "tile.missing", 512),
        (removed("tile/1/000.p/2"), "tile.missing", 0),
        (removed("checkpoint"), "store.missing", None),
        (cut("tile/entries/001"), "entry.format", 511),
        (cut("tile/0/001"), "tile.format", 256),
        (cut("checkpoint"), "note.format", None),
    ],
)
def test_what_is_gone_or_cut_is_named(
    folder: Folder, change: Callable[[Folder], None], code: str, index: int | None
) -> None:
    change(folder)
    found = first(folder)
    assert (found.code, found.index) == (code, index)
    assert found.path in found.sentence or found.path == "checkpoint"


def test_the_full_file_may_stand_for_the_partial_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    writer = grown(folder, 500)
    writer.append(ENTRIES[500:512])
    writer.flush()
    shutil.rmtree(folder.root / "tile/0/001.p")
    shutil.rmtree(folder.root / "tile/entries/001.p")
    report = verify.check(folder, POLICY)
    assert report.holds
    flip(folder.root / "tile/entries/001", entry_place(499))
    found = first(folder)
    assert (found.index, found.path) == (499, "tile/entries/001.p/244")


def test_entries_and_tiles_changed_together_are_found_at_the_level_above(folder: Folder) -> None:
    other = [b"other", *ENTRIES[257:512]]
    (folder.root / "tile/entries/001").write_bytes(tiles.encode(other))
    hashes = [merkle.leaf_hash(entry) for entry in other]
    (folder.root / "tile/0/001").write_bytes(b"".join(hashes))
    found = first(folder)
    assert (found.code, found.index) == ("tile.differs", 256)
    # and when every tile is changed as well, the root that was signed is another
    roots = [merkle.root_after(0, [], row) for row in (HASHES[:256], hashes)]
    (folder.root / "tile/1/000.p/2").write_bytes(b"".join(roots))
    report = verify.check(folder, POLICY)
    assert [one.code for one in report.problems] == ["root.differs"]


def test_a_log_of_another_key_or_without_its_quorum_is_not_looked_at(folder: Folder) -> None:
    witness = "clinic1.example/w+ec5326c0+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
    rules = policy.parse(policy_text(KEY, f"witness W {witness}", "quorum W"))
    assert first(folder, rules).code == "quorum.missing"
    (folder.root / "checkpoint").write_bytes(signed(SIZE).replace(b"530", b"531"))
    assert first(folder).code == "note.signature"


def test_strays_are_named_and_what_comes_after_is_counted(folder: Folder) -> None:
    (folder.root / "tile/0/.new-003").write_bytes(b"half")
    (folder.root / "tile/0/003").write_bytes(bytes(8192))
    report = verify.check(folder, POLICY)
    assert report.holds
    assert report.beyond == 1
    (folder.root / "tile/0/000.p").mkdir()
    (folder.root / "tile/0/000.p/0").write_bytes(b"")
    assert first(folder).path == "tile/0/000.p/0"


def test_an_empty_log_holds(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    grown(folder, 0)
    assert verify.check(folder, POLICY).holds


def every_byte(folder: Folder, paths: list[str]) -> int:
    """Flip one bit in each byte of these files; each is found, at its index where it has one."""
    tried = 0
    for path in paths:
        whole = (folder.root / path).read_bytes()
        for at in range(len(whole)):
            (folder.root / path).write_bytes(whole)
            flip(folder.root / path, at, at % 8)
            found = first(folder)
            if path == "checkpoint":
                assert found.path == path
            else:
                named = tiles.parse_any(path)
                per = 32 if isinstance(named, tiles.Tile) else 0
                at_hash = at // per if per else len(tiles.decode(whole[:at]))
                level = named.level if isinstance(named, tiles.Tile) else 0
                assert found.path == path
                assert found.index == (named.index * 256 + at_hash) << (8 * level)
            tried += 1
        (folder.root / path).write_bytes(whole)
    return tried


def test_one_bit_flipped_in_any_byte_of_a_small_log_is_found(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    grown(folder, 5)
    tried = every_byte(folder, ["checkpoint", "tile/0/000.p/5", "tile/entries/000.p/5"])
    assert tried > 350


@pytest.mark.slow
def test_one_bit_flipped_in_any_byte_of_a_log_of_two_levels_is_found(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    grown(folder, 258)
    paths = ["checkpoint", "tile/1/000.p/1", "tile/0/001.p/2", "tile/entries/001.p/2"]
    paths += ["tile/0/000", "tile/entries/000"]
    assert every_byte(folder, paths) > 10_000
