"""Forged proofs and changed files: a few thousand each time, a million of each in the long tier.

Nothing false may pass, and nothing but an error of `chain` may come out. What is accepted after
a change (a line of a stranger dropped, a comment in a policy) must still say what was signed.
"""

import random

import pytest

from chain import checkpoint, cosignature, leaf, merkle, note, policy, receipt
from chain.errors import ChainError, ProofError
from chain.note import COSIGNATURE, MLDSA_COSIGNATURE, SigningKey, VerifierKey
from tests.chain.making import Log
from tests.chain.mutating import mutate
from tests.chain.test_merkle import MANY, READ, ROOTS


def rounds(few: int, many: int) -> pytest.MarkDecorator:
    """So many in each run, so many in the long tier."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.slow)])


# ---------------------------------------------------------------- proofs


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


@rounds(2_000, 400_000)
def test_no_forged_inclusion_proof_passes(rng: random.Random, count: int) -> None:
    for _ in range(count):
        size = rng.randint(1, 300)
        index = rng.randrange(size)
        proof = merkle.inclusion_proof(index, size, READ)
        forged = forge(proof, rng)
        if forged == proof:
            continue
        with pytest.raises(ProofError):
            merkle.verify_inclusion(index, size, MANY[index], forged, root=ROOTS[size])


@rounds(2_000, 400_000)
def test_no_forged_consistency_proof_passes(rng: random.Random, count: int) -> None:
    for _ in range(count):
        new = rng.randint(1, 300)
        old = rng.randint(1, new)
        proof = merkle.consistency_proof(old, new, READ)
        forged = forge(proof, rng)
        if forged == proof:
            continue
        with pytest.raises(ProofError):
            merkle.verify_consistency(old, new, forged, old_root=ROOTS[old], new_root=ROOTS[new])


@rounds(2_000, 200_000)
def test_no_forged_subtree_proof_passes(rng: random.Random, count: int) -> None:
    for _ in range(count):
        size = rng.randint(2, 300)
        width = rng.randint(1, size)
        start = (
            rng.randrange(size) // (1 << (width - 1).bit_length()) * (1 << (width - 1).bit_length())
        )
        end = min(start + width, size)
        proof = merkle.subtree_proof(start, end, size, READ)
        forged = forge(proof, rng)
        if forged == proof:
            continue
        part = merkle.range_hash(start, end, READ)
        with pytest.raises(ProofError):
            merkle.verify_subtree(start, end, size, forged, subtree_root=part, root=ROOTS[size])


# ---------------------------------------------------------------- files


@pytest.mark.slow
def test_no_receipt_with_two_changed_bytes_passes(rng: random.Random) -> None:
    log = Log(31, SigningKey("hub.example/ledger", b"\x01" * 32))
    rules = log.policy()
    for _ in range(100_000):
        data = bytearray(log.receipt(rng.randrange(31)))
        for at in rng.sample(range(len(data)), 2):
            data[at] ^= rng.randint(1, 255)
        with pytest.raises(ChainError):
            receipt.verify(bytes(data), rules)


KEY = SigningKey("hub.example/ledger", b"\x01" * 32)
FRESH = SigningKey(KEY.name, b"\x0a" * 32)
FOREIGN = SigningKey("other.example/ledger", b"\x05" * 32)
CLASSIC = SigningKey("w1.example", b"\x02" * 32, COSIGNATURE)
LATTICE = SigningKey("w2.example", b"\x03" * 32, MLDSA_COSIGNATURE)
AT_S = 1_767_000_000
LOGS = [Log(size, KEY) for size in (1, 2, 7, 12)]
STRANGE = Log(7, FOREIGN, first=40)


def _signed(log: Log, *keys: SigningKey) -> bytes:
    """A checkpoint with lines of both witnesses, whose times say the size."""
    data = checkpoint.sign(log.head, keys)
    lines = [
        cosignature.cosign(log.head.text, key, time_s=AT_S + log.size) for key in (CLASSIC, LATTICE)
    ]
    return data + "".join(line.line for line in lines).encode()


NOTES = [_signed(log, KEY) for log in LOGS] + [_signed(LOGS[2], KEY, FRESH)]
STRANGE_NOTE = _signed(STRANGE, FOREIGN)
HEADS = {log.head for log in LOGS}
RULES = (
    f"# who is trusted\nlog {KEY.verifier.text} https://hub.example/\nlog {FRESH.verifier.text}\n"
    f"witness w1 {CLASSIC.verifier.text}\nwitness w2 {LATTICE.verifier.text} https://w2.example\n"
    "group all-of-them all w1 w2\ngroup x 1 all-of-them\nquorum x\n"
).encode()
POLICY = policy.parse(RULES)


def _must_be_true(found: policy.Trusted) -> None:
    assert found.checkpoint in HEADS
    times = set(found.cosigners.values())
    # a witness's line is of this very checkpoint, or it is not there
    assert times <= {AT_S + found.checkpoint.size}
    assert found.quorum == (len(found.cosigners) == 2)


@rounds(1_000, 150_000)
def test_no_changed_note_says_what_was_not_signed(rng: random.Random, count: int) -> None:
    pool = [*NOTES, STRANGE_NOTE]
    for _ in range(count):
        data = mutate(rng.choice(pool), rng, pool)
        try:
            _must_be_true(POLICY.examine(data))
        except ChainError:
            continue


@rounds(1_000, 200_000)
def test_no_changed_receipt_shows_another_entry(rng: random.Random, count: int) -> None:
    pool = [
        receipt.Receipt(
            index, log.leaves[index].data, receipt.parse(log.receipt(index)).proof, signed
        ).data
        for log, signed in [*zip(LOGS, NOTES, strict=False), (STRANGE, STRANGE_NOTE)]
        for index in range(log.size)
    ]
    leaves = LOGS[-1].leaves
    plain = policy.parse(RULES.replace(b"quorum x", b"quorum none"))
    for _ in range(count):
        data = mutate(rng.choice(pool), rng, pool)
        try:
            checked = receipt.verify(data, rng.choice((POLICY, plain)))
        except ChainError:
            continue
        assert checked.trusted.checkpoint in HEADS
        assert checked.leaf == leaves[checked.index]
        assert checked.index < checked.size


@rounds(1_000, 150_000)
def test_no_changed_policy_trusts_a_stranger(rng: random.Random, count: int) -> None:
    known = {KEY.verifier, FRESH.verifier, CLASSIC.verifier, LATTICE.verifier}
    for _ in range(count):
        try:
            rules = policy.parse(mutate(RULES, rng, [RULES]))
        except ChainError:
            continue
        assert {*rules.logs, *rules.witnesses.values()} <= known
        assert rules.quorum in ("none", *rules.witnesses, *rules.groups)
        members = [member for group in rules.groups.values() for member in group.members]
        assert len(members) == len(set(members))
        assert all(1 <= group.least <= len(group.members) for group in rules.groups.values())
        with pytest.raises(ChainError):
            rules.examine(STRANGE_NOTE)


@rounds(600, 100_000)
def test_no_changed_cosignature_passes(rng: random.Random, count: int) -> None:
    texts = [log.head.text for log in LOGS]
    true = {
        (note.parse(data).text, line.signature)
        for data in NOTES
        for line in note.parse(data).signatures
    }
    lines = [line.line.encode() for data in NOTES for line in note.parse(data).signatures]
    known = [CLASSIC.verifier, LATTICE.verifier]
    for _ in range(count):
        data = mutate(rng.choice(lines), rng, lines)
        text = rng.choice(texts)
        try:
            read = note.lines(data)
        except ChainError:
            continue
        for line in read[:3]:
            try:
                cosignature.check(text, line, known)
            except ChainError:
                continue
            assert (text, line.signature) in true


@rounds(400, 50_000)
def test_whatever_is_added_to_a_checkpoint_it_still_verifies(
    rng: random.Random, count: int
) -> None:
    lines = [line for data in [*NOTES, STRANGE_NOTE] for line in note.parse(data).signatures]
    own = [KEY.verifier, FRESH.verifier]
    known = [CLASSIC.verifier, LATTICE.verifier]
    for _ in range(count):
        data = checkpoint.sign(rng.choice(LOGS).head, [KEY])
        offered = rng.choices(lines, k=rng.randint(0, 4))
        changed = [
            note.Signature(one.name, one.key_id, mutate(one.signature, rng, [one.signature]))
            for one in offered[:1]
        ]
        made = cosignature.add(data, [*changed, *offered], known)
        _, signed = note.verify(made.data, [*own, *known])
        assert {one.key for one in signed} == {KEY.verifier, *(one.key for one in made.signed)}


@rounds(2_000, 150_000)
def test_no_changed_key_is_read_as_another(rng: random.Random, count: int) -> None:
    public = [key.verifier.text for key in (KEY, FOREIGN, CLASSIC)]
    private = [key.text for key in (KEY, FOREIGN, CLASSIC, LATTICE)]
    pool = [text.encode() for text in (*public, *private)]
    for _ in range(count):
        text = mutate(rng.choice(pool), rng, pool).decode("utf-8", "surrogateescape")
        for parse in (VerifierKey.parse, _private):
            try:
                parse(text)
            except ChainError:
                continue
            assert text in (*public, *private)


def _private(text: str) -> SigningKey:
    return SigningKey.parse(text, kinds=(note.ED25519, *note.COSIGNER_KINDS))


@rounds(2_000, 150_000)
def test_a_changed_leaf_is_refused_or_reads_back(rng: random.Random, count: int) -> None:
    pool = [one.data for one in LOGS[-1].leaves]
    for _ in range(count):
        data = mutate(rng.choice(pool), rng, pool)
        try:
            read = leaf.parse(data)
        except ChainError:
            continue
        assert read.data == data
