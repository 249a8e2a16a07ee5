"""The network of `python -m chain`: HTTP in front of witness and mirror, and towards logs.

Only `chain.__main__` imports this. TLS is the business of a proxy in front of the server; towards a
log, a URL with https is checked against the system's certificates.
"""

import time
import zlib
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import urlsplit

from chain import tiles
from chain.errors import ChainError, FormatError
from chain.mirror import Mirror, Stream
from chain.store import CHECKPOINT, CHECKPOINT_BYTES_MAX
from chain.witness import REQUEST_BYTES_MAX, TEXT, Answer, Witness

TIMEOUT_S = 60.0
_LINE_BYTES_MAX = 64
_OCTETS = "application/octet-stream"
Post = Callable[[str, bytes], Answer]
"""Sends a body to a path under a prefix and gives the answer."""


# ---------------------------------------------------------------- bodies


class _Sized:
    """A body of known length."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return data


class _Lines(Stream, Protocol):
    """A stream that also reads lines."""

    def readline(self, size: int | None = -1, /) -> bytes: ...


class _Chunked:
    """A body in chunks (RFC 9112, 7.1); trailers are not read."""

    def __init__(self, stream: "_Lines") -> None:
        self._stream, self._left, self._done = stream, 0, False

    def read(self, size: int, /) -> bytes:
        parts = []
        while size and not self._done:
            if not self._left and not self._next():
                break
            data = self._stream.read(min(size, self._left))
            self._left -= len(data)
            size -= len(data)
            parts.append(data)
            if not data:
                self._done = True
            elif not self._left:
                self._stream.readline(_LINE_BYTES_MAX)
        return b"".join(parts)

    def _next(self) -> bool:
        line = self._stream.readline(_LINE_BYTES_MAX).split(b";")[0].strip()
        try:
            self._left = int(line, 16) if line.isalnum() else 0
        except ValueError:
            self._left = 0
        self._done = not self._left
        return not self._done


class _Unzipped:
    """A body that came as gzip, opened as it is read; never more at once than is asked for."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._open = stream, zlib.decompressobj(zlib.MAX_WBITS | 16)

    def read(self, size: int, /) -> bytes:
        parts = []
        while size and not self._open.eof:
            waiting = self._open.unconsumed_tail or self._stream.read(16 * 1024)
            try:
                data = self._open.decompress(waiting, size)
            except zlib.error:
                break
            if not waiting and not data:
                break
            size -= len(data)
            parts.append(data)
        return b"".join(parts)


# ---------------------------------------------------------------- serving


class _Handler(BaseHTTPRequestHandler):
    """One connection. `role` answers; a body that was not read to its end closes the connection."""

    protocol_version = "HTTP/1.1"
    server_version = "sharing-chain"
    sys_version = ""
    timeout = TIMEOUT_S
    role: Witness | Mirror

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: whoever wants a log of requests has a proxy in front."""

    def do_POST(self) -> None:
        self.close_connection = True
        try:
            answer = self._posted(self.path.strip("/"))
        except (ChainError, OSError) as fault:
            answer = Answer(500, f"{type(fault).__name__}\n".encode())
        self._send(answer, {"Accept-Encoding": "gzip", "Connection": "close"})

    def _posted(self, path: str) -> Answer:
        body, now_s = self._body(), int(time.time())
        if body is None:
            return Answer(HTTPStatus.LENGTH_REQUIRED, b"The length of the body is missing.\n")
        if path == "add-entries" and isinstance(self.role, Mirror):
            return self.role.add_entries(body, now_s=now_s)
        known = path == "add-checkpoint" or (
            path == "sign-subtree" and isinstance(self.role, Witness)
        )
        if not known:
            return Answer(404, b"There is nothing of that name here.\n")
        data = body.read(REQUEST_BYTES_MAX + 1)
        if len(data) > REQUEST_BYTES_MAX:
            return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"The request is too long.\n")
        if path == "sign-subtree" and isinstance(self.role, Witness):
            return self.role.sign_subtree(data)
        return self.role.add_checkpoint(data, now_s=now_s)

    def _body(self) -> Stream | None:
        body: Stream
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = _Chunked(self.rfile)
        elif length.isdecimal():
            body = _Sized(self.rfile, int(length))
        else:
            return None
        zipped = self.headers.get("Content-Encoding", "").lower() == "gzip"
        return _Unzipped(body) if zipped else body

    def do_GET(self) -> None:
        name, _, path = self.path.strip("/").partition("/")
        try:
            answer = self._got(name, path)
        except FormatError:
            answer = Answer(404, b"There is nothing of that name here.\n")
        except (ChainError, OSError) as fault:
            answer = Answer(500, f"{type(fault).__name__}\n".encode())
        lasting = answer.status == 200 and path != CHECKPOINT
        cache = "public, max-age=31536000, immutable" if lasting else "no-cache"
        self._send(answer, {"Cache-Control": cache})

    def _got(self, name: str, path: str) -> Answer:
        if isinstance(self.role, Mirror):
            data = self.role.read(name, path)
            if data is None:
                return Answer(404, b"There is nothing of that name here.\n")
            return Answer(200, data, TEXT if path == CHECKPOINT else _OCTETS)
        if path != CHECKPOINT:
            return Answer(404, b"There is nothing of that name here.\n")
        return self.role.checkpoint(name)

    def _send(self, answer: Answer, more: dict[str, str]) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)


class Server(ThreadingHTTPServer):
    """Serves a witness or a mirror; each is submission and monitoring prefix in one."""

    daemon_threads = True

    def __init__(self, role: Witness | Mirror, *, host: str, port: int) -> None:
        handler = type("Handler", (_Handler,), {"role": role})
        super().__init__((host, port), handler)

    @property
    def url(self) -> str:
        """Where it is reached."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


# ---------------------------------------------------------------- asking


class Remote:
    """A log, a witness or a mirror under a URL prefix, over one connection that is kept open."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise FormatError("url.format", "The address is not that of a log.")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_s)
        self._prefix = parts.path.rstrip("/")

    def fetch(self, path: str) -> bytes | None:
        """Get a file of a tlog-tiles log: a `tiles.Fetch`.

        Raises:
            OSError: when it cannot be had; FormatError: `tile.format` when it is too long.
        """
        limit = CHECKPOINT_BYTES_MAX if path == CHECKPOINT else tiles.BUNDLE_BYTES_MAX
        answer = self._ask("GET", path, None, limit)
        if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return None
        if answer.status != HTTPStatus.OK:
            raise OSError(f"the log answers {answer.status} for {path}")
        return answer.body

    def post(self, path: str, body: bytes) -> Answer:
        """Send a body: a `Post`. Raises OSError when there is no answer."""
        return self._ask("POST", path, body, REQUEST_BYTES_MAX)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, limit: int) -> Answer:
        headers = {"Accept-Encoding": "gzip, identity"}
        if body is not None:
            headers["Content-Type"] = _OCTETS
        try:
            self._connection.request(method, f"{self._prefix}/{path}", body, headers)
            with self._connection.getresponse() as response:
                data = _whole(response, limit)
                kind = response.headers.get("Content-Type", "")
                return Answer(response.status, data, kind)
        except HTTPException as fault:
            self._connection.close()
            raise OSError(f"no sound answer: {type(fault).__name__}") from fault
        except (ChainError, OSError):
            # a body left unread would be taken for the next answer
            self._connection.close()
            raise


def _whole(response: HTTPResponse, limit: int) -> bytes:
    zipped = response.headers.get("Content-Encoding", "").lower() == "gzip"
    body: Stream = _Unzipped(response) if zipped else response
    data = body.read(limit + 1)
    if len(data) > limit:
        raise FormatError("tile.format", "The log sends more than a file can hold.")
    return data
