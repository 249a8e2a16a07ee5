"""What others published, run against our verifiers: their figures, none of their code.

Sources and licences stand in each file of tests/vectors. Where we are stricter on purpose, the
case is named here with the reason; nothing else may differ.
"""

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from chain import checkpoint, cosignature, keys, merkle, note, policy, tiles
from chain.errors import ChainError, FormatError, KeyFormatError, SignatureError
from chain.note import MLDSA_COSIGNATURE, SigningKey, VerifierKey

FOLDER = Path(__file__).parents[1] / "vectors"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "vectors"


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / name).read_text("utf-8"))
    return loaded


# ---------------------------------------------------------------- proofs

PROOFS = _load("merkle_proofs.json")
HASHES = [base64.b64decode(value) for value in PROOFS["hashes"]]
# a root that is not 32 bytes long is no root here, nor has a tree of no leaves a second one
_EMPTY = "subtreeconsistency/additional/subtree-is-empty-sizes-are-equal-"
_RANDOM = "-subtree-root-valid-tree-root-random-proof-is-empty"
STRICTER = {
    "consistency/additional/sizes-are-equal-one-and-proof-is-empty",
    "subtreeconsistency/additional/sizes-are-equal-one-and-proof-is-empty",
    f"{_EMPTY}one{_RANDOM}",
    f"{_EMPTY}zero{_RANDOM}",
}


def _inclusion(numbers: list[int], leaf: bytes, root: bytes, proof: list[bytes]) -> None:
    merkle.verify_inclusion(numbers[0], numbers[1], leaf, proof, root=root)


def _consistency(numbers: list[int], old: bytes, new: bytes, proof: list[bytes]) -> None:
    merkle.verify_consistency(numbers[0], numbers[1], proof, old_root=old, new_root=new)


def _subtree(numbers: list[int], part: bytes, root: bytes, proof: list[bytes]) -> None:
    start, end, size = numbers
    merkle.verify_subtree(start, end, size, proof, subtree_root=part, root=root)


def _in_subtree(numbers: list[int], leaf: bytes, root: bytes, proof: list[bytes]) -> None:
    index, start, end = numbers
    merkle.subtree_ranges(start, end, end)
    merkle.verify_inclusion(index - start, end - start, leaf, proof, root=root)


@pytest.mark.parametrize(
    ("family", "count", "verify"),
    [
        ("inclusion", 98, _inclusion),
        ("consistency", 98, _consistency),
        ("subtreeconsistency", 118, _subtree),
        ("subtreeinclusion", 204, _in_subtree),
    ],
)
def test_proofs_of_transparency_dev(family: str, count: int, verify: Any) -> None:
    differ = set()
    for name, (numbers, first, root, proof, good) in PROOFS[family].items():
        try:
            verify(numbers, HASHES[first], HASHES[root], [HASHES[at] for at in proof])
            passed = True
        except ChainError:
            passed = False
        if passed != good:
            differ.add((f"{family}/{name}", good))
    assert len(PROOFS[family]) == count
    assert differ == {(name, True) for name in STRICTER if name.startswith(f"{family}/")}


# ---------------------------------------------------------------- Ed25519

EDGES = _load("ed25519_edges.json")
WYCHEPROOF = _load("wycheproof.json")


def test_edge_cases_of_the_points_of_a_signature() -> None:
    """Weak and doubtful keys never verify; the others as RFC 8032 without the cofactor."""
    points = [bytes.fromhex(value) for value in EDGES["points"]]
    refused = accepted = 0
    for key, r, s, number, flags in EDGES["cases"]:
        message = f"ed25519vectors{number}".encode()
        signature = points[r] + bytes.fromhex(s)
        if "A" in flags or "a" in flags:
            with pytest.raises(KeyFormatError):
                keys.verifies(points[key], message, signature)
            refused += 1
            continue
        good = not {"r", "c"} & set(flags)
        assert keys.verifies(points[key], message, signature) == good, flags
        accepted += good
    assert (len(EDGES["cases"]), refused, accepted) == (914, 526, 86)


def test_wycheproof_ed25519() -> None:
    publics = [bytes.fromhex(value) for value in WYCHEPROOF["ed25519_keys"]]
    differ = [
        number
        for number, key, message, signature, good in WYCHEPROOF["ed25519"]
        if keys.verifies(publics[key], bytes.fromhex(message), bytes.fromhex(signature)) != good
    ]
    assert (len(WYCHEPROOF["ed25519"]), differ) == (151, [])


# ---------------------------------------------------------------- ML-DSA-44

BASE = WYCHEPROOF["mldsa_44_baseline"]
BASE_KEY = keys.mldsa_public_of(bytes.fromhex(BASE["seed"]))
BASE_TEXT = bytes.fromhex(BASE["message"])
BASE_SIGNATURE = base64.b64decode(BASE["signature"])
HINTS = 2420 - 84
"""The last 84 bytes: 80 places of hints, and for 4 polynomials where theirs end (FIPS 204)."""


def test_mldsa_keys_come_from_their_seeds() -> None:
    for seed, digest in WYCHEPROOF["mldsa_44_seeds"].items():
        assert sha256(keys.mldsa_public_of(bytes.fromhex(seed))).hexdigest() == digest
    assert len(WYCHEPROOF["mldsa_44_seeds"]) == 23


def test_a_foreign_mldsa_signature_verifies_and_no_other_spelling_of_it() -> None:
    """The families of Wycheproof: lengths, flipped bits, and hints in another encoding."""
    assert keys.mldsa_verifies(BASE_KEY, BASE_TEXT, BASE_SIGNATURE)
    ends = BASE_SIGNATURE[-4:]
    first = BASE_SIGNATURE[HINTS : HINTS + ends[0]]
    reverse = BASE_SIGNATURE[:HINTS] + first[::-1] + BASE_SIGNATURE[HINTS + len(first) :]
    repeated = bytearray(BASE_SIGNATURE)
    repeated[HINTS + 1] = repeated[HINTS]
    padded = bytearray(BASE_SIGNATURE)
    padded[HINTS + ends[3]] = 1
    many = BASE_SIGNATURE[:-1] + b"\x51"
    falling = BASE_SIGNATURE[:-4] + bytes([ends[0], ends[0] - 1, ends[2], ends[3]])
    assert ends[0] > 1
    assert ends[3] < 80
    others = [reverse, bytes(repeated), bytes(padded), many, falling]
    others += [BASE_SIGNATURE[:-1], BASE_SIGNATURE + b"\0", b"", BASE_SIGNATURE * 2, bytes(2420)]
    for at in (0, 31, 32, 32 + 576, 32 + 2 * 576, 32 + 3 * 576, HINTS - 1, HINTS, 2419):
        flipped = bytearray(BASE_SIGNATURE)
        flipped[at] ^= 1
        others.append(bytes(flipped))
    for other in others:
        assert other != BASE_SIGNATURE
        assert not keys.mldsa_verifies(BASE_KEY, BASE_TEXT, other)


def test_an_mldsa_key_that_anyone_can_sign_for_is_refused() -> None:
    with pytest.raises(KeyFormatError) as caught:
        VerifierKey("w.example", MLDSA_COSIGNATURE, BASE_KEY[:32] + bytes(1280))
    assert caught.value.code == "key.weak"


def test_wycheproof_mldsa() -> None:
    """All 180 cases. Contexts are not ours: an empty one is signed, so theirs do not verify."""
    file = SHARED / "mldsa_44_verify_test.json"
    if not file.exists():
        pytest.skip("the file of wycheproof, one megabyte, is not beside the project")
    count, differ = 0, []
    for group in json.loads(file.read_text("utf-8"))["testGroups"]:
        public = bytes.fromhex(group["publicKey"])
        for case in group["tests"]:
            count += 1
            try:
                good = keys.mldsa_verifies(
                    public, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
                )
            except KeyFormatError as fault:
                good = False
                # a key that anyone can sign for verifies nothing here
                if fault.code == "key.weak" and "ZeroPublicKey" in case["flags"]:
                    continue
            if good != (case["result"] == "valid") and not case.get("ctx"):
                differ.append(case["tcId"])
    assert (count, differ) == (180, [])


# ---------------------------------------------------------------- signed texts

NOTES = _load("notes.json")
GO = NOTES["go"]
REKOR = NOTES["rekor"]
ORIGIN = "log2025-alpha1.rekor.sigstage.dev"
REKOR_KEY = VerifierKey(ORIGIN, 1, base64.b64decode(REKOR["public"])[-32:])


def _rekor(name: str) -> policy.Trusted:
    rules = policy.parse(f"log {REKOR_KEY.text}\nquorum none\n".encode())
    return rules.trust(REKOR["notes"][name].encode())


@pytest.mark.parametrize(
    "name",
    [
        "cosigned",
        "multiple-cosigs",
        "origin-not-first",
        "two-sigs-cosigned",
        "two-sigs-from-origin",
    ],
)
def test_checkpoints_of_rekor(name: str) -> None:
    """Cosigned, in any order, with a second line of the origin by an ECDSA key."""
    head = _rekor(name).checkpoint
    leaf, proof = base64.b64decode(REKOR["leaf_hash"]), map(base64.b64decode, REKOR["proof"])
    merkle.verify_inclusion(REKOR["index"], head.size, leaf, list(proof), root=head.root)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("missing-log-signature_fail", "note.format"),
        ("missing-origin_fail", "checkpoint.format"),
        ("missing-root-hash_fail", "checkpoint.format"),
        ("missing-size_fail", "checkpoint.format"),
        ("no-matching-signature_fail", "log.unknown"),
    ],
)
def test_checkpoints_of_rekor_that_must_fail(name: str, code: str) -> None:
    with pytest.raises(ChainError):
        _rekor(name)
    if code == "checkpoint.format":
        # the signature does not fit the cut text either; the text itself is no checkpoint
        with pytest.raises(FormatError) as caught:
            checkpoint.parse(note.parse(REKOR["notes"][name].encode()).text)
    else:
        with pytest.raises(ChainError) as caught:  # type: ignore[assignment]
            _rekor(name)
    assert caught.value.code == code


def test_the_growing_log_of_tessera() -> None:
    data = NOTES["tessera"]
    key = VerifierKey.parse(data["vkey"])
    rules = policy.parse(f"log {key.text}\nquorum none\n".encode())
    leaves = [merkle.leaf_hash(entry.encode()) for entry in data["entries"]]
    for size, text in enumerate(data["checkpoints"]):
        head = rules.trust(text.encode()).checkpoint
        tree = merkle.Frontier()
        tree.extend(leaves[:size])
        assert (head.size, head.root) == (size, tree.root())
        assert merkle.root_after(0, [], leaves[:size]) == head.root
    assert [sha256(b"".join(leaves[:n])).hexdigest() for n in range(1, 16)] == data["tiles"]
    entries = [entry.encode() for entry in data["entries"]]
    made = [tiles.encode(entries[:n]) for n in range(1, 16)]
    assert [sha256(bundle).hexdigest() for bundle in made] == data["bundles"]
    assert tiles.decode(made[-1]) == entries


def test_a_log_of_seventy_thousand_entries_is_made_again_byte_for_byte() -> None:
    """Made by another implementation, accepted by four (ledger_reference.json, `foreign`)."""
    foreign = _load("ledger_reference.json")["foreign"]
    hashes = [merkle.leaf_hash(b"entry %d" % n) for n in range(foreign["size"])]
    head = checkpoint.Checkpoint(
        "hub.example/ledger", foreign["size"], merkle.root_after(0, [], hashes)
    )
    log = SigningKey("hub.example/ledger", b"\x01" * 32)
    witness = SigningKey("clinic1.example/w", b"\x02" * 32, note.COSIGNATURE)
    assert (log.verifier.text, witness.verifier.text) == (foreign["log"], foreign["witness"])
    line = cosignature.cosign(head.text, witness, time_s=foreign["cosigned_at_s"])
    made = cosignature.add(checkpoint.sign(head, [log]), [line], [witness.verifier])
    assert made.data.decode() == foreign["checkpoint"]


def test_an_mldsa_cosignature_made_elsewhere() -> None:
    scales, foreign = NOTES["scales"], _load("ledger_reference.json")["foreign"]
    key = SigningKey("regulator.example/mirror", b"\x03" * 32, MLDSA_COSIGNATURE).verifier
    assert sha256(key.text.encode()).hexdigest() == scales["vkey_sha256"]
    read, signed = note.verify(scales["note"].encode(), [key])
    assert foreign["checkpoint"].startswith(read.text)
    assert [one.key for one in signed] == [key]
    # the same line stands beside the log's own
    data = foreign["checkpoint"].encode()
    made = cosignature.add(data, read.signatures, [key])
    text = f"log {foreign['log']}\nwitness r {key.text}\nquorum r\n"
    assert policy.parse(text.encode()).trust(made.data).checkpoint.size == 70_000
    changed = scales["note"].replace("\n70000\n", "\n70001\n").encode()
    with pytest.raises(SignatureError):
        note.verify(changed, [key])


def test_notes_of_go() -> None:
    key, other = VerifierKey.parse(GO["vkey"]), VerifierKey.parse(GO["other_vkey"])
    text, line, other_line = GO["text"], GO["line"], GO["other_line"]
    assert note.sign(text, [SigningKey.parse(GO["skey"])]) == f"{text}\n{line}".encode()
    both = f"{text}\n{line}{other_line}".encode()
    assert [one.key for one in note.verify(both, [key])[1]] == [key]
    assert [one.key for one in note.verify(both, [other, key])[1]] == [key, other]
    with pytest.raises(SignatureError):
        note.verify(both, [])
    changed = f"{other_line[:60]}ABCD{other_line[60:]}"
    many = f"{text}\n{line}{line}{other_line}{other_line}{changed}".encode()
    assert [one.key for one in note.verify(many, [key])[1]] == [key]
    with pytest.raises(SignatureError):
        note.verify(many, [key, other])
    for bad in (
        text,
        f"{text}\n",
        f"{text}\n{line[:-1]}",
        f"\x01{text}\n{line}",
        f"{text}\n{line.replace('PeterNeumann', 'Bad Name')}",
        f"{text}\n{line}Unexpected line.\n",
        f"{text}\n{line * 101}",
    ):
        with pytest.raises(FormatError):
            note.verify(bad.encode(), [key])
    with pytest.raises(FormatError):
        note.verify(b"\xff" + both, [key])


@pytest.mark.parametrize("text", [GO["vkey"], GO["skey"]])
def test_no_mangled_key_of_go_is_read(text: str) -> None:
    parse = SigningKey.parse if text.startswith("PRIVATE") else VerifierKey.parse
    parse(text)
    for start in range(len(text) + 1):
        for end in range(start + 1, len(text) + 1):
            if (start, end) != (0, len(text)):
                with pytest.raises(KeyFormatError):
                    parse(text[start:end])
    for at in range(len(text)):
        with pytest.raises(KeyFormatError):
            parse(text[:at] + chr(ord(text[at]) + 1) + text[at + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_no_key_of_go_with_another_length_or_type_is_read(text: str) -> None:
    with pytest.raises(KeyFormatError):
        VerifierKey.parse(text)
