"""The seal and other secrets in files: closed, counted, never opened by anything but its words."""

import json
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.kernel import box
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.members import passwords
from consortium.members.keys import Age, KeyFolder
from consortium.members.recovery import Recovery
from consortium.members.seal import PAUSE, SealFile, Seals
from consortium.members.statements import verifies
from tests.consortium.members.keys_made import NOW, PASSPHRASE, Member
from tests.consortium.members.seeded import fill
from tests.support.cheap import real_cost


@pytest.fixture
def clinic(database: Database, tmp_path: Path) -> Member:
    return fill(database, tmp_path)[2]


def code_of(database: Database, home: Path, passphrase: str, *, late: timedelta) -> str:
    try:
        with database.write() as session:
            Seals(home).sign(session, "shiqiao", passphrase, b"m", now=NOW + late)
    except Refusal as refusal:
        return refusal.code
    return "ok"


def test_the_seal_signs_under_its_passphrase(
    database: Database, tmp_path: Path, clinic: Member
) -> None:
    with database.write() as session:
        signed = Seals(tmp_path).sign(session, "shiqiao", PASSPHRASE, b"contract", now=NOW)
    assert signed.key_id == clinic.seal.key_id
    assert verifies(clinic.seal.text, b"contract", signed.value)


def test_five_wrong_passphrases_pause_the_seal_through_restarts_and_rollbacks(
    database: Database, tmp_path: Path, clinic: Member
) -> None:
    for _ in range(5):
        assert code_of(database, tmp_path, "wrong", late=timedelta()) == "members.seal_wrong"
    for late in (timedelta(), PAUSE - timedelta(seconds=1)):
        assert code_of(database, tmp_path, PASSPHRASE, late=late) == "members.seal_throttled"
    assert code_of(database, tmp_path, PASSPHRASE, late=PAUSE) == "ok"
    for _ in range(4):
        code_of(database, tmp_path, "wrong", late=PAUSE)
    assert code_of(database, tmp_path, PASSPHRASE, late=PAUSE) == "ok"
    assert code_of(database, tmp_path, "wrong", late=PAUSE) == "members.seal_wrong"


def test_a_seal_that_is_uploaded_is_used_and_not_kept(
    database: Database, tmp_path: Path, clinic: Member
) -> None:
    upload = clinic.made.seal_file.text.encode()
    elsewhere = tmp_path / "office"
    with database.write() as session:
        seals = Seals(elsewhere)
        signed = seals.sign(session, "shiqiao", PASSPHRASE, b"m", now=NOW, upload=upload)
        assert signed.key_id == clinic.seal.key_id
        assert not seals.held("shiqiao")
        with pytest.raises(Refusal, match="seal_absent"):
            seals.sign(session, "shiqiao", PASSPHRASE, b"m", now=NOW)
    assert not any(path.name == "seal.json" for path in elsewhere.rglob("*"))


def test_only_the_seal_that_the_ledger_names_signs(
    database: Database, tmp_path: Path, clinic: Member
) -> None:
    other = SealFile.make("shiqiao", PASSPHRASE)[0].text.encode()
    foreign = SealFile.make("yunling", PASSPHRASE)[0].text.encode()
    with database.write() as session:
        for upload in (other, foreign):
            with pytest.raises(Refusal, match="seal_other"):
                Seals(tmp_path).sign(session, "shiqiao", PASSPHRASE, b"m", now=NOW, upload=upload)
        for upload in (b"", b"{}", b"[1]", b"\xff", b"x" * 5000, other.replace(b"box", b"bix")):
            with pytest.raises(Refusal, match="seal_file"):
                Seals(tmp_path).sign(session, "shiqiao", PASSPHRASE, b"m", now=NOW, upload=upload)


def test_a_seal_bound_to_another_key_or_member_does_not_open() -> None:
    file, _ = SealFile.make("shiqiao", PASSPHRASE)
    whole = json.loads(file.text)
    for change in ({"member": "yunling"}, {"key_id": "0" * 32}):
        changed = SealFile.parse(json.dumps(whole | change).encode())
        assert changed.open(PASSPHRASE) is None
    assert SealFile.parse(file.text.encode()).open(PASSPHRASE) is not None
    with pytest.raises(Refusal, match="passphrase_short"):
        SealFile.make("shiqiao", "short")


@given(passphrase=st.text(min_size=1, max_size=20), at=st.integers(0, 500), bit=st.integers(0, 7))
def test_a_box_opens_with_its_own_words_and_unchanged_only(
    passphrase: str, at: int, bit: int
) -> None:
    closed = box.lock(b"secret seed", passphrase=passphrase, bound=b"me")
    assert box.unlock(closed, passphrase=passphrase, bound=b"me") == b"secret seed"
    assert box.unlock(closed, passphrase=passphrase, bound=b"you") is None
    assert box.unlock(closed, passphrase=passphrase + "x", bound=b"me") is None
    flipped = bytearray(closed)
    flipped[at % len(closed)] ^= 1 << bit
    assert box.unlock(bytes(flipped), passphrase=passphrase, bound=b"me") is None


def test_at_its_real_cost_a_box_and_a_password_open_too() -> None:
    cheap = box.lock(b"s", passphrase=PASSPHRASE, bound=b"")
    with real_cost():
        assert (box._PASSES, box._LANES, box._MEMORY_KIB) == (3, 4, 64 * 1024)
        closed = box.lock(b"s", passphrase=PASSPHRASE, bound=b"")
        assert box.unlock(closed, passphrase=PASSPHRASE, bound=b"") == b"s"
        assert box.unlock(cheap, passphrase=PASSPHRASE, bound=b"") is None
        known = passwords.hashed(PASSPHRASE)
        assert known.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        assert passwords.fits(PASSPHRASE, known)
        assert not passwords.fits(f"{PASSPHRASE}x", known)
        assert not passwords.fits(PASSPHRASE, "")
    assert box.unlock(cheap, passphrase=PASSPHRASE, bound=b"") == b"s"


def test_full_width_letters_are_the_same_passphrase() -> None:
    closed = box.lock(b"s", passphrase="ｈｏｒｓｅ　１２", bound=b"")
    assert box.unlock(closed, passphrase="horse 12", bound=b"") == b"s"


# ---------------------------------------------------------------- key files


@pytest.mark.skipif(os.name != "posix", reason="Windows guards files by their folder's access list")
def test_key_files_are_their_owners_only(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    node, sealing = folder.make("shiqiao")
    assert folder.members() == ["shiqiao"]
    assert folder.node("shiqiao").key_id == node.key_id
    assert folder.sealing("shiqiao") == sealing
    assert folder.make("shiqiao")[0].key_id == node.key_id
    for path in folder.path.rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\xff\xff", b"AGE-SECRET-KEY-1QQ", b"sharing-chain x"])
def test_damaged_key_files_are_refused(tmp_path: Path, content: bytes) -> None:
    folder = KeyFolder(tmp_path)
    folder.make("shiqiao")
    for path in folder.path.rglob("*.key"):
        path.write_bytes(content)
    for read in (folder.node, folder.sealing):
        with pytest.raises(Refusal, match="key_file"):
            read("shiqiao")
        with pytest.raises(Refusal, match="key_file"):
            read("absent")


# ---------------------------------------------------------------- recovery page


def test_the_recovery_page_is_read_back_from_its_text() -> None:
    made = Recovery.make("shiqiao")
    typed = made.text.lower().replace("-secret-", "-SECRET-")
    printed = made.page(name="石桥镇卫生院", lang="zh")
    for text in (made.text, f"\n  {made.text}  \n", typed, printed):
        read = Recovery.parse(text)
        assert (read.seed, read.age.identity) == (made.seed, made.age.identity)
        assert read.signer.key_id == made.signer.key_id


@given(at=st.integers(0, 400), letter=st.sampled_from("ABCDEF0123456789QZ -\n"))
def test_a_slip_of_the_pen_is_noticed(at: int, letter: str) -> None:
    made = Recovery("shiqiao", _AGE, b"\x05" * 32)
    text = made.text
    at %= len(text)
    changed = text[:at] + letter + text[at + 1 :]
    try:
        read = Recovery.parse(changed)
    except Refusal:
        return
    assert (read.seed, read.age.identity, read.member) == (made.seed, _AGE.identity, "shiqiao")


_AGE = Age.make()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_holds_qr_and_text_in_the_readers_language(lang: str) -> None:
    made = Recovery.make("shiqiao")
    page = made.page(name="石桥镇卫生院 <b>", lang=lang)
    assert made.age.identity in page
    assert "&lt;b&gt;" in page
    assert page.count("<svg") == 1
    # without a viewBox a style would cut the code instead of scaling it
    assert page.count("viewBox") == 1
    assert ("恢复密钥" in page) == (lang == "zh")
    shown = made.terminal(name="石桥镇卫生院", lang=lang)
    assert made.age.identity in shown
    assert "secret" not in repr(made).lower()
    assert made.seed.hex() not in repr(made)
