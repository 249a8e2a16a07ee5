"""A receipt that somebody else brings: as a file, as text, or as the code on their printed page.

Nothing is asked of the hub and nothing is kept. What is brought becomes the bytes of a receipt
file, and these are checked as this member's own receipts are.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse, Response

from consortium.exchange import timeline
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, invalid
from consortium.web import codes, uploads
from consortium.web.codes import Part
from consortium.web.deps import Node, PageRoute, Reading, SignedIn
from consortium.web.errors import refused
from consortium.web.guard import HEADERS, Fields
from consortium.web.node import WebNode
from consortium.web.pages import look_of, render
from consortium.web.receipt_views import Proof, drawing, fault_words, prove_file, slip_of
from consortium.web.views import Refused
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
FILES_MAX: Final = 6
FILE_BYTES_MAX: Final = 8 * 1024 * 1024
FIRST_LINE: Final = b"c2sp.org/tlog-proof@"
WITH_CAMERA: Final[Mapping[str, str]] = {
    "permissions-policy": HEADERS["permissions-policy"].replace("camera=()", "camera=(self)")
}
"""Only this page may ask for the camera."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What came: the receipt, or the parts of one of which some are missing."""

    receipt: bytes | None = None
    parts: list[Part] = field(default_factory=list)


@router.get("/receipts/check")
def ask(request: Request, _actor: SignedIn) -> Response:
    """The form."""
    return _page(request)


@router.post("/receipts/check")
def check(
    request: Request, session: Reading, actor: SignedIn, node: Node, fields: Fields
) -> Response:
    """What was brought, checked here and now."""
    try:
        came = brought(fields)
    except Refusal as refusal:
        with written(look_of(request)):
            return _page(request, refusal=refused(refusal), status=422)
    if came.receipt is None:
        return _page(request, parts=came.parts)
    return result(request, session, came.receipt, actor=actor, node=node)


def result(
    request: Request, session: Session, data: bytes, *, actor: Actor, node: WebNode
) -> Response:
    """The page of a receipt that was checked here and now, whoever brought it."""
    with written(look_of(request)):
        proof = prove_file(session, data, node=node)
        values: dict[str, Any] = {"proof": proof, "fault": fault_words(proof)}
        if proof.verified:
            values |= {
                "slip": slip_of(session, node=node, actor=actor, proof=proof),
                "drawing": drawing(proof),
                "own": _own(session, actor, proof),
            }
    return _page(request, status=200 if proof.verified else 422, **values)


@router.post("/receipts/check/frame")
def frame(request: Request, _actor: SignedIn, fields: Fields) -> Response:
    """The receipt codes in one picture of a camera, for the script that collects them."""
    found: list[Part] = []
    for upload in _files(fields):
        found += codes.in_picture(_read(upload))
    with written(look_of(request)):
        told = t("receipt.check_page.reading", n=len(found)) if found else ""
    return JSONResponse({"parts": [_text(one) for one in found], "said": told})


def brought(fields: FormData) -> Brought:
    """The receipt in a form: the first whole one of its files, its text, its codes.

    Raises:
        Refusal: `receipt.nothing`, `receipt.no_code`, `receipt.text`, `receipt.picture`,
            `receipt.picture_large`, `receipt.files`; `upload.*` for files of another kind;
            `ledger.compact` for codes that do not fit together.
    """
    text = fields.get("text")
    if isinstance(text, str) and text.strip():
        return Brought(_pasted(text))
    found = [part for one in fields.getlist("part") if (part := _part(one)) is not None]
    pictures = 0
    for upload in _files(fields):
        raw = _read(upload)
        if raw.removeprefix(b"\xef\xbb\xbf").startswith(FIRST_LINE):
            return Brought(_lines(raw))
        found += codes.in_picture(_picture(raw))
        pictures += 1
    if not found and pictures:
        raise invalid("receipt.no_code")
    if not found:
        raise invalid("receipt.nothing")
    whole, parts = codes.joined(found)
    return Brought(whole, parts)


def _files(fields: FormData) -> Iterator[UploadFile]:
    chosen = [one for one in fields.getlist("file") if isinstance(one, UploadFile) and one.filename]
    if len(chosen) > FILES_MAX:
        raise invalid("receipt.files", number=FILES_MAX)
    yield from chosen


def _read(upload: UploadFile) -> bytes:
    raw = upload.file.read(FILE_BYTES_MAX + 1)
    if len(raw) > FILE_BYTES_MAX:
        raise invalid("receipt.picture_large")
    if not raw:
        raise invalid("receipt.nothing")
    return raw


def _picture(raw: bytes) -> bytes:
    if not uploads.kind_of(raw).startswith("image/"):
        raise invalid("receipt.picture")
    return raw


def _pasted(text: str) -> bytes:
    data = _lines(text.strip().encode() + b"\n")
    if not data.startswith(FIRST_LINE):
        raise invalid("receipt.text")
    return data


def _lines(data: bytes) -> bytes:
    """A text with its own line ends: forms and mail put others there."""
    return data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def _part(text: object) -> Part | None:
    if not isinstance(text, str):
        return None
    try:
        return codes.part_of(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


def _text(part: Part) -> str:
    return base64.b64encode(part.frame).decode()


def _own(session: Session, actor: Actor, proof: Proof) -> str:
    """Where this member's own books show the same exchange; empty where they do not."""
    exchange = proof.exchange.header.id if proof.exchange is not None else ""
    try:
        timeline.one(session, member=actor.member, exchange_id=exchange)
    except Refusal:
        return ""
    return f"/receipts/{exchange}"


def _page(
    request: Request,
    *,
    parts: list[Part] | None = None,
    refusal: Refused | None = None,
    status: int = 200,
    **values: Any,
) -> Response:
    held = parts or []
    empty: dict[str, Any] = {"proof": None, "slip": None, "drawing": None, "fault": "", "own": ""}
    answered = render(
        request,
        "receipt_check.html",
        status=status,
        page="ledger",
        held=[_text(one) for one in held],
        missing=held[0].count - len(held) if held else 0,
        refusal=refusal,
        **(empty | values),
    )
    answered.headers.update(WITH_CAMERA)
    return answered
