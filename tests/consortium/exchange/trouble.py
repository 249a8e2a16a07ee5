"""What happens to clinics' PCs: switched off and on, an old copy put back, two copies of one."""

from dataclasses import replace
from pathlib import Path

from sqlalchemy import make_url

from consortium.exchange import restored
from consortium.exchange.guard import NodeGuard
from consortium.exchange.identity import Identities, Identity
from consortium.kernel.database import Database
from tests.consortium.exchange.copies import copy_of, put_back
from tests.consortium.exchange.world import Link, Member, World


def restart(world: World, name: str, *, database: Database | None = None) -> str:
    """A workstation starts again: everything in memory is new. Gives why it may not sign."""
    old = world.members[name]
    identity = replace(world.identities[name], guard=_guard(world, name, world.folder))
    world.identities[name] = identity
    world.databases[name] = database or world.databases[name]
    made = _member(world, name, world.databases[name], identity)
    made.connect(old.link, world.policy)
    world.members[name] = made
    with made.database.write() as session:
        return restored.check_at_start(session, identity)


def _guard(world: World, name: str, folder: Path) -> NodeGuard:
    return NodeGuard(f"{name}-1", inside=folder / name, outside=folder / "guards", machine="m1")


def _member(world: World, name: str, database: Database, identity: Identity) -> Member:
    return Member(
        name, database, world.folder / name, kinds=world.registry, clock=world.clock,
        identity=identity, identities=Identities({name: identity}), hub=False,
    )  # fmt: skip


def copied(world: World, name: str, *, tag: str = "old") -> Path:
    """A backup of a workstation's database, taken while it runs; its guard is not in it."""
    return copy_of(world.databases[name], world.folder / f"{name}.{tag}.db")


def restore(world: World, name: str, copy: Path) -> str:
    """The PC broke; its backup is put back. Gives why it may not sign."""
    file = Path(str(make_url(world.databases[name].url).database))
    world.databases[name].close()
    database = put_back(copy, file)
    world.opened.append(database)
    return restart(world, name, database=database)


def clone(world: World, name: str) -> Member:
    """A second PC from a whole image of the first: database, keys, guard files, machine id."""
    folder = world.folder / f"{name}-clone"
    database = put_back(copied(world, name, tag="image"), world.folder / f"{name}-clone.db")
    world.opened.append(database)
    identity = replace(world.identities[name], guard=_guard(world, name, folder))
    identity.guard.advance(world.identities[name].guard.heads)
    made = _member(world, name, database, identity)
    made.connect(Link(world.desk, world.rng), world.policy)
    return made
