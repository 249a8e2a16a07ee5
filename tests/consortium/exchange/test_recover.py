"""A hub that lost its database is filled again, entry by entry, and the world goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consortium.exchange import behind, pieces
from consortium.exchange.refilling import Refilled
from consortium.kernel.errors import Refusal
from tests.consortium.exchange import checks
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


@pytest.mark.slow
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


@pytest.mark.parametrize("backup", [True, pytest.param(False, marks=pytest.mark.slow)])
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


# ---------------------------------------------------------------- from members


def heard(loss: Loss, *members: str) -> Refilled:
    """Members sync with a hub that lost entries; what they give is taken."""
    for name in members * 2:
        loss.world.members[name].sync()
    return loss.recovery().refill(now=loss.world.clock.now())


def well_again(loss: Loss, lost: dict[str, list[tuple[Any, ...]]]) -> None:
    """The database is the one that was lost, and the world goes on."""
    assert rows(loss.world.hub_database) == lost
    loss.world.publish()
    assert loss.finish(loss.recovery())
    for member in loss.world.members.values():
        assert member.courier is not None
        member.courier.caller.forget()
    loss.world.settle(rounds=20)
    loss.talk("after")
    loss.world.clock.advance(hours=1)
    loss.world.say_heads()
    loss.world.settle()
    checks.chains_whole(loss.world)
    checks.feeds_agree(loss.world)
    checks.nothing_lost_nothing_twice(loss.world, but=frozenset({MIRROR}))
    with loss.world.hub_database.read() as session:
        assert not pieces.waiting(session)


def test_members_alone_bring_a_week_back(loss: Loss) -> None:
    loss.talk("c1")
    old = loss.copied()
    loss.talk("c2", "c3")
    lost = rows(loss.world.hub_database)
    loss.lose(old, guard=False)
    with loss.world.hub_database.read() as session:
        assert not behind.needed(session)
    told = heard(loss, "a", "b", MIRROR)
    assert (told.stopped, told.refused) == ("", [])
    well_again(loss, lost)


@pytest.mark.slow
def test_a_hole_is_named_with_who_may_fill_it(loss: Loss) -> None:
    loss.talk("c1")
    old = loss.copied()
    loss.talk("c2")
    lost = rows(loss.world.hub_database)
    loss.lose(old, guard=False)
    heard(loss, "a")
    standing = loss.recovery().standing()
    own = {index for index, *_ in lost["exchange_entry"]} - set(range(standing.size))
    assert standing.size < standing.needed == len(lost["ledger_entry"])
    missing = {at for first, end in standing.missing.ranges for at in range(first, end)}
    assert missing
    assert missing < own
    assert not loss.finish(loss.recovery())
    loss.world.members["a"].send("test.open/1", ("b",), case="late", urgency="routine")
    loss.world.members["a"].sync()
    courier = loss.world.members["a"].courier
    assert courier is not None
    assert courier.state.trouble == "ledger.behind"
    assert loss.size() == standing.size
    told = heard(loss, "b", MIRROR)
    assert told.stopped == ""
    well_again(loss, lost)
