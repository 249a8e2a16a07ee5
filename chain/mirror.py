"""A mirror: keeps a copy of each log and cosigns what it keeps (C2SP tlog-mirror).

A pending checkpoint comes first, checked as a witness checks it. Then entries come in packages of
at most 256, each proven against a pending checkpoint before it is kept, so that what arrives may
stop anywhere and go on later. A checkpoint is cosigned and served when all under it is durable.
Nothing is pruned: the minimum index is 0.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from chain import checkpoint, cosignature, merkle, note, tiles
from chain.checkpoint import Checkpoint
from chain.errors import ChainError, FormatError, ProofError
from chain.log import LogWriter
from chain.note import Signer
from chain.policy import Policy
from chain.store import Disk, Folder
from chain.tiles import WIDTH, Fetch, TileReader, bundles_of
from chain.views import Views, origin_hash
from chain.witness import Answer, Request, Witness, parse_request

INFO = "text/x.tlog.mirror-info"
PACKAGES_MAX = 32
"""In one request of ours ("Implementation Considerations"); more are taken from others."""
EXCESS_MAX = PACKAGES_MAX * WIDTH
_RECENT_MAX = 16


class Stream(Protocol):
    """The body of a request, read as it comes; less than asked for means that it has ended."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(slots=True)
class _Copy:
    """One log. `lock` guards what is written, package by package."""

    folder: Folder
    lock: threading.Lock = field(default_factory=threading.Lock)
    writer: LogWriter | None = None
    # checkpoints that were pending lately, by size
    recent: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Header:
    origin: str
    start: int
    end: int


class _CutError(Exception):
    """The body ended within a value."""


class Mirror:
    """Answers for the logs of a policy.

    Args:
        policy: its logs are mirrored; lines of its witnesses stay on the checkpoints kept.
        signers: the mirror's cosigner keys, its own and never a witness's.
        views: the state of pending checkpoints.
        place: the folder of a log's copy, by its origin; by default named by the origin's hash.
        disk: what the copies are written with.
    """

    def __init__(
        self,
        policy: Policy,
        signers: Sequence[Signer],
        views: Views,
        *,
        place: Callable[[str], Path],
        disk: Disk | None = None,
    ) -> None:
        self._policy, self._signers, self._views = policy, tuple(signers), views
        self._pending = Witness(policy, (), views)
        self._copies = {
            origin_hash(key.name): _Copy(Folder(place(key.name), disk=disk)) for key in policy.logs
        }

    # ------------------------------------------------------------ add-checkpoint

    def add_checkpoint(self, body: bytes, *, now_s: int) -> Answer:
        """Answer `POST <submission prefix>/add-checkpoint`: as a witness, and nothing is signed.

        Raises:
            OSError: when the state cannot be kept.
        """
        answer = self._pending.add_checkpoint(body, now_s=now_s)
        if answer.status == 200:
            origin = note.parse(parse_request(body).data).text.partition("\n")[0]
            copy, view = self._copies[origin_hash(origin)], self._views.read(origin)
            if view is not None:
                with copy.lock:
                    self._remember(copy, view.data)
        return answer

    # ------------------------------------------------------------ add-entries

    def add_entries(self, stream: Stream, *, now_s: int) -> Answer:
        """Answer `POST <submission prefix>/add-entries`; packages are kept as they come.

        200 cosignature lines; 202 and 409 what to send next; 400 malformed; 404 unknown log; 422
        no pending checkpoint yet, or entries that are not those of the log.

        Raises:
            OSError: when something cannot be kept; what was kept stays.
            ChainError: when the copy is damaged.
        """
        try:
            header = _read_header(stream)
        except (_CutError, UnicodeDecodeError):
            return Answer(400, b"The request is cut within its header.\n")
        copy = self._copies.get(origin_hash(header.origin))
        if copy is None:
            return Answer(404, b"The log is not known here.\n")
        view = self._views.read(header.origin)
        if view is None:
            return Answer(422, b"No checkpoint of that log is pending.\n")
        with copy.lock:
            writer = self._writer(copy)
            self._remember(copy, view.data)
            known = copy.recent.get(header.end)
            refusal = self._refusal(header, writer, view.head.size, known)
        if refusal is not None or known is None:
            return refusal or self._info(409, view.head.size, writer)
        head = checkpoint.parse(note.parse(known).text)
        saved = 0
        for start, end in _packages(header.start, header.end):
            try:
                entries, proof = _read_package(stream, end - start)
            except _CutError:
                break
            with copy.lock:
                if not self._take(copy, start, entries, proof, head):
                    return Answer(422, b"A package does not lead to the pending checkpoint.\n")
            saved += 1
        if not saved and header.start < header.end:
            return Answer(400, b"Not one whole package came.\n")
        with copy.lock:
            return self._finish(copy, header.end, known, now_s)

    def _refusal(
        self, header: _Header, writer: LogWriter, pending: int, known: bytes | None
    ) -> Answer | None:
        if header.start > header.end:
            return Answer(400, b"The upload begins after its end.\n")
        if known is None or (writer.signed is not None and header.end < writer.signed.size):
            return self._info(409, pending, writer)
        excess = min(header.end, writer.size) - header.start
        if header.start > writer.size or excess > EXCESS_MAX:
            return self._info(409, header.end, writer)
        return None

    def _take(
        self,
        copy: _Copy,
        start: int,
        entries: Sequence[bytes],
        proof: Sequence[bytes],
        head: Checkpoint,
    ) -> bool:
        """Keep one package durably if it is proven; what is there already is not kept again."""
        writer, first = self._writer(copy), start // WIDTH * WIDTH
        before = [writer.hash(0, index) for index in range(first, start)]
        hashes = [sha256(b"\x00" + entry).digest() for entry in entries]
        root, end = merkle.root_after(0, [], before + hashes), start + len(entries)
        try:
            merkle.verify_subtree(first, end, head.size, proof, subtree_root=root, root=head.root)
        except ProofError:
            return False
        if end > writer.size:
            self._durably(copy, lambda: self._append(writer, entries[writer.size - start :]))
        return True

    def _finish(self, copy: _Copy, end: int, known: bytes, now_s: int) -> Answer:
        writer = self._writer(copy)
        if writer.size < end:
            return self._info(202, end, writer)
        if writer.signed is not None and end < writer.signed.size:
            return self._info(409, writer.signed.size, writer)
        read = note.parse(known)
        if writer.root(end) != checkpoint.parse(read.text).root:
            raise ProofError("log.root", "The entries kept do not give the pending root.")
        lines = [cosignature.cosign(read.text, one, time_s=now_s) for one in self._signers]
        own = [one.verifier for one in self._signers]
        data = cosignature.add(known, lines, [*own, *self._policy.witnesses.values()]).data
        self._durably(copy, lambda: writer.publish(data))
        return Answer(200, "".join(line.line for line in lines).encode())

    # ------------------------------------------------------------ what is kept

    def next_entry(self, origin: str) -> int:
        """Index of the first entry of a log that is not here. Raises as `LogWriter.open`."""
        copy = self._copies[origin_hash(origin)]
        with copy.lock:
            return self._writer(copy).size

    def read(self, name: str, path: str) -> bytes | None:
        """`<monitoring prefix>/<origin hash>/<path>`, None when it is not there.

        Raises:
            FormatError: `tile.path` when no log has such a path.
            StoreError, OSError: as `Folder.read`.
        """
        copy = self._copies.get(name)
        return None if copy is None else copy.folder.read(path)

    def _writer(self, copy: _Copy) -> LogWriter:
        if copy.writer is None:
            copy.writer = LogWriter.open(copy.folder, unsigned=True)
            served = copy.folder.read("checkpoint")
            if served is not None:
                self._remember(copy, served)
        return copy.writer

    def _remember(self, copy: _Copy, data: bytes) -> None:
        size = checkpoint.parse(note.parse(data).text).size
        copy.recent[size] = data
        while len(copy.recent) > _RECENT_MAX:
            copy.recent.pop(min(copy.recent))

    @staticmethod
    def _append(writer: LogWriter, entries: Sequence[bytes]) -> None:
        writer.append(entries)
        writer.keep_tail()

    @staticmethod
    def _durably(copy: _Copy, write: Callable[[], object]) -> None:
        try:
            write()
        except (OSError, ChainError):
            # what is in memory may be ahead of the disk now: it is read again from there
            copy.writer = None
            raise

    @staticmethod
    def _info(status: int, size: int, writer: LogWriter) -> Answer:
        return Answer(status, b"%d\n%d\n\n" % (size, writer.size), INFO)


# ---------------------------------------------------------------- the other side


def upload(read: TileReader, origin: str, start: int) -> Iterator[bytes]:
    """The pieces of an add-entries body: entries from `start` to the end, at most 32 packages.

    Raises:
        ProofError, FormatError: as `TileReader`.
    """
    name = origin.encode()
    yield len(name).to_bytes(2, "big") + name
    yield start.to_bytes(8, "big") + read.size.to_bytes(8, "big") + bytes(2)
    for number, (low, high) in enumerate(_packages(start, read.size)):
        if number == PACKAGES_MAX:
            return
        first = low // WIDTH * WIDTH
        bundle = next(bundles_of(read.size, start=low))
        yield tiles.encode(read.entries(bundle)[low - first : high - first])
        proof = merkle.subtree_proof(first, high, read.size, read)
        yield bytes([len(proof)]) + b"".join(proof)


def pull(mirror: Mirror, policy: Policy, views: Views, fetch: Fetch, *, now_s: int) -> Checkpoint:
    """Bring a mirror up to the checkpoint that a tlog-tiles log serves; it may be interrupted.

    Args:
        mirror: of this policy and these views.
        policy: must trust the checkpoint.
        views: the mirror's state.
        fetch: reads the log.
        now_s: time of the cosignatures.

    Returns:
        The checkpoint that is now kept.

    Raises:
        PolicyError, SignatureError, FormatError: as `Policy.trust`.
        ProofError: `mirror.smaller` when the log shows less than was seen, `mirror.refused` when
            its checkpoint does not extend what was seen or its entries are not those it signed.
        OSError: of the disk, or as `fetch` raises it.
    """
    data = fetch("checkpoint")
    if data is None:
        raise FormatError("tile.missing", "The log serves no checkpoint.")
    head = policy.trust(data).checkpoint
    seen = views.read(head.origin)
    old = 0 if seen is None else seen.head.size
    if head.size < old:
        raise ProofError("mirror.smaller", f"The log shows {head.size} entries; {old} were seen.")
    read = TileReader(fetch, head.size)
    proof = tuple(merkle.consistency_proof(old, head.size, read))
    answer = mirror.add_checkpoint(Request(old, proof, data).body, now_s=now_s)
    while answer.status in (200, 202):
        start = min(mirror.next_entry(head.origin), head.size)
        answer = mirror.add_entries(_Pieces(upload(read, head.origin, start)), now_s=now_s)
        if answer.status == 200:
            return head
    raise ProofError("mirror.refused", answer.body.decode().strip())


class _Pieces:
    """A body in pieces, as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int, /) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            have += len(piece)
        whole = b"".join(parts)
        self._rest = whole[size:]
        return whole[:size]


# ---------------------------------------------------------------- reading a body


def _packages(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The canonical sequence of packages: [start, end) cut at multiples of 256."""
    while start < end:
        high = min(end, (start // WIDTH + 1) * WIDTH)
        yield start, high
        start = high


def _exactly(stream: Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise _CutError
    return data


def _number(stream: Stream, size: int) -> int:
    return int.from_bytes(_exactly(stream, size), "big")


def _read_header(stream: Stream) -> _Header:
    origin = _exactly(stream, _number(stream, 2)).decode()
    start, end = _number(stream, 8), _number(stream, 8)
    _exactly(stream, _number(stream, 2))
    return _Header(origin, start, end)


def _read_package(stream: Stream, count: int) -> tuple[list[bytes], list[bytes]]:
    entries = [_exactly(stream, _number(stream, 2)) for _ in range(count)]
    number = _number(stream, 1)
    return entries, [_exactly(stream, merkle.HASH_BYTES) for _ in range(number)]
