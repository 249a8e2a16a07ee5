"""How a member's link to the hub is, and what one run of its courier moved."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class LinkState:
    """What the status strip shows of the link."""

    online: bool = False
    since: datetime | None = None
    last_sync: datetime | None = None
    round_trip_ms: int = 0
    clock_off_s: int = 0
    trouble: str = ""
    """A stable code when the hub answered and something is wrong; empty when all is well."""

    @property
    def online_since(self) -> datetime | None:
        return self.since if self.online else None


@dataclass(slots=True)
class Done:
    """What one run moved."""

    pushed: int = 0
    pulled: int = 0
    receipts: int = 0
    blobs: int = 0
    down: bool = False
