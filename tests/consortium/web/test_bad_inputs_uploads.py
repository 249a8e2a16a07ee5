"""Files that are not taken: rows 51 to 56 of research/reliability.md 5, over the real app."""

import re
import zlib
from html import unescape

import pytest
from httpx2 import Response

from consortium.exchange import blobs
from consortium.kernel.errors import Refusal
from consortium.web import uploads
from tests.support.real_world import World

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8"
    "ffff3f0005fe02fea72d9b1e0000000049454e44ae426082"
)
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R /OpenAction [3 0 R /Fit] >>\nendobj\n"
QUESTION = "夜间阵发性呼吸困难两周"


def objects(inside: bytes, more: bytes = b"/Filter /FlateDecode") -> bytes:
    """A PDF whose dictionaries lie in a packed object stream."""
    packed = zlib.compress(inside)
    head = b"4 0 obj\n<< /Type /ObjStm /N 1 /First 5 %s /Length %d >>\nstream\n"
    return PDF + head % (more, len(packed)) + packed + b"\nendstream\nendobj\n%%EOF"


def attach(world: World, name: str, raw: bytes, kind: str = "image/png") -> Response:
    """Choose a file in the referral form, as a browser sends it."""
    browser = world.browser("han")
    patient = world.told["patients"]["wu"]
    page = browser.get(f"/referrals/new?about={patient}").text
    exchange = page.split('name="exchange" value="', 1)[1].split('"', 1)[0]
    fields = {"patient": patient, "exchange": exchange, "question": QUESTION, "do": "attach"}
    return browser.post("/referrals/new", fields, [("files", (name, raw, kind))])


def said(answer: Response) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", answer.text.split('class="refused"')[1]))


REFUSED = {
    "52 JavaScript": (PDF + b"<< /S /JavaScript /JS (app.alert(1)) >>", 422, "upload.pdf_active"),
    "52 JavaScript with escapes": (PDF + b"<< /S /J#61va#53cript >>", 422, "upload.pdf_active"),
    "52 JavaScript, packed": (objects(b"<< /S /JavaScript >>"), 422, "upload.pdf_active"),
    "52 a program to launch": (PDF + b"<< /S /Launch /F (a.exe) >>", 422, "upload.pdf_active"),
    "52 a file inside": (PDF + b"<< /Type /EmbeddedFile >>", 422, "upload.pdf_active"),
    "52 a form that sends": (PDF + b"<< /S /SubmitForm >>", 422, "upload.pdf_active"),
    "52 encrypted": (PDF + b"trailer << /Encrypt 9 0 R >>", 422, "upload.pdf_locked"),
    "52 encrypted in place": (PDF + b"trailer << /Encrypt << /V 4 >> >>", 422, "upload.pdf_locked"),
    "52 packed so that nobody can look": (
        objects(b"x", b"/Filter /LZWDecode"), 422, "upload.pdf_locked",
    ),
    "52 packed and damaged": (
        PDF + b"4 0 obj << /Type /ObjStm /Filter /FlateDecode >>\nstream\nno zlib",
        422,
        "upload.pdf_locked",
    ),
    "53 a program": (b"MZ\x90\x00\x03" + bytes(200), 422, "upload.program"),
    "53 a program for Linux": (b"\x7fELF\x02\x01\x01", 422, "upload.program"),
    "53 a script": (b"#!/bin/sh\nrm -rf /\n", 422, "upload.program"),
    "53 a program before a DICOM mark": (b"MZ" + bytes(126) + b"DICM", 422, "upload.program"),
    "54 an image of another kind": (bytes(128) + b"DICM", 415, "upload.type"),
    "54b zip or docx": (b"PK\x03\x04\x14\x00", 415, "upload.archive"),
    "54b an old Word file": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 415, "upload.archive"),
    "54b gzip": (b"\x1f\x8b\x08\x00", 415, "upload.archive"),
    "54b rar": (b"Rar!\x1a\x07\x00", 415, "upload.archive"),
    "54b a page": (b"<html><script>alert(1)</script>", 415, "upload.type"),
    "51 too large": (PNG + bytes(blobs.PLAIN_MAX_BYTES), 413, "blob.too_large"),
    "51 empty": (b"", 422, "blob.empty"),
}  # fmt: skip


@pytest.mark.parametrize("row", list(REFUSED))
def test_rows_51_to_54b_a_file_is_refused_in_three_sentences(common_world: World, row: str) -> None:
    raw, status, code = REFUSED[row]
    answer = attach(common_world, "心电图.png", raw)
    assert (answer.status_code, code in said(answer)) == (status, True), said(answer)
    assert all(word in said(answer) for word in ("发生了", "还在", "怎么办"))
    assert QUESTION in answer.text
    assert "心电图" not in said(answer)


def test_row_52_a_consent_is_looked_at_too(common_world: World) -> None:
    browser = common_world.browser("han")
    patient = common_world.told["patients"]["wu"]
    browser.get(f"/records/new?about={patient}")
    fields = {"patient": patient, "to": "lead", "basis": "explicit", "question": QUESTION}
    picture = [("picture", ("同意书.pdf", REFUSED["52 JavaScript"][0], "application/pdf"))]
    answer = browser.post("/records/new", fields, picture)
    assert (answer.status_code, "upload.pdf_active" in answer.text) == (422, True)
    assert QUESTION in answer.text


def test_row_52_a_plain_document_passes(common_world: World) -> None:
    plain = (
        PDF,
        objects(b"<< /Type /Page >>"),
        objects(b"<< /Type /Page >>", b"/Filter[/FlateDecode]"),
    )
    assert {uploads.kind_of(raw) for raw in plain} == {"application/pdf"}
    # bytes of a picture are no names
    assert uploads.kind_of(PDF + b"stream\n" + bytes(range(256)) * 40) == "application/pdf"


def test_row_52_a_packed_document_that_never_ends_is_refused_in_time() -> None:
    with pytest.raises(Refusal, match=r"upload\.pdf_locked"):
        uploads.kind_of(objects(bytes(64 * 1024 * 1024)))


NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\windows\\win.ini": "win.ini",
    "CON": "CON",
    "报告\u202egpj.exe": "报告gpj.exe",
    "a\x00b\n.png": "ab.png",
    "": "file",
    "...": "file",
    "/": "file",
    "心电图.png": "心电图.png",
    "x" * 300 + ".png": "x" * 116 + ".png",
}


@pytest.mark.parametrize("name", list(NAMES))
def test_row_56_a_name_is_only_shown(name: str) -> None:
    assert uploads.clean_name(name) == NAMES[name]


@pytest.mark.parametrize("name", ['../../a"><script>alert(1)</script>.png', "CON", "\u202egpj.png"])
def test_row_56_a_file_is_kept_by_its_hash_and_its_name_escaped(
    common_world: World, name: str
) -> None:
    answer = attach(common_world, name, PNG)
    assert answer.status_code == 303
    browser = common_world.browser("han")
    page = browser.get(answer.headers["location"].partition("#")[0]).text
    assert uploads.clean_name(name) in unescape(page)
    assert "<script>alert" not in page
    assert "\u202e" not in page
    stored = {
        one.name for one in (common_world.home / "shiqiao" / "blobs").rglob("*") if one.is_file()
    }
    assert stored
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in stored)
