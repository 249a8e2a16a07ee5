"""A mirror that begins with a closed month's copy holds what one that judged everything holds."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from consortium.exchange import alarms, beginning, closing_desk, erasing, replay, takeover
from consortium.exchange.beginning import Base
from consortium.exchange.caller import Caller
from consortium.exchange.mirror import Mirror
from consortium.exchange.recheck import recheck
from consortium.exchange.tables import (
    ChainHeadRow,
    ClosingSubjectRow,
    EntryRow,
    FeedHeadRow,
    FeedRow,
    SharedStateRow,
)
from consortium.kernel.database import Database, table_of
from consortium.kernel.errors import Refusal
from consortium.ledger import journal, receipts
from tests.consortium.exchange.kinds import MIRROR
from tests.consortium.exchange.test_erasing import YEAR
from tests.consortium.exchange.world import HUB, World
from tests.support.databases import SqliteFiles

Make = Callable[..., World]
SAME = [table_of(row) for row in (ChainHeadRow, EntryRow, FeedHeadRow, FeedRow, SharedStateRow)]


@dataclass
class Mirrors:
    """Makes further mirrors of a world, each in a database of its own."""

    world: World
    files: SqliteFiles
    folder: Path
    stack: ExitStack
    made: int = 0
    kept: list[Mirror] = field(default_factory=list)

    def new(self, *, whole: bool = False) -> Mirror:
        self.made += 1
        database = self.stack.enter_context(self.files.one(self.folder, f"m{self.made}.db"))
        with database.write() as session:
            journal.create(session)
        caller = Caller(
            self.world.identities[MIRROR], self.world.members[MIRROR].link, self.world.clock
        )
        return Mirror(database, self.world.registry, caller, self.world.policy, whole=whole)

    def run(self, mirror: Mirror) -> int:
        return mirror.run_once(self.world.clock.now())


@pytest.fixture(scope="module")
def world(sqlite_files: SqliteFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two months of talk by a schedule, the first closed and agreed. Tests leave it as it was."""
    folder = tmp_path_factory.mktemp("closed")
    with ExitStack() as stack:
        number = iter(range(9))

        def make() -> Database:
            return stack.enter_context(sqlite_files.one(folder, f"n{next(number)}.db"))

        world = World(folder, make, ("a", MIRROR), mirror=True)
        stack.callback(world.close)
        talk(world, seed=1)
        world.clock.advance(days=7)
        talk(world, seed=2)
        closing_desk.close(world.hub_database, world.members[HUB].post, now=world.clock.now())
        world.settle()
        mirror = world.members[MIRROR]
        closing_desk.answer(mirror.database, mirror.post, MIRROR, now=world.clock.now())
        talk(world, seed=3)
        yield world


@pytest.fixture
def mirrors(world: World, sqlite_files: SqliteFiles, tmp_path: Path) -> Iterator[Mirrors]:
    with ExitStack() as stack:
        yield Mirrors(world, sqlite_files, tmp_path, stack)


@pytest.fixture
def erased(world: World) -> Iterator[int]:
    """How many facts the hub has erased; they are there again for other tests."""
    with world.hub_database.read() as session:
        facts = session.execute(select(EntryRow.index, EntryRow.facts)).all()
    later = world.clock.now() + YEAR
    yield erasing.erase(world.hub_database, world.registry, whole=True, now=later)
    with world.hub_database.write() as session:
        for index, one in facts:
            session.execute(update(EntryRow).where(EntryRow.index == index).values(facts=one))


def talk(world: World, *, seed: int, acts: int = 6) -> None:
    """Cases are opened, spoken in, closed; some acts are refused."""
    rng = random.Random(seed)
    a, lead = world.members["a"], world.members["lead"]
    opened = [f"s{seed}-{number}" for number in range(3)]
    for case in opened:
        a.send("test.open/1", ("lead",), case=case, urgency="routine")
    world.settle()
    for case in rng.choices(opened, k=acts):
        who, to = (a, "lead") if rng.random() < 0.5 else (lead, "a")
        try:
            who.send("test.say/1", (to,), case=case, close=rng.random() < 0.4)
        except Refusal as refused:
            if refused.code != "test.closed":
                raise
    world.settle()


def rows(database: Database, *, but: frozenset[str] = frozenset({"facts", "body"})) -> Any:
    """What a replay makes, row by row."""
    with database.read() as session:
        return {
            table.name: sorted(
                map(repr, session.execute(select(*[c for c in table.c if c.name not in but])))
            )
            for table in SAME
        }


def sound(mirror: Mirror) -> None:
    with mirror.database.read() as session:
        assert replay.findings(session) == []
        assert alarms.of_node(session) == []
    assert mirror.trouble == ""
    assert recheck(mirror.database, mirror.registry).findings == []


def test_both_ways_hold_the_same_and_go_on_alike(mirrors: Mirrors) -> None:
    begun, whole = mirrors.new(), mirrors.new(whole=True)
    for mirror in (begun, whole):
        mirrors.run(mirror)
        sound(mirror)
    with begun.database.read() as session:
        base = beginning.kept(session)
        assert base is not None
        assert beginning.judged(session) == journal.size(session) > base.index
    with whole.database.read() as session:
        assert beginning.kept(session) is None
    assert rows(begun.database) == rows(whole.database) == rows(mirrors.world.hub_database)
    talk(mirrors.world, seed=4)
    mirrors.run(begun)
    sound(begun)
    assert rows(begun.database) == rows(mirrors.world.hub_database)


def test_where_facts_are_erased_a_new_mirror_is_green_and_a_whole_one_stops(
    mirrors: Mirrors, erased: int
) -> None:
    world = mirrors.world
    assert erased > 0
    begun, whole = mirrors.new(), mirrors.new(whole=True)
    mirrors.run(begun)
    sound(begun)
    assert rows(begun.database) == rows(world.hub_database)
    mirrors.run(whole)
    assert whole.trouble == "replay.erased"


def test_a_mirror_that_was_behind_takes_the_copy_where_facts_end(
    mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    world, behind = mirrors.world, mirrors.new()
    monkeypatch.setattr(takeover, "take_over", lambda *_, **__: False)
    monkeypatch.setattr("consortium.exchange.mirrorpages.BATCH_MAX", 3)
    asked = behind._ask()
    behind._take(asked, world.clock.now())
    monkeypatch.undo()
    with behind.database.read() as session:
        assert 0 < journal.size(session) < 10
    assert request.getfixturevalue("erased") > 0
    mirrors.run(behind)
    sound(behind)
    assert rows(behind.database) == rows(world.hub_database)


def test_a_copy_that_is_not_proved_is_not_taken(
    mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, fresh = mirrors.world, mirrors.new()

    def not_taken() -> None:
        fresh.trouble = ""
        mirrors.run(fresh)
        assert fresh.trouble == "closing.unproven"
        with fresh.database.read() as session:
            assert journal.size(session) == 0
            assert beginning.kept(session) is None
            assert session.scalar(select(ClosingSubjectRow.subject).limit(1)) is None

    told = "case:s1-1"
    with world.hub_database.read() as session:
        mine = select(ClosingSubjectRow.value, ClosingSubjectRow.entry)
        value, entry = session.execute(mine.where(ClosingSubjectRow.subject == told)).one()

    def say(value: str, entry: int) -> None:
        with world.hub_database.write() as session:
            mine = update(ClosingSubjectRow).where(ClosingSubjectRow.subject == told)
            session.execute(mine.values(value=value, entry=entry))

    for changed in ((value + " ", entry), (value, entry + 1)):
        say(*changed)
        not_taken()
    say(value, entry)
    offered, receipt = beginning.offered, receipts.receipt
    with monkeypatch.context() as patch:
        patch.setattr(beginning, "offered", lambda session: _without_births(offered(session)))
        not_taken()
    for other in (lambda session, _: receipt(session, 3), lambda *_: b"none"):
        with monkeypatch.context() as patch:
            patch.setattr(receipts, "receipt", other)
            not_taken()
    mirrors.run(fresh)
    sound(fresh)


def _without_births(base: Base | None) -> Base | None:
    return base and Base(base.month, base.index, {HUB: 0})


def test_a_cut_begins_anew(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "_ROWS_MAX", 4)
    fresh, link = mirrors.new(), mirrors.world.members[MIRROR].link
    calls = link.calls
    mirrors.run(fresh)
    sound(fresh)
    assert link.calls - calls > 4
    other = mirrors.new()
    link.lose_answer = 0.3
    for _ in range(60):
        mirrors.run(other)
    link.lose_answer = 0.0
    mirrors.run(other)
    sound(other)
    assert rows(other.database) == rows(fresh.database)
