"""Policies: the grammar, and who is enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import checkpoint, cosignature, note, policy
from chain.encoding import b64
from chain.errors import ChainError, FormatError, KeyFormatError, PolicyError, SignatureError
from chain.note import SigningKey, VerifierKey
from tests.chain.making import Log, cosigner, policy_text
from tests.chain.test_merkle import VECTORS

KEY = SigningKey("hub.example/ledger", b"\x01" * 32)
WITNESSES = [SigningKey(f"w{n}.example", bytes([n + 2]) * 32) for n in range(6)]
NONE = "quorum none"
LOG_LINE = f"log {KEY.verifier.text}"
LINES = [f"witness X{n} {cosigner(key).text}" for n, key in enumerate(WITNESSES)]
TWO_LEVELS = [
    *LINES,
    "group X 2 X0 X1 X2",
    "group Y any X3 X4 X5",
    "group both all X Y",
    "quorum both",
]


def test_a_foreign_log_with_its_witness_is_trusted() -> None:
    foreign = VECTORS["foreign"]
    text = f"log {foreign['log']}\nwitness c1 {foreign['witness']}\nquorum c1\n"
    trusted = policy.parse(text.encode()).trust(foreign["checkpoint"].encode())
    assert trusted.checkpoint.size == 70_000
    assert trusted.cosigners == {"c1": foreign["cosigned_at_s"]}


@pytest.mark.parametrize(
    ("present", "enough"),
    [
        ({0, 1, 3}, True),
        ({0, 2, 5}, True),
        ({0, 1, 2, 3, 4, 5}, True),
        ({0, 1}, False),
        ({0, 3, 4, 5}, False),
        ({3}, False),
        (set(), False),
    ],
)
def test_two_levels_of_groups(present: set[int], enough: bool) -> None:
    log = Log(5, KEY, tuple(WITNESSES[n] for n in sorted(present)))
    rules = log.policy(*TWO_LEVELS)
    if enough:
        assert rules.trust(log.checkpoint).cosigners.keys() == {f"X{n}" for n in present}
        return
    with pytest.raises(PolicyError) as caught:
        rules.trust(log.checkpoint)
    assert caught.value.code == "quorum.missing"


def test_a_single_witness_may_be_the_quorum() -> None:
    rules = Log(3, KEY).policy(*LINES, "quorum X2")
    assert rules.trust(Log(3, KEY, (WITNESSES[2],)).checkpoint).cosigners.keys() == {"X2"}
    with pytest.raises(PolicyError):
        rules.trust(Log(3, KEY, (WITNESSES[1],)).checkpoint)


def test_a_bad_cosignature_refuses_even_without_quorum() -> None:
    log = Log(3, KEY, (WITNESSES[0],))
    read = note.parse(log.checkpoint)
    bad = note.Signature(WITNESSES[0].name, cosigner(WITNESSES[0]).key_id, bytes(72))
    with pytest.raises(SignatureError):
        log.policy(*LINES, "quorum none").trust(
            note.Note(read.text, (read.signatures[0], bad)).data
        )


def test_another_key_or_another_origin_is_not_trusted() -> None:
    log = Log(3, KEY)
    for key in (SigningKey(KEY.name, b"\x09" * 32), SigningKey("other.example", b"\x09" * 32)):
        with pytest.raises(PolicyError) as caught:
            Log(3, key).policy().trust(log.checkpoint)
        assert caught.value.code == "log.unknown"


def test_a_log_speaks_for_its_own_origin_only() -> None:
    other = SigningKey("other.example/log", b"\x09" * 32)
    rules = policy.parse(f"{LOG_LINE}\nlog {other.verifier.text}\nquorum none\n".encode())
    head = Log(3, KEY).head
    foreign = note.sign(head.text, [other])
    with pytest.raises(PolicyError) as caught:
        rules.trust(foreign)
    assert caught.value.code == "log.unknown"
    assert rules.trust(note.sign(head.text, [other, KEY])).log == KEY.verifier


def test_two_keys_of_one_log_stand_side_by_side_while_it_rotates() -> None:
    fresh = SigningKey(KEY.name, b"\x0a" * 32)
    rules = policy.parse(f"{LOG_LINE}\nlog {fresh.verifier.text}\nquorum none\n".encode())
    assert rules.trust(Log(3, KEY).checkpoint).log == KEY.verifier
    assert rules.trust(Log(3, fresh).checkpoint).log == fresh.verifier


LATTICE = SigningKey("regulator.example/m", b"\x07" * 32, note.MLDSA_COSIGNATURE)


def test_witnesses_of_both_types_stand_in_one_quorum() -> None:
    lines = [LINES[0], f"witness R {LATTICE.verifier.text}", "group both all X0 R", "quorum both"]
    log = Log(5, KEY, (WITNESSES[0],))
    with pytest.raises(PolicyError):
        log.policy(*lines).trust(log.checkpoint)
    line = cosignature.cosign(log.head.text, LATTICE, time_s=1_767_000_009)
    trusted = log.policy(*lines).trust(log.checkpoint + line.line.encode())
    assert trusted.cosigners == {"X0": 1_767_000_000, "R": 1_767_000_009}


def test_a_log_may_sign_with_mldsa_under_its_origin() -> None:
    key = SigningKey(KEY.name, b"\x07" * 32, note.MLDSA_COSIGNATURE)
    head = Log(3, KEY).head
    line = cosignature.cosign(head.text, key, time_s=1_767_000_000)
    rules = policy.parse(f"log {key.verifier.text}\nquorum none\n".encode())
    assert rules.trust(note.Note(head.text, (line,)).data).log == key.verifier
    with pytest.raises(PolicyError):
        rules.trust(Log(3, KEY).checkpoint)


def test_addresses_are_kept() -> None:
    text = f"{LOG_LINE} https://hub.example/\n{LINES[0]} https://w.example/x\n{LINES[1]}\n"
    rules = policy.parse((text + "quorum X0\n").encode())
    assert rules.log_urls == {KEY.verifier: "https://hub.example/"}
    assert rules.witness_urls == {"X0": "https://w.example/x"}


def test_examine_reports_a_quorum_that_is_not_met() -> None:
    rules = Log(3, KEY).policy(*TWO_LEVELS)
    few = rules.examine(Log(3, KEY, (WITNESSES[0],)).checkpoint)
    assert (few.quorum, set(few.cosigners)) == (False, {"X0"})
    enough = Log(3, KEY, tuple(WITNESSES)).checkpoint
    assert rules.examine(enough) == rules.trust(enough)
    assert rules.trust(enough).quorum
    with pytest.raises(PolicyError) as caught:
        rules.examine(Log(3, SigningKey(KEY.name, b"\x09" * 32)).checkpoint)
    assert caught.value.code == "log.unknown"
    with pytest.raises(SignatureError):
        rules.examine(enough.replace(b"\n3\n", b"\n4\n"))


def test_two_lines_of_a_log_that_changes_its_key() -> None:
    """Signed by the old and the new key, a checkpoint is good for whoever knows either, or both."""
    fresh = SigningKey(KEY.name, b"\x0a" * 32)
    both = checkpoint.sign(Log(3, KEY).head, [KEY, fresh])
    old, new = LOG_LINE, f"log {fresh.verifier.text}"
    for lines in ([old], [new], [old, new], [new, old]):
        rules = policy.parse("".join(f"{line}\n" for line in (*lines, "quorum none")).encode())
        assert rules.trust(both).checkpoint.size == 3
    # one bad line of a known key refuses, whichever of the two it is
    for line in note.parse(both).signatures:
        bad = note.Signature(line.name, line.key_id, bytes(64))
        forged = both.replace(line.line.encode(), bad.line.encode())
        rules = policy.parse(f"{old}\n{new}\nquorum none\n".encode())
        with pytest.raises(SignatureError):
            rules.trust(forged)


def test_thirty_two_of_each_and_more() -> None:
    kinds = (note.COSIGNATURE, note.MLDSA_COSIGNATURE)
    logs = [SigningKey("log.example", bytes([n]) * 32) for n in range(32)]
    many = [SigningKey("w.example", bytes([n + 64]) * 32, kinds[n % 2]) for n in range(32)]
    lines = [f"log {key.verifier.text} https://log{n}.example" for n, key in enumerate(logs)]
    lines += [f"witness w{n} {key.verifier.text}" for n, key in enumerate(many)]
    lines += ["group g0 any w0"] + [f"group g{n} all g{n - 1} w{n}" for n in range(1, 32)]
    text = "".join(f"{line}\n" for line in (*lines, "quorum g31"))
    rules = policy.parse(text.encode())
    assert (len(rules.logs), len(rules.witnesses), len(rules.groups)) == (32, 32, 32)
    head = checkpoint.Checkpoint("log.example", 3, bytes(32))
    data = checkpoint.sign(head, [logs[31]])
    signed = [cosignature.cosign(head.text, key, time_s=9).line.encode() for key in many]
    assert rules.trust(data + b"".join(signed)).log == logs[31].verifier
    assert not rules.examine(data + b"".join(signed[:7] + signed[8:])).quorum


def test_layout_comments_and_opaque_bytes() -> None:
    witness = cosigner(WITNESSES[0]).text.encode()
    data = (
        b"\t# a comment, \xff\xfe not UTF-8\n\n  log\t"
        + KEY.verifier.text.encode()
        + b"  https://hub.example/ \n   \nwitness \xe8\xa7\x81\xff "
        + witness
        + b" https://w.example/\xff\nquorum \xe8\xa7\x81\xff\n"
    )
    rules = policy.parse(data)
    assert list(rules.witnesses) == ["见\udcff"]
    assert rules.quorum == "见\udcff"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [LOG_LINE],
        [LOG_LINE, "quorum"],
        [LOG_LINE, "quorum none", "quorum none"],
        [LOG_LINE, "quorum none none"],
        [LOG_LINE, "quorum X0", LINES[0]],
        [LOG_LINE, LOG_LINE, "quorum none"],
        [f"log {SigningKey('b', KEY.seed).verifier.text}", LOG_LINE, "quorum none"],
        ["log", "quorum none"],
        [LOG_LINE + " url url", "quorum none"],
        ["mirror x", "quorum none"],
        ["LOG " + KEY.verifier.text, "quorum none"],
        [LINES[0], LINES[0], "quorum none"],
        [LINES[0], LINES[0].replace("X0", "X9"), "quorum none"],
        [LINES[0], LINES[1].replace("X1", "X0"), "quorum none"],
        [LINES[0].replace("X0", "none"), "quorum none"],
        ["witness X0", "quorum none"],
        [LINES[0] + " url url", "quorum none"],
        [LINES[0], "group g any", "quorum none"],
        [LINES[0], "group g any none", "quorum none"],
        [LINES[0], "group g any X1", LINES[1], "quorum none"],
        [LINES[0], "group g any g", "quorum none"],
        [LINES[0], "group none any X0", "quorum none"],
        [LINES[0], "group X0 any X0", "quorum none"],
        [LINES[0], "group g 0 X0", "quorum none"],
        [LINES[0], "group g 2 X0", "quorum none"],
        [LINES[0], "group g 01 X0", "quorum none"],
        [LINES[0], "group g some X0", "quorum none"],
        [LINES[0], LINES[1], "group g 2 X0 X0", "quorum none"],
        [LINES[0], "group g any X0", "group h any X0", "quorum none"],
        ["quorum none\x0b"],
        ["quorum none\r"],
        ["quorum\xa0none"],
        ["quorum none\x7f"],
        ["quorum none # none"],
        [LINES[0], f"witness X9 {VerifierKey('o', 4, WITNESSES[0].verifier.public).text}", NONE],
        ["# " + "x" * policy.POLICY_BYTES_MAX, "quorum none"],
    ],
)
def test_malformed_policies_are_refused(lines: list[str]) -> None:
    with pytest.raises(FormatError) as caught:
        policy.parse("".join(f"{line}\n" for line in lines).encode("latin-1"))
    assert caught.value.code == "policy.format"


def test_a_cut_file_is_refused() -> None:
    whole = policy_text(KEY, "quorum none")
    for length in range(len(whole)):
        with pytest.raises(ChainError):
            policy.parse(whole[:length])


@pytest.mark.parametrize(
    "line",
    [
        f"log {cosigner(KEY).text}",
        f"witness X0 {KEY.verifier.text}",
        "log nonsense",
        "witness X0 a+b+c",
        # ECDSA, an RFC 6962 tree head and a type with a long identifier are no keys to trust
        "log a+00000000+" + b64(b"\x02" + bytes(91)),
        "log a+00000000+" + b64(b"\x05" + bytes(32)),
        "witness X0 a+00000000+" + b64(b"\xffexample.org/sm2-sm3/v1" + bytes(65)),
        f"witness X0 {VerifierKey('n', 4, KEY.verifier.public).text[:-1]}A",
    ],
)
def test_keys_must_fit_their_use(line: str) -> None:
    with pytest.raises(KeyFormatError):
        policy.parse(f"{line}\nquorum none\n".encode())


def test_names_have_a_limit() -> None:
    lines = [f"log {SigningKey('a', n.to_bytes(32, 'big')).verifier.text}" for n in range(1025)]
    assert len(policy.parse(("\n".join(lines[:-1]) + "\nquorum none\n").encode()).logs) == 1024
    with pytest.raises(FormatError):
        policy.parse(("\n".join(lines) + "\nquorum none\n").encode())


WHOLE = b"".join(f"{line}\n".encode() for line in (LOG_LINE, *TWO_LEVELS))


@given(st.data())
def test_the_parser_only_refuses_or_reads(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(WHOLE)))
    cut = data.draw(st.integers(0, 40))
    changed = WHOLE[:at] + data.draw(st.binary(max_size=12)) + WHOLE[at + cut :]
    try:
        read = policy.parse(changed)
    except ChainError:
        return
    assert read.quorum in ("none", *read.witnesses, *read.groups)
