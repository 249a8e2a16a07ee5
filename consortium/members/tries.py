"""Wrong passwords by where they come from: whoever guesses many names is not slowed by each name.

Held in memory by one serving process: what it protects against is load, and a restart forgives.
"""

import threading
from collections import OrderedDict, deque
from datetime import datetime, timedelta

from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.time import to_ms

TRIES_MAX = 30
WITHIN = timedelta(minutes=15)
ADDRESSES_MAX = 10_000


class Tries:
    """Wrong tries of each address. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: OrderedDict[str, deque[datetime]] = OrderedDict()

    def refuse_if_many(self, address: str, *, now: datetime) -> None:
        """Raise Refusal `members.throttled_here` after 30 wrong tries within 15 minutes."""
        with self._lock:
            wrong = self._wrong.get(address)
            if wrong is None or len(wrong) < TRIES_MAX:
                return
            until = wrong[0] + WITHIN
        if now < until:
            raise Refusal(RefusalKind.THROTTLED, "members.throttled_here", until_ms=to_ms(until))

    def count(self, address: str, *, now: datetime) -> None:
        """Count a wrong try. The address that was quiet longest is forgotten first."""
        with self._lock:
            self._wrong.setdefault(address, deque(maxlen=TRIES_MAX)).append(now)
            self._wrong.move_to_end(address)
            if len(self._wrong) > ADDRESSES_MAX:
                self._wrong.popitem(last=False)
