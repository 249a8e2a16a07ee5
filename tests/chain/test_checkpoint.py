"""Checkpoints: one spelling, and nothing signed that does not verify."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import checkpoint, note
from chain.errors import FormatError, SignatureError
from chain.merkle import EMPTY_ROOT
from tests.chain.test_merkle import VECTORS

KEY = note.SigningKey("hub.example/ledger", b"\x01" * 32)
ROOT = bytes(range(32))
GOOD = checkpoint.Checkpoint("hub.example/ledger", 70_000, ROOT)
LINES = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cc", "Cs"]), min_size=1)


def test_a_checkpoint_made_elsewhere_is_read_and_made_again() -> None:
    foreign = VECTORS["foreign"]
    key = note.VerifierKey.parse(foreign["log"])
    read, signed = note.verify(foreign["checkpoint"].encode(), [key])
    head = checkpoint.parse(read.text)
    assert (head.origin, head.size) == ("hub.example/ledger", 70_000)
    assert signed[0].key == KEY.verifier
    assert note.parse(checkpoint.sign(head, [KEY])).signatures == read.signatures[:1]


@given(LINES, st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(LINES))
def test_reads_back(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    made = checkpoint.Checkpoint(origin, size, root, tuple(extensions))
    assert checkpoint.parse(made.text) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a\n1\n",
        GOOD.text[:-1],
        GOOD.text + "\n",
        "\n" + GOOD.text,
        GOOD.text.replace("70000", "070000"),
        GOOD.text.replace("70000", "+70000"),
        GOOD.text.replace("70000", "7_0000"),
        GOOD.text.replace("70000", "７0000"),
        GOOD.text.replace("70000", "-1"),
        GOOD.text.replace("70000", str(2**63)),
        GOOD.text.replace("=", ""),
        GOOD.text.replace("8=", "9="),
        GOOD.text.replace("AAEC", "AAE C"),
        "a\n1\nAAAA\n",
    ],
)
def test_malformed_is_refused(text: str) -> None:
    assert text != GOOD.text
    with pytest.raises(FormatError) as caught:
        checkpoint.parse(text)
    assert caught.value.code == "checkpoint.format"


def test_an_empty_log_has_one_root() -> None:
    with pytest.raises(FormatError) as caught:
        checkpoint.parse(GOOD.text.replace("70000", "0"))
    assert caught.value.code == "checkpoint.empty"


def test_the_empty_log_has_one_root() -> None:
    empty = checkpoint.Checkpoint("a", 0, EMPTY_ROOT)
    assert checkpoint.parse(empty.text) == empty


@pytest.mark.parametrize(
    "bad",
    [
        checkpoint.Checkpoint("", 1, ROOT),
        checkpoint.Checkpoint("a\nb", 1, ROOT),
        checkpoint.Checkpoint("a", 1, b"short"),
        checkpoint.Checkpoint("a", 1, ROOT, ("",)),
    ],
)
def test_what_cannot_be_read_back_is_not_signed(bad: checkpoint.Checkpoint) -> None:
    with pytest.raises(FormatError):
        checkpoint.sign(bad, [KEY])


def test_a_signature_is_checked_before_it_is_given_out() -> None:
    class Broken:
        verifier = KEY.verifier

        def sign(self, message: bytes) -> bytes:
            return KEY.sign(message[:-1])

    with pytest.raises(SignatureError):
        checkpoint.sign(GOOD, [Broken()])
