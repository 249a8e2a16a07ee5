"""Reading a whole database for evidence: complete and in order, however small the pages."""

from collections.abc import Callable
from pathlib import Path

import pytest

from consortium.exchange import census
from consortium.kernel.database import Database
from consortium.ledger import journal
from tests.consortium.exchange.world import HUB, World


@pytest.fixture
def world(tmp_path: Path, new_database: Callable[[], Database]) -> World:
    world = World(tmp_path, new_database)
    a, b = world.members["a"], world.members["b"]
    for number in range(2):
        a.send("test.open/1", ("b",), case=f"c{number}", urgency="routine")
        world.settle()
    b.send("test.say/1", ("a",), case="c0", close=True)
    world.settle()
    return world


@pytest.mark.parametrize("at_once", [1, 500])
def test_everything_is_there_once_and_in_order(
    world: World, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "_AT_ONCE", at_once)
    with world.hub_database.read() as session:
        entries = list(census.entries(session))
        assert [one.index for one in entries] == list(range(journal.size(session)))
        names = [name for name, _ in census.subjects(session)]
        assert names == sorted(set(names))
        assert {f"case:c{number}" for number in range(2)} <= set(names)
        offered = list(census.feed(session, "a"))
    with world.databases["a"].read() as session:
        taken = list(census.taken(session, "a"))
        signed = list(census.signed(session))
    assert [(one.number, one.index) for one in taken] == offered
    assert {one.state for one in taken} == {"applied"}
    assert all(one.receipt and not one.alarm and one.ok for one in taken)
    placed = {one.index: one.exchange for one in entries}
    assert len(signed) >= 2
    assert all(one.state == "sent" and placed[one.index or 0] == one.exchange for one in signed)
    assert HUB in {one.sender for one in entries}


def test_a_refusal_is_told_with_its_code(world: World) -> None:
    # neither may write into a case that was closed meanwhile: the sender cannot know it yet
    a, b = world.members["a"], world.members["b"]
    a.link.cut = b.link.cut = True
    for one, other in ((a, "b"), (b, "a")):
        one.send("test.say/1", (other,), case="c1", close=True)
    a.link.cut = b.link.cut = False
    world.settle()
    with world.hub_database.read() as session:
        last = [one for one in census.entries(session) if one.kind == "test.say/1"][-2:]
    assert [(one.ok, bool(one.code)) for one in last] == [(True, False), (False, True)]
