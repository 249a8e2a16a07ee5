"""Writing a log into a folder: entries in, tiles and bundles out, then a checkpoint over them.

Full tiles and bundles are written as they fill; a checkpoint waits until everything under it is
durable, the partial files of its size included. A crash at any point leaves the last checkpoint
whole, and what was begun after it is begun again: the same entries give the same files.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from chain import checkpoint, merkle, note, tiles
from chain.checkpoint import Checkpoint
from chain.errors import FormatError, ProofError
from chain.store import CHECKPOINT, Folder
from chain.tiles import WIDTH, Bundle, Tile, TileReader

_FLUSH_FILES = 64


def kept(folder: Folder) -> tuple[bytes, Checkpoint] | None:
    """The checkpoint in a folder, with its bytes; None in a new one. No signature is checked.

    Raises:
        FormatError: `note.format`, `checkpoint.format`.
        StoreError, OSError: as `Folder.read`.
    """
    data = folder.read(CHECKPOINT)
    return None if data is None else (data, checkpoint.parse(note.parse(data).text))


@dataclass(slots=True)
class _Row:
    """The hashes of one level that are in no full tile yet."""

    index: int
    hashes: list[bytes]


class LogWriter:
    """Appends to the log in a folder. `size` counts the entries held, signed or not.

    Use `LogWriter.open`. One writer per folder.
    """

    def __init__(self, folder: Folder, *, signed: Checkpoint | None) -> None:
        self._folder = folder
        self._rows: list[_Row] = []
        self._tail: list[bytes] = []
        self._waiting: list[tuple[Tile | Bundle, bytes]] = []
        self._filled: list[Tile | Bundle] = []
        self.size = 0
        self.signed = signed

    @classmethod
    def open(cls, folder: Folder, *, unsigned: bool = False) -> "LogWriter":
        """Begin a log, or go on with the one in the folder.

        Args:
            folder: where it lies.
            unsigned: also take up what the folder holds beyond its checkpoint, as a mirror does
                that was stopped half-way. It is believed only when a checkpoint over it comes.

        Raises:
            ProofError: `log.root` when the tiles do not lead to the checkpoint's root,
                `tile.missing` when one of them is gone.
            FormatError, StoreError, OSError: as reading raises them.
        """
        held = kept(folder)
        writer = cls(folder, signed=None if held is None else held[1])
        if writer.signed is not None:
            writer._load(writer.signed.size)
            if writer.root() != writer.signed.root:
                raise ProofError("log.root", "The tiles do not lead to the checkpoint's root.")
        if unsigned:
            writer._load_rest()
        return writer

    # ------------------------------------------------------------ growing

    def append(self, entries: Iterable[bytes]) -> None:
        """Add entries after the last; full files are written as they fill.

        Raises:
            FormatError: `bundle.entry` for an entry that is too long; those before it are in.
            StoreError: `store.conflict` when the folder holds other entries at these places.
            OSError: as `Folder.put`; open the folder again then.
        """
        for entry in entries:
            if len(entry) > tiles.ENTRY_BYTES_MAX:
                raise FormatError("bundle.entry", "An entry is longer than 65,535 bytes.")
            self._tail.append(entry)
            self._push(0, sha256(b"\x00" + entry).digest())
            self.size += 1
            if len(self._tail) == WIDTH:
                self._keep(Bundle(self.size // WIDTH - 1), tiles.encode(self._tail))
                self._tail = []
                if len(self._waiting) >= _FLUSH_FILES:
                    self.flush()

    def flush(self) -> None:
        """Make full files durable. Raises as `Folder.put`."""
        self._folder.put(self._waiting)
        self._waiting = []

    def keep_tail(self) -> None:
        """Make also the entries of the bundle that is not full durable. Raises as `flush`."""
        self.flush()
        if self._tail:
            partial = Bundle(self.size // WIDTH, len(self._tail))
            self._folder.put([(partial, tiles.encode(self._tail))])

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` entries, by default of all. Raises as `hash`."""
        return merkle.root(self.size if size is None else size, self.hash)

    def hash(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree of what is held: a `merkle.HashReader`.

        Raises:
            ProofError: `tile.missing` beyond what is held.
            FormatError, StoreError, OSError: as reading the folder raises them.
        """
        above, rest = divmod(level, tiles.HEIGHT)
        first = index << rest
        number, at = divmod(first, WIDTH)
        row = self._tile(above, number)[at : at + (1 << rest)]
        if len(row) != 1 << rest:
            raise ProofError("tile.missing", "The log is not that long.")
        return tiles.subtree_root(row)

    def publish(self, data: bytes) -> Checkpoint:
        """Make everything under a signed checkpoint durable, then put the checkpoint in place.

        Args:
            data: the note. Its size may be below what is held, never below what was published.

        Raises:
            FormatError: `note.format`, `checkpoint.format`.
            ProofError: `log.smaller` when an earlier one covers more, is of another log, or is of
                this size and another root; `log.short` when entries are missing; `log.root` when
                the root is not that of the entries.
            StoreError, OSError: as `Folder.put`; the earlier checkpoint then still stands.
        """
        head = checkpoint.parse(note.parse(data).text)
        before = self.signed
        if before is not None and (
            head.origin != before.origin
            or head.size < before.size
            or (head.size == before.size and head.root != before.root)
        ):
            raise ProofError("log.smaller", "The checkpoint does not extend the one in the folder.")
        if head.size > self.size:
            raise ProofError("log.short", "The checkpoint covers entries that are not here.")
        if head.root != self.root(head.size):
            raise ProofError("log.root", "The checkpoint has another root than the entries.")
        self.flush()
        self._folder.put(self._partials(head.size))
        self._folder.put_checkpoint(data)
        self.signed = head
        done = [named for named in self._filled if named.within(head.size)]
        self._folder.drop_partials(done)
        self._filled = [named for named in self._filled if named not in done]
        return head

    # ------------------------------------------------------------ inside

    def _push(self, level: int, value: bytes) -> None:
        if level == len(self._rows):
            self._rows.append(_Row(0, []))
        row = self._rows[level]
        row.hashes.append(value)
        if len(row.hashes) == WIDTH:
            self._keep(Tile(level, row.index), b"".join(row.hashes))
            self._rows[level] = _Row(row.index + 1, [])
            self._push(level + 1, tiles.subtree_root(row.hashes))

    def _keep(self, named: Tile | Bundle, data: bytes) -> None:
        self._waiting.append((named, data))
        self._filled.append(named)

    def _tile(self, level: int, number: int) -> Sequence[bytes]:
        if level < len(self._rows) and self._rows[level].index == number:
            return self._rows[level].hashes
        wanted = Tile(level, number)
        data = next((data for named, data in self._waiting if named == wanted), None)
        data = data or self._folder.read(wanted.path)
        if data is None:
            raise ProofError("tile.missing", f"{wanted.path} is not there.")
        return tiles.hashes_of(data, WIDTH)

    def _partials(self, size: int) -> list[tuple[Tile | Bundle, bytes]]:
        made: list[tuple[Tile | Bundle, bytes]] = [
            (tile, b"".join(self._tile(tile.level, tile.index)[: tile.width]))
            for tile in tiles.edge_of(size)
        ]
        if size % WIDTH:
            bundle = Bundle(size // WIDTH, size % WIDTH)
            made.append((bundle, tiles.encode(self._entries(bundle))))
        return made

    def _entries(self, bundle: Bundle) -> list[bytes]:
        if bundle.start + len(self._tail) == self.size:
            return self._tail[: bundle.width]
        data = next((data for named, data in self._waiting if named == bundle.full), None)
        if data is not None:
            return tiles.entries_of(data, WIDTH)[: bundle.width]
        return TileReader(self._folder.read, self.size).entries(bundle.full)[: bundle.width]

    def _load(self, size: int) -> None:
        """Take up the edge of a log of this size from its tiles."""
        read = TileReader(self._folder.read, size)
        count = size
        while count:
            number, width = divmod(count, WIDTH)
            level = len(self._rows)
            self._rows.append(_Row(number, list(read.tile(level, number)) if width else []))
            count = number
        if size % WIDTH:
            self._tail = read.entries(Bundle(size // WIDTH, size % WIDTH))
        self.size = size

    def _load_rest(self) -> None:
        """Take up entries beyond the checkpoint: the widest bundles, as far as there is no gap."""
        while True:
            bundle = Bundle(self.size // WIDTH)
            have = self.size - bundle.start
            width = max(self._folder.widths(bundle), default=0)
            data = self._folder.read(Bundle(bundle.index, width).path) if width > have else None
            if data is None:
                return
            entries = tiles.entries_of(data, width)
            if entries[:have] != self._tail:
                raise ProofError("log.root", f"{bundle.path} does not go on from the checkpoint.")
            self.append(entries[have:])
            if width < WIDTH:
                return
