"""A hub that lost its database is filled again, entry by entry, and the world goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consortium.kernel.errors import Refusal
from tests.consortium.exchange.kinds import MIRROR
from tests.consortium.exchange.losing import Loss, published, rows
from tests.consortium.exchange.world import World
from tests.support.databases import SqliteFiles


@pytest.fixture
def loss(
    make_world: Callable[..., World], sqlite_files: SqliteFiles, tmp_path: Path
) -> Iterator[Loss]:
    with sqlite_files.one(tmp_path, "copy.db") as database:
        yield Loss(make_world("a", "b", MIRROR), sqlite_files, database)


def test_one_hour_comes_back_from_the_guard(loss: Loss) -> None:
    loss.talk("c1")
    old = loss.copied()
    loss.talk("c2", "c3")
    lost, root = rows(loss.world.hub_database), published(loss.world.hub_database)
    loss.lose(old)
    recovery = loss.recovery()
    recovery.from_guard()
    told = recovery.refill(now=loss.world.clock.now())
    assert (told.stopped, told.refused) == ("", [])
    assert {one.giver for one in told.taken} == {"guard"}
    assert rows(loss.world.hub_database) == lost
    assert loss.finish(recovery)
    loss.world.publish()
    assert published(loss.world.hub_database) == root


@pytest.mark.parametrize("backup", [True, False])
def test_everything_comes_back_from_a_mirror(loss: Loss, backup: bool) -> None:
    loss.talk("c1")
    old = loss.copied() if backup else None
    loss.talk("c2")
    loss.mirrored()
    lost = rows(loss.world.hub_database)
    loss.lose(old, guard=False)
    recovery = loss.recovery()
    caller = loss.mirror_caller()
    *_, told = recovery.from_mirror(caller, name="m", now=loss.world.clock.now())
    assert (told.stopped, told.size) == ("", loss.size())
    assert rows(loss.world.hub_database) == lost
    assert loss.finish(recovery)


def test_a_mirror_gives_only_to_the_hub(loss: Loss) -> None:
    loss.talk("c1")
    loss.mirrored()
    caller = loss.mirror_caller()
    caller.identity = loss.world.identities["a"]
    with pytest.raises(Refusal, match=r"sync\.mirror"):
        list(loss.recovery().from_mirror(caller, name="m", now=loss.world.clock.now()))
