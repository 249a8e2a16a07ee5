"""A link over HTTP(S): one kept-alive client, bytes out and bytes in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx2


class LinkFailed(Exception):  # noqa: N818 - a state of the world, not an error of the program
    """No answer came: cut, refused, too slow, or not speaking HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its status, body and headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpsLink:
    """Posts to one base address. Safe for several threads.

    Args:
        base_url: address of the other node, `https://hub.example`.
        timeout_s: the longest wait for a connection, a write or the next bytes.
        socket: path of a socket in the file system, for a process on this very machine.
    """

    def __init__(self, base_url: str, *, timeout_s: float, socket: str | None = None) -> None:
        self._client = httpx2.Client(
            base_url=base_url,
            timeout=timeout_s,
            follow_redirects=False,
            # a proxy or credential of the environment has no say in where records go
            trust_env=False,
            transport=httpx2.HTTPTransport(uds=socket) if socket else None,
        )

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post bytes. Raises LinkFailed when no whole answer came."""
        kind = {"content-type": "application/octet-stream", **headers}
        try:
            reply = self._client.post(path, content=body, headers=kind)
        except httpx2.HTTPError as fault:
            raise LinkFailed(type(fault).__name__) from fault
        return Answer(reply.status_code, reply.content, dict(reply.headers))

    def close(self) -> None:
        """End kept-alive connections."""
        self._client.close()
