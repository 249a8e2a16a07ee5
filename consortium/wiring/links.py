"""Clocks, links and wake-ups as this system has them: the only module that sees adapters."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from adapters.link.https import HttpsLink, LinkFailed
from consortium.exchange.hubdesk import HubDesk
from consortium.jobs.scheduler import Scheduler
from consortium.ports import LinkDown, Reply
from consortium.web.wake import Broadcaster


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


class InProcessLink:
    """The port `Link` of the hub's own members: the same desk, without a network."""

    def __init__(self, desk: HubDesk) -> None:
        self._desk = desk

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return self._desk.handle(path, body)


class Nudge:
    """A wake-up that reaches event streams and whatever runs jobs."""

    def __init__(self, streams: Broadcaster) -> None:
        self._streams = streams
        self.schedulers: tuple[Scheduler, ...] = ()

    def notify(self) -> None:
        self._streams.notify()
        for scheduler in self.schedulers:
            scheduler.notify()
