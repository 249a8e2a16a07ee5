"""One member's odd body does not stop another member's feed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from consortium.exchange import timeline
from consortium.kernel.database import Database
from consortium.kernel.errors import conflict
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.exchange.kinds import Say, taken
from tests.consortium.exchange.world import World


@pytest.fixture
def world(tmp_path: Path, new_database: Callable[[], Database]) -> World:
    made = World(tmp_path, new_database)
    made.members["a"].send("test.open/1", ("b",), case="c1", urgency="routine")
    made.settle()
    return made


@pytest.mark.parametrize("fault", [KeyError("code"), ValueError("date"), conflict("test.open")])
@pytest.mark.parametrize("where", ["inspect", "apply", "facts_of"])
def test_what_a_room_cannot_take_is_kept_answered_and_passed(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Exception, where: str
) -> None:
    a, b = world.members["a"], world.members["b"]
    odd = a.send("test.say/1", ("b",), case="c1", close=False)
    usual = getattr(Say, where)

    def broken(self: Say, *given: Any) -> Any:
        of_b = given[-1].member == "b" if where != "facts_of" else given[0].source == "a"
        exchange = given[-1].header.id if where != "facts_of" else given[0].exchange_id
        if of_b and exchange == odd.id:
            raise fault
        return usual(self, *given)

    monkeypatch.setattr(Say, where, broken)
    a.sync()
    b.sync()
    monkeypatch.setattr(Say, where, usual)
    later = a.send("test.say/1", ("b",), case="c1", close=False)
    world.settle()
    with b.database.read() as session:
        assert odd.id not in taken(session, "b")
        assert later.id in taken(session, "b")
        (alarm,) = timeline.alarms(session, member="b")
    assert alarm.id == odd.id
    assert alarm.alarm in {"exchange.unfit", "test.open"}
    folds_agree(world)


def test_a_full_disk_is_no_fault_of_the_body_and_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = world.members["a"], world.members["b"]
    sent = a.send("test.say/1", ("b",), case="c1", close=False)
    a.sync()
    usual = Say.apply

    def full(self: Say, *_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr(Say, "apply", full)
    with pytest.raises(OperationalError):
        b.sync()
    monkeypatch.setattr(Say, "apply", usual)
    world.settle()
    with b.database.read() as session:
        assert taken(session, "b").count(sent.id) == 1
        assert timeline.alarms(session, member="b") == []
