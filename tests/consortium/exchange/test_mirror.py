"""A mirror over a link: takes what is signed, replays it, keeps evidence, goes on after cuts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from consortium.exchange import alarms, mirrorpages, replay
from consortium.exchange.caller import Caller
from consortium.exchange.candidate import Candidate
from consortium.exchange.folding import Folding
from consortium.exchange.inbox import Inbox
from consortium.exchange.kinds import ExchangeKind
from consortium.exchange.mirror import Mirror
from consortium.exchange.received import Item
from consortium.exchange.recheck import Report, recheck
from consortium.exchange.replies import Page
from consortium.exchange.tables import EntryRow, SharedStateRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal, publisher, witness
from consortium.ledger.tables import LeafRow
from tests.consortium.exchange.kinds import MIRROR
from tests.consortium.exchange.world import World
from tests.support.databases import SqliteFiles


@dataclass
class Watch:
    """A world with a regulator, and its mirror in a database of its own."""

    world: World
    mirror: Mirror
    database: Database

    def run(self) -> int:
        return self.mirror.run_once(self.world.clock.now())

    def size(self) -> int:
        with self.database.read() as session:
            return journal.size(session)

    def alarms(self) -> list[tuple[str, str]]:
        with self.database.read() as session:
            return [(one.code, one.about) for one in alarms.of_node(session)]

    def found(self) -> list[tuple[int, str]]:
        with self.database.read() as session:
            return [(one.index, one.aspect) for one in replay.findings(session)]


def caller(world: World, name: str = MIRROR) -> Caller:
    return Caller(world.identities[name], world.members[name].link, world.clock)


@pytest.fixture
def watch(
    make_world: Callable[..., World], sqlite_files: SqliteFiles, tmp_path: Path
) -> Iterator[Watch]:
    world = make_world("a", MIRROR)
    with sqlite_files.one(tmp_path, "copy.db") as database:
        with database.write() as session:
            journal.create(session)
        yield Watch(world, Mirror(database, world.registry, caller(world), world.policy), database)


def talk(world: World, cases: range) -> None:
    for number in cases:
        world.members["a"].send("test.open/1", ("lead",), case=f"c{number}", urgency="routine")
        world.members["a"].send("test.say/1", ("lead",), case=f"c{number}", close=False)
    world.settle()


def same(watch: Watch) -> None:
    """The mirror's rows are the hub's: leaves, shared state, tree; and follow from the rules."""
    with watch.world.hub_database.read() as hub, watch.database.read() as own:
        for row in (SharedStateRow.subject, SharedStateRow.value, LeafRow.leaf):
            assert set(own.scalars(select(row))) == set(hub.scalars(select(row)))
        mine, theirs = publisher.latest(own), publisher.latest(hub)
        assert mine is not None
        assert theirs is not None
        assert (mine.size, mine.root) == (theirs.size, theirs.root)
        # nothing that is sealed, and nobody's but open bodies
        kinds = set(own.scalars(select(EntryRow.kind).where(EntryRow.body.is_not(None))))
        assert not any(watch.world.registry.kinds[kind].sealed for kind in kinds)
    assert recheck(watch.database, watch.world.registry) == Report(watch.size())


def test_it_takes_everything_page_by_page(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(watch.world, range(8))
    monkeypatch.setattr(mirrorpages, "PULL_MAX_BYTES", 8_000)
    assert watch.run() == watch.size() > 20
    assert (watch.mirror.trouble, watch.found(), watch.alarms()) == ("", [], [])
    same(watch)
    assert watch.run() == 0


def test_it_goes_on_after_cuts(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrorpages, "PULL_MAX_BYTES", 4_000)
    talk(watch.world, range(6))
    link = watch.world.members[MIRROR].link
    link.lose_answer = link.lose_request = 0.3
    for _ in range(40):
        watch.run()
    link.lose_answer = link.lose_request = 0.0
    watch.run()
    same(watch)


def test_what_is_not_signed_yet_is_not_taken(watch: Watch) -> None:
    watch.run()
    before = watch.size()
    watch.world.members["a"].send("test.open/1", ("lead",), case="c", urgency="routine")
    watch.world.members["a"].sync()
    assert watch.run() == 0
    assert watch.size() == before
    watch.world.publish()
    assert watch.run() == watch.size() - before > 0


def test_a_wrong_verdict_is_named_raises_an_alarm_and_stops_nothing(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, other = watch.world.members["a"], watch.world.members[MIRROR]
    a.send("test.claim/1", ("lead",), case="t1", thing="lamp")
    watch.world.settle()
    with monkeypatch.context() as patch:
        real = Folding._verdict

        def judged(self: Folding, one: Candidate, kind: ExchangeKind, *more: Any) -> str:
            wrong = kind.name == "test.claim/1"
            return "ok got" if wrong else real(self, one, kind, *more)

        patch.setattr(Folding, "_verdict", judged)
        queued = other.send("test.claim/1", ("lead",), case="t2", thing="lamp")
        other.sync()
    talk(watch.world, range(2))
    watch.run()
    with watch.database.read() as session:
        [found] = replay.findings(session)
        index = session.scalar(select(EntryRow.index).where(EntryRow.exchange == queued.id))
    assert (found.index, found.said, found.found) == (index, "ok got", "test.taken")
    assert watch.alarms() == [("replay", f"{index}:verdict")]
    assert watch.mirror.trouble == ""
    with watch.world.hub_database.read() as session:
        assert watch.size() == journal.size(session)


def test_a_leaf_that_was_not_signed_is_evidence_and_not_kept(watch: Watch) -> None:
    talk(watch.world, range(2))
    with watch.world.hub_database.write() as session:
        [leaf] = session.scalars(select(LeafRow.leaf).where(LeafRow.index == 3))
        time_ms, verdict, jws = journal.read_leaf(leaf)
        other = journal.make_leaf(time_ms=time_ms + 1, verdict=verdict, jws=jws)
        session.execute(update(LeafRow).where(LeafRow.index == 3).values(leaf=other))
    watch.run()
    assert watch.size() <= 3
    assert watch.mirror.trouble == "replay.root"
    assert [aspect for _, aspect in watch.found()] == ["root"]
    assert {code for code, _ in watch.alarms()} == {"replay", "replay.halted", "ledger.other_root"}
    with watch.database.read() as session:
        assert [one.code for one in witness.evidence(session)] == ["ledger.other_root"]
    with watch.world.hub_database.write() as session:
        session.execute(update(LeafRow).where(LeafRow.index == 3).values(leaf=leaf))
    watch.run()
    assert watch.mirror.trouble == ""
    assert "replay.halted" not in {code for code, _ in watch.alarms()}
    same(watch)


def test_changed_facts_at_the_hub_are_found(watch: Watch) -> None:
    talk(watch.world, range(2))
    with watch.world.hub_database.write() as session:
        session.execute(update(EntryRow).where(EntryRow.index == 2).values(facts=bytes(60)))
    watch.run()
    assert (2, "verdict") in watch.found()
    assert ("replay", "2:verdict") in watch.alarms()
    assert watch.size() > 4


def test_nobody_else_is_given_the_ledger(watch: Watch) -> None:
    for name in ("a", "lead"):
        with pytest.raises(Refusal, match=r"sync\.mirror"):
            caller(watch.world, name).request("/sync/mirror", [], **{"from": 0})


def test_the_feed_waits_for_the_replay(watch: Watch) -> None:
    watch.run()
    size = watch.size()
    member = watch.world.members[MIRROR]
    inbox = Inbox(watch.world.registry, member.post, folds=False, upto=journal.size)
    items = [Item(n, index, b"", None, None) for n, index in enumerate((0, size - 1, size), 1)]
    page = Page(items, "hash", True, b"", [], {}, {}, 0)
    with watch.database.read() as session:
        cut = inbox.within(session, page)
        assert ([one.index for one in cut.items], cut.running, cut.more) == (
            [0, size - 1],
            "",
            False,
        )
        whole = Page(items[:2], "hash", True, b"", [], {}, {}, 0)
        assert inbox.within(session, whole) is whole
