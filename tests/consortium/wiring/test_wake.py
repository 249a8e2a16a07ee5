"""Wake-ups between web processes: what one says reaches the others and does not come back."""

import threading
from collections.abc import Iterator

import pytest

from consortium.web.wake import Broadcaster
from consortium.wiring.links import Nudge
from tests.support.databases import PostgresDatabases

pytestmark = pytest.mark.postgres


class Counting(Broadcaster):
    """Streams that count, and tell whoever waits for a count."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = threading.Semaphore(0)

    def here(self) -> None:
        super().here()
        self.woken.release()


@pytest.fixture
def streams(postgres_databases: PostgresDatabases) -> Iterator[list[Counting]]:
    made = [Counting() for _ in range(3)]
    nudges = [Nudge(one) for one in made]
    with postgres_databases.one() as database:
        for process, (nudge, one) in enumerate(zip(nudges, made, strict=True)):
            nudge.share(database.url, process=process)
            # it listens now: whoever listens is woken once, for what was said before
            assert one.woken.acquire(timeout=20)
        yield made
        for nudge in nudges:
            nudge.close()


def test_all_others_are_woken_and_no_word_goes_round(streams: list[Counting]) -> None:
    first, *others = streams
    first.notify()
    for one in others:
        assert one.woken.acquire(timeout=20)
    others[0].notify()
    assert first.woken.acquire(timeout=20)  # its own
    assert first.woken.acquire(timeout=20)  # the other's
    assert others[1].woken.acquire(timeout=20)
    assert [one.count for one in streams] == [3, 3, 3]
