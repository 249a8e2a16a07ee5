"""Receipts: what is whole is accepted, whatever was touched is not."""

import random
from pathlib import Path

import pytest

from chain import checkpoint, leaf, policy, receipt
from chain.encoding import b64
from chain.errors import ChainError, FormatError, KeyFormatError, PolicyError, ProofError
from chain.note import SigningKey
from tests.chain.making import Log, cosigner, policy_text

VECTORS = Path(__file__).parents[1] / "vectors"
KEY = SigningKey("hub.example/ledger", b"\x01" * 32)
LOG = Log(7, KEY)
WITNESS = SigningKey("clinic.example/w", b"\x02" * 32)


def test_the_golden_receipt() -> None:
    data = (VECTORS / "ledger_entry3.tlog-proof").read_bytes()
    rules = policy.parse((VECTORS / "ledger_policy.txt").read_bytes())
    checked = receipt.verify(data, rules)
    assert data == LOG.receipt(3)
    assert (checked.index, checked.size) == (3, 7)
    assert checked.leaf.verdict == "contract.uncovered 3.2"
    assert checked.receipt.data == data


@pytest.mark.parametrize("size", [1, 2, 3, 8, 31])
def test_every_receipt_of_a_log_verifies(size: int) -> None:
    log = Log(size, KEY)
    for index in range(size):
        checked = receipt.verify(log.receipt(index), log.policy())
        assert checked.leaf == log.leaves[index]


def test_each_byte_flipped_is_refused() -> None:
    rules = LOG.policy()
    data = LOG.receipt(3)
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            with pytest.raises(ChainError):
                receipt.verify(bytes(changed), rules)


def test_each_byte_lost_doubled_or_added_is_refused(rng: random.Random) -> None:
    rules = LOG.policy()
    data = LOG.receipt(3)
    for at in range(len(data) + 1):
        for changed in (
            data[:at] + data[at + 1 :],
            data[:at],
            data[:at] + rng.randbytes(1) + data[at:],
        ):
            if changed != data:
                with pytest.raises(ChainError):
                    receipt.verify(changed, rules)


def test_each_byte_flipped_is_refused_with_a_witness() -> None:
    """A line of a key that is not known is ignored, so it is the quorum that notices."""
    log = Log(7, KEY, (WITNESS,))
    rules = log.policy(f"witness w {cosigner(WITNESS).text}", "quorum w")
    data = log.receipt(3)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x04
        with pytest.raises(ChainError):
            receipt.verify(bytes(changed), rules)


def test_a_foreign_log_is_refused() -> None:
    foreign = Log(7, SigningKey("other.example/ledger", b"\x05" * 32))
    with pytest.raises(PolicyError) as caught:
        receipt.verify(foreign.receipt(3), LOG.policy())
    assert caught.value.code == "log.unknown"


def test_an_old_policy_with_another_key_is_refused() -> None:
    old = policy.parse(policy_text(SigningKey(KEY.name, b"\x06" * 32), "quorum none"))
    with pytest.raises(PolicyError) as caught:
        receipt.verify(LOG.receipt(3), old)
    assert caught.value.code == "log.unknown"


def test_a_foreign_leaf_is_refused() -> None:
    read = receipt.parse(LOG.receipt(3))
    for other in (LOG.leaves[4].data, leaf.make(time_ms=1, verdict="ok", jws=b"AA.AA.AA").data):
        forged = receipt.Receipt(read.index, other, read.proof, read.checkpoint)
        with pytest.raises(ProofError) as caught:
            receipt.verify(forged.data, LOG.policy())
        assert caught.value.code == "proof.inclusion"


def test_a_receipt_for_another_entry_is_refused_when_the_leaf_is_known() -> None:
    expected = LOG.leaves[3].data
    assert receipt.verify(LOG.receipt(3), LOG.policy(), expect_leaf=expected).index == 3
    with pytest.raises(ProofError) as caught:
        receipt.verify(LOG.receipt(4), LOG.policy(), expect_leaf=expected)
    assert caught.value.code == "proof.leaf"


def test_a_proof_of_another_checkpoint_is_refused() -> None:
    read = receipt.parse(LOG.receipt(3))
    for size in (4, 5, 6, 8):
        forged = receipt.Receipt(3, read.leaf, read.proof, Log(size, KEY).checkpoint)
        with pytest.raises(ProofError):
            receipt.verify(forged.data, LOG.policy())


def test_a_node_of_the_tree_is_no_leaf() -> None:
    """If the two could be confused, two leaves would pass as the one leaf of a smaller tree."""
    inner = b"\x01" + LOG.leaves[0].hash + LOG.leaves[1].hash
    head = checkpoint.Checkpoint(KEY.name, 1, Log(2, KEY).head.root)
    forged = receipt.Receipt(0, inner, (), checkpoint.sign(head, [KEY]))
    with pytest.raises(FormatError):
        receipt.verify(forged.data, LOG.policy())


@pytest.mark.parametrize("lines", [2, 64])
def test_malformed_files_are_refused(lines: int) -> None:
    read = receipt.parse(LOG.receipt(3))
    forged = receipt.Receipt(3, read.leaf, read.proof[:1] * lines, read.checkpoint)
    with pytest.raises(ChainError):
        receipt.verify(forged.data, LOG.policy())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"tlog-proof@v1", b"tlog-proof@v2"),
        (b"extra ", b"Extra "),
        (b"index 3", b"index 03"),
        (b"index 3", b"index +3"),
        (b"index 3\n", b""),
        (b"\n\n", b"\n"),
        (b"\nindex", b"\r\nindex"),
        (b"extra ", b"extra  "),
        (b"c2sp", b"\xef\xbb\xbfc2sp"),
    ],
)
def test_other_spellings_are_refused(old: bytes, new: bytes) -> None:
    data = LOG.receipt(3)
    changed = data.replace(old, new, 1)
    assert changed != data
    with pytest.raises(FormatError):
        receipt.verify(changed, LOG.policy())


def test_hub_only_is_examined_and_not_verified() -> None:
    rules = LOG.policy(f"witness w {cosigner(WITNESS).text}", "quorum w")
    with pytest.raises(PolicyError) as caught:
        receipt.verify(LOG.receipt(3), rules)
    assert caught.value.code == "quorum.missing"
    hub_only = receipt.examine(LOG.receipt(3), rules)
    assert (hub_only.index, hub_only.trusted.quorum) == (3, False)
    witnessed = receipt.examine(Log(7, KEY, (WITNESS,)).receipt(3), rules)
    assert witnessed.trusted.quorum
    for changed in (b"index 4", b"index 03"):
        with pytest.raises(ChainError):
            receipt.examine(LOG.receipt(3).replace(b"index 3", changed), rules)
    with pytest.raises(ProofError):
        receipt.examine(LOG.receipt(3), rules, expect_leaf=b"another")


# ---------------------------------------------------------------- the general format


def test_a_proof_without_extra_data_is_one_and_no_receipt() -> None:
    read = receipt.parse(LOG.receipt(3)).whole
    plain = receipt.Proof(read.index, read.hashes, read.checkpoint)
    assert plain.data == LOG.receipt(3).replace(
        b"extra " + b64(LOG.leaves[3].data).encode() + b"\n", b""
    )
    assert receipt.Proof.parse(plain.data) == plain
    assert plain.verify(LOG.leaves[3].hash, LOG.policy()).checkpoint.size == 7
    with pytest.raises(ProofError):
        plain.verify(LOG.leaves[4].hash, LOG.policy())
    with pytest.raises(FormatError) as caught:
        receipt.parse(plain.data)
    assert caught.value.code == "receipt.format"


@pytest.mark.parametrize("extra", [None, b"", b"x", bytes(300)])
@pytest.mark.parametrize("hashes", [0, 1, 63])
def test_proofs_read_back(extra: bytes | None, hashes: int) -> None:
    made = receipt.Proof(0, (bytes(32),) * hashes, b"text\n\n\xe2\x80\x94 n AAAAAAA=\n", extra)
    assert receipt.Proof.parse(made.data) == made


HEAD = "c2sp.org/tlog-proof@v1\n"
TAIL = "\ntext\n\n— name AAAAAAA=\n"
HASH = b64(bytes(32)) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        HEAD + TAIL,
        f"{HEAD}index 0\n",
        f"{HEAD}extra AAAA\n{TAIL}",
        f"{HEAD}index 0\nextra AAAA\n{TAIL}",
        f"{HEAD}extra AAAA\nextra AAAA\nindex 0\n{TAIL}",
        f"{HEAD}extra AAA\nindex 0\n{TAIL}",
        f"{HEAD}extra AAB=\nindex 0\n{TAIL}",
        f"{HEAD}extra\nindex 0\n{TAIL}",
        f"{HEAD}index\n{TAIL}",
        f"{HEAD}index \n{TAIL}",
        f"{HEAD}index -1\n{TAIL}",
        f"{HEAD}index x\n{TAIL}",
        f"{HEAD}index ٣\n{TAIL}",
        f"{HEAD}index {2**63}\n{TAIL}",
        f"{HEAD}index 0 \n{TAIL}",
        f"{HEAD}index 0\nindex 0\n{TAIL}",
        f"{HEAD}index 0\nAAAA\n{TAIL}",
        f"{HEAD}index 0\n {HASH}{TAIL}",
        f"{HEAD}index 0\n{HASH * 64}{TAIL}",
        f"{HEAD}\nindex 0\n{TAIL}",
        f" {HEAD}index 0\n{TAIL}",
        f"c2sp.org/tlog-proof@v10\nindex 0\n{TAIL}",
    ],
)
def test_malformed_proofs_are_refused(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        receipt.Proof.parse(text.encode())
    assert caught.value.code == "receipt.format"


def test_too_long_is_refused() -> None:
    with pytest.raises(FormatError):
        receipt.parse(LOG.receipt(3) + b"x" * receipt.RECEIPT_BYTES_MAX)


def test_errors_are_one_family() -> None:
    assert issubclass(KeyFormatError, ChainError)
    assert issubclass(ChainError, ValueError)
