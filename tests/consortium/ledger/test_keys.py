"""The log key: one file for its owner only, or a signer that never gives the key out."""

import os
from pathlib import Path

import pytest

from chain import note
from chain.note import SigningKey
from consortium.kernel.errors import Refusal
from consortium.ledger.keys import LogKey, load_log_key, make_log_key
from tests.consortium.ledger.making import ORIGIN, log_key


def test_made_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log.key"
    made = make_log_key(path, origin=ORIGIN)
    loaded = load_log_key(path)
    assert made.vkey == loaded.vkey
    assert made.origin == ORIGIN
    signed = note.sign("text\n", [loaded])
    assert note.verify(signed, [made.verifier])[0].text == "text\n"
    assert SigningKey.parse(path.read_text().strip()).verifier == made.verifier
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    make_log_key(path, origin=ORIGIN)
    before = path.read_bytes()
    with pytest.raises(Refusal) as caught:
        make_log_key(path, origin=ORIGIN)
    assert caught.value.code == "ledger.key_exists"
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="file modes say nothing there")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "log.key"
    make_log_key(path, origin=ORIGIN)
    path.chmod(mode)
    with pytest.raises(Refusal) as caught:
        load_log_key(path)
    assert caught.value.code == "ledger.key_open"


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"PRIVATE+KEY+a+00000000+AA==\n"])
def test_a_file_that_is_no_key(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "log.key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(Refusal) as caught:
        load_log_key(path)
    assert caught.value.code == "ledger.key_file"
    assert str(tmp_path) not in str(caught.value.facts)


def test_origins_and_keys_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        make_log_key(tmp_path / "log.key", origin="with space")
    assert (caught.value.code, caught.value.facts["reason"]) == ("ledger.key", "key.name")

    class Weak:
        key_id = "weak"
        public = (1).to_bytes(32, "little")

        def sign(self, message: bytes) -> bytes:
            return bytes(64)

    with pytest.raises(Refusal) as caught:
        LogKey(ORIGIN, Weak())
    assert (caught.value.code, caught.value.facts["reason"]) == ("ledger.key", "key.weak")


def test_the_vkey_is_the_one_that_c2sp_writes() -> None:
    vkey = "hub.example/ledger+0b2a77d7+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    assert log_key().vkey == vkey
