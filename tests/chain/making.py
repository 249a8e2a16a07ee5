"""Small logs for the tests of chain."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from chain import checkpoint, leaf, merkle, note, policy, receipt

VERDICTS = ("ok", "ok moved", "slot.taken", "contract.uncovered 3.2", "duplicate 2")
START_MS = 1_767_000_000_000


def jws(number: int) -> bytes:
    """Three base64url parts that no other number gives; no signature that verifies."""
    parts = (b'{"alg":"Ed25519"}', b'{"n":%d}' % number, sha256(b"%d" % number).digest() * 2)
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)


def leaves(count: int) -> list[leaf.Leaf]:
    """The first leaves of every log made here."""
    return [
        leaf.make(time_ms=START_MS + n, verdict=VERDICTS[n % len(VERDICTS)], jws=jws(n))
        for n in range(count)
    ]


def reader(hashes: Sequence[bytes]) -> merkle.HashReader:
    """A reader of the tree over these leaf hashes, filled as a log fills its store."""
    nodes = {(0, index): value for index, value in enumerate(hashes)}
    for level, index, value in merkle.Frontier().extend(hashes):
        nodes[level, index] = value
    return lambda level, index: nodes[level, index]


@dataclass(frozen=True)
class Log:
    """A log of `size` leaves under one key, and perhaps witnesses."""

    size: int
    key: note.SigningKey
    witnesses: tuple[note.SigningKey, ...] = ()
    first: int = 0

    @cached_property
    def leaves(self) -> list[leaf.Leaf]:
        return leaves(self.first + self.size)[self.first :]

    @cached_property
    def read(self) -> merkle.HashReader:
        return reader([one.hash for one in self.leaves])

    @property
    def head(self) -> checkpoint.Checkpoint:
        return checkpoint.Checkpoint(self.key.name, self.size, merkle.root(self.size, self.read))

    @cached_property
    def checkpoint(self) -> bytes:
        signed = note.parse(checkpoint.sign(self.head, [self.key]))
        lines = [cosignature(one, signed.text) for one in self.witnesses]
        return note.Note(signed.text, (*signed.signatures, *lines)).data

    def receipt(self, index: int) -> bytes:
        proof = tuple(merkle.inclusion_proof(index, self.size, self.read))
        return receipt.Receipt(index, self.leaves[index].data, proof, self.checkpoint).data

    def policy(self, *lines: str) -> policy.Policy:
        return policy.parse(policy_text(self.key, *lines or ("quorum none",)))


def policy_text(key: note.SigningKey, *lines: str) -> bytes:
    return "".join(f"{line}\n" for line in (f"log {key.verifier.text}", *lines)).encode()


def cosigner(key: note.SigningKey) -> note.VerifierKey:
    """The 0x04 public key of a witness."""
    return note.VerifierKey(key.name, note.COSIGNATURE, key.verifier.public)


def cosignature(key: note.SigningKey, text: str, time_s: int = 1_767_000_000) -> note.Signature:
    """A witness's line on a checkpoint."""
    signed = time_s.to_bytes(8, "big") + key.sign(note.cosigned(text.encode(), time_s))
    return note.Signature(key.name, cosigner(key).key_id, signed)
