"""The ledger's files over HTTP: checkpoint, hash tiles, receipts (C2SP tlog-tiles, tlog-proof)."""

from fastapi import APIRouter, Request, Response

from consortium.api.node import ApiNode
from consortium.exchange import timeline
from consortium.kernel.errors import Refusal
from consortium.ledger import publisher, tilework

router = APIRouter(prefix="/ledger", include_in_schema=False)
_IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}


@router.get("/checkpoint")
def checkpoint(request: Request) -> Response:
    """The newest signed checkpoint; 404 before the first, and at a workstation."""
    node: ApiNode = request.app.state.node
    if node.desk is None:
        return Response(status_code=404)
    with node.database.read() as session:
        newest = publisher.latest(session)
    if newest is None:
        return Response(status_code=404)
    return Response(
        newest.note, media_type="text/plain; charset=utf-8", headers={"cache-control": "no-cache"}
    )


@router.get("/tile/{path:path}")
def tile(request: Request, path: str) -> Response:
    """A hash tile of the published tree. Entry bundles are for mirrors only (PROTOCOL 5)."""
    node: ApiNode = request.app.state.node
    if node.desk is None:
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
    if node.desk is None:
        return Response(status_code=404)
    try:
        with node.database.read() as session:
            content = timeline.hub_receipt(session, exchange)
    except Refusal:
        content = None
    if content is None:
        return Response(status_code=404)
    return Response(content, media_type="text/plain; charset=utf-8")
