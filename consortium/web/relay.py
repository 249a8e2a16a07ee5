"""Pages of a hub with several web processes: a browser's session and keys live in one of them.

Its cookie names that process. Another one that is asked gives the request on, streams too, so that
no session and no person's key ever leaves the memory in which it was opened.
"""

from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Forward = Callable[[int, Scope, Receive, Send], Awaitable[bool]]
"""Lets another web process answer; False, with nothing taken or sent, when it is not there."""

CAME_FROM = "x-came-from"


class Relay:
    """Stands before everything else of a web process.

    Args:
        process: number of this web process.
        cookie: name of the session's cookie.
        forward: the way to the others.
    """

    def __init__(self, app: ASGIApp, *, process: int, cookie: str, forward: Forward) -> None:
        self.app = app
        self._process, self._cookie, self._forward = process, cookie, forward

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if _by_peer(scope):
                # whoever reaches this socket is another process of this node
                scope["client"] = (headers.get(CAME_FROM, ""), 0)
            elif (owner := self._owner(headers)) is not None and await self._forward(
                owner, scope, receive, send
            ):
                return
        await self.app(scope, receive, send)

    def _owner(self, headers: Headers) -> int | None:
        """The other process that holds this browser's session."""
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return None
        number = found.value.partition(".")[0] if found is not None else ""
        if not (number.isascii() and number.isdigit() and len(number) < 4):
            return None
        return int(number) if int(number) != self._process else None


def _by_peer(scope: Scope) -> bool:
    server = scope.get("server")
    return server is not None and server[1] is None
