"""The witness: every answer of the protocol, its race, and every fault of its disk."""

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import checkpoint, merkle, note, policy
from chain.cosignature import verify_subtree
from chain.encoding import b64
from chain.errors import FormatError, SignatureError
from chain.note import COSIGNATURE, MLDSA_COSIGNATURE, Note, SigningKey
from chain.store import Disk
from chain.views import Seen, StateError, Views, origin_hash
from chain.witness import SIZE, Answer, Request, Witness, parse_request
from tests.chain.faults import FailingDisk, Fault, KilledError
from tests.chain.making import policy_text, reader
from tests.chain.test_log import HASHES, KEY, signed

ED = SigningKey("clinic1.example/w", b"\x02" * 32, COSIGNATURE)
PQ = SigningKey("clinic1.example/w", b"\x03" * 32, MLDSA_COSIGNATURE)
OTHER = SigningKey("other.example", b"\x05" * 32)
RULES = policy.parse(policy_text(KEY, f"log {OTHER.verifier.text}", "quorum none"))
READ = reader(HASHES)
NOW = 1_767_000_000
NAME = origin_hash(KEY.name)
MADE: list[Views] = []


def begun(root: Path, *signers: SigningKey, disk: Disk | None = None) -> Views:
    """The new state of these keys."""
    views = state(root, *signers, disk=disk)
    views.create()
    return views


def state(root: Path, *signers: SigningKey, disk: Disk | None = None) -> Views:
    keys = [one.verifier for one in signers]
    seen = Seen(root.with_name(root.name + ".seen"), disk=disk)
    views = Views(root, keys, checks=keys, seen=seen, disk=disk)
    MADE.append(views)
    return views


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while MADE:
        MADE.pop().close()


@pytest.fixture
def views(tmp_path: Path) -> Views:
    return begun(tmp_path / "state", ED, PQ)


@pytest.fixture
def witness(views: Views) -> Witness:
    return Witness(RULES, (ED, PQ), views)


def request(old: int, size: int, data: bytes | None = None) -> bytes:
    """A request that a log with an honest view of its witness makes."""
    proof = tuple(merkle.consistency_proof(old, size, READ))
    return Request(old, proof, signed(size) if data is None else data).body


def ask(witness: Witness, old: int, size: int, data: bytes | None = None) -> Answer:
    return witness.add_checkpoint(request(old, size, data), now_s=NOW)


def forked(size: int) -> bytes:
    """Another tree of this size, signed by the log."""
    root = merkle.leaf_hash(b"another history")
    return checkpoint.sign(checkpoint.Checkpoint(KEY.name, size, root), [KEY])


# ---------------------------------------------------------------- add-checkpoint


def test_it_cosigns_what_extends_what_it_saw(witness: Witness, views: Views) -> None:
    old = 0
    for size in (3, 3, 8, 257):
        answer = ask(witness, old, size)
        assert (answer.status, answer.content_type) == (200, "text/plain; charset=utf-8")
        read, by = note.verify(signed(size) + answer.body, [ED.verifier, PQ.verifier])
        assert {one.key for one in by} == {ED.verifier, PQ.verifier}
        assert {one.time_s for one in by} == {NOW}
        served = witness.checkpoint(NAME)
        assert served.status == 200
        assert served.body.startswith(read.text.encode())
        # the log's line and both of the witness, as monitors want them
        keys = [KEY.verifier, ED.verifier, PQ.verifier]
        assert len(note.verify(served.body, keys)[1]) == 3
        old = size
    assert views.read(KEY.name) is not None


def test_a_log_may_begin_with_an_empty_tree(witness: Witness) -> None:
    assert ask(witness, 0, 0).status == 200
    assert ask(witness, 0, 0).status == 200
    assert ask(witness, 0, 5).status == 200
    assert ask(witness, 0, 0).status == 409


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n" + signed(3),
        b"old 00\n\n" + signed(3),
        b"old -1\n\n" + signed(3),
        b"old 0 \n\n" + signed(3),
        b"Old 0\n\n" + signed(3),
        b"\nold 0\n\n" + signed(3),
        b"old 0\nAAAA\n\n" + signed(3),
        b"old 0\n" + f"{b64(bytes(32))}\n".encode() * 64 + b"\n" + signed(3),
        b"old 0\n\n" + signed(3)[:-1],
        b"old 0\r\n\r\n" + signed(3),
        b"old 4\n\n" + signed(3),
        b"old 0\n\n" + note.sign(f"{KEY.name}\n3\n", [KEY]),
        b"old 0\n\n" + note.sign(f"{KEY.name}\n03\n{b64(bytes(32))}\n", [KEY]),
        b"old 0\n\n" + note.sign(f"{KEY.name}\n3\n{b64(bytes(31))}\n", [KEY]),
    ],
)
def test_400_what_is_malformed(witness: Witness, body: bytes) -> None:
    assert witness.add_checkpoint(body, now_s=NOW).status == 400


def test_403_without_a_good_signature_of_the_log(witness: Witness) -> None:
    text = note.parse(signed(3)).text
    stranger = SigningKey(KEY.name, b"\x09" * 32)
    broken = signed(3).replace(b"\n3\n", b"\n4\n")
    for data in (note.sign(text, [stranger]), note.sign(text, [OTHER]), broken):
        assert ask(witness, 0, 3, data).status == 403
    good, bad = note.parse(signed(3)).signatures[0], note.parse(broken).signatures[0]
    assert good == bad
    wrong = note.parse(signed(5)).signatures[0]
    assert ask(witness, 0, 3, Note(text, (good, wrong)).data).status == 403
    assert witness.checkpoint(NAME).status == 404


def test_unknown_signatures_are_ignored_and_not_kept(witness: Witness) -> None:
    text = note.parse(signed(3)).text
    data = note.sign(text, [SigningKey("somebody", b"\x09" * 32), KEY])
    assert ask(witness, 0, 3, data).status == 200
    assert b"somebody" not in witness.checkpoint(NAME).body


def test_404_an_unknown_log(witness: Witness) -> None:
    stranger = SigningKey("unknown.example", b"\x09" * 32)
    assert ask(witness, 0, 3, signed(3, key=stranger)).status == 404
    assert witness.checkpoint(origin_hash("unknown.example")).status == 404
    assert witness.checkpoint("../" + NAME).status == 404


def test_409_says_what_was_seen_last(witness: Witness) -> None:
    answer = ask(witness, 2, 3)
    assert (answer.status, answer.body, answer.content_type) == (409, b"0\n", SIZE)
    ask(witness, 0, 8)
    for old, size in ((0, 8), (3, 8), (0, 9), (7, 7)):
        answer = ask(witness, old, size)
        assert (answer.status, answer.body, answer.content_type) == (409, b"8\n", SIZE)
    assert ask(witness, 8, 9).status == 200
    # logs do not disturb each other
    assert ask(witness, 0, 3, signed(3, key=OTHER)).status == 200


def test_422_what_does_not_extend_it(witness: Witness, views: Views) -> None:
    proof = tuple(merkle.consistency_proof(3, 8, READ))
    assert witness.add_checkpoint(Request(0, proof, signed(8)).body, now_s=NOW).status == 422
    text = f"{KEY.name}\n0\n{b64(bytes(32))}\n"
    assert ask(witness, 0, 0, note.sign(text, [KEY])).status == 422
    assert ask(witness, 0, 3).status == 200
    for wrong in ((), proof[:-1], proof[::-1], (*proof, proof[0])):
        assert witness.add_checkpoint(Request(3, wrong, signed(8)).body, now_s=NOW).status == 422
    assert witness.add_checkpoint(Request(3, proof, forked(8)).body, now_s=NOW).status == 422
    assert witness.add_checkpoint(Request(3, proof, signed(3)).body, now_s=NOW).status == 422
    assert list(views.evidence()) == []


def test_two_trees_of_one_size_are_kept_as_evidence(witness: Witness, views: Views) -> None:
    ask(witness, 0, 3)
    for _ in range(2):
        assert ask(witness, 3, 3, forked(3)).status == 422
    pairs = list(views.evidence())
    assert len(pairs) == 1
    for data in pairs[0]:
        assert note.verify(data, [KEY.verifier])
    assert note.parse(pairs[0][0]).text == note.parse(signed(3)).text
    assert pairs[0][1] == forked(3)
    assert b"3\n" in witness.checkpoint(NAME).body


@given(st.binary(max_size=200))
def test_any_body_reads_back_or_is_refused(body: bytes) -> None:
    for tried in (body, b"old 3\n" + body, b"old 3\n\n" + body):
        try:
            assert parse_request(tried).body == tried
        except FormatError:
            continue


# ---------------------------------------------------------------- the race


def test_of_two_at_once_one_is_told_the_new_size(tmp_path: Path) -> None:
    views = begun(tmp_path / "state", ED)
    Witness(RULES, (ED,), views).add_checkpoint(request(0, 3), now_s=NOW)
    barrier, found = threading.Barrier(8), []

    def one(size: int) -> None:
        witness = Witness(RULES, (ED,), views)
        barrier.wait()
        found.append((size, ask(witness, 3, size).status))

    threads = [threading.Thread(target=one, args=(4 + n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for _, status in found) == [200, *[409] * 7]
    view = views.read(KEY.name)
    assert view is not None
    assert [size for size, status in found if status == 200] == [view.head.size]


# ---------------------------------------------------------------- a state that forgot


def test_a_key_does_not_start_without_the_state_it_had(tmp_path: Path) -> None:
    root, seen = tmp_path / "state", tmp_path / "state.seen"

    def code(*signers: SigningKey) -> str:
        with pytest.raises(StateError) as fault:
            state(root, *signers).open()
        return fault.value.code

    assert code(ED) == "state.lost"
    views = begun(root, ED)
    assert code(ED) == "state.running"
    assert code(PQ) == "state.key"
    witness = Witness(RULES, (ED,), views)
    assert ask(witness, 0, 3).status == 200
    file = root / NAME / "checkpoint"
    older = file.read_bytes()
    assert ask(witness, 3, 8).status == 200
    newest = file.read_bytes()
    views.close()
    # a copy from a backup, another tree of that size, no view at all, no record of it
    file.write_bytes(older)
    assert code(ED) == "state.behind"
    other = checkpoint.parse(note.parse(forked(8)).text)
    file.unlink()
    assert code(ED) == "state.behind"
    file.write_bytes(newest)
    good = seen.read_bytes()
    seen.write_bytes(good + f"{NAME} 8 {b64(other.root)}\n".encode())
    assert code(ED) == "state.behind"
    seen.unlink()
    assert code(ED) == "state.lost"
    seen.write_bytes(good + b"cut")
    again = state(root, ED)
    again.open()
    assert ask(Witness(RULES, (ED,), again), 8, 9).status == 200
    assert seen.read_bytes().endswith(b"\n")
    with pytest.raises(StateError):
        state(root, ED).create()
    again.close()


def test_a_record_of_anything_else_is_refused(tmp_path: Path) -> None:
    begun(tmp_path / "state", ED).close()
    for line in (b"word\n", b"a b c\n", b"a 1 AAAA\n", b"\xff\n"):
        (tmp_path / "state.seen").write_bytes(line)
        with pytest.raises(FormatError):
            state(tmp_path / "state", ED).open()


def test_a_state_with_one_bit_changed_signs_nothing(tmp_path: Path) -> None:
    views = begun(tmp_path / "state", ED)
    witness = Witness(RULES, (ED,), views)
    ask(witness, 0, 3)
    file = tmp_path / "state" / NAME / "checkpoint"
    whole = file.read_bytes()
    head = whole.index(b"\n\n")
    for at in range(head):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises((FormatError, SignatureError)):
            ask(witness, 3, 8)
    file.write_bytes(whole)
    assert ask(witness, 3, 8).status == 200


def test_a_view_in_the_place_of_another_log_is_refused(tmp_path: Path) -> None:
    views = begun(tmp_path / "state", ED)
    witness = Witness(RULES, (ED,), views)
    ask(witness, 0, 3)
    place = tmp_path / "state"
    (place / NAME).rename(place / origin_hash(OTHER.name))
    with pytest.raises(SignatureError):
        views.read(OTHER.name)


@pytest.mark.parametrize("fault", list(Fault))
def test_no_fault_of_the_disk_makes_it_sign_two_histories(tmp_path: Path, fault: Fault) -> None:
    """After each fault the witness is offered the other history; one of the two stays unsigned."""
    at = -1
    for at in count():
        root, disk = tmp_path / f"{at}", FailingDisk(-1, fault)
        begun(root, ED, disk=disk).close()
        failing = FailingDisk(at, fault)
        views = state(root, ED, disk=failing)
        given: list[bytes] = []
        try:
            views.open()
            witness = Witness(RULES, (ED,), views)
            for old, size in ((0, 3), (3, 8)):
                answer = ask(witness, old, size)
                if answer.status == 200:
                    given.append(signed(size))
        except (OSError, KilledError):
            pass
        views.close()
        after = state(root, ED, disk=disk)
        after.open()
        view = after.read(KEY.name)
        # what was given out is known, and the other tree of that size is refused
        assert view is not None or not given
        if given:
            assert view is not None
            assert view.head.size >= checkpoint.parse(note.parse(given[-1]).text).size
        witness = Witness(RULES, (ED,), after)
        for data in given:
            size = checkpoint.parse(note.parse(data).text).size
            assert ask(witness, size, size, forked(size)).status in (409, 422)
        held = 0 if view is None else view.head.size
        assert ask(witness, held, 9).status == 200
        after.close()
        if failing.steps <= at:
            assert len(given) == 2
            break
    assert at > 12


# ---------------------------------------------------------------- sign-subtree


def subtree_request(start: int, end: int, data: bytes, size: int = 14) -> bytes:
    proof = merkle.subtree_proof(start, end, size, READ)
    root = merkle.root_after(0, [], HASHES[start:end])
    lines = [f"subtree {start} {end}", b64(root), *map(b64, proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + data


def test_it_signs_subtrees_of_what_it_signed(witness: Witness) -> None:
    ask(witness, 0, 14)
    data = witness.checkpoint(NAME).body
    answer = witness.sign_subtree(subtree_request(8, 13, data))
    assert answer.status == 200
    line = note.parse(data + answer.body).signatures[-1]
    root = merkle.root_after(0, [], HASHES[8:13])
    time_s = verify_subtree(
        line.signature, PQ.verifier, origin=KEY.name, start=8, end=13, root=root
    )
    assert time_s == 0


def test_what_it_does_not_sign_as_a_subtree(witness: Witness, tmp_path: Path) -> None:
    ask(witness, 0, 14)
    data = witness.checkpoint(NAME).body
    good = subtree_request(8, 13, data)
    cases = {
        good.replace(b"8 13", b"9 13"): 400,
        good.replace(b"8 13", b"08 13"): 400,
        good.replace(b"8 13", b"16 17"): 400,
        good.replace(b"subtree", b"range"): 400,
        good.replace(b"8 13", b"8 12"): 422,
        subtree_request(8, 13, signed(14)): 403,
        subtree_request(8, 13, data.replace(b"\n14\n", b"\n15\n")): 403,
        good[:-1]: 400,
        good.replace(KEY.name.encode() + b"\n14", b"unknown.example\n14"): 404,
    }
    for body, status in cases.items():
        assert witness.sign_subtree(body).status == status
    only = Witness(RULES, (ED,), begun(tmp_path / "only", ED))
    assert only.sign_subtree(good).status == 404
