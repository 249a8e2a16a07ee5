"""Other people's verifiers over a log of 70,000 entries, at the sizes where tiles begin and end.

The log is that of research/ledger.md, appendix A, whose bytes were made by another writer. Building
the verifiers takes longer than all the rest of the suite of chain: they run in the long tier.
"""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from chain import checkpoint, cosignature, merkle, note, policy, tiles, verify
from chain.__main__ import main
from chain.doors import Remote
from chain.encoding import b64
from chain.log import LogWriter
from chain.note import COSIGNATURE, MLDSA_COSIGNATURE, Note, SigningKey
from chain.store import Folder
from tests.chain.faults import FailingDisk, Fault
from tests.chain.foreign import tools
from tests.chain.making import policy_text

KEY = SigningKey("hub.example/ledger", b"\x01" * 32)
WITNESS = SigningKey("clinic1.example/w", b"\x02" * 32, COSIGNATURE)
PQ = SigningKey("clinic2.example/w", b"\x03" * 32, MLDSA_COSIGNATURE)
TIME_S = 1_767_000_000
SIZES = (1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000)
APPENDIX_A = """hub.example/ledger
70000
o5IPun8jmgcam9EHIfE0Gt3vuu3ttBx+JEN6nRa98Ao=

— hub.example/ledger Cyp311WFEEToelqPtynJBUUPk8xLosBwYTFf+m7emao6/pFpk7rjJfe8t3HM6XkC3ZSNxAQqufptcLOENWRpB4ov4wU=
— clinic1.example/w 7FMmwAAAAABpUkfAsDKWm2jRBURLBPA/M69fk6uuvp9AJgJf98mfw7+pfK+c2f6vPHnt+4Z33JtLQDXJKBCVRj2BiJkpuI7XL3IkCw==
"""  # noqa: E501


def cosigned(data: bytes, *keys: SigningKey) -> bytes:
    read = note.parse(data)
    lines = [cosignature.cosign(read.text, key, time_s=TIME_S) for key in keys]
    return Note(read.text, (*read.signatures, *lines)).data


@dataclass(frozen=True)
class Exported:
    """A log in a folder, with the checkpoint of every size that it published."""

    folder: Folder

    @property
    def root(self) -> Path:
        return self.folder.root

    def checkpoint(self, size: int) -> Path:
        return self.root / "checkpoints" / str(size)

    @property
    def read(self) -> tiles.TileReader:
        return tiles.TileReader(self.folder.read, SIZES[-1])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    made = Exported(Folder(tmp_path_factory.mktemp("exported"), disk=FailingDisk(-1, Fault.KILLED)))
    (made.root / "checkpoints").mkdir()
    writer = LogWriter.open(made.folder)
    for size in SIZES:
        writer.append(b"entry %d" % n for n in range(writer.size, size))
        head = checkpoint.Checkpoint(KEY.name, size, writer.root())
        data = cosigned(checkpoint.sign(head, [KEY]), WITNESS)
        made.checkpoint(size).write_bytes(data)
        writer.publish(data)
    return made


def cases() -> Iterator[tuple[int, int]]:
    """Index and size of the inclusion proofs."""
    for size in SIZES:
        for index in {0, size // 2, size - 1, *(n for n in (255, 256, 65_535, 65_536) if n < size)}:
            yield index, size


STEPS = [*pairwise(SIZES), *((old, SIZES[-1]) for old in SIZES[:-2])]


def test_the_log_has_the_bytes_that_another_writer_made(exported: Exported) -> None:
    assert (exported.root / "checkpoint").read_bytes() == APPENDIX_A.encode()
    paths = {named.path for named in exported.folder.files()}
    assert {bundle.path for bundle in tiles.bundles_of(70_000)} <= paths
    assert {tile.path for tile in tiles.tiles_of(70_000)} <= paths
    assert len(merkle.inclusion_proof(69_999, 70_000, exported.read)) == 9
    assert len(merkle.consistency_proof(255, 70_000, exported.read)) == 18
    rules = f"witness W {WITNESS.verifier.text}"
    report = verify.check(exported.folder, policy.parse(policy_text(KEY, rules, "quorum W")))
    assert report.holds
    assert report.entries == 70_000


# ---------------------------------------------------------------- Go


@pytest.mark.slow
def test_go_checks_checkpoints_and_makes_the_same_proofs(
    exported: Exported, tmp_path: Path
) -> None:
    program = tools.go_program(tmp_path)
    if isinstance(program, str):
        pytest.skip(program)
    read = exported.read
    inclusion = [
        {"index": at, "size": size, "proof": as_text(merkle.inclusion_proof(at, size, read))}
        for at, size in cases()
    ]
    consistency = [
        {"old": old, "new": new, "proof": as_text(merkle.consistency_proof(old, new, read))}
        for old, new in STEPS
    ]
    proofs = tmp_path / "proofs.json"
    keys = (KEY.verifier.text, WITNESS.verifier.text)
    proofs.write_text(json.dumps({"inclusion": inclusion, "consistency": consistency}))
    said = tools.run(program, exported.root, *keys, proofs)
    assert said == f"{len(SIZES)} {len(inclusion)} {len(consistency)}\n"
    # and it does not hold everything to be good
    for wrong in (
        {"inclusion": [{**inclusion[-1], "index": 1}], "consistency": []},
        {"inclusion": [], "consistency": [{**consistency[-1], "old": 2}]},
    ):
        proofs.write_text(json.dumps(wrong))
        with pytest.raises(AssertionError):
            tools.run(program, exported.root, *keys, proofs)


def as_text(proof: list[bytes]) -> list[str]:
    return [b64(value) for value in proof]


# ---------------------------------------------------------------- aics-tlog


@pytest.fixture(scope="module")
def programs() -> Path:
    found = tools.venv()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.slow
def test_aics_tlog_checks_checkpoints_and_proofs(
    exported: Exported, programs: Path, tmp_path: Path
) -> None:
    def aics(what: str, *more: str | Path) -> str:
        keys = ["--log-key", KEY.verifier.text, "--origin", KEY.name]
        keys += ["--witness-key", WITNESS.verifier.text, "--quorum", "1"]
        return tools.run(programs / "aics-tlog", f"verify-{what}", *keys, *more)

    for size in SIZES:
        assert str(size) in aics("checkpoint", "--note", exported.checkpoint(size))
    leaf = tmp_path / "leaf"
    for size in SIZES:
        index = size - 1
        leaf.write_bytes(b"entry %d" % index)
        tiled = ("--tiles", exported.root, "--checkpoint", exported.checkpoint(size))
        aics("inclusion", *tiled, "--index", str(index), "--leaf", leaf)
        with pytest.raises(AssertionError):
            aics("inclusion", *tiled, "--index", str(size), "--leaf", leaf)
    for old, new in STEPS:
        aics(
            "consistency", "--tiles", exported.root,
            "--old-checkpoint", exported.checkpoint(old), "--checkpoint", exported.checkpoint(new),
        )  # fmt: skip


# ---------------------------------------------------------------- tlog-scales


SCALES = """
import sys
from pathlib import Path
from tlog_scales import backend, reader, signing, tiles, tlog
root, steps, cases, *keys = sys.argv[1:]
keys = signing.VkeySet(*map(signing.Vkey.from_string, keys))
heads, count = {}, 0
for file in (Path(root) / "checkpoints").iterdir():
    head = tlog.Checkpoint.from_text(file.read_text(encoding="utf-8"))
    assert len(keys.verify(head.signatures, head)) == len(head.signatures) == 3
    heads[head.size] = head
read = reader.TilesReader(backend.make_backend(root))
read.set_size(70000)
for old, new in eval(steps):
    proof = read.get_consistency_proof(old, new)
    proof.check(heads[old].root_hash, heads[new].root_hash)
    count += 1
for index, size in eval(cases):
    proof = read.get_inclusion_proof(index, size)
    proof.check(tiles.leaf_hash(read.get_entry(index)), heads[size].root_hash)
    count += 1
print(len(heads), count)
"""


@pytest.mark.slow
def test_tlog_scales_checks_checkpoints_and_proofs(
    exported: Exported, programs: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "log"
    copy.mkdir()
    (copy / "tile").symlink_to(exported.root / "tile")
    (copy / "checkpoints").mkdir()
    for size in SIZES:
        # with an ML-DSA-44 line as well, which this verifier knows
        data = cosigned(exported.checkpoint(size).read_bytes(), PQ)
        (copy / "checkpoints" / str(size)).write_bytes(data)
    keys = [key.verifier.text for key in (KEY, WITNESS, PQ)]
    said = tools.run(
        programs / "python", "-c", SCALES, copy, repr(STEPS), repr(list(cases())), *keys
    )
    assert said.split() == [str(len(SIZES)), str(len(STEPS) + len(list(cases())))]
    leaf = tools.run(programs / "tlog-tiles", "get-leaf", "-c", exported.root, "69999")
    assert leaf == "entry 69999"


# ---------------------------------------------------------------- aics-witness


@contextmanager
def aics_witness(programs: Path, place: Path) -> Iterator[tuple[str, str]]:
    """A witness of others, on this machine; its address and vkey."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place.mkdir()
    config = ("--config", place / "witness.json")
    tool = programs / "aics-witness"
    said = tools.run(
        tool, "init", *config, "--name", "aics.example/w", "--listen", f"127.0.0.1:{port}"
    )
    tools.run(tool, "add-log", *config, "--origin", KEY.name, "--vkey", KEY.verifier.text)
    with (place / "log").open("wb") as out:
        process = subprocess.Popen(
            [str(tool), "serve", *map(str, config)], stdout=out, stderr=out, cwd=place
        )
    try:
        yield f"http://127.0.0.1:{port}", said.split()[-1]
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        with closing(Remote(url, timeout_s=5)) as remote:
            return remote.post("add-checkpoint", b"x").status == 400
    except OSError:
        return False


@pytest.mark.slow
def test_aics_witness_cosigns_our_checkpoints(programs: Path, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "log")
    rules = tmp_path / "policy"
    with aics_witness(programs, tmp_path / "witness") as (url, vkey):
        for _ in range(300):
            if answers(url):
                break
            time.sleep(0.1)
        rules.write_bytes(policy_text(KEY, f"witness A {vkey}", "quorum A"))
        for size in (3, 255, 256, 257, 700):
            writer = LogWriter.open(folder)
            writer.append(b"entry %d" % n for n in range(writer.size, size))
            head = checkpoint.Checkpoint(KEY.name, size, writer.root())
            writer.publish(checkpoint.sign(head, [KEY]))
            assert main(["push", str(folder.root), url, "--policy", str(rules)]) == 0
            assert verify.check(folder, policy.parse(rules.read_bytes())).holds
        # a second history is refused by it as by ours
        fork = checkpoint.Checkpoint(KEY.name, 700, merkle.leaf_hash(b"other"))
        (folder.root / "checkpoint").write_bytes(checkpoint.sign(fork, [KEY]))
        assert main(["push", str(folder.root), url, "--policy", str(rules)]) == 1
