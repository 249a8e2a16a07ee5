"""Several web processes on one PostgreSQL: both take, one publishes, the other goes on after it."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from time import monotonic

import pytest

from consortium.exchange.hub_guard import hub_kept
from consortium.kernel import crash
from consortium.kernel.database import Database
from consortium.ledger import publisher, store, verify
from tests.consortium.ledger import sequencing
from tests.consortium.ledger.making import begin, jws, log_key
from tests.support.databases import PostgresDatabases

COUNT = 600
ALL = COUNT + 8
PATIENCE_S = 60


class Twin:
    """One of the processes, and what it has said."""

    def __init__(self, url: str, folder: Path, seed: int) -> None:
        command = [sys.executable, "-m", "tests.consortium.ledger.sequencing", url, str(folder)]
        self.process = subprocess.Popen(
            [*command, str(seed), str(COUNT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.given: dict[int, int] = {}
        self.published: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            words = line.split()
            if len(words) == 2 and line.endswith("\n"):
                self.given[int(words[1])] = int(words[0])
            else:
                self.published.put(line)

    def end(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def kill(self) -> None:
        self.process.send_signal(crash.SIGNAL)
        self.end()


@contextmanager
def twins(url: str, folder: Path) -> Iterator[list[Twin]]:
    made = [Twin(url, folder, seed) for seed in (1, 2)]
    try:
        yield made
    finally:
        for one in made:
            if one.process.poll() is None:
                one.kill()


def until(true: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE_S
    while not true():
        assert monotonic() < end
        threading.Event().wait(0.01)


def published(database: Database) -> int:
    with database.read() as session:
        newest = publisher.latest(session)
        return 0 if newest is None else newest.size


def one_is_killed(database: Database, folder: Path) -> None:
    """Kill the one that publishes; the other takes over, and every answer given holds."""
    begin(database)
    with twins(database.url, folder) as both:
        until(lambda: any(one.published.qsize() for one in both))
        first = next(one for one in both if one.published.qsize())
        other = both[1 - both.index(first)]
        until(lambda: len(first.given) > COUNT // 8)
        first.kill()
        until(lambda: len(other.given) == COUNT)
        sequencing.take(database, list(range(COUNT, ALL)))  # nobody else can publish these
        until(lambda: published(database) == ALL and other.published.qsize() > 0)
        other.end()
    with database.read() as session:
        entries = store.leaves(session, 0, 10 * COUNT)
    with database.read() as session:
        found = verify.verify(session, logs=[log_key().verifier], roots=hub_kept(folder).roots)
    assert (found.faults, found.size, found.published) == ((), ALL, ALL)
    held = {one.leaf.partition(b"\n")[2]: one.index for one in entries}
    assert held.keys() == {jws(number) for number in range(ALL)}
    for one in both:
        assert {jws(number): index for number, index in one.given.items()}.items() <= held.items()


@pytest.mark.postgres
def test_one_is_killed_and_the_other_goes_on(
    postgres_databases: PostgresDatabases, tmp_path: Path
) -> None:
    with postgres_databases.one() as database:
        one_is_killed(database, tmp_path)


@pytest.mark.slow
def test_killed_again_and_again(new_database: Callable[[], Database], tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / f"guard-{number}"
        one_is_killed(new_database(), folder)
