"""The signer process: it signs what extends what it signed, and nothing else, for whoever asks."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chain.checkpoint import Checkpoint
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import keys, publisher, signing, verify
from tests.consortium.ledger.making import NOW, ORIGIN, Memory, begin, grow


def checkpoint(size: int, root: bytes = b"r" * 32, origin: str = ORIGIN) -> bytes:
    return Checkpoint(origin, size, root).text.encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys.make_log_key(tmp_path / "log.key", origin=ORIGIN)
    return tmp_path


Begin = Callable[..., str]


@pytest.fixture
def begun(folder: Path) -> Iterator[Begin]:
    """Begins a signer and gives its address; all of them have ended when the test has."""
    over, serving = threading.Event(), dict[str, threading.Thread]()

    def begin_one(name: str = "signer.sock") -> str:
        desk = signing.SignerDesk(keys.load_log_keys(folder), memory=folder / "log-signed")
        ready, address = threading.Event(), str(folder / name)
        serving[address] = threading.Thread(
            target=signing.serve,
            args=(address, desk),
            kwargs={"ready": ready.set, "ended": over.is_set},
            daemon=True,
        )
        serving[address].start()
        assert ready.wait(10)
        return address

    yield begin_one
    over.set()
    for address, thread in serving.items():
        with suppress(Refusal):
            signing.remote_log_key(address)
        thread.join(10)
        assert not Path(address).exists()


def refusal(log: keys.LogKey, text: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        log.sign(text)
    return caught.value.code


def test_what_it_signs_and_what_not(folder: Path, begun: Begin) -> None:
    log = signing.remote_log_key(begun())
    assert log.vkey == keys.load_log_keys(folder).vkey
    for size in (3, 3, 7):
        assert log.verifier.verify(checkpoint(size), log.sign(checkpoint(size))) is None
    for text in (
        checkpoint(6),
        checkpoint(7, b"x" * 32),
        checkpoint(9, origin="other.example"),
        checkpoint(9)[:-2],
        b"anything",
    ):
        assert refusal(log, text) == "ledger.signer_refuses"
    assert log.sign(checkpoint(8))


def test_it_remembers_over_a_restart(folder: Path, begun: Begin) -> None:
    signing.remote_log_key(begun()).sign(checkpoint(7))
    again = signing.remote_log_key(begun("again.sock"))
    assert refusal(again, checkpoint(6)) == "ledger.signer_refuses"
    assert again.sign(checkpoint(7))
    (folder / "log-signed").write_bytes(b"torn")
    with pytest.raises(Refusal) as caught:
        signing.SignerDesk(keys.load_log_keys(folder), memory=folder / "log-signed")
    assert caught.value.code == "ledger.signer_memory"


def test_nothing_is_signed_that_is_not_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = signing.SignerDesk(keys.load_log_keys(folder), memory=folder / "log-signed")
    public = keys.load_log_keys(folder).verifier.public.hex().encode()

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(signing, "write_durably", full)
        with pytest.raises(OSError, match="No space"):
            desk.answer(public + b"\n" + checkpoint(5))
    assert len(desk.answer(public + b"\n" + checkpoint(4))) == 64


def test_a_signer_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        signing.remote_log_key(str(tmp_path / "none.sock"))
    assert caught.value.code == "ledger.signer_away"


def test_both_keys_sign_what_is_published(database: Database, folder: Path, begun: Begin) -> None:
    keys.add_log_key(folder)
    log = signing.remote_log_key(begun())
    begin(database)
    grow(database, range(5))
    assert publisher.publish(database, log, Memory(), now=NOW) is not None
    for one in log.signers:
        with database.read() as session:
            assert verify.verify(session, logs=[one.verifier]).faults == ()
    foreign = keys.make_log_key(folder / "other.key", origin=ORIGIN)
    with database.read() as session:
        found = verify.verify(session, logs=[foreign.verifier]).faults
    assert found == (verify.Fault(5, "ledger_checkpoint", "note"),)
