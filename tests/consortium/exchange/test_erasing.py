"""Facts of ended cases go a year after their month was agreed; the ledger stays provable."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import Table, delete, insert, select, update

from consortium.exchange import closing, closing_desk, erasing, state, timeline
from consortium.exchange.received import Item
from consortium.exchange.recheck import Report, recheck
from consortium.exchange.tables import (
    ClosingSubjectRow,
    EntryRow,
    FeedCursorRow,
    InboxRow,
    OutboxRow,
)
from consortium.kernel.database import Database, table_of
from tests.consortium.exchange.kinds import MIRROR
from tests.consortium.exchange.world import HUB, World
from tests.support.databases import SqliteFiles

TOUCHED = [
    table_of(row) for row in (EntryRow, InboxRow, OutboxRow, FeedCursorRow, ClosingSubjectRow)
]
YEAR = timedelta(days=366)


@dataclass
class Closed:
    """A case that has ended and one that has not in November; December has begun; agreed.

    `early`: how many facts went before the close, and before anybody agreed to it.
    """

    world: World
    early: list[int]


@pytest.fixture(scope="module")
def made(sqlite_files: SqliteFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    folder = tmp_path_factory.mktemp("erasing")
    with ExitStack() as stack:
        number = iter(range(9))

        def make() -> Database:
            return stack.enter_context(sqlite_files.one(folder, f"n{next(number)}.db"))

        world = World(folder, make, ("a", MIRROR), mirror=True)
        stack.callback(world.close)
        for case in ("over", "open"):
            world.members["a"].send("test.open/1", ("lead",), case=case, urgency="routine")
        world.settle()
        world.members["a"].send("test.say/1", ("lead",), case="over", close=True)
        world.settle()
        world.clock.advance(days=7)
        world.members["a"].send("test.open/1", ("lead",), case="later", urgency="routine")
        world.settle()
        early = [erase(world, HUB)]
        close(world)
        early.append(erase(world, HUB))
        agree(world)
        yield Closed(world, early)


@pytest.fixture
def world(made: Closed) -> Iterator[World]:
    """The world, whose facts and copy are there again afterwards."""
    names = (HUB, MIRROR, "a")
    kept = {name: rows_of(made.world.databases[name]) for name in names}
    yield made.world
    for name in names:
        put_back(made.world.databases[name], kept[name])


Kept = dict[Table, list[dict[str, object]]]


def rows_of(database: Database) -> Kept:
    with database.read() as session:
        return {
            table: [dict(row) for row in session.execute(select(table)).mappings()]
            for table in TOUCHED
        }


def put_back(database: Database, kept: Kept) -> None:
    with database.write() as session:
        for table, rows in kept.items():
            session.execute(delete(table))
            if rows:
                session.execute(insert(table), rows)


def close(world: World) -> None:
    closing_desk.close(world.hub_database, world.members[HUB].post, now=world.clock.now())
    world.settle()


def agree(world: World) -> None:
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


def test_only_what_has_ended_is_agreed_and_old_loses_its_facts(made: Closed, world: World) -> None:
    assert made.early == [0, 0]
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
    whole = checked(world)
    assert (whole.findings, whole.erased, whole.begun) == ([], 0, -1)
    for name in (HUB, MIRROR):
        erase(world, name)
        report = checked(world, name)
        assert report.findings == []
        assert report.halted == ""
        assert report.erased == 2
        assert report.begun == subject(world)["index"]


def subject(world: World) -> dict[str, int]:
    with world.hub_database.read() as session:
        return state.read(session, closing.AGREED) or {}


def test_a_changed_copy_is_found(world: World) -> None:
    erase(world, HUB)
    with world.hub_database.write() as session:
        session.execute(
            update(ClosingSubjectRow)
            .where(ClosingSubjectRow.subject == "case:open")
            .values(entry=ClosingSubjectRow.entry + 1)
        )
    assert "closed" in {one.aspect for one in checked(world).findings}


def test_without_a_copy_nothing_is_erased_and_no_gap_is_passed_over(world: World) -> None:
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
