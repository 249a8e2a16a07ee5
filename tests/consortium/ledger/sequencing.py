"""A web process as far as the ledger goes: `python -m tests.consortium.ledger.sequencing`.

Takes the same statements as its twin, in an order of its own, gives each an index unless it has
one, keeps its own guard, and publishes while it holds the lease. Says `INDEX NUMBER` for each
statement once that is on disk: what is said must hold whatever happens next.
"""

import random
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from time import monotonic

from consortium.exchange.hub_guard import HubGuard
from consortium.jobs.scheduler import Job, Scheduler
from consortium.kernel.database import Database
from consortium.ledger import journal, publisher
from tests.consortium.ledger.making import START_MS, jws, log_key, new_leaf

LEASE = timedelta(seconds=1)
BATCH = 8


class Clock:
    """The machine's own."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()


def take(database: Database, numbers: list[int]) -> dict[int, int]:
    """Give each number an index, or find the one that it has."""
    hashes = {sha256(jws(number)).digest(): number for number in numbers}
    with database.write() as session:
        head = journal.lock_head(session)
        given = {
            hashes[found]: entry.index for found, entry in journal.find(session, hashes).items()
        }
        fresh = [number for number in numbers if number not in given]
        time_ms = max(head.last_ms, START_MS)
        new = [new_leaf(number, time_ms=time_ms) for number in fresh]
        given |= zip(fresh, journal.append(session, head, new, time_ms=time_ms), strict=True)
    return given


def say(line: str) -> None:
    """One write for one line: two threads say things."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(url: str, folder: str, seed: str, count: str) -> None:
    database, guard = Database(url), HubGuard(Path(folder), name=f"hub-{seed}")
    clock = Clock()

    def publish(now: datetime) -> None:
        while publisher.publish(database, log_key(), guard, now=now):
            say("published")

    job = Job("publish", publish, every=timedelta(seconds=0.05))
    runner = Scheduler(database, [job], clock=clock, period_s=0.05, name="publish", length=LEASE)
    runner.start()
    numbers = list(range(int(count)))
    random.Random(seed).shuffle(numbers)
    for start in range(0, len(numbers), BATCH):
        for number, index in take(database, numbers[start : start + BATCH]).items():
            say(f"{index} {number}")
    sys.stdin.read()
    runner.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
