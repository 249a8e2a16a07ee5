"""Checking a whole log in a folder, with nothing but the folder and a policy.

Every hash is derived again from the entries: leaf hashes, every tile of every level, every partial
file that is there, the root. Where a tile and its entries differ, the hash in the level above says
which of them is wrong, and for the last, partial ones the root does. The first index whose entry
is in doubt is named, and the file.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from chain import tiles
from chain.errors import ChainError, FormatError
from chain.merkle import EMPTY_ROOT, HASH_BYTES, cover, fold
from chain.policy import Policy, Trusted
from chain.store import CHECKPOINT, Folder, StoreError
from chain.tiles import WIDTH, Bundle, Tile

PROBLEMS_MAX = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in one file. `index`: the first entry that it puts in doubt, if any."""

    code: str
    path: str
    index: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked. `problems` are at most 100, lowest index first."""

    trusted: Trusted | None
    entries: int
    files: int
    beyond: int
    problems: tuple[Problem, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


def check(folder: Folder, policy: Policy) -> Report:
    """Check the log in a folder against a policy.

    `beyond` counts files that only a later checkpoint may cover; they are not judged. A folder
    whose checkpoint the policy does not trust is not looked at any further.

    Raises:
        OSError: when the disk cannot give what is there.
    """
    try:
        data = folder.read(CHECKPOINT)
        if data is None:
            raise StoreError("store.missing", "The folder has no checkpoint.", CHECKPOINT)
        trusted = policy.trust(data)
    except ChainError as fault:
        return Report(None, 0, 0, 0, (Problem(fault.code, CHECKPOINT, None, str(fault)),))
    head = trusted.checkpoint
    work = _Check(folder, head.size)
    work.bundles()
    work.upper_tiles()
    work.settle(head.root)
    work.others()
    return Report(trusted, head.size, work.files, work.beyond, work.found())


@dataclass(slots=True)
class _Check:
    folder: Folder
    size: int
    problems: list[Problem] = field(default_factory=list)
    files: int = 0
    beyond: int = 0
    # the hashes of each level, as the entries give them
    levels: list[bytearray] = field(default_factory=lambda: [bytearray()])
    used: set[Tile | Bundle] = field(default_factory=set)
    # the last bundle and its tile, when they differ: only the root can tell which is right
    undecided: tuple[Bundle, bytes] | None = None

    def found(self) -> tuple[Problem, ...]:
        """The problems, lowest index first, those without one last."""
        order = sorted(self.problems, key=lambda one: (one.index is None, one.index or 0, one.path))
        return tuple(order[:PROBLEMS_MAX])

    # ------------------------------------------------------------ level 0

    def bundles(self) -> None:
        """Derive the leaf hashes from the entries, beside what the tiles say."""
        for bundle in tiles.bundles_of(self.size):
            tile = Tile(0, bundle.index, bundle.width)
            stored = self._hashes(tile)
            derived = self._leaf_hashes(bundle, stored)
            if stored is None or derived == stored:
                self.levels[0] += derived
            elif bundle.width < WIDTH:
                self.undecided = (bundle, stored)
                self.levels[0] += derived
            else:
                self.levels[0] += self._decided(bundle, derived, stored)

    def _leaf_hashes(self, bundle: Bundle, stored: bytes | None) -> bytes:
        """What the entries give; where they cannot be read, what the tile says stands in."""
        data = self._stored(bundle)
        if data is None:
            self._wrong("entry.missing", bundle, bundle.start, "is not there")
            return stored or bytes(HASH_BYTES * bundle.width)
        entries = tiles.decode(data)
        whole = sum(map(len, entries)) + 2 * len(entries) == len(data)
        cut = bundle in self.used and len(entries) == bundle.width
        if whole and (cut or len(entries) == WIDTH):
            return b"".join(_leaf_hashes(entries[: bundle.width]))
        # a wrong length shifts all that follows: name the first entry that its tile does not know
        derived = b"".join(_leaf_hashes(entries[: bundle.width]))
        at = min(_first_difference(derived, stored or derived), bundle.width - 1)
        self._wrong("entry.format", bundle, bundle.start + at, "does not hold whole entries")
        return stored or bytes(HASH_BYTES * bundle.width)

    def _decided(self, bundle: Bundle, derived: bytes, stored: bytes) -> bytes:
        """Which of a full bundle and its tile the level above knows; what may be gone on with."""
        at = bundle.start + _first_difference(derived, stored)
        above = self._hashes(Tile(1, bundle.index // WIDTH, self._width(1, bundle.index // WIDTH)))
        place = bundle.index % WIDTH * HASH_BYTES
        if above is not None and above[place : place + HASH_BYTES] == _root(derived):
            tile = Tile(0, bundle.index)
            self._wrong("tile.differs", tile, at, "is not what its entries give")
            return derived
        self._wrong("entry.differs", bundle, at, "holds an entry that its tile does not know")
        return stored

    # ------------------------------------------------------------ above

    def upper_tiles(self) -> None:
        """Derive each level from the full tiles below it; compare every tile with that."""
        row = WIDTH * HASH_BYTES
        while len(below := self.levels[-1]) >= row:
            level = len(self.levels)
            full = len(below) // row * row
            made = bytearray(b"".join(_root(below[at : at + row]) for at in range(0, full, row)))
            self.levels.append(made)
            for index in range(-(-len(made) // row)):
                tile = Tile(level, index, self._width(level, index))
                stored, derived = self._hashes(tile), self._derived(tile)
                if stored is not None and stored != derived:
                    self._differs(tile, derived, stored)

    def _differs(self, tile: Tile, derived: bytes, stored: bytes) -> None:
        known = [one.index for one in self.problems if one.index is not None]
        span = 1 << (tile.level * tiles.HEIGHT)
        for at in range(tile.width):
            place = slice(at * HASH_BYTES, (at + 1) * HASH_BYTES)
            start = (tile.index * WIDTH + at) * span
            # entries below that are named already make the hash differ; it says nothing more
            if derived[place] != stored[place] and not any(
                start <= index < start + span for index in known
            ):
                self._wrong("tile.differs", tile, start, "is not what its entries give")
                return

    def settle(self, root: bytes) -> None:
        """Hold the derived root against the signed one."""
        matches = self._root() == root
        if self.undecided is not None:
            bundle, stored = self.undecided
            derived = bytes(self.levels[0][bundle.start * HASH_BYTES :])
            at = bundle.start + _first_difference(derived, stored)
            if matches:
                tile = Tile(0, bundle.index, bundle.width)
                self._wrong("tile.differs", tile, at, "is not what its entries give")
                return
            self._wrong("entry.differs", bundle, at, "holds an entry that its tile does not know")
            self.levels[0][bundle.start * HASH_BYTES :] = stored
            matches = self._root() == root
        if not matches:
            sentence = "The entries do not give the root that is signed."
            self.problems.append(Problem("root.differs", CHECKPOINT, None, sentence))

    def _root(self) -> bytes:
        nodes = []
        for level in range(len(self.levels) - 1, -1, -1):
            count = self.size >> (level * tiles.HEIGHT)
            base = count // WIDTH * WIDTH
            for height, index in cover(0, count - base):
                first = (base + (index << height)) * HASH_BYTES
                nodes.append(_root(self.levels[level][first : first + (HASH_BYTES << height)]))
        return fold(nodes) if nodes else EMPTY_ROOT

    # ------------------------------------------------------------ everything else in the folder

    def others(self) -> None:
        """Check the files that this size does not need, such as older partial ones."""
        for path in self.folder.strays():
            self.problems.append(Problem("store.stray", path, None, f"No log has {path}."))
        for named in self.folder.files():
            if named in self.used:
                continue
            if not named.within(self.size):
                self.beyond += 1
                continue
            data = self._read(named)
            tile = named if isinstance(named, Tile) else Tile(0, named.index, named.width)
            if data is None or self._consistent(named, tile, data):
                continue
            start = (tile.index * WIDTH) << (tile.level * tiles.HEIGHT)
            self._wrong("partial.differs", named, start, "does not fit the later ones")

    def _consistent(self, named: Tile | Bundle, tile: Tile, data: bytes) -> bool:
        derived = self._derived(tile)
        if isinstance(named, Tile):
            return data == derived
        try:
            entries = tiles.entries_of(data, named.width)
        except FormatError:
            return False
        return b"".join(_leaf_hashes(entries)) == derived

    # ------------------------------------------------------------ inside

    def _width(self, level: int, index: int) -> int:
        return min(WIDTH, (self.size >> (level * tiles.HEIGHT)) - index * WIDTH)

    def _derived(self, tile: Tile) -> bytes:
        first = tile.index * WIDTH * HASH_BYTES
        return bytes(self.levels[tile.level][first : first + tile.width * HASH_BYTES])

    def _hashes(self, tile: Tile) -> bytes | None:
        """The bytes of a tile, cut to its width; None, and said once, when they are not there."""
        seen, data = tile in self.used or tile.full in self.used, self._stored(tile)
        wanted = tile.width * HASH_BYTES
        if data is not None and len(data) in (wanted, WIDTH * HASH_BYTES):
            return data[:wanted]
        if not seen:
            start = (tile.index * WIDTH) << (tile.level * tiles.HEIGHT)
            what = "is not there" if data is None else "is not as long as its path says"
            self._wrong("tile.missing" if data is None else "tile.format", tile, start, what)
        return None

    def _stored(self, named: Tile | Bundle) -> bytes | None:
        """A file of the published size, or the full one in its place."""
        data = self._read(named)
        if data is None and named.width < WIDTH:
            named, data = named.full, self._read(named.full)
        self.used.add(named)
        return data

    def _read(self, named: Tile | Bundle) -> bytes | None:
        try:
            data = self.folder.read(named.path)
        except StoreError:
            return b""
        self.files += data is not None and named not in self.used
        return data

    def _wrong(self, code: str, named: Tile | Bundle, index: int, what: str) -> None:
        self.problems.append(Problem(code, named.path, index, f"{named.path} {what}."))


def _leaf_hashes(entries: list[bytes]) -> list[bytes]:
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def _root(row: bytes | bytearray) -> bytes:
    """Root of a row of hashes whose number is a power of two."""
    while len(row) > HASH_BYTES:
        row = b"".join(
            [sha256(b"\x01" + row[at : at + 64]).digest() for at in range(0, len(row), 64)]
        )
    return bytes(row)


def _first_difference(one: bytes, other: bytes) -> int:
    """Number of the first hash that differs."""
    for at in range(0, min(len(one), len(other)), HASH_BYTES):
        if one[at : at + HASH_BYTES] != other[at : at + HASH_BYTES]:
            return at // HASH_BYTES
    return min(len(one), len(other)) // HASH_BYTES
