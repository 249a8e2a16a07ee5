"""Receipts: made for whatever is published, checked by the code that strangers run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain import checkpoint, leaf, merkle, note, receipt, tiles
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.time import from_ms
from consortium.ledger import journal, publisher, receipts, tilework
from tests.chain.making import Log, cosignature, cosigner
from tests.chain.test_receipt import KEY as CHAIN_KEY
from tests.chain.test_receipt import WITNESS
from tests.consortium.ledger.making import NOW, ORIGIN, Memory, begin, grow, jws, log_key

KEY = log_key()
RULES = receipts.policy_text(KEY.vkey)
ROOT = Path(__file__).parents[3]


def filled(database: Database, *, published: int, more: int = 0) -> None:
    begin(database)
    grow(database, range(published))
    publisher.publish(database, KEY, Memory(), now=NOW)
    grow(database, range(published, published + more))


def test_each_entry_has_its_receipt(database: Database) -> None:
    filled(database, published=70, more=5)
    with database.read() as session:
        made = receipts.receipts(session, range(75))
        assert made.keys() == set(range(70))
        for index, data in made.items():
            checked = receipts.check(data, RULES)
            leaf = journal.leaves(session, [index])[index]
            assert (checked.index, checked.size, checked.origin) == (index, 70, ORIGIN)
            assert (checked.leaf, checked.jws) == (leaf, jws(index))
            assert checked.time == from_ms(journal.read_leaf(leaf).time_ms)
            assert checked.verdict == "ok"
            assert checked.cosigners == {}
            merkle.verify_inclusion(index, 70, checked.leaf_hash, checked.proof, root=checked.root)
        assert receipts.receipt(session, 3) == made[3]


def test_none_until_a_checkpoint_covers_it(database: Database) -> None:
    begin(database)
    with database.read() as session:
        assert receipts.receipt(session, 0) is None
    grow(database, range(2))
    with database.read() as session:
        assert receipts.receipt(session, 0) is None
    publisher.publish(database, KEY, Memory(), now=NOW)
    with database.read() as session:
        assert receipts.receipt(session, 1) is not None
        assert receipts.receipt(session, 2) is None
        assert receipts.receipt(session, -1) is None
        assert receipts.receipts(session, []) == {}


def test_receipts_at_once_are_bounded(database: Database) -> None:
    filled(database, published=300)
    with database.read() as session:
        assert len(receipts.receipts(session, range(256))) == 256
        with pytest.raises(ValueError, match="256"):
            receipts.receipts(session, range(257))


def test_a_receipt_stays_good_while_the_ledger_grows(database: Database) -> None:
    filled(database, published=7)
    with database.read() as session:
        old = receipts.receipt(session, 3)
    grow(database, range(100, 109))
    publisher.publish(database, KEY, Memory(), now=NOW)
    with database.read() as session:
        new = receipts.receipt(session, 3)
    assert old is not None
    assert new is not None
    assert receipts.check(old, RULES).size == 7
    assert receipts.check(new, RULES).size == 16


def test_consistency_between_all_sizes(database: Database) -> None:
    begin(database)
    guard = Memory()
    for number in range(1, 40):
        grow(database, [number])
        publisher.publish(database, KEY, guard, now=NOW)
    roots = {0: merkle.EMPTY_ROOT, **dict(guard.kept)}
    with database.read() as session:
        for new in range(40):
            for old in range(new + 1):
                proof = receipts.consistency(session, old=old, new=new)
                merkle.verify_consistency(old, new, proof, old_root=roots[old], new_root=roots[new])
        for old, new in ((0, 40), (3, 2), (-1, 2)):
            with pytest.raises(Refusal) as caught:
                receipts.consistency(session, old=old, new=new)
            assert caught.value.code == "ledger.no_tree"


def test_tiles_are_those_of_the_published_tree(database: Database) -> None:
    filled(database, published=600, more=50)
    with database.read() as session:
        hashes = [entry.leaf_hash for entry in journal.entries(session, 0)]
        for tile in tiles.tiles_of(600):
            data = tilework.tile(session, tile.path)
            assert len(data) == 32 * tile.width
        assert tilework.tile(session, "tile/0/001") == b"".join(hashes[256:512])
        assert tilework.tile(session, "tile/0/002.p/88") == b"".join(hashes[512:600])
        assert tilework.tile(session, "tile/0/002.p/3") == b"".join(hashes[512:515])
        subtree = merkle.root_after(0, [], hashes[:256])
        assert tilework.tile(session, "tile/1/000.p/2")[:32] == subtree
        for path in ("tile/0/002", "tile/0/002.p/89", "tile/1/000.p/3", "tile/3/000", "x", "../x"):
            with pytest.raises(Refusal) as caught:
                tilework.tile(session, path)
            assert caught.value.code == "ledger.no_tile"


# ---------------------------------------------------------------- checking


def reason(caught: pytest.ExceptionInfo[Refusal]) -> object:
    assert caught.value.code == "ledger.receipt"
    return caught.value.facts["reason"]


LOG = Log(7, CHAIN_KEY)
LOG_RULES = receipts.policy_text(CHAIN_KEY.verifier.text)


@settings(max_examples=300)
@given(st.integers(0, len(LOG.receipt(3)) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused(position: int, change: int) -> None:
    data = bytearray(LOG.receipt(3))
    data[position] ^= change
    with pytest.raises(Refusal) as caught:
        receipts.check(bytes(data), LOG_RULES)
    assert caught.value.code == "ledger.receipt"


def test_foreign_log_foreign_leaf_old_policy() -> None:
    good = LOG.receipt(3)
    with pytest.raises(Refusal) as caught:
        receipts.check(good, RULES.replace(KEY.vkey.encode(), log_key(b"\x07" * 32).vkey.encode()))
    assert reason(caught) == "log.unknown"
    with pytest.raises(Refusal) as caught:
        receipts.check(good, receipts.policy_text(log_key(origin="other.example").vkey))
    assert reason(caught) == "log.unknown"
    with pytest.raises(Refusal) as caught:
        receipts.check(good, LOG_RULES, expect_leaf=LOG.leaves[4].data)
    assert reason(caught) == "proof.leaf"
    parsed = receipt.parse(good)
    forged = receipt.Receipt(3, LOG.leaves[4].data, parsed.proof, parsed.checkpoint)
    with pytest.raises(Refusal) as caught:
        receipts.check(forged.data, LOG_RULES)
    assert reason(caught) == "proof.inclusion"
    assert receipts.check(good, LOG_RULES, expect_leaf=LOG.leaves[3].data).index == 3


def test_witnesses_of_the_policy_are_shown() -> None:
    log = Log(7, CHAIN_KEY, (WITNESS,))
    lines = (f"witness clinic {cosigner(WITNESS).text}", "quorum clinic")
    rules = receipts.policy_text(CHAIN_KEY.verifier.text, *lines)
    found = receipts.check(log.receipt(3), rules)
    assert found.cosigners == {"clinic": from_ms(1_767_000_000_000)}
    assert found.quorum
    hub_only = receipts.check(LOG.receipt(3), rules)
    assert (hub_only.cosigners, hub_only.quorum) == ({}, False)
    assert not receipts.check(log.receipt(3), LOG_RULES).quorum


@pytest.mark.parametrize("policy", [b"", b"quorum none", b"log x\nquorum none\n"])
def test_a_policy_that_cannot_be_read(policy: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        receipts.check(LOG.receipt(3), policy)
    assert caught.value.code == "ledger.policy"
    with pytest.raises(Refusal):
        receipts.policy_text("nonsense")


def test_page_and_command_line_agree(tmp_path: Path) -> None:
    """Both run one code; this holds that the door to it is the same too."""
    rules = tmp_path / "policy"
    rules.write_bytes(LOG_RULES)
    file = tmp_path / "receipt.tlog-proof"
    good = LOG.receipt(3)
    command = [sys.executable, "-m", "chain", "receipt", str(file), "--policy", str(rules)]
    file.write_bytes(good)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, receipts.check(good, LOG_RULES).index) == (0, 3)
    for data in (good.replace(b"index 3", b"index 5"), good[:-2], os.urandom(300)):
        file.write_bytes(data)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        with pytest.raises(Refusal) as caught:
            receipts.check(data, LOG_RULES)
        assert done.returncode == 1
        assert f"({reason(caught)})" in done.stdout


def test_the_latest_times_are_shown_too() -> None:
    """Whatever `chain` accepts has a date."""
    last = leaf.make(time_ms=leaf.TIME_MS_MAX, verdict="ok", jws=jws(1))
    head = checkpoint.Checkpoint(CHAIN_KEY.name, 1, last.hash)
    signed = note.parse(checkpoint.sign(head, [CHAIN_KEY]))
    line = cosignature(WITNESS, signed.text, note.TIME_S_MAX)
    data = receipt.Receipt(
        0, last.data, (), note.Note(signed.text, (*signed.signatures, line)).data
    )
    rules = receipts.policy_text(
        CHAIN_KEY.verifier.text, f"witness clinic {cosigner(WITNESS).text}", "quorum clinic"
    )
    checked = receipts.check(data.data, rules)
    assert checked.time.year == 9999
    assert checked.cosigners["clinic"].year == 9999
