"""Clocks, links and wake-ups as this system has them: the only module that sees adapters."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from adapters.link.https import HttpsLink, LinkFailed
from adapters.link.relay import Receive, Scope, Send, SocketRelay
from consortium.exchange import gossiping
from consortium.exchange.hubdesk import HubDesk
from consortium.exchange.mirrordesk import MirrorDesk
from consortium.jobs.scheduler import Scheduler
from consortium.ports import Link, LinkDown, Reply
from consortium.settings import Settings
from consortium.web.wake import Broadcaster

if TYPE_CHECKING:
    from adapters.wake.postgres import PostgresWake

_PEER_S = 60.0
_HERE = "http://localhost"
_JOBS, _STREAMS = "jobs", "streams"
_GOSSIP_TIMEOUT_S = 5.0
_OK = 200


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class HttpLink:
    """The port `Link` over HTTP(S)."""

    def __init__(self, base_url: str, *, timeout_s: float) -> None:
        self._link = HttpsLink(base_url, timeout_s=timeout_s)

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            answer = self._link.post(path, body, headers)
        except LinkFailed as fault:
            raise LinkDown(str(fault)) from fault
        return Reply(answer.status, answer.body, answer.headers)

    def close(self) -> None:
        self._link.close()


def tell_over_http(address: str, checkpoint: bytes) -> bytes | None:
    """Gossip to an address; None without an answer, and for one that is too long to be a note."""
    link = HttpsLink(address, timeout_s=_GOSSIP_TIMEOUT_S)
    try:
        answer = link.post(gossiping.PATH, checkpoint, {"content-type": "text/plain"})
    except LinkFailed:
        return None
    finally:
        link.close()
    good = answer.status == _OK and len(answer.body) <= gossiping.BODY_MAX_BYTES
    return answer.body if good else None


@contextmanager
def reach(address: str) -> Iterator[Link]:
    """A link to a node that may be none, for a few calls."""
    link = HttpLink(address, timeout_s=_GOSSIP_TIMEOUT_S)
    try:
        yield link
    finally:
        link.close()


class InProcessLink:
    """The port `Link` of members in one process with a desk: the same desk, without a network."""

    def __init__(self, desk: HubDesk | MirrorDesk) -> None:
        self._desk = desk

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return self._desk.handle(path, body)


class Peers:
    """The other web processes of this hub, each behind a socket in the node's folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._links: dict[int, HttpsLink] = {}
        self._relay = SocketRelay()
        self._lock = threading.Lock()

    def call(self, process: int, path: str, body: bytes) -> Reply:
        """Ask one of them as a node would. Raises LinkDown when it is not there."""
        if not 0 <= process < self._settings.web_processes:
            raise LinkDown
        with self._lock:
            if process not in self._links:
                socket = str(self._settings.socket_of(process))
                self._links[process] = HttpsLink(_HERE, timeout_s=_PEER_S, socket=socket)
            link = self._links[process]
        try:
            answer = link.post(path, body, {})
        except LinkFailed as fault:
            raise LinkDown(str(fault)) from fault
        return Reply(answer.status, answer.body, {"content-type": answer.headers["content-type"]})

    async def forward(self, process: int, scope: Scope, receive: Receive, send: Send) -> bool:
        """Let one of them answer a browser; False, with nothing taken, when it is not there."""
        if not 0 <= process < self._settings.web_processes:
            return False
        socket = str(self._settings.socket_of(process))
        return await self._relay.forward(socket, scope, receive, send)

    def close(self) -> None:
        for link in self._links.values():
            link.close()


class Nudge:
    """A wake-up of event streams and whatever runs jobs, in all web processes of a node."""

    def __init__(self, streams: Broadcaster) -> None:
        self._streams = streams
        self.schedulers: tuple[Scheduler, ...] = ()
        self._others: PostgresWake | None = None

    def share(self, database_url: str, *, process: int) -> None:
        """Reach the other web processes over the database, and be reached by them."""
        # the driver of a database that a workstation does not use
        from adapters.wake.postgres import PostgresWake

        address = make_url(database_url).set(drivername="postgresql")
        self._others = PostgresWake(
            address.render_as_string(hide_password=False),
            channel="consortium",
            name=str(process),
            told=self._told,
        )
        self._streams.others = partial(self._others.tell, _STREAMS)
        self._others.start()

    def notify(self) -> None:
        self._streams.notify()
        for scheduler in self.schedulers:
            scheduler.notify()
        if self._others is not None:
            self._others.tell(_JOBS)

    def _told(self, word: str) -> None:
        self._streams.here()
        for scheduler in () if word == _STREAMS else self.schedulers:
            scheduler.notify()

    def close(self) -> None:
        if self._others is not None:
            self._others.close()
