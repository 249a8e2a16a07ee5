"""A hub that loses its database: an old copy is put back, or none at all, and is recovered."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, select

from consortium.exchange.caller import Caller
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.mirror import Mirror
from consortium.exchange.mirrordesk import MirrorDesk
from consortium.exchange.mirrorpages import MirrorPages
from consortium.exchange.recovery import Recovery
from consortium.exchange.tables import (
    ChainHeadRow,
    EntryRow,
    FeedHeadRow,
    FeedRow,
    SharedStateRow,
)
from consortium.kernel.database import Database, table_of
from consortium.ledger import journal, publisher
from consortium.ledger.tables import LeafRow
from consortium.wiring import InProcessLink
from tests.consortium.exchange.copies import copy_of, put_back
from tests.consortium.exchange.kinds import MIRROR
from tests.consortium.exchange.world import HUB, LEAD, World
from tests.support.databases import SqliteFiles

ROWS = (LeafRow, EntryRow, ChainHeadRow, FeedRow, FeedHeadRow, SharedStateRow)


@dataclass
class Loss:
    """A world whose hub loses its database; `mirror` follows it."""

    world: World
    files: SqliteFiles
    mirror_database: Database

    def __post_init__(self) -> None:
        world = self.world
        with self.mirror_database.write() as session:
            journal.create(session)
        caller = Caller(world.identities[MIRROR], world.members[MIRROR].link, world.clock)
        self.mirror = Mirror(self.mirror_database, world.registry, caller, world.policy)

    def talk(self, *cases: str) -> None:
        """Two members speak in cases, and everybody takes it."""
        for case in cases:
            self.world.members["a"].send("test.open/1", ("b",), case=case, urgency="routine")
            self.world.settle()
            self.world.members["b"].send("test.say/1", ("a",), case=case, close=False)
        self.world.settle()

    def mirrored(self) -> None:
        self.mirror.caller.link = self.world.members[MIRROR].link
        self.mirror.caller.forget()
        self.mirror.run_once(self.world.clock.now())
        assert self.mirror.trouble == ""

    def size(self) -> int:
        with self.world.hub_database.read() as session:
            return journal.size(session)

    def copied(self) -> Path:
        return copy_of(self.world.hub_database, self.world.folder / "hub.old.db")

    def lose(self, copy: Path | None, *, guard: bool = True) -> None:
        """The hub's disk dies; the copy is put on a new one, or an empty database."""
        lose_hub(self.world, self.files, copy, guard=guard)

    def recovery(self) -> Recovery:
        return recovery_of(self.world)

    def mirror_caller(self) -> Caller:
        """The hub's way to the mirror."""
        pages = MirrorPages(self.world.registry, HUB)
        desk = MirrorDesk(self.mirror_database, pages, clock=self.world.clock)
        return Caller(self.world.identities[HUB], InProcessLink(desk), self.world.clock)

    def finish(self, recovery: Recovery) -> bool:
        return finished(self.world, recovery)


def lose_hub(world: World, files: SqliteFiles, copy: Path | None, *, guard: bool = True) -> None:
    """A hub's disk dies; the copy is put on a new one, or an empty database."""
    world.admission.close()
    file = Path(str(make_url(world.hub_database.url).database))
    world.hub_database.close()
    if copy is None:
        with files.one(world.folder, "hub.empty.db") as empty:
            with empty.write() as session:
                journal.create(session)
            copy = copy_of(empty, world.folder / "hub.none.db")
    world.hub_database = put_back(copy, file)
    world.opened.append(world.hub_database)
    for name in (HUB, LEAD):
        world.databases[name] = world.members[name].database = world.hub_database
    world.hub_guard.close()
    if not guard:
        for kept in (world.folder / "hub-guard").glob("*.guardlog"):
            kept.unlink()
    world.hub_guard = HubGuard(world.folder / "hub-guard")
    world.start_hub()


def recovery_of(world: World) -> Recovery:
    return Recovery(world.hub_database, world.registry, world.hub_guard, [world.policy])


def finished(world: World, recovery: Recovery) -> bool:
    own = [world.identities[name] for name in (HUB, LEAD)]
    return recovery.finish(own, now=world.clock.now())


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of what the ledger holds and what follows from it; bodies are not in it."""
    with database.read() as session:
        return {
            table.name: sorted(
                tuple(row)
                for row in session.execute(select(*[one for one in table.c if one.key != "body"]))
            )
            for table in map(table_of, ROWS)
        }


def published(database: Database) -> tuple[int, bytes]:
    with database.read() as session:
        found = publisher.latest(session)
    assert found is not None
    return found.size, found.root
