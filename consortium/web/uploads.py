"""Files that a form brings: what they really are, and what is not taken.

The first bytes say what a file is; what a browser claims decides nothing. A PDF that would act
when it is opened, or that nobody can look into, is refused before it is sealed, since after that
no machine on the way can look any more (research/reliability.md 5, rows 52 to 56).
"""

import re
import unicodedata
import zlib
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.responses import Response

from consortium.exchange import blobs
from consortium.kernel.errors import Refusal, RefusalKind, invalid

NAME_MAX: Final = 120
KINDS: Final = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"%PDF-": "application/pdf",
}
_PROGRAMS: Final = (
    b"MZ", b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe",
)  # fmt: skip
_ARCHIVES: Final = (
    b"PK\x03\x04", b"PK\x05\x06", b"Rar!", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"BZh",
    b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
)  # fmt: skip
"""zip (docx too), rar, 7z, gzip, bzip2, xz, zstd, and the compound files of older offices."""
_OBJECTS_MAX_BYTES: Final = 16 * 1024 * 1024
# ISO 32000-1: 12.6.4 actions, 12.7.8 XFA, 7.11.4 embedded files, 7.6 encryption. Every script is
# an action of the type JavaScript, so the short name /JS needs no look of its own.
_ACTIVE: Final = re.compile(
    rb"/(?:JavaScript|Launch|EmbeddedFiles?|RichMedia|SubmitForm|ImportData|XFA)(?![A-Za-z0-9])"
)
_LOCKED: Final = re.compile(rb"/Encrypt(?:\s+\d+\s+\d+\s+R|\s*<<)")
_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_STREAM: Final = re.compile(rb"(?<!end)stream\r?\n")
_PACKED: Final = re.compile(rb"/ObjStm(?![A-Za-z0-9])")
_FLATE: Final = re.compile(rb"/Filter\s*(?:/FlateDecode|\[\s*/FlateDecode\s*\])")


def read(upload: UploadFile) -> tuple[bytes, str, str]:
    """Content, media type and clean name of a file that was chosen.

    Raises:
        Refusal: `upload.program`, `upload.archive`, `upload.type`, `upload.pdf_active`,
            `upload.pdf_locked`; an empty or too large one is left to `blobs.seal` to refuse.
    """
    raw = upload.file.read(blobs.PLAIN_MAX_BYTES + 1)
    return raw, kind_of(raw) if raw else "", clean_name(upload.filename or "")


def kind_of(raw: bytes) -> str:
    """The media type of a picture or PDF. Raises as `read` for anything else."""
    # the 128 bytes before a DICOM mark may hold a whole program: the first bytes count
    if raw.startswith(_PROGRAMS):
        raise invalid("upload.program")
    if raw.startswith(_ARCHIVES):
        raise Refusal(RefusalKind.UNSUPPORTED, "upload.archive")
    kind = next((kind for mark, kind in KINDS.items() if raw.startswith(mark)), "")
    if not kind:
        raise Refusal(RefusalKind.UNSUPPORTED, "upload.type")
    if kind == "application/pdf":
        _check_pdf(raw)
    return kind


def clean_name(name: str) -> str:
    """A file's name without folders, and without letters that are not seen or turn the rest."""
    bare = re.split(r"[/\\]", name)[-1]
    seen = "".join(one for one in bare if unicodedata.category(one)[0] != "C").strip(" .")
    stem, dot, ending = seen.rpartition(".")
    if dot and len(seen) > NAME_MAX and len(ending) < 10:
        return stem[: NAME_MAX - len(ending) - 1] + dot + ending
    return seen[:NAME_MAX] or "file"


def sent(raw: bytes, *, name: str) -> Response:
    """A file on its way to a person; what the other side says it is decides nothing."""
    kind = kind_of(raw)
    way = "inline" if kind.startswith("image/") else "attachment"
    told = f"{way}; filename*=UTF-8''{quote(clean_name(name))}"
    return Response(raw, media_type=kind, headers={"content-disposition": told})


def _check_pdf(raw: bytes) -> None:
    plain = _unescaped(raw)
    if _LOCKED.search(plain):
        raise invalid("upload.pdf_locked")
    if _ACTIVE.search(plain) or any(_ACTIVE.search(_unescaped(one)) for one in _objects(raw)):
        raise invalid("upload.pdf_active")


def _objects(raw: bytes) -> Iterator[bytes]:
    """What the object streams of a PDF hold: dictionaries that the plain file does not show."""
    left = _OBJECTS_MAX_BYTES
    for start in _STREAM.finditer(raw):
        about = _unescaped(raw[max(0, start.start() - 1024) : start.start()]).rpartition(b"obj")[2]
        if not _PACKED.search(about):
            continue
        if not _FLATE.search(about) or b"/Predictor" in about:
            raise invalid("upload.pdf_locked")
        try:
            found = zlib.decompressobj().decompress(raw[start.end() :], left)
        except zlib.error:
            raise invalid("upload.pdf_locked") from None
        left -= len(found)
        if left <= 0:
            raise Refusal(RefusalKind.TOO_LARGE, "upload.pdf_locked")
        yield found


def _unescaped(raw: bytes) -> bytes:
    """Names may be written with escapes: /J#61vaScript."""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), raw)
