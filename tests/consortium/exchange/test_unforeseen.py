"""A rule that breaks over one exchange refuses that exchange: its sender's next ones go on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consortium.exchange import timeline
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from tests.consortium.exchange.checks import all_is_well, folds_agree
from tests.consortium.exchange.kinds import Say, taken
from tests.consortium.exchange.world import World


@pytest.fixture
def world(tmp_path: Path, new_database: Callable[[], Database]) -> World:
    made = World(tmp_path, new_database)
    made.members["a"].send("test.open/1", ("b",), case="c1", urgency="routine")
    made.settle()
    return made


def _breaking(
    patch: pytest.MonkeyPatch, where: str, *, only: str = "", fault: Exception | None = None
) -> None:
    """Let a rule raise, over every exchange of the kind or over one."""
    usual = getattr(Say, where)

    def broken(self: Say, *given: Any) -> Any:
        if only in ("", *(getattr(one, "id", "") for one in given)):
            raise fault or KeyError("unforeseen")
        return usual(self, *given)

    patch.setattr(Say, where, broken)


@pytest.mark.parametrize("where", ["judge", "step", "subjects"])
def test_what_breaks_a_rule_at_the_hub_is_refused_and_the_lane_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    a, b = world.members["a"], world.members["b"]
    odd = a.send("test.say/1", ("b",), case="c1", close=False)
    later = a.send("test.open/1", ("b",), case="c2", urgency="routine")
    with monkeypatch.context() as patch:
        _breaking(patch, where, only=odd.id)
        world.settle()
    with a.database.read() as session:
        refused = timeline.one(session, member="a", exchange_id=odd.id)
        admitted = timeline.one(session, member="a", exchange_id=later.id)
    assert (refused.state, refused.code) == ("refused", "exchange.unjudged")
    assert admitted.state != "refused"
    assert admitted.index is not None
    with b.database.read() as session:
        assert odd.id not in taken(session, "b")
        assert later.id in taken(session, "b")
    all_is_well(world)


def test_the_form_says_so_where_the_rule_breaks_at_the_sender(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _breaking(patch, "judge")
        with pytest.raises(Refusal) as refused:
            world.members["a"].send("test.say/1", ("b",), case="c1", close=False)
    assert refused.value.code == "exchange.unjudged"


@pytest.mark.parametrize("where", ["judge", "step"])
def test_a_rule_that_breaks_at_the_recipient_alone_is_an_alarm_and_stops_no_feed(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    a, b = world.members["a"], world.members["b"]
    odd = a.send("test.say/1", ("b",), case="c1", close=False)
    a.sync()
    with monkeypatch.context() as patch:
        _breaking(patch, where)
        b.sync()
    with b.database.read() as session:
        (alarm,) = timeline.alarms(session, member="b")
    assert (alarm.id, alarm.alarm) == (odd.id, "exchange.unjudged")
    later = a.send("test.open/1", ("b",), case="c2", urgency="routine")
    world.settle()
    with b.database.read() as session:
        assert later.id in taken(session, "b")


def test_a_database_that_is_gone_is_no_verdict(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = world.members["a"]
    sent = a.send("test.say/1", ("b",), case="c1", close=False)
    with monkeypatch.context() as patch:
        _breaking(patch, "judge", fault=OSError(5, "input/output error"))
        a.sync()
    with a.database.read() as session:
        waiting = timeline.one(session, member="a", exchange_id=sent.id)
    assert (waiting.index, waiting.code) == (None, "")
    world.settle()
    folds_agree(world)
    with world.members["b"].database.read() as session:
        assert sent.id in taken(session, "b")
