"""The tree against public vectors, against its definition, and against forgers."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import merkle
from chain.encoding import b64
from chain.errors import ProofError
from tests.chain.making import reader

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "ledger_reference.json").read_text("utf-8")
)
TREE = VECTORS["tree"]
LEAVES = [merkle.leaf_hash(bytes.fromhex(text)) for text in TREE["leaves_hex"]]
MANY = [merkle.leaf_hash(b"%d" % n) for n in range(300)]
READ = reader(MANY)


def by_definition(hashes: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written."""
    if not hashes:
        return merkle.EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return merkle.node_hash(by_definition(hashes[:split]), by_definition(hashes[split:]))


ROOTS = [by_definition(MANY[:size]) for size in range(len(MANY) + 1)]


def test_empty_root() -> None:
    assert bytes.fromhex(TREE["empty_root_hex"]) == merkle.EMPTY_ROOT
    assert merkle.root(0, READ) == merkle.EMPTY_ROOT
    assert merkle.Frontier().root() == merkle.EMPTY_ROOT


@pytest.mark.parametrize("size", range(1, 9))
def test_reference_roots(size: int) -> None:
    expected = bytes.fromhex(TREE["roots_hex"][size - 1])
    frontier = merkle.Frontier()
    frontier.extend(LEAVES[:size])
    assert frontier.root() == expected
    assert merkle.root(size, reader(LEAVES)) == expected
    assert merkle.root_after(0, [], LEAVES[:size]) == expected


def test_reference_nodes() -> None:
    made = merkle.Frontier().extend(LEAVES)
    expected = {
        (int(level), index, bytes.fromhex(text))
        for level, texts in TREE["nodes_hex"].items()
        for index, text in enumerate(texts)
    }
    assert set(made) == expected
    assert len(made) == len(expected)


def test_large_tree_made_elsewhere() -> None:
    foreign = VECTORS["foreign"]
    frontier = merkle.Frontier()
    hashes = [merkle.leaf_hash(b"entry %d" % n) for n in range(foreign["size"])]
    read = reader(hashes)
    frontier.extend(hashes)
    assert b64(frontier.root()) == foreign["checkpoint"].split("\n")[2]
    assert merkle.root_after(0, [], hashes) == frontier.root()
    last = merkle.inclusion_proof(69_999, 70_000, read)
    assert len(last) == foreign["inclusion_last_hashes"]
    assert len(merkle.consistency_proof(255, 70_000, read)) == foreign["consistency_255_hashes"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 65, 127, 128, 255, 256, 257, 300])
def test_every_inclusion_proof(size: int) -> None:
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, READ)
        merkle.verify_inclusion(index, size, MANY[index], proof, root=ROOTS[size])


def test_every_consistency_proof_up_to_130() -> None:
    for new in range(131):
        for old in range(new + 1):
            proof = merkle.consistency_proof(old, new, READ)
            merkle.verify_consistency(old, new, proof, old_root=ROOTS[old], new_root=ROOTS[new])


@given(st.integers(0, 300), st.integers(0, 300))
def test_second_path_agrees(one: int, other: int) -> None:
    old, new = sorted((one, other))
    edge = [READ(level, index) for level, index in merkle.cover(0, old)]
    assert merkle.root_after(old, edge, MANY[old:new]) == ROOTS[new]
    frontier = merkle.Frontier(old, edge)
    frontier.extend(MANY[old:new])
    assert frontier.root() == ROOTS[new]
    assert list(frontier.hashes) == [READ(*at) for at in merkle.cover(0, new)]


@given(st.integers(1, 2**62), st.data())
def test_a_proof_reads_few_hashes(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    read: list[merkle.Coordinate] = []

    def spy(level: int, number: int) -> bytes:
        assert (number + 1) << level <= size
        read.append((level, number))
        return bytes(32)

    merkle.inclusion_proof(index, size, spy)
    assert len(read) <= 2 * size.bit_length()
    read.clear()
    merkle.consistency_proof(index, size, spy)
    assert len(read) <= 2 * size.bit_length()


@given(st.data())
def test_no_mutated_inclusion_proof_passes(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, READ)
    forged = data.draw(_mutations(proof))
    what = data.draw(st.sampled_from(["proof", "index", "size", "leaf", "root"]))
    given_index, given_size, leaf, root = index, size, MANY[index], ROOTS[size]
    if what == "proof":
        if forged == proof:
            return
        proof = forged
    elif what == "index":
        given_index = data.draw(st.integers(-1, 301).filter(lambda n: n != index))
    elif what == "size":
        # size and root come from one signed text; a proof alone does not bind the size
        given_size = data.draw(st.integers(0, 300).filter(lambda n: n != size))
        root = ROOTS[given_size]
    elif what == "leaf":
        leaf = data.draw(st.sampled_from([MANY[index - 1], bytes(32), b""]))
        if size == 1 or leaf == MANY[index]:
            leaf = b""
    else:
        root = data.draw(st.sampled_from([ROOTS[size - 1], bytes(32), b""]))
    with pytest.raises(ProofError):
        merkle.verify_inclusion(given_index, given_size, leaf, proof, root=root)


@given(st.data())
def test_no_mutated_consistency_proof_passes(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, 300))
    old = data.draw(st.integers(1, new))
    proof = merkle.consistency_proof(old, new, READ)
    forged = data.draw(_mutations(proof))
    roots = data.draw(st.sampled_from(["proof", "old", "new", "swapped"]))
    old_root, new_root = ROOTS[old], ROOTS[new]
    if roots == "proof":
        if forged == proof:
            return
        proof = forged
    elif roots == "old":
        old_root = ROOTS[old - 1]
    elif roots == "new":
        new_root = ROOTS[new - 1]
    else:
        if old == new:
            return
        old_root, new_root = new_root, old_root
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, new, proof, old_root=old_root, new_root=new_root)


def test_hashes_of_wrong_length_never_match() -> None:
    with pytest.raises(ProofError):
        merkle.verify_inclusion(0, 1, b"", [], root=b"")
    with pytest.raises(ProofError):
        merkle.verify_consistency(1, 1, [], old_root=b"x", new_root=b"x")


def test_from_an_empty_tree_only_the_empty_proof() -> None:
    with pytest.raises(ProofError):
        merkle.verify_consistency(0, 3, [MANY[0]], old_root=merkle.EMPTY_ROOT, new_root=ROOTS[3])
    with pytest.raises(ProofError):
        merkle.verify_consistency(0, 3, [], old_root=MANY[0], new_root=ROOTS[3])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 1), (1, 1), (0, 2**63)])
def test_no_proof_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ProofError):
        merkle.inclusion_proof(index, size, READ)


def test_no_consistency_backwards() -> None:
    with pytest.raises(ProofError):
        merkle.consistency_proof(3, 2, READ)
    with pytest.raises(ProofError):
        merkle.verify_consistency(3, 2, [], old_root=ROOTS[3], new_root=ROOTS[2])


def test_frontier_refuses_a_wrong_edge() -> None:
    with pytest.raises(ValueError, match="one hash for each bit"):
        merkle.Frontier(3, [MANY[0]])


def _mutations(proof: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    """The proof with one bit turned, one hash gone, doubled, foreign, or two exchanged."""
    position = st.integers(0, max(len(proof) - 1, 0))
    flipped = st.tuples(position, st.integers(0, 255)).map(
        lambda at: [
            bytes(b ^ (1 << at[1] % 8) if at[1] // 8 == n else b for n, b in enumerate(one))
            if number == at[0]
            else one
            for number, one in enumerate(proof)
        ]
    )
    dropped = position.map(lambda at: proof[:at] + proof[at + 1 :])
    doubled = position.map(lambda at: proof[:at] + proof[at : at + 1] + proof[at:])
    grown = st.sampled_from([*MANY[:3], bytes(32), b"", b"x" * 33]).flatmap(
        lambda one: position.map(lambda at: [*proof[:at], one, *proof[at:]])
    )
    return st.one_of(flipped, dropped, doubled, grown, st.just(proof[::-1]), st.just([]))


# ---------------------------------------------------------------- subtrees


def test_every_subtree_of_small_trees_is_proved_and_none_other() -> None:
    for size in range(1, 34):
        for start in range(size + 1):
            for end in range(start + 1, size + 1):
                if not merkle.valid_subtree(start, end):
                    continue
                part = merkle.range_hash(start, end, READ)
                proof = merkle.subtree_proof(start, end, size, READ)
                merkle.verify_subtree(start, end, size, proof, subtree_root=part, root=ROOTS[size])
                with pytest.raises(ProofError):
                    merkle.verify_subtree(
                        start, end, size, proof, subtree_root=part, root=ROOTS[size - 1]
                    )


def test_a_subtree_from_the_start_is_an_older_tree() -> None:
    for old, new in ((1, 8), (3, 7), (6, 8), (255, 256), (200, 300)):
        assert merkle.subtree_proof(0, old, new, READ) == merkle.consistency_proof(old, new, READ)


@pytest.mark.parametrize(
    ("start", "end", "is_one"),
    [
        (0, 0, True),
        (5, 5, True),
        (0, 13, True),
        (8, 13, True),
        (8, 16, True),
        (4, 8, True),
        (4, 9, False),
        (3, 5, False),
        (2, 5, False),
        (5, 4, False),
        (-1, 0, False),
        (256, 512, True),
        (256, 513, False),
    ],
)
def test_what_is_a_subtree(start: int, end: int, is_one: bool) -> None:
    assert merkle.valid_subtree(start, end) == is_one
    if not is_one:
        with pytest.raises(ProofError):
            merkle.subtree_ranges(start, end, 1000)


def test_an_empty_subtree_has_one_root_and_no_proof() -> None:
    empty = merkle.EMPTY_ROOT
    merkle.verify_subtree(4, 4, 9, [], subtree_root=empty, root=ROOTS[9])
    for proof, part, root in (
        ([ROOTS[1]], empty, ROOTS[9]),
        ([], ROOTS[1], ROOTS[9]),
        ([], b"", ROOTS[9]),
    ):
        with pytest.raises(ProofError):
            merkle.verify_subtree(4, 4, 9, proof, subtree_root=part, root=root)
    with pytest.raises(ProofError):
        merkle.verify_subtree(0, 0, 0, [], subtree_root=empty, root=ROOTS[1])
