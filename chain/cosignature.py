"""Cosignatures (C2SP tlog-cosignature): a witness says that a checkpoint extends what it saw.

Two types: 0x04, Ed25519 over a time and the text of the checkpoint, and 0x06, ML-DSA-44 over
cosigner, time, origin, range and root, which new witnesses should use and which alone can sign
subtrees. What is signed stands in `note.cosigned` and `note.subtree`.

A cosigner's private key is an skey of its own type (`note.SigningKey`), so it is never the key
that signs a log. An Ed25519 key must not serve two cosigners, because its message leaves the
name out: `policy.parse` refuses one public key under two names.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from chain import keys, note
from chain.encoding import INT_MAX, tree_head
from chain.errors import ChainError, FormatError, KeyFormatError, SignatureError
from chain.merkle import valid_subtree
from chain.note import COSIGNER_KINDS, MLDSA_COSIGNATURE, Signature, Signed, VerifierKey

COSIGNATURES_MAX = 15
"""On one published checkpoint: with a log's line, the 16 that every reader of notes takes."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A note with cosignatures; `left_out` are lines that were unknown, bad or too many."""

    data: bytes
    signed: tuple[Signed, ...]
    left_out: tuple[Signature, ...]


def cosign(text: str, key: note.Signer, *, time_s: int) -> Signature:
    """Cosign a checkpoint whose consistency was verified (C2SP tlog-cosignature, "Format").

    Args:
        text: the checkpoint without its signature lines.
        key: a signer of type 0x04 or 0x06.
        time_s: POSIX time, at least 1 (C2SP tlog-witness: a witness never leaves it out).

    Raises:
        FormatError: `checkpoint.format` when the text is no checkpoint or the origin is too long.
        KeyFormatError: `key.kind` for a key that is no cosigner's.
        SignatureError: `note.signature` when the signer gave a signature that does not verify.
        ValueError: a time out of range.
    """
    if not 1 <= time_s <= note.TIME_S_MAX:
        raise ValueError("a cosignature has a time")
    who = _cosigner(key.verifier)
    tree_head(text, code="checkpoint.format")
    if who.kind == MLDSA_COSIGNATURE:
        message = note.subtree_of(text.encode(), name=who.name, time_s=time_s)
    else:
        message = note.cosigned(text.encode(), time_s)
    made = time_s.to_bytes(8, "big") + key.sign(message)
    who.verify(text.encode(), made)
    return Signature(who.name, who.key_id, made)


def check(text: str, line: Signature, known: Iterable[VerifierKey]) -> Signed:
    """Check one line on the text of a checkpoint (C2SP tlog-cosignature, "Format").

    Raises:
        KeyFormatError: `key.kind` when a key is no cosigner's.
        SignatureError: `note.unknown` when none of the cosigners known is named,
            `note.signature` when the line is bad.
    """
    for key in known:
        if (_cosigner(key).name, key.key_id) == (line.name, line.key_id):
            return Signed(key, key.verify(text.encode(), line.signature))
    raise SignatureError("note.unknown", "No key that is known here has signed.")


def add(data: bytes, lines: Iterable[Signature], known: Iterable[VerifierKey]) -> Cosigned:
    """Put cosignatures on a signed checkpoint; only those that verify get in.

    Lines that already stand on the note are kept when they are of keys not in `known` (the log's
    own) or verify; of two by one key the later stays. At most 15 cosignatures, in the order of
    `known`, so that no reader meets more lines than it must take.

    Raises:
        FormatError: `note.format` when `data` is no note.
        KeyFormatError: as `check`.
    """
    held = note.parse(data)
    order = list(dict.fromkeys(_cosigner(key) for key in known))
    by_id = {(key.name, key.key_id) for key in order}
    own = [line for line in held.signatures if (line.name, line.key_id) not in by_id]
    good: dict[VerifierKey, tuple[int, Signature]] = {}
    left_out = []
    for line in (*(line for line in held.signatures if line not in own), *lines):
        try:
            signed = check(held.text, line, order)
        except ChainError:
            left_out.append(line)
            continue
        time_s = signed.time_s or 0
        if signed.key not in good or good[signed.key][0] < time_s:
            good[signed.key] = (time_s, line)
    chosen = [key for key in order if key in good]
    left_out += [good[key][1] for key in chosen[COSIGNATURES_MAX:]]
    kept = chosen[:COSIGNATURES_MAX]
    made = note.Note(held.text, (*own, *(good[key][1] for key in kept))).data
    note.parse(made)
    return Cosigned(made, tuple(Signed(key, good[key][0]) for key in kept), tuple(left_out))


# ---------------------------------------------------------------- subtrees


def sign_subtree(key: note.Signer, *, origin: str, start: int, end: int, root: bytes) -> Signature:
    """Sign a subtree whose consistency the caller has verified (C2SP tlog-witness, sign-subtree).

    The time is zero: nothing is said about the newest tree.

    Raises:
        FormatError: `checkpoint.format` for a range that is no subtree, or an origin too long.
        KeyFormatError: `key.kind` for a key that is not of type 0x06.
    """
    who = _of_subtrees(key.verifier)
    message = _subtree(who, 0, origin, (start, end), root)
    made = bytes(8) + key.sign(message)
    verify_subtree(made, who, origin=origin, start=start, end=end, root=root)
    return Signature(who.name, who.key_id, made)


def verify_subtree(
    signature: bytes, key: VerifierKey, *, origin: str, start: int, end: int, root: bytes
) -> int:
    """Check a 0x06 signature over a subtree [start, end); its time in seconds, zero if none.

    Raises:
        FormatError: `checkpoint.format` for a range that is no subtree, or an origin too long.
        KeyFormatError: `key.kind` for a key that is not of type 0x06.
        SignatureError: `note.signature`.
    """
    time_s = int.from_bytes(signature[:8], "big")
    bad = SignatureError("note.signature", f"The signature by {key.name} is bad.")
    if time_s > note.TIME_S_MAX or (start and time_s):
        raise bad
    message = _subtree(_of_subtrees(key), time_s, origin, (start, end), root)
    if not keys.mldsa_verifies(key.public, message, signature[8:]):
        raise bad
    return time_s


def _subtree(
    key: VerifierKey, time_s: int, origin: str, span: tuple[int, int], root: bytes
) -> bytes:
    start, end = span
    if end > INT_MAX or not valid_subtree(start, end):
        raise FormatError("checkpoint.format", "The range is not that of a subtree.")
    return note.subtree(key.name, time_s=time_s, origin=origin, start=start, end=end, root=root)


def _cosigner(key: VerifierKey) -> VerifierKey:
    if key.kind not in COSIGNER_KINDS:
        raise KeyFormatError("key.kind", "The key is not that of a cosigner.")
    return key


def _of_subtrees(key: VerifierKey) -> VerifierKey:
    if key.kind != MLDSA_COSIGNATURE:
        raise KeyFormatError("key.kind", "Only a key of type 0x06 signs subtrees.")
    return key
