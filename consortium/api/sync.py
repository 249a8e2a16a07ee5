"""Node to node over HTTP: `/sync/*` and `/blobs`. The hub's desk gets the bytes as they came."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from consortium.api.node import ApiNode
from consortium.exchange.limits import BLOB_MAX_BYTES, PUSH_MAX_BYTES
from consortium.kernel.errors import Refusal, RefusalKind, missing

router = APIRouter(include_in_schema=False)
_TYPES = frozenset({"application/octet-stream", "application/json"})
_OVERHEAD_BYTES = 64 * 1024
_MOST_BYTES = max(BLOB_MAX_BYTES, PUSH_MAX_BYTES) + _OVERHEAD_BYTES


@router.post("/sync/{name}")
async def sync(request: Request, name: str) -> Response:
    """Answer a node's hello, push, pull, query or joining."""
    return await _handled(request, f"/sync/{name}")


@router.post("/blobs")
async def blobs(request: Request) -> Response:
    """Take or give one sealed attachment."""
    return await _handled(request, "/blobs")


async def _handled(request: Request, path: str) -> Response:
    node: ApiNode = request.app.state.node
    if node.desk is None or path not in node.desk.paths:
        raise missing("sync.path")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES or "content-encoding" in request.headers:
        raise Refusal(RefusalKind.UNSUPPORTED, "sync.content_type")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        # counted while it streams: Content-Length may lie
        if len(body) > _MOST_BYTES:
            raise Refusal(RefusalKind.TOO_LARGE, "exchange.too_large", part="request")
    reply = await run_in_threadpool(node.desk.handle, path, bytes(body))
    return Response(reply.body, reply.status, dict(reply.headers))
