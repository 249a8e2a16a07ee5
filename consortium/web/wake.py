"""Wakes the event streams: any thread says that something changed, every waiting stream goes on.

One number counts the changes, so that a stream that was busy loses nothing: it waits for a number
other than the one it has seen. Waiting costs a future, no thread and no database session.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Broadcaster:
    """Fits the port `Wake`. Safe from any thread and for several event loops.

    `others` wakes the streams of other web processes of this node, where there are some.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self.others: Callable[[], None] | None = None
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()

    @property
    def count(self) -> int:
        """How many times something changed."""
        return self._count

    def notify(self) -> None:
        """Say that something changed, here and to the node's other web processes."""
        self.here()
        if self.others is not None:
            self.others()

    def here(self) -> None:
        """Wake the streams of this process; loses nothing if nobody waits."""
        with self._lock:
            self._count += 1
            waiting, self._waiting = self._waiting, set()
        for loop, future in waiting:
            # a loop that was closed meanwhile has nobody left to wake
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, future)

    async def wait(self, since: int) -> int:
        """Wait until the count is not `since`, and return it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (asyncio.get_running_loop(), future)
        with self._lock:
            if self._count != since:
                return self._count
            self._waiting.add(place)
        try:
            await future
        finally:
            with self._lock:
                self._waiting.discard(place)
        return self._count


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
