"""Whatever fails, wherever: the log holds together, and what was answered keeps its index."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import pytest

from consortium.exchange.hub_guard import HubGuard, hub_kept
from consortium.kernel.database import Database
from consortium.ledger import journal, publisher, store, verify
from tests.consortium.ledger.making import NOW, START_MS, begin, jws, log_key, new_leaf
from tests.support.faults import MODES, Cut, Faults

KEY = log_key()
ALL = 24
STRIDE = 6
"""In the short tier one place in so many is tried, another one for each mode."""


class Hub:
    """Journal, publisher and guard of one process, in the order that admission keeps."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.guard = HubGuard(folder)
        with database.read() as session:
            publisher.check_tail(session)
            assert journal.size(session) >= self.guard.size()

    def take(self, numbers: Iterable[int]) -> dict[int, int]:
        """Give each number an index; what comes back is on disk in both places."""
        hashes = {sha256(jws(number)).digest(): number for number in numbers}
        with self.database.write() as session:
            head = journal.lock_head(session)
            given = {
                hashes[found]: one.index for found, one in journal.find(session, hashes).items()
            }
            fresh = [number for number in hashes.values() if number not in given]
            time_ms = max(head.last_ms, START_MS)
            new = [new_leaf(number, time_ms=time_ms) for number in fresh]
            given |= zip(fresh, journal.append(session, head, new, time_ms=time_ms), strict=True)
        with self.database.read() as session:
            size = journal.size(session)
            for first, end in self.guard.gaps(size):
                leaves = journal.leaves(session, range(first, end))
                self.guard.leaves(first, [(leaves[index], b"facts") for index in range(first, end)])
        return given

    def publish(self) -> None:
        while publisher.publish(self.database, KEY, self.guard, now=NOW):
            pass

    def trim(self) -> None:
        self.guard.trim(6)


def lived(database: Database, folder: Path, faults: Faults) -> None:
    """A life with one fault in it; the same step is tried again, by a new process after a cut."""
    begin(database)
    hub, answered = Hub(database, folder), dict[int, int]()

    def answer(numbers: range) -> Callable[[Hub], None]:
        def step(hub: Hub) -> None:
            for number, index in hub.take(numbers).items():
                assert answered.setdefault(number, index) == index

        return step

    steps: list[Callable[[Hub], None]] = [
        answer(range(7)), Hub.publish, answer(range(3, 12)), Hub.trim, Hub.publish,
        answer(range(12, 13)), answer(range(13, ALL)), Hub.publish,
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        faults.plant(patch, database)
        for step in steps:
            try:
                step(hub)
            except OSError:
                step(hub)
            except Cut:
                patch.undo()
                hub.guard.close()
                hub = Hub(database, folder)
                step(hub)
    sound(hub, answered)


def sound(hub: Hub, answered: dict[int, int]) -> None:
    with hub.database.read() as session:
        entries = store.leaves(session, 0, 10 * ALL)
        assert hub.guard.gaps(len(entries)) == []
    with hub.database.read() as session:
        kept = hub_kept(hub.folder)
        found = verify.verify(session, logs=[KEY.verifier], roots=kept.roots)
    hub.guard.close()
    assert (found.faults, found.size, found.published) == ((), ALL, ALL)
    assert {
        number: entries[index].leaf.partition(b"\n")[2] for number, index in answered.items()
    } == {number: jws(number) for number in range(ALL)}
    assert all(entries[index].leaf == leaf for index, leaf in kept.leaves.items())


def every_place(make: Callable[[], Database], folder: Path, mode: str, places: range) -> int:
    """Let each of these places go wrong once; how many there were."""
    tried = 0
    for at in places:
        faults = Faults(at=at, mode=mode)
        try:
            lived(make(), folder / f"{mode}-{at}".replace(" ", "-"), faults)
        except AssertionError as broken:
            raise AssertionError(f"{faults.hit or mode} at operation {at}") from broken
        if not faults.hit:
            break
        tried += 1
    return tried


@pytest.mark.parametrize("mode", MODES)
def test_one_fault(new_database: Callable[[], Database], tmp_path: Path, mode: str) -> None:
    first = 1 + MODES.index(mode) % STRIDE
    assert every_place(new_database, tmp_path, mode, range(first, 1000, STRIDE)) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_fault_at_every_place(
    new_database: Callable[[], Database], tmp_path: Path, mode: str
) -> None:
    assert every_place(new_database, tmp_path, mode, range(1, 1000)) >= 20
