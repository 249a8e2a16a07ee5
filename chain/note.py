"""Signed notes (C2SP signed-note v1): a text, an empty line, and lines of signatures.

Three types of key are known: 0x01, Ed25519 over the text, and the timestamped cosignatures of a
checkpoint (C2SP tlog-cosignature), 0x04 with Ed25519 and 0x06 with ML-DSA-44. Keys of the other
assigned types (0x02 ECDSA, 0x05 RFC 6962 tree heads, 0xff with a long identifier, which an SM2
suite will take) are not trusted here: a vkey of theirs is refused, a line of theirs is ignored.
Signatures of unknown keys are ignored; one bad signature of a known key refuses the whole note.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from chain import keys
from chain.encoding import INT_MAX, b64, tree_head, unb64
from chain.errors import FormatError, KeyFormatError, SignatureError

ED25519 = 0x01
COSIGNATURE = 0x04
MLDSA_COSIGNATURE = 0x06
COSIGNER_KINDS = (COSIGNATURE, MLDSA_COSIGNATURE)
_KINDS = (ED25519, *COSIGNER_KINDS)

NOTE_BYTES_MAX = 512 * 1024
SIGNATURES_MAX = 100
"""The limit of the first verifiers (golang.org/x/mod/sumdb/note); ML-DSA lines of 3.3 kB fit."""
NAME_BYTES_MAX = 255
"""Of an ML-DSA cosigner and of the origin that it signs (tlog-cosignature, cosigned_message)."""
TIME_S_MAX = 253_402_300_799
"""Latest time of a cosignature, the end of the year 9999; the specification lets it be refused."""
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_DASH = "— "
_PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name (C2SP signed-note, "Verifier keys").

    `text` is its vkey: name, key id in hex, type and key in base64.

    Raises:
        KeyFormatError: for a bad name, an unknown type, or a key that `keys.public_key` refuses.
    """

    name: str
    kind: int
    public: bytes
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        _name(self.name, self.kind)
        if self.kind == MLDSA_COSIGNATURE:
            keys.mldsa_public_key(self.public)
        else:
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
        if self.kind == ED25519:
            if not keys.verifies(self.public, text, signature):
                raise self._bad()
            return None
        time_s, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        if time_s > TIME_S_MAX:
            raise self._bad()
        if self.kind == COSIGNATURE:
            good = keys.verifies(self.public, cosigned(text, time_s), signature)
        else:
            try:
                message = subtree_of(text, name=self.name, time_s=time_s)
            except FormatError as fault:
                raise self._bad() from fault
            good = keys.mldsa_verifies(self.public, message, signature)
        if not good:
            raise self._bad()
        return time_s

    def _bad(self) -> SignatureError:
        return SignatureError("note.signature", f"The signature by {self.name} is bad.")


def cosigned(text: bytes, time_s: int) -> bytes:
    """What a 0x04 cosignature signs (C2SP tlog-cosignature, "Ed25519 signed message")."""
    return b"cosignature/v1\ntime %d\n%b" % (time_s, text)


def subtree_of(text: bytes, *, name: str, time_s: int) -> bytes:
    """What a 0x06 cosignature of a whole checkpoint signs; its extension lines are left out.

    Raises:
        FormatError: `checkpoint.format` when the text is no checkpoint, or its origin too long.
    """
    origin, size, root, _ = tree_head(text.decode(), code="checkpoint.format")
    return subtree(name, time_s=time_s, origin=origin, start=0, end=size, root=root)


def subtree(name: str, *, time_s: int, origin: str, start: int, end: int, root: bytes) -> bytes:
    """What a 0x06 cosignature signs (C2SP tlog-cosignature, "ML-DSA-44 signed message").

    Raises:
        FormatError: `checkpoint.format` for an origin over 255 bytes, a range that is none, or a
            time beside a start that is not zero.
    """
    cosigner, log = name.encode(), origin.encode()
    named = 1 <= len(cosigner) <= NAME_BYTES_MAX and 1 <= len(log) <= NAME_BYTES_MAX
    if not (named and 0 <= start <= end <= INT_MAX and len(root) == 32) or (start and time_s):
        raise FormatError("checkpoint.format", "The tree cannot be cosigned with ML-DSA-44.")
    parts = (
        b"subtree/v1\n\0",
        bytes([len(cosigner)]) + cosigner,
        time_s.to_bytes(8, "big"),
        bytes([len(log)]) + log,
        start.to_bytes(8, "big") + end.to_bytes(8, "big"),
        root,
    )
    return b"".join(parts)


class Signer(Protocol):
    """A private key under a name (C2SP signed-note, "Signatures").

    In memory, in a file, or in a module that never gives it out.

    `sign` signs the very bytes with the algorithm of `verifier.kind`; what they must be for a
    cosignature is the business of `chain.cosignature`.
    """

    @property
    def verifier(self) -> VerifierKey: ...
    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key in memory (C2SP signed-note, "Signatures"); `text` is its skey, a secret.

    The skey is `PRIVATE+KEY+` name `+` key id in hex `+` base64 of the type and the 32-byte seed,
    as golang.org/x/mod/sumdb/note writes it for 0x01 and transparency-dev/formats for 0x06.
    """

    name: str
    seed: bytes = field(repr=False)
    kind: int = ED25519

    @classmethod
    def make(cls, name: str, *, kind: int = ED25519) -> "SigningKey":
        """A fresh key. Raises KeyFormatError for a bad name or an unknown type."""
        return cls(_name(name, kind), os.urandom(keys.SEED_BYTES), kind)

    @classmethod
    def parse(cls, text: str, *, kinds: Sequence[int] = (ED25519,)) -> "SigningKey":
        """Read an skey of one of these types: a log key is never taken for a cosigner's.

        Raises:
            KeyFormatError: its message never holds the key.
        """
        fault = KeyFormatError("key.format", "A private key is not in the form of an skey.")
        name, _, rest = text.removeprefix(_PRIVATE).partition("+")
        key_id, _, material = rest.partition("+")
        try:
            data = unb64(material, code="key.format")
        except FormatError as error:
            raise fault from error
        if not text.startswith(_PRIVATE) or len(data) != 1 + keys.SEED_BYTES:
            raise fault
        if data[0] not in kinds:
            raise KeyFormatError("key.kind", "A private key is of the wrong type.")
        key = cls(_name(name, data[0]), data[1:], data[0])
        if key.verifier.key_id.hex() != key_id:
            raise fault
        return key

    @property
    def text(self) -> str:
        material = b64(bytes([self.kind]) + self.seed)
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{material}"

    @property
    def verifier(self) -> VerifierKey:
        mldsa = self.kind == MLDSA_COSIGNATURE
        public = keys.mldsa_public_of(self.seed) if mldsa else keys.public_of(self.seed)
        return VerifierKey(self.name, self.kind, public)

    def sign(self, message: bytes) -> bytes:
        """Sign bytes; 64 bytes with Ed25519, 2420 with ML-DSA-44."""
        sign = keys.mldsa_sign if self.kind == MLDSA_COSIGNATURE else keys.sign
        return sign(self.seed, message)


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
    text, gap, tail = _decode(data).rpartition("\n\n")
    if not gap:
        raise FormatError("note.format", "The signed text has no lines of signatures.")
    return Note(text + "\n", _signatures(tail))


def lines(data: bytes) -> tuple[Signature, ...]:
    """Read signature lines that stand alone, as a witness answers (C2SP tlog-witness).

    Raises:
        FormatError: `note.format`.
    """
    return _signatures(_decode(data))


def verify(data: bytes, known: Iterable[VerifierKey]) -> tuple[Note, tuple[Signed, ...]]:
    """Read a note and check every signature by a known key (C2SP signed-note, "Signatures").

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
    text = note.text.encode()
    good: dict[VerifierKey, Signed] = {}
    for one in note.signatures:
        key_of = by_id.get((one.name, one.key_id))
        if key_of is not None:
            time_s = key_of.verify(text, one.signature)
            held = good.get(key_of)
            if held is None or (held.time_s or 0) < (time_s or 0):
                good[key_of] = Signed(key_of, time_s)
    if not good:
        raise SignatureError("note.unknown", "No key that is known here has signed.")
    return note, tuple(good.values())


def sign(text: str, signers: Sequence[Signer]) -> bytes:
    """Make a note, signed by keys of type 0x01 (others sign no text: `chain.cosignature`).

    Raises:
        FormatError: `note.format` when the text could not be read back as it is.
        KeyFormatError: `key.kind` for a key of another type.
    """
    signatures = []
    for signer in signers:
        key = signer.verifier
        if key.kind != ED25519:
            raise KeyFormatError("key.kind", "A cosigner's key cannot sign a text.")
        signatures.append(Signature(key.name, key.key_id, signer.sign(text.encode())))
    made = Note(text, tuple(signatures))
    if parse(made.data) != made:
        raise FormatError("note.format", "The text cannot be signed as a note.")
    return made.data


def _decode(data: bytes) -> str:
    if len(data) > NOTE_BYTES_MAX:
        raise FormatError("note.format", "The signed text is too long.")
    if _CONTROL.search(data):
        raise FormatError("note.format", "The signed text holds control characters.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise FormatError("note.format", "The signed text is not UTF-8.") from fault


def _signatures(tail: str) -> tuple[Signature, ...]:
    if not tail.endswith("\n"):
        raise FormatError("note.format", "The signed text has no lines of signatures.")
    found = tail[:-1].split("\n")
    if len(found) > SIGNATURES_MAX:
        raise FormatError("note.format", "The signed text has too many signatures.")
    return tuple(_signature(line) for line in found)


def _signature(line: str) -> Signature:
    name, _, value = line.removeprefix(_DASH).partition(" ")
    data = unb64(value, code="note.format")
    if not line.startswith(_DASH) or len(data) < 5 or not _good_name(name):
        raise FormatError("note.format", "A signature line is malformed.")
    return Signature(name, data[:4], data[4:])


def _name(name: str, kind: int) -> str:
    if kind not in _KINDS:
        raise KeyFormatError("key.kind", "A key is of a type that is not known here.")
    if not _good_name(name):
        raise KeyFormatError("key.name", "A key name is empty or holds a space or a plus.")
    if kind == MLDSA_COSIGNATURE and len(name.encode()) > NAME_BYTES_MAX:
        raise KeyFormatError("key.name", "The name of an ML-DSA key is longer than 255 bytes.")
    return name


def _good_name(name: str) -> bool:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
