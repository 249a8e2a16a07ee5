"""golang.org/x/mod/sumdb beside our verifiers: the same answer to every changed note and proof.

The library is the copy that comes with the Go toolchain; nothing is fetched. Ours is stricter in
two places, which `_as_go_reads_it` takes out: base64 has one spelling (RFC 4648, 3.5), and a
second line of one key is verified too (C2SP signed-note: "verifiers MUST verify the signature").
"""

import base64
import os
import random
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from chain import checkpoint, cosignature, merkle, note, tiles
from chain.errors import ChainError
from chain.note import COSIGNATURE, SigningKey
from tests.chain.making import Log, reader
from tests.chain.mutating import mutate
from tests.chain.test_forgeries import forge
from tests.chain.test_merkle import MANY, READ, ROOTS

pytestmark = pytest.mark.slow

KEY = SigningKey("hub.example/ledger", b"\x01" * 32)
FRESH = SigningKey(KEY.name, b"\x0a" * 32)
OTHER = SigningKey("other.example/é", b"\x05" * 32)
WITNESS = SigningKey("w.example", b"\x02" * 32, COSIGNATURE)
KNOWN = [key.verifier for key in (KEY, FRESH, OTHER, WITNESS)]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def golang(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of this folder, built with the library of the toolchain itself."""
    tool = shutil.which("go")
    if tool is None:
        pytest.skip("Go is not on this machine")
    root = Path(_run([tool, "env", "GOROOT"]).strip())
    library = root / "src/cmd/vendor/golang.org/x/mod/sumdb"
    if not library.is_dir():
        pytest.skip("this Go comes without the sources of its tools")
    path = tmp_path_factory.mktemp("go")
    shutil.copytree(library, path / "src/golang.org/x/mod/sumdb")
    shutil.copytree(Path(__file__).parent / "golang", path / "src/asked")
    made = path / "asked"
    settings = {"GO111MODULE": "off", "GOPATH": str(path), "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    cache = {"GOCACHE": str(path / "cache")}
    _run([tool, "build", "-o", str(made), "asked"], environment=settings | cache)
    return made


def _run(command: Sequence[str], text: str = "", environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        input=text,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _ask(program: Path, questions: Iterable[str]) -> list[str]:
    return _run([str(program)], "".join(f"{line}\n" for line in questions)).splitlines()


# ---------------------------------------------------------------- notes


def _ours(data: bytes) -> str:
    try:
        read, signed = note.verify(data, KNOWN)
    except ChainError:
        return "no"
    return f"ok {_b64(read.text.encode())} {len(signed)}"


def _as_go_reads_it(data: bytes) -> bytes:
    """The note with each signature spelt once, and only the first line of each known key."""
    head, gap, tail = data.rpartition(b"\n\n")
    ids = {(key.name.encode(), key.key_id) for key in KNOWN}
    seen, lines = set(), []
    for line in tail[:-1].split(b"\n"):
        dash, name, value = line.split(b" ")
        raw = base64.b64decode(value)
        key = (name, raw[:4])
        if key not in seen:
            lines.append(b" ".join((dash, name, base64.b64encode(raw))))
        if key in ids:
            seen.add(key)
    return head + gap + b"\n".join(lines) + b"\n"


def test_changed_notes(golang: Path, rng: random.Random) -> None:
    pool = [note.sign("free text\n\nwith\n— x y\n\n\nmore\n", [OTHER, KEY])]
    for log in (Log(size, KEY) for size in (1, 2, 7, 12)):
        line = cosignature.cosign(log.head.text, WITNESS, time_s=1_767_000_000).line
        pool += [
            checkpoint.sign(log.head, [KEY]),
            checkpoint.sign(log.head, [KEY, FRESH]) + line.encode(),
        ]
    changed = [*pool, *(mutate(rng.choice(pool), rng, pool) for _ in range(100_000))]
    keys = [f"key {key.text}" for key in KNOWN]
    answers = _ask(golang, [*keys, *(f"note {_b64(data)}" for data in changed)])
    assert len(answers) == len(changed)
    good = 0
    for data, answer in zip(changed, answers, strict=True):
        ours = _ours(data)
        # whatever we accept, Go accepts as the same text with as many signatures
        assert ours in ("no", answer)
        if answer.startswith("ok"):
            good += 1
            assert ours == answer or _ours(_as_go_reads_it(data)) == answer
    assert good > len(pool)


# ---------------------------------------------------------------- proofs


def _inclusion(rng: random.Random) -> tuple[str, bool]:
    size = rng.randint(1, 300)
    index = rng.randrange(size)
    proof = merkle.inclusion_proof(index, size, READ)
    if rng.random() < 0.7:
        proof = forge(proof, rng)
    size, leaf = min(300, size + rng.choice((0, 0, 0, 1))), MANY[index]
    try:
        merkle.verify_inclusion(index, size, leaf, proof, root=ROOTS[size])
        good = True
    except ChainError:
        good = False
    return " ".join(
        ("inclusion", str(index), str(size), *map(_b64, (leaf, ROOTS[size], *proof)))
    ), good


def _consistency(rng: random.Random) -> tuple[str, bool]:
    new = rng.randint(1, 300)
    old = rng.randint(1, new)
    proof = merkle.consistency_proof(old, new, READ)
    if rng.random() < 0.7:
        proof = forge(proof, rng)
    new = min(300, new + rng.choice((0, 0, 0, 1)))
    roots = ROOTS[old], ROOTS[new]
    try:
        merkle.verify_consistency(old, new, proof, old_root=roots[0], new_root=roots[1])
        good = True
    except ChainError:
        good = False
    return " ".join(("consistency", str(old), str(new), *map(_b64, (*roots, *proof)))), good


def test_changed_proofs(golang: Path, rng: random.Random) -> None:
    asked = [make(rng) for _ in range(50_000) for make in (_inclusion, _consistency)]
    answers = _ask(golang, (question for question, _ in asked))
    for (question, good), answer in zip(asked, answers, strict=True):
        assert answer.startswith("ok" if good else "no"), question
    assert 0 < sum(good for _, good in asked) < len(asked)


# ---------------------------------------------------------------- tiles


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000])
def test_tiles(golang: Path, tmp_path: Path, rng: random.Random, size: int) -> None:
    leaves = [merkle.leaf_hash(b"entry %d" % n) for n in range(size)]
    read = reader(leaves)
    for tile in tiles.tiles_of(size):
        file = tmp_path / tile.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(read(*at) for at in tile.coordinates))
    root = _b64(merkle.root(size, read))
    indices = [0, size - 1, *(rng.randrange(size) for _ in range(20))]
    olds = [1, size, *(rng.randint(1, size) for _ in range(20))]

    def question(index: int, leaf: bytes, old: int) -> str:
        older = _b64(merkle.root(old, read))
        return f"tiles {tmp_path} {size} {root} {index} {_b64(leaf)} {old} {older}"

    good = [question(at, leaves[at], old) for at, old in zip(indices, olds, strict=True)]
    assert set(_ask(golang, good)) == {"ok"}
    answer = _ask(golang, [question(0, merkle.leaf_hash(b"another"), 1)])[0]
    assert answer.startswith("no")
