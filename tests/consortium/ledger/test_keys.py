"""The log key: one file for its owner only, or a signer that never gives the key out."""

import os
from pathlib import Path

import pytest

from chain import note
from chain.note import SigningKey
from consortium.kernel.errors import Refusal
from consortium.ledger import keys
from consortium.ledger.keys import LogKey, load_log_key, make_log_key
from consortium.ledger.policies import policy_text
from tests.consortium.ledger.making import ORIGIN, log_key
from tests.support.cheap import least_cost


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


# ---------------------------------------------------------------- under a passphrase


def test_a_key_under_a_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    with least_cost():
        made = make_log_key(path, origin=ORIGIN)
        plain = path.read_text()
        keys.lock_log_key(path, passphrase="a long secret")
        assert SigningKey.parse(plain.strip()).text.split("+")[-1] not in path.read_text()
        assert load_log_key(path, passphrase=lambda: "a long secret").vkey == made.vkey
        for ask, code in ((None, "key_locked"), (lambda: "another one", "key_passphrase")):
            with pytest.raises(Refusal) as caught:
                load_log_key(path, passphrase=ask)
            assert caught.value.code == f"ledger.{code}"
        # bound to its origin: a key cannot be passed off as another log's
        path.write_text(path.read_text().replace(ORIGIN, "other.example"))
        with pytest.raises(Refusal) as caught:
            load_log_key(path, passphrase=lambda: "a long secret")
        assert caught.value.code == "ledger.key_passphrase"
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_credentials_folder_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, given = tmp_path / "home", tmp_path / "given"
    with least_cost():
        own = make_log_key(home / "log.key", origin=ORIGIN)
        other = make_log_key(given / "log.key", origin=ORIGIN)
        keys.lock_log_key(given / "log.key", passphrase="a long secret")
        (given / "log.passphrase").write_text("a long secret\n")
        assert keys.load_log_keys(home).vkey == own.vkey
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
        assert keys.load_log_keys(home).vkey == other.vkey


# ---------------------------------------------------------------- a change of keys


def test_old_and_new_key_sign_until_the_old_one_is_retired(tmp_path: Path) -> None:
    old = make_log_key(tmp_path / "log.key", origin=ORIGIN)
    with pytest.raises(Refusal) as caught:
        keys.retire_log_key(tmp_path, policy=policy_text(old.vkey))
    assert caught.value.code == "ledger.key_alone"
    both = keys.add_log_key(tmp_path)
    with pytest.raises(Refusal) as caught:
        keys.add_log_key(tmp_path)
    assert caught.value.code == "ledger.key_exists"
    loaded = keys.load_log_keys(tmp_path)
    assert [one.vkey for one in loaded.signers] == [one.vkey for one in both.signers]
    new = both.signers[1]
    signed = note.sign("text\n", loaded.signers)
    for one in (old, new):
        assert note.verify(signed, [one.verifier])[0].text == "text\n"
    with pytest.raises(Refusal) as caught:
        keys.retire_log_key(tmp_path, policy=policy_text(old.vkey))
    assert caught.value.code == "ledger.key_unknown"
    left = keys.retire_log_key(
        tmp_path, policy=policy_text(old.vkey, f"log {new.vkey}", "quorum none")
    )
    assert [one.vkey for one in left.signers] == [new.vkey]
    assert keys.known_keys(tmp_path) == (old.verifier, new.verifier)
    assert not (tmp_path / "log-next.key").exists()
    assert [one.vkey for one in keys.load_log_keys(tmp_path).signers] == [new.vkey]


def test_a_successor_lies_under_the_same_passphrase(tmp_path: Path) -> None:
    with least_cost():
        make_log_key(tmp_path / "log.key", origin=ORIGIN, passphrase="a long secret")
        (tmp_path / "log.passphrase").write_text("a long secret")
        made = keys.add_log_key(tmp_path)
        assert (tmp_path / "log-next.key").read_bytes().startswith(b"sharing-chain-log-key/1 ")
        assert [one.vkey for one in keys.load_log_keys(tmp_path).signers] == [
            one.vkey for one in made.signers
        ]


def test_a_successor_of_another_log_is_none(tmp_path: Path) -> None:
    make_log_key(tmp_path / "log.key", origin=ORIGIN)
    make_log_key(tmp_path / "log-next.key", origin="other.example")
    with pytest.raises(Refusal) as caught:
        keys.load_log_keys(tmp_path)
    assert caught.value.code == "ledger.key_file"
    (tmp_path / "log.vkeys").write_text("nonsense\n")
    with pytest.raises(Refusal) as caught:
        keys.known_keys(tmp_path)
    assert caught.value.code == "ledger.key_file"
