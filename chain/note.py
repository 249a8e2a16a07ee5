"""Signed notes (C2SP signed-note v1): a text, an empty line, and lines of signatures.

Two kinds of key are known: 0x01, Ed25519 over the text, and 0x04, the timestamped Ed25519
cosignature of a checkpoint (C2SP tlog-cosignature). Signatures of unknown keys are ignored; one
bad signature of a known key refuses the whole note.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from chain import keys
from chain.encoding import b64, unb64
from chain.errors import FormatError, KeyFormatError, SignatureError

ED25519 = 0x01
COSIGNATURE = 0x04

NOTE_BYTES_MAX = 256 * 1024
SIGNATURES_MAX = 64
TIME_S_MAX = 253_402_300_799
"""Latest time of a cosignature, the end of the year 9999; the specification lets it be refused."""
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_DASH = "— "
_PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name. `text` is its vkey: name, key id in hex, type and key in base64.

    Raises:
        KeyFormatError: for a bad name, an unknown type, or a key that `keys.public_key` refuses.
    """

    name: str
    kind: int
    public: bytes
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        _name(self.name)
        if self.kind not in (ED25519, COSIGNATURE):
            raise KeyFormatError("key.kind", "A key is of a type that is not known here.")
        keys.public_key(self.public)
        body = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        object.__setattr__(self, "key_id", sha256(body).digest()[:4])

    @property
    def text(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a vkey. Raises KeyFormatError, also when the key id is not that of the key."""
        # base64 may hold a plus, names never do
        name, _, rest = text.partition("+")
        key_id, _, material = rest.partition("+")
        try:
            data = unb64(material, code="key.format")
        except FormatError as fault:
            raise KeyFormatError(fault.code, "A key is not in the form of a vkey.") from fault
        if not data:
            raise KeyFormatError("key.format", "A key is not in the form of a vkey.")
        key = cls(name, data[0], data[1:])
        if key.key_id.hex() != key_id:
            raise KeyFormatError("key.format", "A key does not fit the key id beside it.")
        return key

    def verify(self, text: bytes, signature: bytes) -> int | None:
        """Check one signature over a note's text; give the time of a cosignature in seconds.

        Raises:
            SignatureError: `note.signature`.
        """
        time_s = None
        if self.kind == COSIGNATURE:
            time_s, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            if time_s > TIME_S_MAX:
                raise SignatureError("note.signature", f"The signature by {self.name} is bad.")
            text = cosigned(text, time_s)
        if not keys.verifies(self.public, text, signature):
            raise SignatureError("note.signature", f"The signature by {self.name} is bad.")
        return time_s


def cosigned(text: bytes, time_s: int) -> bytes:
    """What a 0x04 cosignature signs (C2SP tlog-cosignature, Ed25519 signed message)."""
    return b"cosignature/v1\ntime %d\n%b" % (time_s, text)


class Signer(Protocol):
    """A private key under a name: in memory, in a file, or in a module that never gives it out."""

    @property
    def verifier(self) -> VerifierKey: ...
    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key in memory; `text` is its skey, a secret."""

    name: str
    seed: bytes = field(repr=False)

    @classmethod
    def make(cls, name: str) -> "SigningKey":
        """A fresh key. Raises KeyFormatError for a bad name."""
        return cls(_name(name), os.urandom(keys.KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> "SigningKey":
        """Read an skey. Raises KeyFormatError; its message never holds the key."""
        fault = KeyFormatError("key.format", "A private key is not in the form of an skey.")
        name, _, rest = text.removeprefix(_PRIVATE).partition("+")
        key_id, _, material = rest.partition("+")
        try:
            data = base64.b64decode(material, validate=True)
        except (binascii.Error, ValueError) as error:
            raise fault from error
        if not text.startswith(_PRIVATE) or len(data) != 33 or data[0] != ED25519:
            raise fault
        key = cls(_name(name), data[1:])
        if key.verifier.key_id.hex() != key_id:
            raise fault
        return key

    @property
    def text(self) -> str:
        material = b64(bytes([ED25519]) + self.seed)
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{material}"

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, ED25519, keys.public_of(self.seed))

    def sign(self, message: bytes) -> bytes:
        """Sign bytes; 64 bytes."""
        return keys.sign(self.seed, message)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who claims to have signed, and the bytes."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {b64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note; nothing in it may be believed before `verify`."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def data(self) -> bytes:
        return (self.text + "\n" + "".join(one.line for one in self.signatures)).encode()


@dataclass(frozen=True, slots=True)
class Signed:
    """A key whose signature on a note is good; `time_s` only for cosignatures."""

    key: VerifierKey
    time_s: int | None


def parse(data: bytes) -> Note:
    """Read a note strictly.

    Raises:
        FormatError: `note.format`.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise FormatError("note.format", "The signed text is too long.")
    if _CONTROL.search(data):
        raise FormatError("note.format", "The signed text holds control characters.")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise FormatError("note.format", "The signed text is not UTF-8.") from fault
    text, gap, tail = whole.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise FormatError("note.format", "The signed text has no lines of signatures.")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise FormatError("note.format", "The signed text has too many signatures.")
    return Note(text + "\n", tuple(_signature(line) for line in lines))


def verify(data: bytes, known: Iterable[VerifierKey]) -> tuple[Note, tuple[Signed, ...]]:
    """Read a note and check every signature on it by a known key.

    Raises:
        FormatError: `note.format`.
        SignatureError: `note.signature` for a bad signature of a known key, `note.unknown` when
            no known key has signed.
        KeyFormatError: `key.clash` when two known keys share name and key id.
    """
    note = parse(data)
    by_id: dict[tuple[str, bytes], VerifierKey] = {}
    for key in known:
        if by_id.setdefault((key.name, key.key_id), key) != key:
            raise KeyFormatError("key.clash", "Two keys share one name and key id.")
    text, good = note.text.encode(), {}
    for one in note.signatures:
        key_of = by_id.get((one.name, one.key_id))
        if key_of is not None:
            good[key_of] = Signed(key_of, key_of.verify(text, one.signature))
    if not good:
        raise SignatureError("note.unknown", "No key that is known here has signed.")
    return note, tuple(good.values())


def sign(text: str, signers: Sequence[Signer]) -> bytes:
    """Make a note. Raises FormatError when the text could not be read back as it is."""
    signatures = []
    for signer in signers:
        key = signer.verifier
        signatures.append(Signature(key.name, key.key_id, signer.sign(text.encode())))
    made = Note(text, tuple(signatures))
    if parse(made.data) != made:
        raise FormatError("note.format", "The text cannot be signed as a note.")
    return made.data


def _signature(line: str) -> Signature:
    name, _, value = line.removeprefix(_DASH).partition(" ")
    data = unb64(value, code="note.format")
    if not line.startswith(_DASH) or len(data) < 5 or not _good_name(name):
        raise FormatError("note.format", "A signature line is malformed.")
    return Signature(name, data[:4], data[4:])


def _name(name: str) -> str:
    if not _good_name(name):
        raise KeyFormatError("key.name", "A key name is empty or holds a space or a plus.")
    return name


def _good_name(name: str) -> bool:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
