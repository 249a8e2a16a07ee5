"""A hub that shows two histories: found by sync, by gossip, by a file, whoever saw which.

The second hub is the first one's copy with the same log key: it goes on by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest
from sqlalchemy import func, select

from chain import merkle
from consortium.exchange import gossiping
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.requests import Requests
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import gossip, journal, publisher, witness
from consortium.ledger.tables import HeardRow
from tests.consortium.exchange.copies import copy_of
from tests.consortium.exchange.test_witnessing import grow, own, pass_period
from tests.consortium.exchange.world import Member, World
from tests.consortium.ledger.making import new_leaf
from tests.support.databases import SqliteFiles

Make = Callable[..., World]


@pytest.fixture
def world(make_world: Make) -> World:
    built = make_world("a", "b", witnesses=True)
    built.settle()
    return built


@pytest.fixture(scope="module")
def common(sqlite_files: SqliteFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A consortium whose state the tests that take it leave usable."""
    folder = tmp_path_factory.mktemp("common")
    with ExitStack() as stack:
        names = iter(f"n{number}.db" for number in range(9))
        built = World(
            folder,
            lambda: stack.enter_context(sqlite_files.one(folder, next(names))),
            witnesses=True,
        )
        stack.callback(built.close)
        built.settle()
        yield built


class OtherHub:
    """The hub's copy: same key, another future."""

    def __init__(self, world: World) -> None:
        self.world = world
        file = copy_of(world.hub_database, world.folder / "other.db")
        self.database = Database(f"sqlite:///{file}")
        world.opened.append(self.database)
        self.guard = HubGuard(world.folder / "other-guard")

    def grow(self, numbers: Sequence[int]) -> bytes:
        with self.database.write() as session:
            head = journal.lock_head(session)
            time_ms = head.last_ms + 1
            new = [new_leaf(10_000 + one, time_ms=time_ms) for one in numbers]
            journal.append(session, head, new, time_ms=time_ms)
        now = self.world.clock.now()
        made = publisher.publish(self.database, self.world.log, self.guard, now=now)
        assert made is not None
        return made.note


def grow_apart(world: World, number: int) -> None:
    """The ledger grows and no clinic hears of it."""
    lead = world.members["lead"]
    lead.send("test.open/1", ("consortium",), case=f"l{number}", urgency="routine")
    lead.sync()
    world.publish()


def evidence(member: Member) -> list[str]:
    with member.database.read() as session:
        return [one.code for one in witness.evidence(session)]


def waiting(member: Member) -> int:
    with member.database.read() as session:
        return session.scalar(select(func.count()).select_from(HeardRow)) or 0


def tell(world: World, name: str, note: bytes) -> Refusal | None:
    courier = world.members[name].courier
    assert courier is not None
    found, own_newest = gossiping.heard(courier.witnessing, note, now=world.clock.now())
    assert own_newest
    return found


def test_sync_with_the_other_hub_is_refused_kept_and_not_cosigned(world: World) -> None:
    other = OtherHub(world)
    grow(world)
    a = world.members["a"]
    pass_period(world)
    a.sync()
    signed = own(a)
    other.grow(range(5))
    a.link.desk._database = other.database  # the hub shows its other history to this member
    a.link.desk._requests = Requests()
    pass_period(world)
    a.sync()
    a.sync()
    assert evidence(a)[0] == "ledger.unproven"
    assert own(a) == signed
    assert a.courier is not None
    assert a.courier.state.trouble == "ledger.unproven"


def test_gossip_of_one_size_with_another_root_is_a_split(world: World) -> None:
    other = OtherHub(world)
    note = other.grow(range(1))
    with world.hub_database.write() as session:
        head = journal.lock_head(session)
        new = [new_leaf(77, time_ms=head.last_ms + 1)]
        journal.append(session, head, new, time_ms=head.last_ms + 1)
    world.publish()
    world.members["b"].sync()
    assert (found := tell(world, "b", note)) is not None
    assert found.code == "ledger.split"
    assert evidence(world.members["b"]) == ["ledger.split"]
    # the hub itself knows its own tree
    assert (found := tell(world, "consortium", note)) is not None
    assert found.code == "ledger.split"


@pytest.mark.parametrize("more", [1, 4])
def test_gossip_of_another_size_is_proven_or_is_evidence(world: World, more: int) -> None:
    """Whichever is longer, the history heard or the one seen."""
    other = OtherHub(world)
    forged = other.grow(range(more))
    for number in range(2):
        grow_apart(world, number)
    b = world.members["b"]
    b.sync()
    with world.hub_database.read() as session:
        honest = publisher.latest(session)
    grow_apart(world, 9)
    assert honest is not None
    assert tell(world, "b", honest.note) is None
    b.sync()
    b.sync()
    assert (evidence(b), waiting(b)) == ([], 0)
    assert tell(world, "b", forged) is None
    assert waiting(b) == 1
    b.sync()
    assert evidence(b) == []  # once may be an accident
    b.sync()
    assert evidence(b) == ["ledger.unproven"]
    assert waiting(b) == 0


def test_two_members_tell_each_other(world: World) -> None:
    other = OtherHub(world)
    grow(world)
    a, b = world.members["a"], world.members["b"]
    a.sync()
    note = other.grow(range(1))
    with b.database.write() as session:
        held = witness.checkpoint_view(session)
        assert held is not None
        with other.database.read() as there:
            newest = publisher.latest(there)
            assert newest is not None
        from consortium.ledger import receipts

        with other.database.read() as there:
            proof = receipts.consistency(there, old=held.size, new=newest.size)
        witness.advance(session, note, proof, policy_bytes=world.policy, now=world.clock.now())
    assert a.courier is not None
    assert b.courier is not None
    mine, theirs = a.courier.witnessing, b.courier.witnessing

    def post(address: str, body: bytes) -> bytes | None:
        if address != "http://b":
            return None
        return gossiping.heard(theirs, body, now=world.clock.now())[1]

    told = gossiping.tell(mine, ["http://b/", "http://nobody"], post, now=world.clock.now())
    assert told == 1
    for member in (a, b):
        found = evidence(member)
        assert found == ["ledger.split"] or waiting(member) == 1


def test_what_the_log_has_not_signed_is_no_evidence(common: World) -> None:
    world = common
    for body in (b"", b"x\n\n", b"a\n1\nAAAA\n\n\xe2\x80\x94 a AAAAAAAA\n"):
        found = tell(world, "b", body)
        assert found is not None
        assert found.code == "ledger.note"
    assert evidence(world.members["b"]) == []
    assert waiting(world.members["b"]) == 0


def test_what_was_heard_is_bounded(common: World) -> None:
    world = common
    other = OtherHub(world)
    for number in range(gossip.HEARD_MAX + 4):
        tell(world, "b", other.grow([number]))
    assert waiting(world.members["b"]) == gossip.HEARD_MAX


# ---------------------------------------------------------------- add-checkpoint


def submission(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    from base64 import b64encode

    lines = "".join(b64encode(one).decode() + "\n" for one in proof)
    return f"old {old}\n{lines}\n".encode() + note


def test_add_checkpoint_answers_as_the_specification_says(common: World) -> None:
    """C2SP tlog-witness, add-checkpoint: each status code, on one view."""
    world = common
    from consortium.ledger import receipts

    a = world.members["a"]
    assert a.courier is not None
    witnessing, now = a.courier.witnessing, world.clock.now()
    seen = witnessing.seen(now)
    assert seen is not None
    other = OtherHub(world)
    forged = other.grow(range(9))
    for number in range(2):
        grow_apart(world, number)
    with world.hub_database.read() as session:
        newest = publisher.latest(session)
        assert newest is not None
        proof = receipts.consistency(session, old=seen.size, new=newest.size)
    old, note = seen.size, newest.note
    foreign = note.replace(b"hub.test/ledger", b"hub.else/ledger")
    bad_signature = note[:-8] + (b"AAAAAA=\n" if note[-8:] != b"AAAAAA=\n" else b"BBBBBB=\n")
    for body, status, text in [
        (b"", 400, ""),
        (b"old x\n\n" + note, 400, ""),
        (submission(old, [b"x"], note), 400, ""),
        (submission(newest.size + 1, [], note), 400, ""),
        (submission(old, proof, foreign), 404, ""),
        (submission(old, proof, bad_signature), 403, ""),
        (submission(0, [], note), 409, f"{old}\n"),
        (submission(old - 1, proof, note), 409, f"{old}\n"),
        (submission(old, proof[:-1], note), 422, ""),
        (submission(old, [*proof, merkle.EMPTY_ROOT], note), 422, ""),
        (submission(old, [], forged), 422, ""),
    ]:
        assert witnessing.submit(body, now=now) == (status, text), body[:40]
    assert evidence(a) == []  # a proof that fails is the bringer's
    assert waiting(a) == 2
    status, line = witnessing.submit(submission(old, proof, note), now=now)
    assert status == 200
    assert line.startswith("\N{EM DASH} hub.test/ledger/witness/a-1 ")
    # the same again from the size that is seen now, without a proof
    assert witnessing.submit(submission(newest.size, [], note), now=now)[0] == 200
    assert witnessing.submit(submission(old, proof, note), now=now) == (409, f"{newest.size}\n")
    hub = world.members["consortium"].courier
    assert hub is not None
    assert hub.witnessing.submit(submission(old, proof, note), now=now) == (404, "")


def test_of_two_at_once_one_must_ask_again(common: World) -> None:
    """The race of the specification: both begin at one size, and the view moves once."""
    world = common
    from threading import Barrier, Thread

    from consortium.ledger import receipts

    a = world.members["a"]
    assert a.courier is not None
    witnessing, now = a.courier.witnessing, world.clock.now()
    seen = witnessing.seen(now)
    assert seen is not None
    bodies = []
    for number in range(2):
        grow_apart(world, 50 + number)
        with world.hub_database.read() as session:
            newest = publisher.latest(session)
            assert newest is not None
            proof = receipts.consistency(session, old=seen.size, new=newest.size)
        bodies.append(submission(seen.size, proof, newest.note))
    gate, answers = Barrier(2), []

    def bring(body: bytes) -> None:
        gate.wait()
        answers.append(witnessing.submit(body, now=now))

    threads = [Thread(target=bring, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200, 409]


def test_a_restored_witness_answers_that_it_cannot(common: World) -> None:
    world = common
    from consortium.exchange import restored

    b = world.members["b"]
    assert b.courier is not None
    with b.database.write() as session:
        restored.mark(session, "b-1", "behind")
        held = witness.checkpoint_view(session)
    assert held is not None
    body = submission(held.size, [], held.note)
    assert b.courier.witnessing.submit(body, now=world.clock.now()) == (503, "")
