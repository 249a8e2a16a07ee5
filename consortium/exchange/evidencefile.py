"""What a node kept of the ledger, in one file: for a hub that lost it (PROTOCOL 5, "Restore").

    magic, then records: JSON (`index`, `has`), leaf, facts, body, receipt; a checkpoint: no index

Each part stands behind its u32 length, so that a file of any size is read in little memory. Sealed
bodies stay sealed. A file that was cut is read as far as its last whole record.
"""

from collections.abc import Iterable, Iterator
from typing import IO

import orjson

from consortium.exchange.envelope import frames
from consortium.exchange.pieces import Piece
from consortium.kernel.errors import invalid

MAGIC = b"sharing-chain/evidence/1\n"
_PARTS = 5
_PART_MAX_BYTES = 1024 * 1024


def packed(piece: Piece) -> bytes:
    """One entry as a record."""
    parts = (piece.facts, piece.body, piece.receipt)
    has = sum(1 << at for at, part in enumerate(parts) if part is not None)
    meta = orjson.dumps({"index": piece.index, "has": has})
    return frames([meta, piece.leaf, *(part or b"" for part in parts)])


def packed_note(note: bytes) -> bytes:
    """A signed checkpoint as a record."""
    return frames([b"{}", note, b"", b"", b""])


def write(file: IO[bytes], records: Iterable[bytes]) -> int:
    """Write a file of evidence; gives how many records."""
    file.write(MAGIC)
    count = 0
    for record in records:
        file.write(record)
        count += 1
    return count


def read(file: IO[bytes]) -> Iterator[Piece | bytes]:
    """Entries, and checkpoints as bytes.

    Raises:
        Refusal: `recover.file` for anything that is no file of evidence.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise invalid("recover.file")
    while (record := _record(file)) is not None:
        yield unpacked(record)


def unpacked(parts: list[bytes]) -> Piece | bytes:
    """One record. Raises Refusal `recover.file`."""
    meta, leaf, *rest = parts
    try:
        told = orjson.loads(meta)
        if "index" not in told:
            return leaf
        index, has = int(told["index"]), int(told["has"])
    except (ValueError, TypeError, KeyError) as odd:
        raise invalid("recover.file") from odd
    facts, body, receipt = (part if has & 1 << at else None for at, part in enumerate(rest))
    return Piece(index, leaf, facts, body, receipt)


def _record(file: IO[bytes]) -> list[bytes] | None:
    parts = []
    for _ in range(_PARTS):
        prefix = file.read(4)
        size = int.from_bytes(prefix, "big")
        if len(prefix) < 4:
            return None
        if size > _PART_MAX_BYTES:
            raise invalid("recover.file")
        part = file.read(size)
        if len(part) < size:
            return None
        parts.append(part)
    return parts
