"""Signed notes: the public vector, keys under names, and what is refused."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import note
from chain.encoding import b64
from chain.errors import ChainError, FormatError, KeyFormatError, SignatureError
from chain.note import SigningKey, VerifierKey
from tests.chain.making import cosignature, cosigner
from tests.chain.test_merkle import VECTORS

KEY = SigningKey("example.com/one", bytes(range(32)))
OTHER = SigningKey("example.com/two", bytes(range(1, 33)))
TEXT = "a text\n\nwith an empty line\n"
SIGNED = note.sign(TEXT, [KEY])
LINES = note.parse(SIGNED).signatures


def test_reference_note() -> None:
    key = VerifierKey.parse(VECTORS["note"]["vkey"])
    read, signed = note.verify(VECTORS["note"]["note"].encode(), [key])
    assert read.text == "This is an example message.\n"
    assert [one.key for one in signed] == [key]
    assert key.text == VECTORS["note"]["vkey"]


def test_keys_read_back() -> None:
    assert SigningKey.parse(KEY.text) == KEY
    assert VerifierKey.parse(KEY.verifier.text) == KEY.verifier
    assert VerifierKey.parse(cosigner(KEY).text) == cosigner(KEY)
    assert cosigner(KEY).key_id != KEY.verifier.key_id
    assert SigningKey.make("a") != SigningKey.make("a")


def test_a_private_key_does_not_show_itself() -> None:
    assert b64(KEY.seed)[:12] not in repr(KEY)
    assert KEY.seed.hex() not in repr(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        "name+00000000+",
        KEY.verifier.text.replace("one", "two"),
        KEY.verifier.text[:-1],
        KEY.verifier.text + " ",
        " " + KEY.verifier.text,
        KEY.verifier.text.replace("+", "++", 1),
        KEY.text,
        VerifierKey("a", 1, KEY.verifier.public).text.upper(),
    ],
)
def test_malformed_vkeys_are_refused(text: str) -> None:
    with pytest.raises(KeyFormatError):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY.text[1:],
        KEY.text[:-4],
        KEY.text.replace("one", "two"),
        KEY.text.replace("+example", "+exa mple"),
        KEY.verifier.text,
        # the same seed in another spelling
        KEY.text + "=",
        KEY.text + "==",
        KEY.text + "\n",
        "PRIVATE+KEY+a+00000000+" + b64(b"\x04" + bytes(32)),
    ],
)
def test_malformed_skeys_are_refused_without_telling_them(text: str) -> None:
    with pytest.raises(KeyFormatError) as caught:
        SigningKey.parse(text)
    assert b64(KEY.seed)[:12] not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u3000b", "a\nb", "a\u2028", "\ud800", "\x1f"]
)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(KeyFormatError):
        VerifierKey(name, note.ED25519, KEY.verifier.public)
    with pytest.raises(KeyFormatError):
        SigningKey.make(name)


def test_unknown_types_are_refused() -> None:
    with pytest.raises(KeyFormatError) as caught:
        VerifierKey("a", 2, KEY.verifier.public)
    assert caught.value.code == "key.kind"


def test_unknown_signatures_are_ignored() -> None:
    both = note.sign(TEXT, [OTHER, KEY])
    read, signed = note.verify(both, [KEY.verifier])
    assert read.text == TEXT
    assert [one.key for one in signed] == [KEY.verifier]
    # the same name under another key id, and the same key under another name, are unknown too
    for key in (VerifierKey(KEY.name, 1, OTHER.verifier.public), OTHER.verifier):
        with pytest.raises(SignatureError) as caught:
            note.verify(SIGNED, [key])
        assert caught.value.code == "note.unknown"
    with pytest.raises(SignatureError):
        note.verify(SIGNED, [])


@pytest.mark.parametrize(
    ("kind", "material", "size"),
    [
        (0x02, bytes(91), 72),
        (0x05, bytes(32), 80),
        (0xFA, bytes(32), 64),
        (0xFF, b"example.org/sm2-sm3/v1" + bytes(65), 64),
    ],
)
def test_lines_of_other_types_are_ignored(kind: int, material: bytes, size: int) -> None:
    """An ECDSA key, a tree head, a type not assigned and one with a long identifier."""
    key_id = sha256(KEY.name.encode() + b"\n" + bytes([kind]) + material).digest()[:4]
    line = note.Signature(KEY.name, key_id, b"\x30" * size)
    vkey = f"{KEY.name}+{key_id.hex()}+{b64(bytes([kind]) + material)}"
    with pytest.raises(KeyFormatError) as caught:
        VerifierKey.parse(vkey)
    assert caught.value.code == "key.kind"
    for data in (SIGNED + line.line.encode(), note.Note(TEXT, (line, *LINES)).data):
        assert [one.key for one in note.verify(data, [KEY.verifier])[1]] == [KEY.verifier]
    with pytest.raises(SignatureError) as unknown:
        note.verify(note.Note(TEXT, (line,)).data, [KEY.verifier])
    assert unknown.value.code == "note.unknown"


def test_a_key_is_its_name_and_its_id_together() -> None:
    """Another name with our key id, and our name with another id, are strangers."""
    bad = bytes(64)
    strangers = (
        note.Signature("example.com/another", KEY.verifier.key_id, bad),
        note.Signature(KEY.name, OTHER.verifier.key_id, bad),
    )
    data = note.Note(TEXT, (*strangers, *LINES)).data
    assert [one.key for one in note.verify(data, [KEY.verifier])[1]] == [KEY.verifier]


def test_a_text_may_look_like_signatures_and_the_last_empty_line_parts() -> None:
    text = f"first\n\n{LINES[0].line}\nlast\n"
    data = note.sign(text, [KEY])
    assert note.verify(data, [KEY.verifier])[0].text == text
    inner = note.parse(SIGNED + b"\n" + LINES[0].line.encode())
    assert inner.text == SIGNED.decode()


def test_one_bad_signature_of_a_known_key_refuses_the_note() -> None:
    read = note.parse(SIGNED)
    bad = note.Signature(KEY.name, KEY.verifier.key_id, bytes(64))
    for lines in ((*read.signatures, bad), (bad, *read.signatures)):
        with pytest.raises(SignatureError) as caught:
            note.verify(note.Note(TEXT, lines).data, [KEY.verifier])
        assert caught.value.code == "note.signature"


def test_two_lines_of_one_key_count_once() -> None:
    read = note.parse(SIGNED)
    doubled = note.Note(TEXT, read.signatures * 2).data
    assert len(note.verify(doubled, [KEY.verifier, KEY.verifier])[1]) == 1


def test_cosignatures_bind_their_time() -> None:
    line = cosignature(OTHER, TEXT, 1_700_000_000)
    good = note.Note(TEXT, (line,)).data
    assert note.verify(good, [cosigner(OTHER)])[1][0].time_s == 1_700_000_000
    for changed in (
        (1_700_000_001).to_bytes(8, "big") + line.signature[8:],
        b"\xff" * 8 + line.signature[8:],
        cosignature(OTHER, TEXT, 253_402_300_800).signature,
        line.signature[8:],
        line.signature[:8],
    ):
        forged = note.Note(TEXT, (note.Signature(line.name, line.key_id, changed),)).data
        with pytest.raises(SignatureError):
            note.verify(forged, [cosigner(OTHER)])


def test_a_cosignature_is_no_log_signature() -> None:
    line = cosignature(KEY, TEXT)
    claimed = note.Signature(KEY.name, KEY.verifier.key_id, line.signature[8:])
    with pytest.raises(SignatureError):
        note.verify(note.Note(TEXT, (claimed,)).data, [KEY.verifier])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"text\n\n",
        SIGNED[:-1],
        SIGNED + b"\n",
        SIGNED.replace(b"\n", b"\r\n"),
        SIGNED.replace(b"a text", b"a\ttext"),
        SIGNED.replace(b"a text", b"a\x00text"),
        SIGNED.replace(b"a text", b"a \xff text"),
        SIGNED.replace("— ".encode(), b"- "),
        SIGNED.replace(b"example.com/one ", b"example.com/one  "),
        SIGNED.replace(b"example.com/one", b"example.com+one"),
        SIGNED.replace(b"=\n", b"\n"),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— name AAAAAAB=\n".encode(),
        ("text\n\n" + "— name AAAAAAA=\n" * 101).encode(),
        b"x" * note.NOTE_BYTES_MAX + SIGNED,
    ],
)
def test_malformed_notes_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        note.verify(data, [KEY.verifier])
    assert caught.value.code == "note.format"


def test_a_hundred_lines_of_mldsa_fit() -> None:
    line = note.Signature("regulator.example/mirror", bytes(4), bytes(8 + 2420))
    assert len(note.parse(note.Note(TEXT, (line,) * 100).data).signatures) == 100


def test_sixteen_signatures_and_more_are_read() -> None:
    data = ("text\n\n" + "— name AAAAAAA=\n" * 100).encode()
    assert len(note.parse(data).signatures) == 100


@pytest.mark.parametrize("text", ["", "no end", "tab\t\n", "nul\x00\n"])
def test_what_cannot_be_read_back_is_not_signed(text: str) -> None:
    with pytest.raises(FormatError):
        note.sign(text, [KEY])


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_every_changed_byte_is_refused(position: int, change: int) -> None:
    changed = bytes(b ^ change if n == position else b for n, b in enumerate(SIGNED))
    with pytest.raises(ChainError):
        note.verify(changed, [KEY.verifier])


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_the_parser_only_refuses_or_reads_back(data: bytes) -> None:
    try:
        read = note.parse(data + "\n\n— n AAAAAAA=\n".encode())
    except FormatError:
        return
    assert read.data == data + "\n\n— n AAAAAAA=\n".encode()


def test_clashing_keys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = KEY.verifier, VerifierKey(KEY.name, 1, OTHER.verifier.public)
    object.__setattr__(other, "key_id", one.key_id)
    with pytest.raises(KeyFormatError) as caught:
        note.verify(SIGNED, [one, other])
    assert caught.value.code == "key.clash"
