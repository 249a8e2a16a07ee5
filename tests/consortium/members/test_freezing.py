"""A log that is frozen under the seal, on real nodes: nothing more is entered, everybody hears."""

import pytest

from consortium.exchange import alarms, freeze
from consortium.kernel.errors import Refusal
from consortium.ledger import cosignatures, journal, witness
from consortium.members import freezing
from consortium.members.keys import SeedSigner
from tests.consortium.members.consortium_made import PASSPHRASES, World


def stop(world: World, passphrase: str) -> tuple[SeedSigner, int]:
    with world.hub.database.write() as session:
        return freezing.stop(
            session, seals=world.hub.seals, passphrase=passphrase,
            upload=world.seal_file.read_bytes(), now=world.clock.now(),
        )  # fmt: skip


def test_a_frozen_log_takes_no_entry_and_every_node_hears_its_end(world: World) -> None:
    world.join(world.invite())
    clinic = world.node(world.folder / "shiqiao", world.wire)
    world.settle(clinic, rounds=2)
    hub, policy = world.hub.database, world.hub.policy
    with pytest.raises(Refusal, match=r"members\.seal_wrong"):
        stop(world, "not the passphrase")
    world.turn(clinic)  # goes on
    with hub.read() as session:
        before = journal.size(session)
    seal, size = stop(world, PASSPHRASES["consortium"])
    assert stop(world, PASSPHRASES["consortium"])[1] == size == before
    world.hub.publish(world.clock.now())
    with hub.write() as session:
        end = freezing.say(session, seal, size=size, policy=policy, now=world.clock.now())
        assert freezing.say(session, seal, size=size, policy=policy, now=world.clock.now()) == end
    assert (end.origin, end.size) == ("log.example", before)
    for _ in range(3):
        world.clock.advance(seconds=10)
        world.turn(clinic)
    for node in (world.hub, clinic):
        with node.database.read() as session:
            assert "ledger.frozen" in {one.code for one in alarms.of_node(session)}
            assert freeze.told(session) == end.statement
            view = witness.checkpoint_view(session)
        assert view is not None
        assert (view.size, view.root) == (end.size, end.root)
    with hub.read() as session:
        assert journal.size(session) == before
        # the last checkpoint is cosigned, though nothing more is entered
        lines = {one.witness.rsplit("/")[-1]: one.size for one in cosignatures.progress(session)}
    assert lines == {clinic.id: before}
