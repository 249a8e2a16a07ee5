"""The mirror: what it keeps is proven before it is kept, and goes on wherever it was stopped."""

import random
from collections.abc import Iterator
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest

from chain import checkpoint, merkle, mirror, note, policy, tiles, verify
from chain.errors import ChainError, PolicyError, ProofError
from chain.mirror import INFO, Mirror
from chain.note import COSIGNATURE, MLDSA_COSIGNATURE, SigningKey
from chain.store import Disk, Folder
from chain.views import Seen, Views, origin_hash
from chain.witness import Answer, Request
from tests.chain.faults import FailingDisk, Fault, KilledError
from tests.chain.making import cosignature, cosigner, policy_text, reader
from tests.chain.test_log import ENTRIES, HASHES, KEY, POLICY, grown, signed

ED = SigningKey("mirror.example/m", b"\x04" * 32, COSIGNATURE)
PQ = SigningKey("mirror.example/m", b"\x06" * 32, MLDSA_COSIGNATURE)
READ = reader(HASHES)
NOW = 1_767_000_000
NAME = origin_hash(KEY.name)
QUIET = FailingDisk(-1, Fault.KILLED)
MADE: list[Views] = []


class Place:
    """A mirror in a folder, which may be stopped and started."""

    def __init__(
        self, root: Path, *signers: SigningKey, rules: policy.Policy = POLICY, disk: Disk = QUIET
    ) -> None:
        keys = [one.verifier for one in signers]
        seen = Seen(root / "seen", disk=disk) if signers else None
        self.views = Views(root / "state", keys, checks=rules.logs, seen=seen, disk=disk)
        MADE.append(self.views)
        if (root / "state").exists():
            self.views.open()
        else:
            root.mkdir(exist_ok=True)
            self.views.create()
        self.folder = Folder(root / NAME)
        self.rules = rules
        self.mirror = Mirror(
            rules, signers, self.views, place=lambda name: root / origin_hash(name), disk=disk
        )

    def stop(self) -> None:
        self.views.close()

    def pending(self, old: int, size: int, data: bytes | None = None) -> Answer:
        proof = tuple(merkle.consistency_proof(old, size, READ))
        return self.mirror.add_checkpoint(Request(old, proof, data or signed(size)).body, now_s=NOW)

    def add(self, body: bytes) -> Answer:
        return self.mirror.add_entries(BytesIO(body), now_s=NOW)

    def pull(self, fetch: tiles.Fetch) -> checkpoint.Checkpoint:
        return mirror.pull(self.mirror, self.rules, self.views, fetch, now_s=NOW)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while MADE:
        MADE.pop().close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "mirror", ED, PQ)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A log that published these sizes."""
    folder = Folder(tmp_path_factory.mktemp("source"), disk=QUIET)
    grown(folder, 3, 300, 520, 1000)
    return folder


def body(start: int, end: int, *, origin: str = KEY.name, ticket: bytes = b"") -> bytes:
    """A whole upload, by the words of the specification."""
    name = origin.encode()
    parts = [len(name).to_bytes(2, "big"), name, start.to_bytes(8, "big"), end.to_bytes(8, "big")]
    parts += [len(ticket).to_bytes(2, "big"), ticket]
    rounded = start // 256 * 256
    for number in range(-(-end // 256) - rounded // 256 if start < end else 0):
        low = max(start, rounded + number * 256)
        high = min(end, rounded + (number + 1) * 256)
        parts += [len(entry).to_bytes(2, "big") + entry for entry in ENTRIES[low:high]]
        proof = merkle.subtree_proof(rounded + number * 256, high, end, READ)
        parts += [bytes([len(proof)]), *proof]
    return b"".join(parts)


def info(answer: Answer) -> tuple[int, int, int]:
    """Status, pending size and next entry."""
    assert answer.content_type == INFO
    lines = answer.body.split(b"\n")
    assert lines[2:] == [b"", b""]
    return answer.status, int(lines[0]), int(lines[1])


# ---------------------------------------------------------------- the protocol


def test_a_pending_checkpoint_is_kept_unsigned(place: Place) -> None:
    answer = place.pending(0, 3)
    assert (answer.status, answer.body) == (200, b"")
    assert place.mirror.read(NAME, "checkpoint") is None
    assert place.pending(0, 8).status == 409


def test_entries_come_in_and_the_checkpoint_is_cosigned(place: Place) -> None:
    old = 0
    for size in (3, 256, 257, 520, 1000):
        place.pending(old, size)
        answer = place.add(body(old, size))
        assert answer.status == 200
        _, by = note.verify(signed(size) + answer.body, [ED.verifier, PQ.verifier])
        assert len(by) == 2
        served = place.mirror.read(NAME, "checkpoint")
        assert served is not None
        assert len(note.verify(served, [KEY.verifier, ED.verifier, PQ.verifier])[1]) == 3
        assert verify.check(place.folder, POLICY).holds
        old = size
    # again: nothing is missing, and it signs with a new time
    assert place.add(body(1000, 1000)).status == 200


def test_a_prefix_is_taken_and_the_rest_asked_for(place: Place) -> None:
    place.pending(0, 700)
    whole = body(0, 700)
    first = len(body(0, 700)) - len(body(256, 700)) + 38
    assert info(place.add(whole[: first + 100])) == (202, 700, 256)
    # it was stopped meanwhile; what was proven is still there
    place.stop()
    again = Place(place.folder.root.parent, ED, PQ)
    assert again.mirror.next_entry(KEY.name) == 256
    assert again.add(body(256, 700)).status == 200
    assert verify.check(again.folder, POLICY).entries == 700


def test_an_upload_may_be_cut_anywhere(tmp_path: Path) -> None:
    whole = body(0, 300)
    second = body(256, 300)
    rng = random.Random(7)
    for number, cut in enumerate([0, 1, 37, len(whole) - 1, *rng.sample(range(len(whole)), 6)]):
        place = Place(tmp_path / f"{number}", disk=QUIET)
        place.pending(0, 300)
        answer = place.add(whole[:cut])
        have = 256 if cut >= len(whole) - (len(second) - 38) else 0
        assert answer.status == (202 if have else 400)
        assert place.mirror.next_entry(KEY.name) == have
        assert place.add(body(have, 300)).status == 200


def test_entries_there_already_are_not_kept_twice(place: Place) -> None:
    place.pending(0, 300)
    place.add(body(0, 300))
    place.pending(300, 700)
    assert place.add(body(0, 700)).status == 200
    assert place.mirror.next_entry(KEY.name) == 700
    assert verify.check(place.folder, POLICY).holds


def test_an_earlier_pending_checkpoint_may_be_completed(place: Place) -> None:
    place.pending(0, 300)
    place.pending(300, 700)
    place.pending(700, 1000)
    assert place.add(body(0, 700)).status == 200
    assert verify.check(place.folder, POLICY).entries == 700
    place.pending(1000, 1010)
    assert place.add(body(700, 1000)).status == 200
    assert verify.check(place.folder, POLICY).entries == 1000
    assert info(place.add(body(300, 300))) == (409, 1010, 1000)


def test_409_says_what_to_send(place: Place) -> None:
    place.pending(0, 700)
    assert info(place.add(body(256, 700))) == (409, 700, 0)
    assert info(place.add(body(0, 699))) == (409, 700, 0)
    place.add(body(0, 700))
    place.pending(700, 1000)
    assert info(place.add(body(0, 300))) == (409, 1000, 700)
    assert info(place.add(body(900, 1000))) == (409, 1000, 700)


def test_too_much_sent_again_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "EXCESS_MAX", 100)
    place.pending(0, 700)
    place.add(body(0, 700))
    place.pending(700, 1000)
    assert info(place.add(body(599, 1000))) == (409, 1000, 700)
    assert place.add(body(600, 1000)).status == 200


def test_404_422_and_400(place: Place) -> None:
    assert place.add(body(0, 3, origin="unknown.example")).status == 404
    assert place.add(body(0, 3)).status == 422
    place.pending(0, 300)
    assert place.add(b"").status == 400
    assert place.add(body(0, 300)[:30]).status == 400
    assert place.add(b"\x00\x01\xff" + bytes(18)).status == 400
    header = body(0, 300)[:38]
    swapped = header[:20] + (9).to_bytes(8, "big") + (3).to_bytes(8, "big") + b"\0\0"
    assert place.add(swapped).status == 400
    assert place.add(body(0, 300, ticket=b"anything")).status == 200


def test_what_is_not_proven_is_not_kept(place: Place) -> None:
    place.pending(0, 520)
    whole = bytearray(body(0, 520))
    rng = random.Random(3)
    for at in (40, 60, len(whole) - 1, *rng.sample(range(40, len(whole)), 10)):
        changed = bytearray(whole)
        changed[at] ^= 1
        answer = place.add(bytes(changed))
        assert answer.status in (400, 422, 202)
        assert place.mirror.read(NAME, "checkpoint") is None
    assert place.add(bytes(whole)).status == 200
    assert verify.check(place.folder, POLICY).holds


def test_too_many_hashes_are_refused(place: Place) -> None:
    place.pending(0, 3)
    whole = body(0, 3)
    assert place.add(whole[:-1] + bytes([64]) + bytes(64 * 32)).status == 422


def test_only_paths_of_a_log_are_served(place: Place) -> None:
    place.pending(0, 300)
    place.add(body(0, 300))
    assert place.mirror.read(NAME, "tile/entries/000") == tiles.encode(ENTRIES[:256])
    assert place.mirror.read(NAME, "tile/0/009") is None
    assert place.mirror.read("0" * 64, "checkpoint") is None
    for path in ("../state/keys", "tile/0/000.p/0", "policy"):
        with pytest.raises(ChainError):
            place.mirror.read(NAME, path)


# ---------------------------------------------------------------- pulling


def test_it_pulls_a_log_and_follows_it(place: Place, source: Folder) -> None:
    assert place.pull(source.read).size == 1000
    assert verify.check(place.folder, POLICY).holds
    assert place.pull(source.read).size == 1000
    assert place.folder.read("tile/entries/000") == source.read("tile/entries/000")


def test_it_pulls_in_requests_of_32_packages(
    place: Place, source: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "PACKAGES_MAX", 2)
    assert place.pull(source.read).size == 1000


def test_a_log_that_shows_less_or_other_is_refused(place: Place, source: Folder) -> None:
    place.pull(source.read)

    def shown(data: bytes) -> tiles.Fetch:
        return lambda path: data if path == "checkpoint" else source.read(path)

    with pytest.raises(ProofError) as fault:
        place.pull(shown(signed(520)))
    assert fault.value.code == "mirror.smaller"
    other = checkpoint.Checkpoint(KEY.name, 1000, HASHES[0])
    with pytest.raises(ProofError) as fault:
        place.pull(shown(checkpoint.sign(other, [KEY])))
    assert fault.value.code == "mirror.refused"
    assert len(list(place.views.evidence())) == 1
    stranger = SigningKey(KEY.name, b"\x09" * 32)
    with pytest.raises(PolicyError):
        place.pull(shown(signed(1000, key=stranger)))


def test_entries_that_the_log_did_not_sign_are_not_kept(place: Place, source: Folder) -> None:
    def fetch(path: str) -> bytes | None:
        if path == "tile/entries/001":
            return tiles.encode([b"other", *ENTRIES[257:512]])
        return source.read(path)

    with pytest.raises(ProofError) as fault:
        place.pull(fetch)
    assert fault.value.code == "mirror.refused"
    assert place.mirror.next_entry(KEY.name) == 256
    assert place.pull(source.read).size == 1000


def test_the_quorum_of_the_policy_is_asked_for_and_kept(tmp_path: Path, source: Folder) -> None:
    witness = SigningKey("clinic1.example/w", b"\x02" * 32)
    rules = policy.parse(policy_text(KEY, f"witness W {cosigner(witness).text}", "quorum W"))
    place = Place(tmp_path / "mirror", ED, rules=rules)
    with pytest.raises(PolicyError):
        place.pull(source.read)
    read = note.parse(signed(1000))
    data = note.Note(read.text, (*read.signatures, cosignature(witness, read.text))).data
    place.pull(lambda path: data if path == "checkpoint" else source.read(path))
    assert verify.check(place.folder, rules).holds


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_any_step_loses_nothing_that_was_signed(tmp_path: Path, fault: Fault) -> None:
    folder = Folder(tmp_path / "source", disk=QUIET)
    grown(folder, 258)
    at = -1
    for at in count(0, 3):
        root = tmp_path / f"{at}"
        Place(root, ED).stop()
        disk = FailingDisk(at, fault)
        try:
            place = Place(root, ED, disk=disk)
            place.pull(folder.read)
        except (OSError, KilledError):
            pass
        MADE.pop().close()
        again = Place(root, ED)
        if again.folder.read("checkpoint") is not None:
            assert verify.check(again.folder, POLICY).holds
        assert again.pull(folder.read).size == 258
        assert verify.check(again.folder, POLICY).holds
        again.stop()
        if disk.steps <= at:
            break
    assert at > 30
