"""Writing a log into a folder: its files, and every fault of the disk."""

from itertools import count
from pathlib import Path

import pytest

from chain import checkpoint, log, merkle, policy, tiles, verify
from chain.errors import ChainError, FormatError, ProofError
from chain.log import LogWriter
from chain.note import SigningKey
from chain.store import Disk, Folder, StoreError
from tests.chain.faults import FailingDisk, Fault, KilledError
from tests.chain.making import policy_text

KEY = SigningKey("hub.example/ledger", b"\x01" * 32)
POLICY = policy.parse(policy_text(KEY, "quorum none"))
ENTRIES = [b"entry %d" % n for n in range(1100)]
HASHES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def signed(size: int, *, key: SigningKey = KEY) -> bytes:
    """The checkpoint over the first entries, its root by a path of its own."""
    root = merkle.root_after(0, [], HASHES[:size])
    return checkpoint.sign(checkpoint.Checkpoint(key.name, size, root), [key])


def grown(folder: Folder, *sizes: int) -> LogWriter:
    """A log that has published each of these sizes."""
    writer = LogWriter.open(folder)
    for size in sizes:
        writer.append(ENTRIES[writer.size : size])
        writer.publish(signed(size))
    return writer


def files(root: Path) -> set[str]:
    return {one.relative_to(root).as_posix() for one in root.rglob("*") if one.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "log", disk=Disk())


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700])
def test_a_log_has_the_files_of_its_size_and_no_others(folder: Folder, size: int) -> None:
    grown(folder, size)
    bundles = {bundle.path for bundle in tiles.bundles_of(size)}
    hashes = {tile.path for tile in tiles.tiles_of(size)}
    assert files(folder.root) == {"checkpoint", *bundles, *hashes}
    read = tiles.TileReader(folder.read, size)
    assert merkle.root(size, read) == merkle.root_after(0, [], HASHES[:size])
    held = [entry for bundle in tiles.bundles_of(size) for entry in read.entries(bundle)]
    assert held == ENTRIES[:size]
    assert verify.check(folder, POLICY).holds


def test_it_goes_on_where_it_was(folder: Folder) -> None:
    sizes = (1, 2, 255, 256, 257, 511, 512, 900)
    for size in sizes:
        grown(folder, size)
        assert verify.check(folder, POLICY).holds
    # partial files of every published size stay until the full one is there
    assert folder.widths(tiles.Tile(0, 3)) == [900 - 768]
    assert folder.widths(tiles.Bundle(0)) == [256]
    assert folder.widths(tiles.Tile(1, 0)) == [3, 2, 1]


def test_a_smaller_size_is_published_from_more_entries(folder: Folder) -> None:
    writer = LogWriter.open(folder)
    writer.append(ENTRIES[:700])
    for size in (3, 200, 300, 512, 690):
        writer.publish(signed(size))
        assert verify.check(folder, POLICY).holds
    again = LogWriter.open(folder, unsigned=True)
    assert again.size == 690
    writer.keep_tail()
    assert LogWriter.open(folder, unsigned=True).size == 700
    assert LogWriter.open(folder).size == 690


def test_what_does_not_extend_the_log_is_not_published(folder: Folder) -> None:
    writer = grown(folder, 300)
    other = checkpoint.Checkpoint(KEY.name, 300, HASHES[0])
    cases = {
        signed(299): "log.smaller",
        checkpoint.sign(other, [KEY]): "log.smaller",
        signed(301): "log.short",
        signed(300, key=SigningKey("other.example", b"\x05" * 32)): "log.smaller",
    }
    writer.append(ENTRIES[300:301])
    cases.pop(signed(301))
    cases[signed(302)] = "log.short"
    wrong = checkpoint.Checkpoint(KEY.name, 301, HASHES[0])
    cases[checkpoint.sign(wrong, [KEY])] = "log.root"
    for data, code in cases.items():
        with pytest.raises(ChainError) as fault:
            writer.publish(data)
        assert fault.value.code == code
    assert log.kept(folder) is not None
    assert folder.read("checkpoint") == signed(300)


def test_a_file_is_never_written_again_with_other_bytes(folder: Folder) -> None:
    grown(folder, 300)
    with pytest.raises(StoreError) as fault:
        folder.put([(tiles.Bundle(0), b"other")])
    assert (fault.value.code, fault.value.path) == ("store.conflict", "tile/entries/000")
    (folder.root / "checkpoint").unlink()
    crossed = LogWriter.open(folder)
    crossed.append([b"other", *ENTRIES[1:256]])
    with pytest.raises(StoreError):
        crossed.flush()


def test_an_entry_too_long_stops_there(folder: Folder) -> None:
    writer = LogWriter.open(folder)
    with pytest.raises(FormatError):
        writer.append([b"a", b"x" * 65_536, b"b"])
    assert writer.size == 1


def test_tiles_that_do_not_lead_to_the_checkpoint_are_not_gone_on_with(folder: Folder) -> None:
    grown(folder, 300)
    (folder.root / "checkpoint").write_bytes(signed(301))
    with pytest.raises(ProofError):
        LogWriter.open(folder)
    (folder.root / "checkpoint").write_bytes(
        checkpoint.sign(checkpoint.Checkpoint(KEY.name, 300, HASHES[0]), [KEY])
    )
    with pytest.raises(ProofError) as fault:
        LogWriter.open(folder)
    assert fault.value.code == "log.root"


def test_what_goes_on_from_other_entries_is_not_taken_up(folder: Folder) -> None:
    writer = grown(folder, 300)
    writer.append(ENTRIES[300:400])
    writer.keep_tail()
    assert LogWriter.open(folder, unsigned=True).size == 400
    bundle = folder.root / tiles.Bundle(1, 144).path
    bundle.write_bytes(tiles.encode([b"other", *ENTRIES[257:400]]))
    with pytest.raises(ProofError):
        LogWriter.open(folder, unsigned=True)


def test_nothing_outside_the_layout_is_read(folder: Folder) -> None:
    grown(folder, 3)
    for path in ("../secret", "tile/0/000/../../../checkpoint", "policy", "", "tile/0/000.p/0"):
        with pytest.raises(FormatError):
            folder.read(path)
    (folder.root / "tile/0/000.p/3").write_bytes(bytes(8193))
    with pytest.raises(StoreError):
        folder.read("tile/0/000.p/3")


# ---------------------------------------------------------------- faults


def run(folder: Folder, sizes: tuple[int, ...]) -> None:
    """One process: open, then publish each size that is not published yet."""
    writer = LogWriter.open(folder)
    for size in sizes:
        if size > (writer.signed.size if writer.signed else 0):
            writer.append(ENTRIES[writer.size : size])
            writer.publish(signed(size))


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_any_step_breaks_nothing(tmp_path: Path, fault: Fault) -> None:
    sizes = (3, 257, 259)
    at = -1
    for at in count():
        root = tmp_path / f"{at}"
        disk = FailingDisk(at, fault)
        try:
            run(Folder(root, disk=disk), sizes)
        except (OSError, KilledError):
            pass
        else:
            assert disk.steps <= at
            break
        after = Folder(root, disk=FailingDisk(-1, fault))
        held = log.kept(after)
        if held is not None:
            assert held[0] in [signed(size) for size in sizes]
            assert verify.check(after, POLICY).holds
        run(after, sizes)
        assert after.read("checkpoint") == signed(259)
        report = verify.check(after, POLICY)
        assert report.holds
        assert report.entries == 259
    assert at > 40
