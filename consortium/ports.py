"""Ports: what the program needs from outside, as Protocols. Adapters are fitted in wiring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall clock and monotonic clock; read only at doors and faces."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer over a link."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class LinkDown(Exception):  # noqa: N818 - a state of the world, not an error of the program
    """No answer: the link is cut, too slow, or the other side is not there."""


class Link(Protocol):
    """The way to the hub: in process at the hub itself, HTTPS from a workstation.

    Raises LinkDown when no answer came; the caller then knows nothing of what was done.
    """

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply: ...


class Wake(Protocol):
    """Tells whoever waits that something changed; loses nothing if nobody listens."""

    def notify(self) -> None: ...


class Signer(Protocol):
    """Signs with one Ed25519 key that it alone holds (file, credential store, HSM)."""

    @property
    def key_id(self) -> str: ...
    @property
    def public(self) -> bytes: ...
    def sign(self, message: bytes) -> bytes: ...
