"""Facts of ended cases go a year after their month was agreed; the ledger stays provable."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from consortium.exchange import closing, closing_desk, erasing, state, timeline
from consortium.exchange.received import Item
from consortium.exchange.recheck import Report, recheck
from consortium.exchange.tables import ClosingSubjectRow, EntryRow, InboxRow, OutboxRow
from consortium.kernel.database import Database
from tests.consortium.exchange.kinds import MIRROR
from tests.consortium.exchange.world import HUB, World

Make = Callable[..., World]
YEAR = timedelta(days=366)


@pytest.fixture
def world(make_world: Make) -> World:
    """A case that has ended and one that has not in November; December has begun; both agreed."""
    made = make_world("a", MIRROR, mirror=True)
    for case in ("over", "open"):
        made.members["a"].send("test.open/1", ("lead",), case=case, urgency="routine")
    made.settle()
    made.members["a"].send("test.say/1", ("lead",), case="over", close=True)
    made.settle()
    made.clock.advance(days=7)
    made.members["a"].send("test.open/1", ("lead",), case="later", urgency="routine")
    made.settle()
    return made


def close(world: World, *, agree: bool = True) -> None:
    closing_desk.close(world.hub_database, world.members[HUB].post, now=world.clock.now())
    world.settle()
    if agree:
        mirror = world.members[MIRROR]
        closing_desk.answer(mirror.database, mirror.post, MIRROR, now=world.clock.now())
        world.settle()


def erase(world: World, name: str, *, after: timedelta = YEAR) -> int:
    whole = name in (HUB, MIRROR)
    now = world.clock.now() + after
    return erasing.erase(world.databases[name], world.registry, whole=whole, now=now)


def without_facts(database: Database) -> list[str]:
    with database.read() as session:
        rows = session.scalars(select(EntryRow.case).where(EntryRow.facts.is_(None)))
        return list(rows)


def checked(world: World, name: str = HUB) -> Report:
    return recheck(world.databases[name], world.registry)


def test_only_what_has_ended_is_agreed_and_old_loses_its_facts(world: World) -> None:
    assert erase(world, HUB) == 0  # not closed
    close(world, agree=False)
    assert erase(world, HUB) == 0  # nobody agreed
    close(world)
    assert erase(world, HUB, after=timedelta(days=300)) == 0
    for name in (HUB, MIRROR):
        assert erase(world, name) > 0
        assert without_facts(world.databases[name]) == ["over", "over"], name
        assert erase(world, name) == 0
    assert erase(world, "a") > 0
    with world.databases["a"].read() as session:
        for row in (InboxRow, OutboxRow):
            gone = session.scalars(select(row.case).where(row.facts.is_(None))).all()
            assert gone == ["over", "over"]
        assert state.read(session, "case:over")["state"] == "closed"  # type: ignore[index]
        assert len(timeline.of_case(session, member="a", case="over")) == 2


def test_the_ledger_is_verified_on_with_the_copy_in_their_place(world: World) -> None:
    close(world)
    whole = checked(world)
    assert (whole.findings, whole.erased, whole.begun) == ([], 0, -1)
    for name in (HUB, MIRROR):
        erase(world, name)
        report = checked(world, name)
        assert report.findings == []
        assert report.halted == ""
        assert report.erased == 2
        assert report.begun == subject(world)["index"]
    world.members["a"].send("test.say/1", ("lead",), case="later", close=True)
    world.settle()
    assert checked(world).findings == []


def subject(world: World) -> dict[str, int]:
    with world.hub_database.read() as session:
        return state.read(session, closing.AGREED) or {}


def test_a_changed_copy_is_found(world: World) -> None:
    close(world)
    erase(world, HUB)
    with world.hub_database.write() as session:
        session.execute(
            update(ClosingSubjectRow)
            .where(ClosingSubjectRow.subject == "case:open")
            .values(entry=ClosingSubjectRow.entry + 1)
        )
    assert "closed" in {one.aspect for one in checked(world).findings}


def test_without_a_copy_nothing_is_erased_and_no_gap_is_passed_over(world: World) -> None:
    close(world)
    with world.hub_database.write() as session:
        session.execute(delete(ClosingSubjectRow))
    assert erase(world, HUB) == 0
    with world.hub_database.write() as session:
        session.execute(update(EntryRow).where(EntryRow.case == "over").values(facts=None))
    assert checked(world).halted == "erased"


@pytest.mark.parametrize(("days", "kept"), [(366, "kept"), (300, "alarm")])
def test_a_feed_without_facts_is_kept_when_old_and_an_alarm_when_not(
    world: World, days: int, kept: str
) -> None:
    a = world.members["a"]
    with a.database.write() as session:
        old = session.scalars(select(InboxRow).where(InboxRow.case == "over")).first()
        assert old is not None
        again = Item(old.number, old.index, old.leaf, None, old.body)
        session.delete(old)
        cursor = a.inbox.cursor(session, "a")
        cursor.number, cursor.index = again.number - 1, again.index - 1
        session.flush()
        later = world.clock.now() + timedelta(days=days)
        assert a.inbox.take(session, "a", again, now=later) == kept
