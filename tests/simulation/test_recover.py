"""After any schedule the hub's disk dies; whatever subset covers the ledger brings it back.

An old copy is put back, or none; guard, mirror and members' pieces each hold a part, some twice,
given in any order and in several runs, and one of them lies. The database is the one that was lost,
and the world goes on.
"""

import random
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from consortium.exchange import pieces
from consortium.exchange.pieces import Piece
from consortium.exchange.recheck import shown
from consortium.exchange.recovery import Recovery
from consortium.exchange.tables import EntryRow
from consortium.ledger import gossip, journal
from tests.consortium.exchange.copies import copy_of
from tests.consortium.exchange.losing import finished, lose_hub, recovery_of, rows
from tests.consortium.exchange.world import World
from tests.simulation.acts import CLINICS, Acts, files, harder_step

pytestmark = [pytest.mark.simulation, pytest.mark.slow]


def whole(world: World) -> list[Piece]:
    """Every entry of the hub as a mirror or a sender could give it."""
    found: list[Piece] = []
    with world.hub_database.read() as session:
        while page := shown(session, world.registry, len(found), limit=256):
            at = len(found)
            found += [Piece(at + n, one.leaf, one.facts, one.body) for n, one in enumerate(page)]
    return found


def lie(rng: random.Random, piece: Piece) -> Piece:
    """The same entry at another time, or with another verdict."""
    view = journal.read_leaf(piece.leaf)
    verdict = rng.choice([view.verdict, "ok", "test.open"])
    later = view.time_ms + rng.choice([1, 0 if verdict != view.verdict else 1, 60_000])
    return replace(piece, leaf=journal.make_leaf(time_ms=later, verdict=verdict, jws=view.jws))


def given_in_parts(rng: random.Random, recovery: Recovery, world: World, lost: list[Piece]) -> None:
    """A cover of the ledger from several givers, in any order, taken now and then."""
    givers = ["mirror m", "mirror n", "file f"]
    parts = [(rng.choice(givers), one) for one in lost]
    parts += [(rng.choice(givers), one) for one in rng.sample(lost, len(lost) // 3)]
    parts += [("file lies", lie(rng, one)) for one in rng.sample(lost, min(3, len(lost)))]
    rng.shuffle(parts)
    for at in range(0, len(parts), 40):
        for giver, piece in parts[at : at + 40]:
            recovery.keep([piece], giver=giver)
        if rng.random() < 0.5:
            recovery.refill(now=world.clock.now())


@pytest.mark.parametrize("seed", range(9_000, 9_060))
def test_whatever_covers_the_ledger_brings_it_back(seed: int) -> None:
    acts, rng = Acts(seed), random.Random(seed)
    world = acts.world
    try:
        copies: list[Path | None] = [None]
        for step in range(90):
            harder_step(acts)
            if rng.random() < 0.05:
                copies.append(copy_of(world.hub_database, acts.folder / f"hub.{step}.db"))
        acts.rest()
        lost, entries = rows(world.hub_database), whole(world)
        with world.hub_database.read() as session:
            note = gossip.own_newest(session)
        guard = rng.random() < 0.5
        lose_hub(world, files(), rng.choice(copies), guard=guard)
        recovery = recovery_of(world)
        with world.hub_database.write() as session:
            assert pieces.promise(session, note, giver="mirror m", rules=[world.policy]) or (
                len(entries) == journal.size(session)
            )
        if guard and rng.random() < 0.5:
            recovery.from_guard()
        given_in_parts(rng, recovery, world, entries)
        told = recovery.refill(now=world.clock.now())
        assert (told.size, told.stopped) == (len(entries), "")
        assert rows(world.hub_database) == lost
        world.publish()
        assert finished(world, recovery)
        goes_on(acts)
    finally:
        acts.close()


def waited_for(world: World) -> bool:
    """Whether bodies are missing: the hub's own, never taken by a clinic that lost numbers."""
    with world.hub_database.read() as session:
        rows = [session.get_one(EntryRow, at) for at in pieces.missing_bodies(session)]
    for row in rows:
        assert row.sender == "lead"
        assert {world.restored(one) for one in orjson.loads(row.recipients)} == {"behind"}
    return bool(rows)


def goes_on(acts: Acts) -> None:
    """Members give the bodies, the hub's own take their chains back, and more happens."""
    world = acts.world
    for _ in range(3):
        for name, member in world.members.items():
            assert member.courier is not None
            member.courier.caller.forget()
            acts.sync(name)
    for name in CLINICS:
        courier = world.members[name].courier
        assert courier is not None
        assert courier.state.trouble in {"", "exchange.restored"}, courier.state
    if waited_for(world):
        return
    for _ in range(30):
        harder_step(acts)
    acts.rest()
    acts.check()
    assert {world.restored(name) for name in CLINICS} <= {"", "behind"}
