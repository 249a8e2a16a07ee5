"""The ledger over HTTP: its files (C2SP tlog-tiles, tlog-proof), and every node as a witness.

`add-checkpoint` is C2SP tlog-witness; `gossip` takes a signed checkpoint and answers with one.
"""

from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from consortium.api.node import ApiNode
from consortium.exchange import gossiping, timeline
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.ledger import cosignatures, submission, tilework

router = APIRouter(prefix="/ledger", include_in_schema=False)
_TEXT = "text/plain; charset=utf-8"
_CONFLICT = 409
_IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}


@router.get("/checkpoint")
def checkpoint(request: Request) -> Response:
    """The newest checkpoint as log and witnesses signed it; 404 before it, or at a workstation."""
    node: ApiNode = request.app.state.node
    if not node.keeps_ledger:
        return Response(status_code=404)
    with node.database.read() as session:
        newest = cosignatures.latest(session)
    if newest is None:
        return Response(status_code=404)
    return Response(newest.note, media_type=_TEXT, headers={"cache-control": "no-cache"})


@router.post("/add-checkpoint")
async def add_checkpoint(request: Request) -> Response:
    """Cosign a checkpoint that extends what this node saw (C2SP tlog-witness)."""
    node: ApiNode = request.app.state.node
    body = await _body(request, most=submission.BODY_MAX_BYTES)
    status, text = await run_in_threadpool(
        partial(node.witnessing.submit, body, now=node.clock.now())
    )
    kind = submission.SIZE_TYPE if status == _CONFLICT else _TEXT
    return Response(text, status, media_type=kind)


@router.get("/{origin_hash}/checkpoint")
def cosigned(request: Request, origin_hash: str) -> Response:
    """The checkpoint that this node cosigned last (C2SP tlog-witness, for monitors)."""
    node: ApiNode = request.app.state.node
    found = node.witnessing.cosigned(origin_hash)
    if found is None:
        return Response(status_code=404)
    return Response(found, media_type=_TEXT, headers={"cache-control": "no-cache"})


@router.post("/gossip")
async def gossip(request: Request) -> Response:
    """Hear a signed checkpoint and tell the own newest; 403 for what the log has not signed."""
    node: ApiNode = request.app.state.node
    body = await _body(request, most=gossiping.BODY_MAX_BYTES)
    found, own = await run_in_threadpool(
        partial(gossiping.heard, node.witnessing, body, now=node.clock.now())
    )
    if found is not None and found.code == "ledger.note":
        return Response(status_code=403)
    return Response(own, media_type=_TEXT)


async def _body(request: Request, *, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        # counted while it streams: Content-Length may lie
        if len(body) > most:
            raise Refusal(RefusalKind.TOO_LARGE, "exchange.too_large", part="request")
    return bytes(body)


@router.get("/tile/{path:path}")
def tile(request: Request, path: str) -> Response:
    """A hash tile of the published tree. Entry bundles are for mirrors only (PROTOCOL 5)."""
    node: ApiNode = request.app.state.node
    if not node.keeps_ledger:
        return Response(status_code=404)
    try:
        with node.database.read() as session:
            content = tilework.tile(session, f"tile/{path}")
    except Refusal:
        return Response(status_code=404)
    return Response(content, media_type="application/octet-stream", headers=_IMMUTABLE)


@router.get("/receipts/{exchange}")
def receipt(request: Request, exchange: str) -> Response:
    """The receipt of an entry as a tlog-proof file; 404 until a checkpoint covers it."""
    node: ApiNode = request.app.state.node
    if not node.keeps_ledger:
        return Response(status_code=404)
    try:
        with node.database.read() as session:
            content = timeline.hub_receipt(session, exchange)
    except Refusal:
        content = None
    if content is None:
        return Response(status_code=404)
    return Response(content, media_type=_TEXT)
