"""Gives a request as it came to another process of this machine, and its answer back as it comes.

ASGI 3 on this side, HTTP/1.1 over a socket in the file system on the other. Streams stay streams;
when the browser goes, so does the request to the other process.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

import httpx2

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CAME_FROM = b"x-came-from"
"""Header that tells the other process who asked; believed on such a socket alone."""
_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", CAME_FROM})
_CONNECT_S = 2.0


class SocketRelay:
    """Relays to sockets in the file system. For one event loop."""

    def __init__(self) -> None:
        self._clients: dict[str, httpx2.AsyncClient] = {}

    async def forward(self, socket: str, scope: Scope, receive: Receive, send: Send) -> bool:
        """Let the process behind a socket answer; False, with nothing taken or sent, without one.

        Raises:
            httpx2.HTTPError: it ended in the middle.
        """
        gone = asyncio.Event()
        work = asyncio.ensure_future(self._pass(socket, scope, _Body(receive, gone), send))
        watch = asyncio.ensure_future(gone.wait())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            return await work if work.done() else True
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)

    async def _pass(self, socket: str, scope: Scope, body: "_Body", send: Send) -> bool:
        client = self._client(socket)
        headers = [(name, value) for name, value in scope["headers"] if name not in _HOP]
        headers.append((CAME_FROM, str((scope.get("client") or ("",))[0]).encode()))
        names = {name for name, _ in scope["headers"]}
        has_body = not names.isdisjoint({b"content-length", b"transfer-encoding"})
        query = scope["query_string"].decode("latin-1")
        url = f"http://peer{quote(scope['path'])}{'?' if query else ''}{query}"
        request = client.build_request(
            scope["method"], url, headers=headers, content=body.chunks() if has_body else None
        )
        try:
            answer = await client.send(request, stream=True)
        except httpx2.ConnectError:
            return False
        watch = asyncio.ensure_future(body.watch())
        try:
            kept = [one for one in answer.headers.raw if one[0].lower() not in _HOP]
            await send(
                {"type": "http.response.start", "status": answer.status_code, "headers": kept}
            )
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            watch.cancel()
            await answer.aclose()
        return True

    def _client(self, socket: str) -> httpx2.AsyncClient:
        if socket not in self._clients:
            self._clients[socket] = httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(uds=socket, limits=httpx2.Limits()),
                timeout=httpx2.Timeout(None, connect=_CONNECT_S),
                follow_redirects=False,
            )
        return self._clients[socket]


class _Body:
    """What the browser sends, and that it has gone."""

    def __init__(self, receive: Receive, gone: asyncio.Event) -> None:
        self._receive, self._gone = receive, gone

    async def chunks(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone.set()
                return
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()
