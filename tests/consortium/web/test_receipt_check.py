"""A receipt that somebody else brings: by file, text, picture or camera; others are refused."""

import io
import re
from pathlib import Path

import httpx2
import pytest
import segno

from consortium.web import codes
from tests.consortium.web.receipt_world import RED, SEAL, Sent, pictures, png


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
