"""The command line, run as a stranger would, with nothing but chain."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chain.__main__ import main
from chain.note import SigningKey, VerifierKey
from chain.store import Folder
from tests.chain.making import Log, policy_text
from tests.chain.test_log import grown

ROOT = Path(__file__).parents[2]
KEY = SigningKey("hub.example/ledger", b"\x01" * 32)
LOG = Log(7, KEY)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A receipt and the policy that trusts it."""
    data, rules = tmp_path / "entry.tlog-proof", tmp_path / "policy"
    data.write_bytes(LOG.receipt(3))
    rules.write_bytes(policy_text(KEY, "quorum none"))
    return data, rules


def test_a_good_receipt(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    data, rules = files
    assert main(["receipt", str(data), "--policy", str(rules)]) == 0
    said = capsys.readouterr().out
    assert "hub.example/ledger has signed a tree of 7 entries" in said
    assert "Entry 3 is in that tree: 3 hashes" in said
    assert "2025-12-29T09:20:00.003+00:00 and answered: contract.uncovered 3.2" in said
    assert said.endswith("VERIFIED.\n")


@pytest.mark.parametrize(
    ("receipt", "policy", "reason"),
    [
        (LOG.receipt(3).replace(b"index 3", b"index 4"), None, "proof.inclusion"),
        (LOG.receipt(3)[:-1], None, "note.format"),
        (Log(7, SigningKey("other.example", b"\x05" * 32)).receipt(3), None, "log.unknown"),
        (None, policy_text(SigningKey(KEY.name, b"\x06" * 32), "quorum none"), "log.unknown"),
        (None, b"quorum none", "policy.format"),
        (b"", None, "receipt.format"),
    ],
)
def test_what_does_not_hold_says_why(
    files: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    receipt: bytes | None,
    policy: bytes | None,
    reason: str,
) -> None:
    data, rules = files
    if receipt is not None:
        data.write_bytes(receipt)
    if policy is not None:
        rules.write_bytes(policy)
    assert main(["receipt", str(data), "--policy", str(rules)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("REFUSED. ")
    assert said.endswith(f"({reason})\n")
    assert "VERIFIED" not in said


def test_a_missing_file_is_not_a_verdict(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["receipt", "no such file", "--policy", str(files[1])]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "no such file" in said.err


def test_keygen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keygen", "hub.example/ledger"]) == 0
    private, public = capsys.readouterr().out.split("\n")[:2]
    assert SigningKey.parse(private).verifier == VerifierKey.parse(public)
    out = tmp_path / "log.key"
    assert main(["keygen", "hub.example/ledger", "--out", str(out)]) == 0
    public = capsys.readouterr().out.strip()
    assert SigningKey.parse(out.read_text().strip()).verifier.text == public
    if sys.platform != "win32":
        assert out.stat().st_mode & 0o777 == 0o600
    before = out.read_bytes()
    assert main(["keygen", "hub.example/ledger", "--out", str(out)]) == 2
    assert out.read_bytes() == before
    assert main(["keygen", "with space"]) == 1


def test_a_whole_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, rules = tmp_path / "log", tmp_path / "policy"
    grown(Folder(root), 300)
    rules.write_bytes(policy_text(KEY, "quorum none"))
    command = ["verify", str(root), "--policy", str(rules)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "hub.example/ledger has signed a tree of 300 entries" in said
    assert said.endswith("VERIFIED.\n")
    assert main([*command, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["holds"], facts["size"], facts["first_bad_index"]) == (True, 300, None)
    bundle = root / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"!")
    assert main(command) == 1
    said = capsys.readouterr().out
    assert "REFUSED. entry 299: tile/entries/001.p/44 holds an entry" in said
    assert "VERIFIED" not in said
    assert main([*command, "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert (facts["holds"], facts["first_bad_index"]) == (False, 299)
    assert facts["problems"][0]["code"] == "entry.differs"
    assert main(["verify", str(tmp_path / "none"), "--policy", str(rules)]) == 2


def test_as_a_process_of_its_own(files: tuple[Path, Path]) -> None:
    data, rules = files
    command = [sys.executable, "-m", "chain", "receipt", str(data), "--policy", str(rules)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    data.write_bytes(LOG.receipt(3).replace(b"index 3", b"index 2"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def test_chain_needs_neither_the_product_nor_its_libraries() -> None:
    code = (
        "import chain, chain.__main__, sys;"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('consortium', 'adapters', 'sqlalchemy', 'orjson', 'joserfc', 'pydantic', 'ssl')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_only_the_doors_reach_a_network() -> None:
    code = (
        "import pkgutil, chain, sys, importlib;"
        "names = [m.name for m in pkgutil.iter_modules(chain.__path__)];"
        "[importlib.import_module(f'chain.{name}') for name in names if name != 'doors'];"
        "print([m for m in ('http.client', 'socketserver', 'ssl', 'urllib.request')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
