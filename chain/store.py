"""A log as a folder in the layout of C2SP tlog-tiles, written so that a power cut breaks nothing.

    checkpoint   tile/<L>/<N>[.p/<W>]   tile/entries/<N>[.p/<W>]

A file comes into being whole: written under another name, fsynced, renamed, and its folder fsynced.
A tile or bundle is never written again with other bytes. The checkpoint, which alone changes, is
written last, so whatever a crash leaves beyond it is unsigned and is found, or made, again.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from chain import tiles
from chain.errors import ChainError, FormatError
from chain.merkle import HASH_BYTES
from chain.note import NOTE_BYTES_MAX
from chain.tiles import Bundle, Tile

CHECKPOINT = "checkpoint"
CHECKPOINT_BYTES_MAX = NOTE_BYTES_MAX
_FRESH = ".new-"
_STRAYS_MAX = 100
_WIDTH = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)


class StoreError(ChainError):
    """A folder that does not hold what a log must hold; `path` is within the folder."""

    def __init__(self, code: str, sentence: str, path: str) -> None:
        super().__init__(code, sentence)
        self.path = path


class Disk:
    """What a folder asks of the system, one call each; the tests put one that fails in its place.

    Every method raises OSError.
    """

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file and fsync it."""
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            self.sync(file.fileno())

    def sync(self, handle: int) -> None:
        """Outlast a power cut."""
        os.fsync(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its name in one step."""
        old.replace(new)

    def sync_folder(self, folder: Path) -> None:
        """Make names in a folder outlast a power cut; Windows keeps its renames in order itself."""
        if sys.platform == "win32":
            return
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(handle)
        finally:
            os.close(handle)

    def make_folder(self, folder: Path) -> None:
        """Make one folder, whose parent is there."""
        folder.mkdir(exist_ok=True)

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder that is empty."""
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


class Folder:
    """One log in one folder. One process writes at a time; any number may read meanwhile."""

    def __init__(self, root: Path, *, disk: Disk | None = None) -> None:
        self.root = root
        self._disk = disk or Disk()
        self._durable: set[Path] = set()

    # ------------------------------------------------------------ reading

    def read(self, path: str) -> bytes | None:
        """The file at a path of the layout, None when there is none: a `tiles.Fetch`.

        Raises:
            StoreError: `store.size` when it is longer than any such file.
            FormatError: `tile.path` when the layout has no such path.
            OSError: when the disk cannot give it.
        """
        limit = CHECKPOINT_BYTES_MAX
        if path != CHECKPOINT:
            named = tiles.parse_any(path)
            entries = isinstance(named, Bundle)
            limit = tiles.BUNDLE_BYTES_MAX if entries else tiles.WIDTH * HASH_BYTES
        try:
            with (self.root / path).open("rb") as file:
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if len(data) > limit:
            raise StoreError("store.size", f"{path} is longer than it can be.", path)
        return data

    def files(self) -> Iterator[Tile | Bundle]:
        """Every tile and bundle in the folder, in no order."""
        for path in self._paths():
            try:
                yield tiles.parse_any(path)
            except FormatError:
                continue

    def strays(self) -> list[str]:
        """At most 100 paths under `tile/` that no log has, sorted; what a crash left is none."""
        found = []
        for path in self._paths():
            try:
                tiles.parse_any(path)
            except FormatError:
                found.append(path)
            if len(found) == _STRAYS_MAX:
                break
        return sorted(found)

    def widths(self, wanted: Tile | Bundle) -> list[int]:
        """Widths at which this tile or bundle is kept, widest first."""
        full, found = self.root / wanted.full.path, []
        if full.is_file():
            found.append(tiles.WIDTH)
        partial = full.with_name(full.name + ".p")
        names = [file.name for file in partial.iterdir()] if partial.is_dir() else []
        widths = (int(name) for name in names if _WIDTH.fullmatch(name))
        return [*found, *sorted((width for width in widths if width < tiles.WIDTH), reverse=True)]

    def _paths(self) -> Iterator[str]:
        for folder, _, names in os.walk(self.root / "tile"):
            place = Path(folder).relative_to(self.root).as_posix()
            yield from (f"{place}/{name}" for name in names if not name.startswith(_FRESH))

    # ------------------------------------------------------------ writing

    def put(self, files: Sequence[tuple[Tile | Bundle, bytes]]) -> None:
        """Keep tiles and bundles durably; none is kept in part. Those already there stay.

        Raises:
            StoreError: `store.conflict` when one is there with other bytes.
            OSError: when the disk cannot; what was kept meanwhile stays, and may be put again.
        """
        touched: dict[Path, None] = {}
        for named, data in files:
            path = named.path
            held = self.read(path)
            if held is not None and held != data:
                raise StoreError("store.conflict", f"{path} is there with other bytes.", path)
            place = self.root / path
            if held is None:
                self._make(place.parent)
                self._place(place, data)
            # a crash may have come between a rename and the fsync of its folder
            touched[place.parent] = None
        for folder in touched:
            self._disk.sync_folder(folder)

    def put_checkpoint(self, data: bytes) -> None:
        """Replace the checkpoint durably. Raises OSError."""
        self._make(self.root)
        self._place(self.root / CHECKPOINT, data)
        self._disk.sync_folder(self.root)

    def drop_partials(self, full: Iterable[Tile | Bundle]) -> None:
        """Remove partial files whose full one is kept (C2SP tlog-tiles, "Partial Tiles")."""
        for named in full:
            whole = self.root / named.full.path
            partial = whole.with_name(whole.name + ".p")
            if whole.is_file() and partial.is_dir():
                for file in list(partial.iterdir()):
                    self._disk.remove(file)
                self._disk.remove(partial)

    def _place(self, place: Path, data: bytes) -> None:
        fresh = place.with_name(_FRESH + place.name)
        try:
            self._disk.write(fresh, data)
        except OSError:
            # half a file would take what room a full disk has left
            fresh.unlink(missing_ok=True)
            raise
        self._disk.rename(fresh, place)

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it; each new name is made durable in its parent."""
        if folder in self._durable:
            return
        if folder != self.root:
            self._make(folder.parent)
        elif not folder.parent.is_dir():
            folder.parent.mkdir(parents=True)
        self._disk.make_folder(folder)
        self._disk.sync_folder(folder.parent)
        self._durable.add(folder)
