"""The short form of a receipt: the very bytes again, or a refusal; never another receipt."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain import checkpoint, leaf, merkle, note, receipt
from consortium.kernel.errors import Refusal
from consortium.ledger import compact, receipts
from tests.chain.making import cosignature, reader
from tests.chain.test_receipt import KEY
from tests.vectors import golden_ledger

WITNESSES = tuple(
    note.SigningKey(f"{KEY.name}/witness/{n:032x}", bytes([n + 1]) * 32) for n in range(15)
)
RULES = receipts.policy_text(KEY.verifier.text)


@cache
def real() -> tuple[leaf.Leaf, ...]:
    """The leaves of the demo's story."""
    return tuple(leaf.parse(data) for data, _ in golden_ledger.read()[0])


@cache
def read(size: int) -> merkle.HashReader:
    return reader([one.hash for one in real()[:size]])


def made(index: int, size: int, *, witnesses: int, more: tuple[str, ...] = ()) -> bytes:
    head = checkpoint.Checkpoint(KEY.name, size, merkle.root(size, read(size)), more)
    signed = note.parse(checkpoint.sign(head, [KEY]))
    lines = [cosignature(key, signed.text) for key in WITNESSES[:witnesses]]
    whole = note.Note(signed.text, (*signed.signatures, *lines)).data
    proof = tuple(merkle.inclusion_proof(index, size, read(size)))
    return receipt.Receipt(index, real()[index].data, proof, whole).data


@settings(max_examples=60)
@given(st.data())
def test_it_gives_back_the_very_bytes(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from((1, 2, 3, 64, 65, 100, len(real()))))
    index = data.draw(st.integers(0, size - 1))
    more = data.draw(st.sampled_from(((), ("a line more",))))
    file = made(index, size, witnesses=data.draw(st.integers(0, 15)), more=more)
    packed = compact.pack(file)
    assert packed[0] == 1
    assert compact.unpack(packed) == file


def test_a_receipt_takes_few_bytes() -> None:
    """Five witnesses and a tree of a million entries fit in two codes of 989 bytes."""
    file = made(len(real()) - 1, len(real()), witnesses=5)
    held = receipt.parse(file)
    size = 1_000_000
    root = merkle.inclusion_root(
        held.index, size, merkle.leaf_hash(held.leaf), (bytes(32),) * 20
    )  # fmt: skip
    signed = note.parse(checkpoint.sign(checkpoint.Checkpoint(KEY.name, size, root), [KEY]))
    lines = [cosignature(key, signed.text) for key in WITNESSES[:5]]
    whole = note.Note(signed.text, (*signed.signatures, *lines)).data
    grown = replace(held, proof=(bytes(32),) * 20, checkpoint=whole).data
    assert receipts.check(grown, RULES).size == size
    assert len(compact.pack(grown)) <= 2 * 989
    assert compact.unpack(compact.pack(grown)) == grown


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"no receipt at all",
        made(3, 64, witnesses=1).replace(b"index 3\n", b"index 4\n"),
        made(3, 64, witnesses=1)[:-40],
        made(3, 64, witnesses=0).replace(b"\n64\n", b"\n65\n"),
    ],
    ids=["nothing", "else", "other index", "cut", "other size"],
)
def test_what_is_no_whole_receipt_is_kept_as_it_is(file: bytes) -> None:
    assert compact.unpack(compact.pack(file)) == file


def passing(packed: bytes) -> bytes | None:
    """The leaf of a receipt that passes the check."""
    try:
        return receipts.check(compact.unpack(packed), RULES).leaf
    except Refusal as refusal:
        return None if refusal.code in {"ledger.compact", "ledger.receipt"} else b""


def test_a_changed_byte_never_passes_the_check_as_another_receipt() -> None:
    file = made(3, 64, witnesses=1)
    packed = compact.pack(file)
    refused = 0
    for place in range(len(packed)):
        for bit in (1, 0x80):
            bad = bytearray(packed)
            bad[place] ^= bit
            held = passing(bytes(bad))
            # a cosigner that no policy names may say anything; the entry is the same
            assert held in {None, receipt.parse(file).leaf}
            refused += held is None
    assert refused > len(packed)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_other_bytes_are_refused(data: bytes) -> None:
    for mark in (b"", b"\0", b"\1"):
        assert passing(mark + data) is None


def test_a_bomb_is_refused() -> None:
    bomb = compact.pack(b"0" * receipt.RECEIPT_BYTES_MAX)
    assert len(compact.unpack(bomb)) == receipt.RECEIPT_BYTES_MAX
    with pytest.raises(Refusal, match=r"ledger\.compact"):
        compact.unpack(compact.pack(b"0" * (receipt.RECEIPT_BYTES_MAX + 1)))
