"""A frozen log at hub and members: what waits, what is believed, what is evidence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chain import checkpoint
from chain.checkpoint import Checkpoint
from consortium.exchange import alarms, freeze, jws, outqueue, state
from consortium.exchange.answers import Status
from consortium.exchange.caller import Caller
from consortium.exchange.commitment import b64
from consortium.exchange.mirror import Mirror
from consortium.exchange.requests import Requests
from consortium.exchange.tables import InboxRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import freezing, gossip, journal, publisher, receipts, witness
from consortium.ledger.freezing import Freeze
from consortium.ledger.tables import CheckpointRow
from tests.consortium.exchange.copies import copy_of
from tests.consortium.exchange.kinds import MIRROR
from tests.consortium.exchange.test_split_view import OtherHub, evidence, submission
from tests.consortium.exchange.test_witnessing import grow, pass_period
from tests.consortium.exchange.world import KeyInMemory, World

Make = Callable[..., World]
ORIGIN = "hub.test/ledger"
SEAL = KeyInMemory("office-seal", b"\x07" * 32)
OTHER = KeyInMemory("office-seal", b"\x08" * 32)


def sealed(world: World) -> World:
    """The same, with the key of the consortium's seal on every node's ledger."""
    key = {"member": "consortium", "use": "seal", "public": b64(SEAL.public), "from": 0}
    for database in {id(one): one for one in world.databases.values()}.values():
        with database.write() as session:
            state.write(session, {"key:office-seal": ({**key, "until": None}, 0)}, frozenset())
    world.settle()
    return world


def stopped(world: World) -> int:
    with world.hub_database.write() as session:
        return freezing.stop(session, ORIGIN, now=world.clock.now())


def ended(world: World) -> Freeze:
    """Frozen, and said so at the hub."""
    size = stopped(world)
    world.publish()
    now = world.clock.now()
    with world.hub_database.write() as session:
        last = freezing.end(session, size)
        made = freeze.make(ORIGIN, size=last.size, root=last.root, seal=SEAL, now=now)
        assert freeze.take(session, made.statement, rules=world.policy, now=now) == ""
    return made


def codes(database: Database) -> set[str]:
    with database.read() as session:
        return {one.code for one in alarms.of_node(session)}


def size_of(world: World) -> int:
    with world.hub_database.read() as session:
        return journal.size(session)


def open_case(world: World, name: str, case: str) -> None:
    world.members[name].send("test.open/1", ("b",), case=case, urgency="routine")


def test_what_is_signed_waits_and_the_feed_is_read(
    tmp_path: Path, new_database: Callable[[], Database]
) -> None:
    world = sealed(World(tmp_path, new_database, witnesses=True))
    grow(world)  # not yet read by b
    end = ended(world)
    assert end.size == size_of(world)
    for case in ("w1", "w2"):
        open_case(world, "a", case)
    for name in ("a", "b", "lead"):
        assert not world.members[name].sync().down
    assert size_of(world) == end.size
    a, b = world.members["a"], world.members["b"]
    assert a.courier is not None
    assert a.courier.state.trouble == "ledger.frozen"
    with a.database.read() as session:
        assert len(outqueue.next_batch(session, "a-1", now=world.clock.now())) >= 2
    for member in (a, b):
        assert "ledger.frozen" in codes(member.database)
        with member.database.read() as session:
            assert freezing.of(session, ORIGIN) == end
            view = witness.checkpoint_view(session)
        assert view is not None
        assert view.size == end.size
    with b.database.read() as session:
        assert session.query(InboxRow).filter_by(member="b", case="g0").count() == 1


def test_what_has_its_answer_gets_it(make_world: Make) -> None:
    world = sealed(make_world())
    open_case(world, "a", "c")
    with world.databases["a"].read() as session:
        rows = outqueue.next_batch(session, "a-1", now=world.clock.now())
        packed = [outqueue.envelope_of(row).pack() for row in rows]
    first = world.admission.admit(packed)
    stopped(world)
    assert world.admission.admit(packed) == first
    assert {one.status for one in first} == {Status.LEAF}
    open_case(world, "a", "d")
    with world.databases["a"].read() as session:
        rows = outqueue.next_batch(session, "a-1", now=world.clock.now())
        fresh = [outqueue.envelope_of(row).pack() for row in rows]
    with pytest.raises(Refusal, match=r"ledger\.frozen"):
        world.admission.admit(fresh)


def test_the_end_is_said_when_it_is_published_and_not_before(make_world: Make) -> None:
    world = sealed(make_world())
    open_case(world, "a", "c")
    world.members["a"].sync()
    size = stopped(world)
    with world.hub_database.read() as session:
        with pytest.raises(Refusal, match=r"ledger\.freeze_waits"):
            freezing.end(session, size)
        # nobody can sign any more
        assert freezing.end(session, size, as_published=True).size < size
    world.publish()
    with world.hub_database.read() as session:
        assert freezing.end(session, size).size == size


def test_only_the_consortiums_seal_freezes(make_world: Make) -> None:
    world = sealed(make_world())
    now = world.clock.now()
    with world.hub_database.read() as session:
        last = publisher.latest(session)
    assert last is not None

    def made(seal: KeyInMemory, origin: str = ORIGIN, size: int = last.size) -> str:
        return freeze.make(origin, size=size, root=last.root, seal=seal, now=now).statement

    node = world.identities["consortium"].signer
    said = {"origin": ORIGIN, "size": last.size, "root": b64(last.root), "at_ms": 1}
    bad = [
        "a", "a.b.c", made(OTHER), made(SEAL, "hub.other/ledger"), made(SEAL, size=0),
        made(SEAL)[:-4] + "AAAA",
        jws.sign_statement(said, kid="consortium-1", signer=node, typ=freeze.TYPE),
        jws.sign_statement(said, kid="office-seal", signer=SEAL, typ="answer"),
        jws.sign_statement({**said, "root": "AA"}, kid="office-seal", signer=SEAL,
                           typ=freeze.TYPE),
    ]  # fmt: skip
    database = world.databases["a"]
    for statement in bad:
        with database.write() as session:
            assert freeze.take(session, statement, rules=world.policy, now=now) == "ledger.freeze"
            assert freeze.told(session) == ""
    assert codes(database) == set()
    with database.write() as session:
        assert freeze.take(session, made(SEAL), rules=world.policy, now=now) == ""
        # the first word stands
        later = made(SEAL, size=last.size + 5)
        assert freeze.take(session, later, rules=world.policy, now=now) == ""
        assert freeze.told(session) == made(SEAL)


def test_what_the_stolen_key_signs_later_is_evidence_and_not_believed(make_world: Make) -> None:
    world = sealed(make_world(witnesses=True))
    thief = OtherHub(world)
    end = ended(world)
    a, b = world.members["a"], world.members["b"]
    for member in (a, b):
        pass_period(world)
        member.sync()
    longer = thief.grow(range(3))
    assert a.courier is not None
    assert b.courier is not None
    now = world.clock.now()
    # by gossip, by add-checkpoint with a proof that holds, by sync
    with b.database.write() as session:
        found = gossip.hear(session, longer, policy_bytes=world.policy, now=now)
    assert found is not None
    assert found.code == "ledger.beyond"
    with thief.database.read() as session:
        newest = publisher.latest(session)
        assert newest is not None
        proof = receipts.consistency(session, old=end.size, new=newest.size)
        late = receipts.receipt(session, newest.size - 1)
    status, _ = a.courier.witnessing.submit(submission(end.size, proof, longer), now=now)
    assert status == 422
    assert evidence(a) == evidence(b) == ["ledger.beyond"]
    assert "ledger.beyond" in codes(a.database)
    # neither is a receipt under it
    assert late is not None
    assert receipts.check(late, world.policy).size == newest.size
    with a.database.read() as session, pytest.raises(Refusal) as caught:
        receipts.believed(session, late, world.policy)
    assert caught.value.facts["reason"] == "freeze.beyond"


def test_a_view_beyond_the_end_and_another_root_there_are_evidence(make_world: Make) -> None:
    world = sealed(make_world(witnesses=True))
    grow(world)
    world.settle()
    now = world.clock.now()
    a, b = (world.databases[name] for name in ("a", "b"))
    with world.hub_database.read() as session:
        first = session.query(CheckpointRow).order_by("size").first()
        assert first is not None
        last = publisher.latest(session)
    assert last is not None
    early = freeze.make(ORIGIN, size=first.size, root=first.root, seal=SEAL, now=now)
    with a.write() as session:
        assert freeze.take(session, early.statement, rules=world.policy, now=now) == ""
    assert evidence(world.members["a"]) == ["ledger.beyond"]
    other = freeze.make(ORIGIN, size=last.size, root=b"\x01" * 32, seal=SEAL, now=now)
    signed = checkpoint.sign(Checkpoint(ORIGIN, last.size, last.root), world.log.signers)
    with b.write() as session:
        freezing.keep(session, other)
        found = witness.advance(session, signed, [], policy_bytes=world.policy, now=now)
    assert isinstance(found, Refusal)
    assert found.code == "ledger.beyond"


def test_a_hub_from_before_the_freeze_stops_again_when_a_member_shows_it(make_world: Make) -> None:
    world = sealed(make_world())
    before = Database(f"sqlite:///{copy_of(world.hub_database, world.folder / 'before.db')}")
    world.opened.append(before)
    end = ended(world)
    world.members["a"].sync()
    world.desk._database = before
    world.desk._requests = Requests()
    now = world.clock.now()
    for seal, origin in ((SEAL, "hub.other/ledger"), (OTHER, ORIGIN)):
        false = freeze.make(origin, size=9, root=end.root, seal=seal, now=now)
        assert not freeze.bring_back(before, false.statement, now=now)
    with before.read() as session:
        assert not journal.lock_head(session).frozen
    for _ in range(2):
        world.members["a"].sync()  # hears nothing of it there, then says so
    assert "ledger.frozen" in codes(before)
    with before.read() as session:
        assert journal.lock_head(session).frozen
        assert freezing.of(session, ORIGIN) == end
    # and the others hear of it from there
    world.members["b"].sync()
    with world.databases["b"].read() as session:
        assert freeze.told(session) == end.statement


@pytest.mark.parametrize("stops", [False, True])
def test_heads_that_cannot_come_any_more_are_not_called_late(make_world: Make, stops: bool) -> None:
    world = sealed(make_world())
    a = world.members["a"]
    grow(world)
    if stops:
        ended(world)
    for _ in range(4):
        a.sync()
        world.clock.advance(seconds=3600)
    a.sync()
    a.sync()
    assert ("feed.old" in codes(a.database)) is not stops
    assert ("ledger.frozen" in codes(a.database)) is stops


def test_a_mirror_takes_nothing_beyond_the_end(make_world: Make, sqlite: Database) -> None:
    world = sealed(make_world("a", MIRROR))
    link = world.members[MIRROR].link
    own = Caller(world.identities[MIRROR], link, world.clock)
    mirror = Mirror(sqlite, world.registry, own, world.policy)
    with sqlite.write() as session:
        journal.create(session)
    size, now = mirror.run_once(world.clock.now()), world.clock.now()
    with sqlite.write() as session:
        last = publisher.latest(session)
        assert last is not None
        end = freeze.make(ORIGIN, size=last.size, root=last.root, seal=SEAL, now=now)
        freezing.keep(session, end)
    # a hub that goes on all the same
    world.members["a"].send("test.open/1", ("lead",), case="m", urgency="routine")
    world.members["a"].sync()
    world.publish()
    assert mirror.run_once(world.clock.now()) == 0
    assert mirror.trouble == "ledger.beyond"
    with sqlite.read() as session:
        assert journal.size(session) == size == last.size
        assert [one.code for one in witness.evidence(session)] == ["ledger.beyond"]
