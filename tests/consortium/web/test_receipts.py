"""A receipt is checked at each opening; what does not check carries no seal and a red banner."""

import io
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2
import pytest
import segno
from sqlalchemy import select, update
from starlette.testclient import TestClient

from consortium.exchange import timeline
from consortium.exchange.tables import InboxRow, OutboxRow
from consortium.exchange.timeline import CaseEntry
from consortium.kernel.actor import Actor
from consortium.ledger import receipts
from consortium.ledger.keys import make_log_key
from consortium.web import codes
from consortium.web.receipt_views import Proof
from consortium.web.receipts import prove
from tests.consortium.exchange.world import World
from tests.consortium.web.conftest import BASE, sign_in
from tests.support.databases import SqliteFiles
from tests.support.web_stage import Stage, furnish, stage

SEAL = "核验<br>无误"
RED = '<div class="banner red" role="alert">'


@dataclass
class Sent:
    """A clinic's pages, two exchanges of its own on the ledger, one that waits."""

    world: World
    stage: Stage
    client: TestClient
    first: str
    second: str
    waiting: str

    def show(self, exchange: str) -> str:
        return self.client.get(f"/receipts/{exchange}").text

    def receipt(self, exchange: str) -> bytes:
        with self.stage.node.database.read() as session:
            row = session.get_one(OutboxRow, exchange)
            assert row.receipt is not None
            return row.receipt

    def put(self, exchange: str, data: bytes) -> None:
        """Put other bytes where the receipt was."""
        with self.stage.node.database.write() as session:
            for table, key in ((OutboxRow, OutboxRow.id), (InboxRow, InboxRow.exchange)):
                session.execute(update(table).where(key == exchange).values(receipt=data))

    def check(self, *files: bytes, **fields: str | list[str]) -> "httpx2.Response":
        """Bring files, text and parts to the page that checks receipts."""
        page = self.client.get("/receipts/check").text
        found = re.search(r'name="csrf" value="([^"]+)"', page)
        assert found is not None
        sent = [("file", (f"f{n}", data, "image/png")) for n, data in enumerate(files)]
        return self.client.post(
            "/receipts/check", data={"csrf": found[1], **fields}, files=sent or None
        )

    def foreign(self, tmp_path: Path) -> bytes:
        """A policy that trusts another log of the same name."""
        return receipts.policy_text(make_log_key(tmp_path / "k", origin="hub.test/ledger").vkey)


def pictures(receipt: bytes, *, scale: int = 4) -> list[bytes]:
    """The codes of a receipt as PNG pictures."""
    made = []
    for part in codes.parts(receipt):
        out = io.BytesIO()
        segno.make(part.frame, error="m", mode="byte", boost_error=False).save(
            out, kind="png", scale=scale
        )
        made.append(out.getvalue())
    return made


def png(width: int, height: int, lines: bytes) -> bytes:
    """A grey PNG of these lines."""

    def chunk(name: bytes, data: bytes) -> bytes:
        whole = name + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compress(lines, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def sent(sqlite_files: SqliteFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    folder = tmp_path_factory.mktemp("receipts")
    from contextlib import ExitStack

    with ExitStack() as stack:
        made = iter(range(9))
        world = World(
            folder, lambda: stack.enter_context(sqlite_files.one(folder, f"n{next(made)}.db"))
        )
        clinic = world.members["a"]
        opened = clinic.send("test.open/1", ("lead",), case="c1", urgency="urgent")
        said = clinic.send("test.say/1", ("lead",), case="c1", close=False)
        world.settle()
        world.settle()
        clinic.link.cut = True
        waiting = clinic.send("test.open/1", ("lead",), case="c2", urgency="routine")
        furnish(clinic.database, member="a")
        pages = stage(clinic.database, folder / "home", world.clock, member="a")
        pages.node.policy = world.policy
        pages.person("han", "韩素云")
        client = TestClient(
            pages.app, base_url=BASE, raise_server_exceptions=False, follow_redirects=False
        )
        sign_in(client)
        yield Sent(world, pages, client, opened.id, said.id, waiting.id)


def test_a_receipt_that_checks_carries_the_seal(sent: Sent) -> None:
    page = sent.show(sent.first)
    assert SEAL in page
    assert RED not in page
    assert page.count('<li class="ok">') >= 3
    assert "对方的机器已确认收到" in page


def test_the_file_checks_elsewhere_without_the_product(sent: Sent, tmp_path: Path) -> None:
    answer = sent.client.get(f"/receipts/{sent.first}/file")
    assert ".tlog-proof" in answer.headers["content-disposition"]
    (tmp_path / "receipt").write_bytes(answer.content)
    (tmp_path / "policy").write_bytes(sent.world.policy)
    command = [sys.executable, "-m", "chain", "receipt", "receipt", "--policy", "policy"]
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "VERIFIED" in run.stdout


def test_what_waits_here_has_no_seal_and_no_alarm(sent: Sent) -> None:
    page = sent.show(sent.waiting)
    assert SEAL not in page
    assert RED not in page
    assert "这件还在本机" in page
    assert sent.client.get(f"/receipts/{sent.waiting}/file").status_code == 404


def test_each_flipped_byte_is_seen(sent: Sent) -> None:
    good = sent.receipt(sent.first)
    node = sent.stage.node
    with node.database.read() as session:
        actor = sent.stage.actor(session, "han")
        entry = timeline.one(session, member="a", exchange_id=sent.first)
        row = session.get_one(OutboxRow, sent.first)
        inbox = session.scalars(select(InboxRow).where(InboxRow.exchange == sent.first)).one()
        session.expunge_all()
        for place in range(len(good)):
            bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
            proof = _proved(node, actor, entry, bad)
            assert not proof.verified, place
            assert proof.fault, place
        assert _proved(node, actor, entry, good).verified
    assert row.receipt == inbox.receipt == good


def _proved(node: Any, actor: Actor, entry: CaseEntry, data: bytes) -> Proof:
    with (
        mock.patch.object(timeline, "receipt_file", return_value=data),
        node.database.read() as session,
    ):
        return prove(session, node=node, actor=actor, entry=entry)


def test_a_flipped_byte_takes_the_seal_off_the_page(sent: Sent) -> None:
    good = sent.receipt(sent.first)
    try:
        for place in range(0, len(good), 97):
            sent.put(sent.first, good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            page = sent.show(sent.first)
            assert SEAL not in page, place
            assert RED in page, place
    finally:
        sent.put(sent.first, good)
    assert SEAL in sent.show(sent.first)


def test_the_receipt_of_another_entry_is_none_of_this_one(sent: Sent) -> None:
    good = sent.receipt(sent.first)
    sent.put(sent.first, sent.receipt(sent.second))
    try:
        page = sent.show(sent.first)
    finally:
        sent.put(sent.first, good)
    assert SEAL not in page
    assert RED in page


def test_a_receipt_of_a_foreign_log_is_refused(sent: Sent, tmp_path: Path) -> None:
    foreign = make_log_key(tmp_path / "log.key", origin="hub.test/ledger")
    sent.stage.node.policy = receipts.policy_text(foreign.vkey)
    try:
        page = sent.show(sent.first)
    finally:
        sent.stage.node.policy = sent.world.policy
    assert SEAL not in page
    assert RED in page


def test_the_list_says_how_far_each_has_come(sent: Sent) -> None:
    page = sent.client.get("/outbox").text
    states = re.findall(r'<span class="st[^>]*>.*?</svg>([^<]+)</span>', page)
    assert "本机待发" in states
    assert "对方已收到" in states
    pending = sent.client.get("/outbox?state=pending").text
    assert sent.waiting in pending
    assert sent.first not in pending


def test_the_ledger_page_shows_what_was_checked(sent: Sent) -> None:
    page = sent.client.get("/ledger").text
    assert SEAL in page
    assert "hub.test/ledger" in page
    sent.stage.node.link.trouble = "sync.feed"
    try:
        broken = sent.client.get("/ledger").text
    finally:
        sent.stage.node.link.trouble = ""
    assert SEAL not in broken
    assert broken.count("账本核验没通过") >= 2


def test_the_printed_code_holds_the_file(sent: Sent) -> None:
    page = sent.show(sent.first)
    assert page.count('class="qr"') == len(codes.parts(sent.receipt(sent.first))) == 1
    width = re.search(r'<svg[^>]* width="([0-9.]+)mm"', page)
    assert width is not None
    assert float(width[1]) >= codes.SIDE_MM_MIN
    assert 'class="qr"' not in sent.show(sent.waiting)


def test_a_receipt_is_checked_from_file_text_and_picture(sent: Sent) -> None:
    file = sent.receipt(sent.first)
    (picture,) = pictures(file)
    text = file.decode().replace("\n", "\r\n")
    for answer in (sent.check(file), sent.check(picture), sent.check(text=text)):
        assert answer.status_code == 200
        assert SEAL in answer.text
        assert RED not in answer.text
        assert f'href="/receipts/{sent.first}"' in answer.text
        assert "市人民医院" in answer.text or "lead" in answer.text
        assert "camera=(self)" in answer.headers["permissions-policy"]
    assert "camera=()" in sent.client.get("/ledger").headers["permissions-policy"]


def test_a_receipt_in_several_codes_is_put_together(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = sent.receipt(sent.first)
    monkeypatch.setattr(codes, "PART_BYTES_MAX", 160)
    shown = pictures(file)
    assert len(shown) == 3
    answer = sent.check(shown[2], shown[0])
    assert answer.status_code == 200
    assert "还缺 1 个码" in answer.text
    assert SEAL not in answer.text
    held = re.findall(r'name="part" value="([^"]+)"', answer.text)
    whole = sent.check(shown[1], part=held)
    assert SEAL in whole.text
    other = sent.check(pictures(sent.receipt(sent.second))[0], part=held)
    assert "还缺 2 个码" in other.text


def test_a_frame_of_the_camera_gives_its_codes(sent: Sent) -> None:
    (picture,) = pictures(sent.receipt(sent.first))
    token = re.search(r'name="csrf" value="([^"]+)"', sent.client.get("/receipts/check").text)
    assert token is not None
    headers = {"x-csrf-token": token[1], "accept": "application/json"}

    def look(picture: bytes) -> "httpx2.Response":
        files = {"file": ("f.png", picture, "image/png")}
        return sent.client.post("/receipts/check/frame", files=files, headers=headers)

    parts = look(picture).json()["parts"]
    assert SEAL in sent.check(part=parts).text
    assert look(png(20, 20, b"\0" * 21 * 20)).json() == {"parts": [], "said": ""}
    assert look(b"no picture").json()["code"] == "receipt.picture"


def test_what_does_not_hold_is_refused_in_words(sent: Sent, tmp_path: Path) -> None:
    file = sent.receipt(sent.first)
    sent.stage.node.policy = sent.foreign(tmp_path)
    try:
        other_log = sent.check(*pictures(file))
    finally:
        sent.stage.node.policy = sent.world.policy
    assert other_log.status_code == 422
    assert "不是加入时登记的那个账本签的" in other_log.text
    changed = file.replace(b"\nindex ", b"\nindex 1", 1)
    for bad in (changed, file[:-30], file.replace(b"extra M", b"extra N", 1)):
        answer = sent.check(bad)
        assert answer.status_code == 422
        assert RED in answer.text
        assert SEAL not in answer.text
        assert 'class="slip"' not in answer.text


@pytest.mark.parametrize(
    ("files", "text", "code"),
    [
        ([], "", "receipt.nothing"),
        ([b""], "", "receipt.nothing"),
        ([], "a receipt, honestly", "receipt.text"),
        ([png(60, 60, b"\0" * 61 * 60)], "", "receipt.no_code"),
        ([png(60, 60, b"\0")], "", "receipt.picture"),
        ([b"\x89PNG\r\n\x1a\n" + b"x" * 900], "", "receipt.picture"),
        ([b"\xff\xd8\xff" + b"x" * 900], "", "receipt.picture"),
        ([png(60_000, 60_000, b"")], "", "receipt.picture_large"),
        ([png(6_000, 6_000, b"")], "", "receipt.picture_large"),
        ([b"MZ program"], "", "upload.program"),
        ([b"PK\x03\x04 archive"], "", "upload.archive"),
        ([b"%PDF-1.7 paper"], "", "receipt.picture"),
        ([b"GIF89a moving"], "", "upload.type"),
        ([png(9, 9, b"")] * 7, "", "receipt.files"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_in_words(
    sent: Sent, files: list[bytes], text: str, code: str
) -> None:
    answer = sent.check(*files, text=text)
    assert answer.status_code == 422
    assert code in answer.text
    assert SEAL not in answer.text


def test_a_code_of_something_else_is_no_receipt(sent: Sent) -> None:
    out = io.BytesIO()
    segno.make("https://example.org/pay").save(out, kind="png", scale=5)
    assert "receipt.no_code" in sent.check(out.getvalue()).text
    forged = codes.Part(b"abcd", 0, 1, b"\1 no receipt").frame
    out = io.BytesIO()
    segno.make(forged, mode="byte").save(out, kind="png", scale=5)
    assert "ledger.compact" in sent.check(out.getvalue()).text


def test_everybody_finds_the_page(sent: Sent) -> None:
    for path in (f"/receipts/{sent.first}", "/ledger", "/help", "/search?q=核验"):
        assert 'href="/receipts/check"' in sent.client.get(path).text, path
