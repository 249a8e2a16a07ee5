"""The long tier: a million forged proofs, none of which may pass."""

import random

import pytest

from chain import merkle, receipt
from chain.errors import ChainError, ProofError
from chain.note import SigningKey
from tests.chain.making import Log
from tests.chain.test_merkle import MANY, READ, ROOTS

pytestmark = pytest.mark.slow


def forge(proof: list[bytes], rng: random.Random) -> list[bytes]:
    """The proof, changed in one to three ways."""
    made = list(proof)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(made) + 1)
        way = rng.randrange(5)
        if way == 0 or at == len(made):
            made.insert(at, rng.choice(MANY))
        elif way == 1:
            del made[at]
        elif way == 2:
            flipped = bytearray(made[at])
            flipped[rng.randrange(32)] ^= 1 << rng.randrange(8)
            made[at] = bytes(flipped)
        elif way == 3:
            made[at] = rng.choice(MANY)
        else:
            other = rng.randrange(len(made))
            made[at], made[other] = made[other], made[at]
    return made


def test_no_forged_inclusion_proof_passes(rng: random.Random) -> None:
    for _ in range(500_000):
        size = rng.randint(1, 300)
        index = rng.randrange(size)
        proof = merkle.inclusion_proof(index, size, READ)
        forged = forge(proof, rng)
        if forged == proof:
            continue
        with pytest.raises(ProofError):
            merkle.verify_inclusion(index, size, MANY[index], forged, root=ROOTS[size])


def test_no_forged_consistency_proof_passes(rng: random.Random) -> None:
    for _ in range(500_000):
        new = rng.randint(1, 300)
        old = rng.randint(1, new)
        proof = merkle.consistency_proof(old, new, READ)
        forged = forge(proof, rng)
        if forged == proof:
            continue
        with pytest.raises(ProofError):
            merkle.verify_consistency(old, new, forged, old_root=ROOTS[old], new_root=ROOTS[new])


def test_no_receipt_with_two_changed_bytes_passes(rng: random.Random) -> None:
    log = Log(31, SigningKey("hub.example/ledger", b"\x01" * 32))
    rules = log.policy()
    for _ in range(200_000):
        data = bytearray(log.receipt(rng.randrange(31)))
        for at in rng.sample(range(len(data)), 2):
            data[at] ^= rng.randint(1, 255)
        with pytest.raises(ChainError):
            receipt.verify(bytes(data), rules)
