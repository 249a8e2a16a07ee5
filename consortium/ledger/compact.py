"""A receipt in few bytes, so that a code on paper holds the whole of it.

A receipt file is text: its hashes and signatures stand in base64, the entry inside it in base64
twice. Here they are bytes again, ids that occur twice stand once, the words are deflated with a
dictionary, and the root is left out, since leaf and proof lead to it. `unpack` gives back the very
bytes of the file; `receipts.check` on these bytes is the only check there is.

    one byte 1; index; size; counts of ids, digests, signatures, proof hashes; length of the text
    text: raw deflate of fields that end with NUL (leaf's head, protected header, payload, origin,
        further lines of the checkpoint, and after an empty field the names of those who signed)
    ids of 16 bytes; digests of 32; the leaf's signature; proof; the signatures of the checkpoint

Numbers and lengths are little-endian base 128 (LEB128). In the text, bytes 1 to 3 and a number
stand for an id in hex, an id as a UUID, and a digest in base64url. What this form cannot hold
exactly is packed as it is, behind a byte 0.
"""

import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from chain import leaf as leaves
from chain import merkle, note
from chain import receipt as chain_receipt
from chain.checkpoint import Checkpoint
from chain.checkpoint import parse as parse_checkpoint
from chain.errors import ChainError
from consortium.kernel.errors import Refusal, invalid

PACKED_BYTES_MAX: Final = 64 * 1024
_TEXT_BYTES_MAX: Final = 64 * 1024
_PLAIN, _PACKED = 0, 1
_ID_BYTES, _DIGEST_BYTES = 16, 32
_HEX, _UUID, _DIGEST = 1, 2, 3
_TOKENS_MAX = 250
_BASE = 5
_TOKEN = re.compile(
    rb"(?<![0-9a-f])(?P<hex>[0-9a-f]{32})(?![0-9a-f])"
    rb"|(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    rb'|(?<=")(?P<digest>[A-Za-z0-9_-]{43})(?=")'
)
_SENTRY = re.compile(rb"([\x01-\x03])([\x05-\xff])", re.DOTALL)
_WORDS: Final = (
    b'","parts":"dispute.raisenode.suspendbackupdirectory.publishcharter.signkey.addkey.revoke'
    b"session.publishsession.cancelcontract.proposecontract.signbooking.requestrecord.request"
    b"record.releaserecord.declinecase.messagecase.readreferral.withdrawreferral.moveto_moved"
    b"referral.acknowledgereferral.returnreferral.declinereferral.arrivereferral.reportreferral."
    b'acceptreferral.requestuncoveredover_quota"after":["urgentrecordscontrol/witness/ ok v1 \0'
    b'{"alg":"Ed25519","kid":"\0{"v":1,"id":"","kind":"ack/1","from":"","to":["lead"],"to":["all"]'
    b',"node":"","lane":"routine","seq":1,"prev":"","at":"2026-11-23T10:15Z","facts":"","body":"'
    b'","contract":"","case":"","purpose":"TREAT"}\0'
)
"""What the texts of receipts share; a part of the format, never changed."""


def pack(data: bytes) -> bytes:
    """A receipt file in its short form.

    Raises:
        Refusal: `ledger.compact` when it is over 64 KiB even so.
    """
    try:
        made = _structured(data)
        if made is None or unpack(made) != data:
            made = _plain(data)
    except (ChainError, Refusal, ValueError):
        made = _plain(data)
    if len(made) > PACKED_BYTES_MAX:
        raise invalid("ledger.compact")
    return made


def unpack(packed: bytes) -> bytes:
    """The receipt file, byte for byte. Nothing in it may be believed before `receipts.check`.

    Raises:
        Refusal: `ledger.compact` when these are not the bytes of `pack`.
    """
    if not 2 <= len(packed) <= PACKED_BYTES_MAX:
        raise invalid("ledger.compact")
    try:
        if packed[0] == _PLAIN:
            return _inflated(packed[1:], most=chain_receipt.RECEIPT_BYTES_MAX)
        if packed[0] != _PACKED:
            raise invalid("ledger.compact")
        return _rebuilt(_Reader(packed, 1))
    except (ChainError, ValueError, zlib.error) as fault:
        raise invalid("ledger.compact") from fault


# ---------------------------------------------------------------- packing


def _plain(data: bytes) -> bytes:
    return bytes([_PLAIN]) + _deflated(data)


def _structured(data: bytes) -> bytes | None:
    """The short form, None where a byte of the texts is one of its marks."""
    held = chain_receipt.parse(data)
    leaf = leaves.parse(held.leaf)
    signed = note.parse(held.checkpoint)
    head = parse_checkpoint(signed.text)
    protected, payload, signature = (_unb64(part) for part in leaf.jws.split(b"."))
    fields = [
        held.leaf.partition(b"\n")[0],
        protected,
        payload,
        head.origin.encode(),
        *(line.encode() for line in head.extensions),
        b"",
        *(line.name.encode() for line in signed.signatures),
    ]
    if any(mark in one for one in fields for mark in (b"\0", b"\1", b"\2", b"\3")):
        return None
    tokens = _Tokens()
    text = _deflated(tokens.taken(b"".join(one + b"\0" for one in fields)))
    numbers = (
        held.index, head.size, len(tokens.ids), len(tokens.digests), len(signed.signatures),
        len(held.proof), len(text),
    )  # fmt: skip
    return b"".join((
        bytes([_PACKED]),
        *map(_number, numbers),
        text,
        *tokens.ids,
        *tokens.digests,
        _sized(signature),
        *held.proof,
        *(_sized(line.key_id + line.signature) for line in signed.signatures),
    ))  # fmt: skip


@dataclass(slots=True)
class _Tokens:
    """Ids and digests that were taken out of a text, each once."""

    ids: list[bytes] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)

    def taken(self, text: bytes) -> bytes:
        return _TOKEN.sub(self._token, text)

    def _token(self, found: re.Match[bytes]) -> bytes:
        whole = found[0]
        if found["digest"] is not None:
            value = _unb64(whole)
            kind, held = _DIGEST, self.digests
            if _b64(value) != whole:
                return whole
        else:
            kind, held = (_UUID if found["hex"] is None else _HEX), self.ids
            value = bytes.fromhex(whole.replace(b"-", b"").decode())
        if value not in held:
            if len(held) == _TOKENS_MAX:
                return whole
            held.append(value)
        return bytes([kind, _BASE + held.index(value)])


# ---------------------------------------------------------------- unpacking


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) != count:
            raise ValueError("cut short")
        self.at += count
        return taken

    def many(self, count: int, size: int) -> list[bytes]:
        return [self.take(size) for _ in range(count)]

    def number(self) -> int:
        value = shift = 0
        while shift < 64:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7
        raise ValueError("a number without end")

    def sized(self) -> bytes:
        return self.take(self.number())


def _rebuilt(read: _Reader) -> bytes:
    index, size, ids, digests, signers, hashes, length = (read.number() for _ in range(7))
    text = _inflated(read.take(length), most=_TEXT_BYTES_MAX)
    held = read.many(ids, _ID_BYTES), read.many(digests, _DIGEST_BYTES)
    told, protected, payload, origin, *more = _fields(text, *held)
    extensions, names = more[: more.index(b"")], more[more.index(b"") + 1 :]
    jws = b".".join(_b64(part) for part in (protected, payload, read.sized()))
    leaf = told + b"\n" + jws
    proof = tuple(read.many(hashes, merkle.HASH_BYTES))
    lines = [note.Signature("", line[:4], line[4:]) for line in _lines(read, signers)]
    if len(names) != signers or read.at != len(read.data):
        raise ValueError("something is left")
    root = merkle.inclusion_root(index, size, merkle.leaf_hash(leaf), proof)
    head = Checkpoint(origin.decode(), size, root, tuple(line.decode() for line in extensions))
    signed = note.Note(
        head.text,
        tuple(
            note.Signature(name.decode(), line.key_id, line.signature)
            for name, line in zip(names, lines, strict=True)
        ),
    )
    return chain_receipt.Receipt(index, leaf, proof, signed.data).data


def _lines(read: _Reader, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield read.sized()


def _fields(text: bytes, ids: Sequence[bytes], digests: Sequence[bytes]) -> list[bytes]:
    def put_back(found: re.Match[bytes]) -> bytes:
        kind, place = found[1][0], found[2][0] - _BASE
        held = digests if kind == _DIGEST else ids
        if place >= len(held):
            raise ValueError("no such id")
        if kind == _DIGEST:
            return _b64(held[place])
        digits = held[place].hex()
        if kind == _UUID:
            parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
            digits = "-".join(parts)
        return digits.encode()

    *fields, last = _SENTRY.sub(put_back, text).split(b"\0")
    if last or len(fields) < 5:
        raise ValueError("a field without end")
    return fields


# ---------------------------------------------------------------- bytes


def _deflated(data: bytes) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_WORDS)
    return made.compress(data) + made.flush()


def _inflated(data: bytes, *, most: int) -> bytes:
    opened = zlib.decompressobj(-15, zdict=_WORDS)
    text = opened.decompress(data, most + 1)
    if len(text) > most or not opened.eof or opened.unused_data:
        raise ValueError("not one whole deflate stream, or too long")
    return text


def _number(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _sized(data: bytes) -> bytes:
    return _number(len(data)) + data


def _unb64(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def _b64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
