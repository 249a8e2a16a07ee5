"""Cosignatures: both types, what they bind, and what gets on a checkpoint."""

import pytest

from chain import cosignature, keys, note
from chain.checkpoint import Checkpoint
from chain.encoding import b64
from chain.errors import FormatError, KeyFormatError, SignatureError
from chain.merkle import EMPTY_ROOT
from chain.note import COSIGNATURE, ED25519, MLDSA_COSIGNATURE, Signature, SigningKey, VerifierKey

LOG = SigningKey("hub.example/ledger", b"\x01" * 32)
CLASSIC = SigningKey("clinic1.example/w", b"\x02" * 32, COSIGNATURE)
LATTICE = SigningKey("regulator.example/m", b"\x03" * 32, MLDSA_COSIGNATURE)
HEAD = Checkpoint("hub.example/ledger", 7, bytes(range(32)))
NOTE = note.sign(HEAD.text, [LOG])
AT_S = 1_767_000_000
COSIGNERS = [CLASSIC, LATTICE]


def with_lines(*lines: Signature, text: str = HEAD.text) -> bytes:
    return note.Note(text, lines).data


@pytest.mark.parametrize("key", COSIGNERS)
def test_what_is_cosigned_verifies_with_its_time(key: SigningKey) -> None:
    line = cosignature.cosign(HEAD.text, key, time_s=AT_S)
    _, signed = note.verify(with_lines(line), [key.verifier])
    assert [(one.key, one.time_s) for one in signed] == [(key.verifier, AT_S)]
    assert cosignature.check(HEAD.text, line, [LATTICE.verifier, CLASSIC.verifier]).time_s == AT_S
    assert len(line.signature) == 8 + (2420 if key is LATTICE else 64)


def test_the_ed25519_message_is_two_lines_and_the_text() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert note.cosigned(text.encode(), 1679315147) == (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    line = cosignature.cosign(text, CLASSIC, time_s=1679315147)
    message = note.cosigned(text.encode(), 1679315147)
    assert keys.verifies(CLASSIC.verifier.public, message, line.signature[8:])


def test_the_mldsa_message_is_the_structure_of_the_specification() -> None:
    message = note.subtree_of(HEAD.text.encode(), name="regulator.example/m", time_s=AT_S)
    assert message == (
        b"subtree/v1\n\x00"
        b"\x13regulator.example/m"
        + AT_S.to_bytes(8, "big")
        + b"\x12hub.example/ledger"
        + bytes(8)
        + (7).to_bytes(8, "big")
        + bytes(range(32))
    )
    line = cosignature.cosign(HEAD.text, LATTICE, time_s=AT_S)
    assert keys.mldsa_verifies(LATTICE.verifier.public, message, line.signature[8:])


def test_key_ids_follow_the_specification() -> None:
    for key in (CLASSIC, LATTICE):
        who = key.verifier
        assert VerifierKey.parse(who.text) == who
        assert SigningKey.parse(key.text, kinds=[key.kind]) == key
    assert len(LATTICE.verifier.public) == 1312
    assert CLASSIC.verifier.text == (
        "clinic1.example/w+ec5326c0+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
    )


@pytest.mark.parametrize("key", COSIGNERS)
def test_each_byte_of_text_and_time_is_bound(key: SigningKey) -> None:
    line = cosignature.cosign(HEAD.text, key, time_s=AT_S)
    later = Signature(line.name, line.key_id, (AT_S + 1).to_bytes(8, "big") + line.signature[8:])
    none = Signature(line.name, line.key_id, bytes(8) + line.signature[8:])
    cut = Signature(line.name, line.key_id, line.signature[:-1])
    more = Signature(line.name, line.key_id, line.signature + b"\0")
    for changed in (later, none, cut, more, Signature(line.name, line.key_id, b"")):
        with pytest.raises(SignatureError):
            cosignature.check(HEAD.text, changed, [key.verifier])
    for text in (
        HEAD.text.replace("hub", "hut"),
        HEAD.text.replace("\n7\n", "\n8\n"),
        Checkpoint(HEAD.origin, 7, bytes(32)).text,
    ):
        with pytest.raises(SignatureError):
            cosignature.check(text, line, [key.verifier])


def test_mldsa_binds_the_name_and_leaves_extension_lines_out() -> None:
    line = cosignature.cosign(HEAD.text, LATTICE, time_s=AT_S)
    assert cosignature.check(HEAD.text + "more\n", line, [LATTICE.verifier]).time_s == AT_S
    other = VerifierKey("other.example/m", MLDSA_COSIGNATURE, LATTICE.verifier.public)
    with pytest.raises(SignatureError):
        other.verify(HEAD.text.encode(), line.signature)
    with pytest.raises(SignatureError):
        cosignature.check(HEAD.text, line, [other])
    classic = cosignature.cosign(HEAD.text, CLASSIC, time_s=AT_S)
    with pytest.raises(SignatureError):
        cosignature.check(HEAD.text + "more\n", classic, [CLASSIC.verifier])
    extended = cosignature.cosign(HEAD.text + "more\n", CLASSIC, time_s=AT_S)
    assert cosignature.check(HEAD.text + "more\n", extended, [CLASSIC.verifier]).time_s == AT_S


@pytest.mark.parametrize("key", COSIGNERS)
@pytest.mark.parametrize(
    "text", ["", "text\n", "o\n7\n", "o\n07\n" + b64(bytes(32)) + "\n", "o\n7\nAAAA\n", "o\n7"]
)
def test_what_is_no_checkpoint_is_not_cosigned(key: SigningKey, text: str) -> None:
    with pytest.raises(FormatError):
        cosignature.cosign(text, key, time_s=AT_S)


def test_what_is_no_checkpoint_carries_no_mldsa_cosignature() -> None:
    line = Signature(LATTICE.name, LATTICE.verifier.key_id, bytes(2428))
    with pytest.raises(SignatureError):
        note.verify(with_lines(line, text="any text\n"), [LATTICE.verifier])


@pytest.mark.parametrize("time_s", [0, -1, 253_402_300_800, 2**63])
def test_a_witness_never_leaves_the_time_out(time_s: int) -> None:
    with pytest.raises(ValueError, match="time"):
        cosignature.cosign(HEAD.text, CLASSIC, time_s=time_s)


def test_a_log_key_cosigns_nothing_and_a_cosigner_signs_no_text() -> None:
    with pytest.raises(KeyFormatError) as caught:
        cosignature.cosign(HEAD.text, LOG, time_s=AT_S)
    assert caught.value.code == "key.kind"
    for key in COSIGNERS:
        with pytest.raises(KeyFormatError):
            note.sign(HEAD.text, [key])
        with pytest.raises(KeyFormatError):
            SigningKey.parse(key.text)
    with pytest.raises(KeyFormatError):
        SigningKey.parse(LOG.text, kinds=note.COSIGNER_KINDS)


def test_names_and_origins_of_mldsa_have_255_bytes() -> None:
    long = "é" * 127 + "x"
    key = SigningKey(long, b"\x03" * 32, MLDSA_COSIGNATURE)
    head = Checkpoint(long, 7, bytes(32))
    line = cosignature.cosign(head.text, key, time_s=AT_S)
    assert cosignature.check(head.text, line, [key.verifier]).time_s == AT_S
    with pytest.raises(KeyFormatError):
        SigningKey.make(long + "x", kind=MLDSA_COSIGNATURE)
    with pytest.raises(KeyFormatError):
        VerifierKey(long + "x", MLDSA_COSIGNATURE, LATTICE.verifier.public)
    SigningKey.make(long + "x", kind=COSIGNATURE)
    over = Checkpoint(long + "x", 7, bytes(32)).text
    with pytest.raises(FormatError):
        cosignature.cosign(over, LATTICE, time_s=AT_S)
    with pytest.raises(SignatureError):
        LATTICE.verifier.verify(over.encode(), bytes(2428))


@pytest.mark.parametrize("size", [0, 1311, 1313])
def test_mldsa_keys_have_one_length(size: int) -> None:
    with pytest.raises(KeyFormatError):
        VerifierKey("w.example", MLDSA_COSIGNATURE, bytes(size))


def test_a_signer_that_signs_wrongly_is_found_out() -> None:
    class Broken:
        verifier = CLASSIC.verifier

        def sign(self, message: bytes) -> bytes:
            return CLASSIC.sign(message + b"!")

    with pytest.raises(SignatureError):
        cosignature.cosign(HEAD.text, Broken(), time_s=AT_S)


# ---------------------------------------------------------------- on a checkpoint


def test_only_good_lines_of_known_cosigners_get_on_a_checkpoint() -> None:
    good = [cosignature.cosign(HEAD.text, key, time_s=AT_S) for key in COSIGNERS]
    stranger = SigningKey("stranger.example", b"\x09" * 32, COSIGNATURE)
    unknown = cosignature.cosign(HEAD.text, stranger, time_s=AT_S)
    bad = Signature(CLASSIC.name, CLASSIC.verifier.key_id, bytes(72))
    known = [key.verifier for key in COSIGNERS]
    made = cosignature.add(NOTE, [bad, good[1], unknown, good[0]], known)
    assert made.data == NOTE + "".join(one.line for one in good).encode()
    assert made.left_out == (bad, unknown)
    assert [one.key for one in made.signed] == known
    _, signed = note.verify(made.data, [LOG.verifier, *known])
    assert len(signed) == 3


def test_what_is_on_a_checkpoint_already_is_checked_again_and_the_newest_stays() -> None:
    known = [CLASSIC.verifier]
    first = cosignature.cosign(HEAD.text, CLASSIC, time_s=AT_S)
    later = cosignature.cosign(HEAD.text, CLASSIC, time_s=AT_S + 60)
    once = cosignature.add(NOTE, [first], known).data
    assert cosignature.add(once, [later], known).data == NOTE + later.line.encode()
    assert cosignature.add(NOTE + later.line.encode(), [first], known).signed[0].time_s == AT_S + 60
    bad = Signature(CLASSIC.name, CLASSIC.verifier.key_id, bytes(72))
    poisoned = cosignature.add(NOTE + bad.line.encode(), [], known)
    assert (poisoned.data, poisoned.left_out) == (NOTE, (bad,))


def test_at_most_fifteen_cosignatures_in_the_order_of_the_keys() -> None:
    signers = [SigningKey(f"w{n}.example", bytes([n + 20]) * 32, COSIGNATURE) for n in range(17)]
    lines = [cosignature.cosign(HEAD.text, key, time_s=AT_S) for key in signers]
    known = [key.verifier for key in signers]
    made = cosignature.add(NOTE, reversed(lines), known)
    assert made.data == NOTE + "".join(one.line for one in lines[:15]).encode()
    assert made.left_out == tuple(lines[15:])
    assert len(note.parse(made.data).signatures) == 16


def test_a_log_key_is_no_cosigner() -> None:
    with pytest.raises(KeyFormatError):
        cosignature.add(NOTE, [], [LOG.verifier])
    line = note.parse(NOTE).signatures[0]
    with pytest.raises(KeyFormatError):
        cosignature.check(HEAD.text, line, [LOG.verifier])


def test_lines_that_stand_alone() -> None:
    lines = tuple(cosignature.cosign(HEAD.text, key, time_s=AT_S) for key in COSIGNERS)
    data = "".join(line.line for line in lines).encode()
    assert note.lines(data) == lines
    for bad in (b"", b"\n", data[:-1], b"\n" + data, data + b"\n", b"text\n\n" + data):
        with pytest.raises(FormatError):
            note.lines(bad)


# ---------------------------------------------------------------- subtrees


def test_a_subtree_is_signed_without_a_time() -> None:
    span = {"origin": HEAD.origin, "start": 8, "end": 13, "root": bytes(32)}
    line = cosignature.sign_subtree(LATTICE, origin=HEAD.origin, start=8, end=13, root=bytes(32))
    assert line.signature[:8] == bytes(8)
    verify = cosignature.verify_subtree
    assert verify(line.signature, LATTICE.verifier, **span) == 0  # type: ignore[arg-type]
    for changed in ({"origin": "x"}, {"start": 0}, {"end": 12}, {"root": b"\x01" * 32}):
        with pytest.raises(SignatureError):
            verify(line.signature, LATTICE.verifier, **(span | changed))  # type: ignore[arg-type]
    timed = (1).to_bytes(8, "big") + line.signature[8:]
    with pytest.raises(SignatureError):
        verify(timed, LATTICE.verifier, **span)  # type: ignore[arg-type]


def test_a_checkpoint_is_the_subtree_from_the_start() -> None:
    line = cosignature.cosign(HEAD.text, LATTICE, time_s=AT_S)
    verify = cosignature.verify_subtree
    key = LATTICE.verifier
    root = HEAD.root
    assert verify(line.signature, key, origin=HEAD.origin, start=0, end=7, root=root) == AT_S


@pytest.mark.parametrize("span", [(3, 5), (8, 7), (-1, 0), (0, 2**63), (2, 5)])
def test_a_range_that_is_no_subtree_is_not_signed(span: tuple[int, int]) -> None:
    with pytest.raises(FormatError):
        cosignature.sign_subtree(LATTICE, origin="o", start=span[0], end=span[1], root=EMPTY_ROOT)


def test_an_ed25519_cosigner_signs_no_subtree() -> None:
    with pytest.raises(KeyFormatError):
        cosignature.sign_subtree(CLASSIC, origin="o", start=0, end=4, root=EMPTY_ROOT)
    with pytest.raises(KeyFormatError):
        cosignature.verify_subtree(
            bytes(72), CLASSIC.verifier, origin="o", start=0, end=4, root=EMPTY_ROOT
        )


def test_only_three_types_of_key_are_known() -> None:
    assert {ED25519, COSIGNATURE, MLDSA_COSIGNATURE} == {1, 4, 6}
    for kind in (0, 2, 3, 5, 0xFA, 0xFF):
        with pytest.raises(KeyFormatError) as caught:
            VerifierKey("a", kind, CLASSIC.verifier.public)
        assert caught.value.code == "key.kind"
