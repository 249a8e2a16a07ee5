"""A node from a backup takes a part of its feed again; what it answered then stands."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from consortium.exchange import commitment
from consortium.exchange.folding import Folding
from consortium.exchange.tables import EntryRow, InboxRow
from tests.consortium.exchange import trouble
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.exchange.kinds import taken
from tests.consortium.exchange.world import World

Make = Callable[..., World]


@pytest.fixture
def world(make_world: Make) -> World:
    """Case `c1` is open between `a` and `b`."""
    world = make_world()
    world.members["a"].send("test.open/1", ("b",), case="c1", urgency="routine")
    world.settle()
    return world


def told(world: World, kind: str) -> list[dict[str, object]]:
    """Facts of a kind's exchanges of `b`, in the ledger's order."""
    found = select(EntryRow.facts).where(EntryRow.kind == kind, EntryRow.sender == "b")
    with world.hub_database.read() as session:
        rows = session.scalars(found.order_by(EntryRow.index)).all()
    return [commitment.open_facts(facts or b"") for facts in rows]


def test_a_body_is_refused_once(world: World) -> None:
    """Its sender has long sent something better, and would be told of the old one anew."""
    a = world.members["a"]
    old = trouble.copied(world, "b")
    bad = [a.send("test.say/1", ("b",), case="c1", close=False, bad=True).id]
    world.settle()
    bad.append(a.send("test.say/1", ("b",), case="c1", close=False, bad=True).id)
    world.settle()
    good = a.send("test.say/1", ("b",), case="c1", close=False)
    world.settle()
    assert trouble.restore(world, "b", old) == "behind"
    world.settle()
    assert world.restored("b") == ""
    assert [facts["of"] for facts in told(world, "body.refuse/1")] == bad
    with world.databases["b"].read() as session:
        kept = session.scalars(select(InboxRow.exchange).where(InboxRow.state == "kept")).all()
        assert good.id in taken(session, "b")
    assert sorted(kept) == sorted(bad)
    folds_agree(world)


def test_a_verdict_is_disputed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    a = world.members["a"]
    old = trouble.copied(world, "b")
    monkeypatch.setattr(Folding, "_verdict", lambda *_: "ok got")
    a.send("test.say/1", ("b",), case="c1", close=False)
    a.sync()
    monkeypatch.undo()
    world.settle()
    [first] = told(world, "dispute.raise/1")
    assert trouble.restore(world, "b", old) == "behind"
    world.settle()
    assert world.restored("b") == ""
    assert told(world, "dispute.raise/1") == [first]
