"""Restored, cloned and withdrawn nodes: what they still do, and that they harm nobody."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from consortium.exchange import outqueue, restored, state, timeline
from consortium.exchange.envelope import Envelope, unpack
from consortium.exchange.guard import NodeGuard
from consortium.exchange.outbox import Queued
from consortium.exchange.tables import EntryRow, InboxRow, MarkRow, OutboxRow
from consortium.kernel.errors import Refusal
from tests.consortium.exchange import kinds, trouble
from tests.consortium.exchange.checks import folds_agree, nothing_lost_nothing_twice
from tests.consortium.exchange.kinds import taken
from tests.consortium.exchange.world import HUB, Member, World

Make = Callable[..., World]


@pytest.fixture
def world(make_world: Make) -> World:
    return make_world()


def opened(member: Member, case: str, to: str = "b") -> Queued:
    return member.send("test.open/1", (to,), case=case, urgency="routine")


def seen(world: World, name: str) -> list[str]:
    with world.databases[name].read() as session:
        return taken(session, name)


# ---------------------------------------------------------------- restored


def test_an_old_copy_takes_its_own_entries_back_and_goes_on(world: World) -> None:
    a = world.members["a"]
    opened(a, "c1")
    world.settle()
    old = trouble.copied(world, "a")
    later = [opened(a, "c2"), a.send("test.say/1", ("b",), case="c1", close=False)]
    world.settle()
    assert trouble.restore(world, "a", old) == "behind"
    a = world.members["a"]
    with pytest.raises(Refusal, match=r"exchange\.restored"):
        opened(a, "c3")
    world.settle(heads=True)
    assert world.restored("a") == ""
    with a.database.read() as session:
        rows = {row.id: row for row in session.scalars(select(OutboxRow))}
    assert {one.id for one in later} <= rows.keys()
    assert {rows[one.id].state for one in later} == {"sent"}
    opened(a, "c3")
    world.settle()
    nothing_lost_nothing_twice(world)
    folds_agree(world)


def test_a_restored_node_pushes_what_its_guard_covers(world: World) -> None:
    """The copy was made after signing and before sending: the promise is kept."""
    a = world.members["a"]
    a.link.cut = True
    waiting = opened(a, "c1")
    old = trouble.copied(world, "a")
    opened(a, "c2")
    trouble.restore(world, "a", old)
    world.members["a"].link.cut = False
    world.settle()
    assert waiting.id in seen(world, "b")
    # the second one was never pushed and is not in the copy: its number is lost
    assert world.restored("a") == "behind"
    with pytest.raises(Refusal, match=r"exchange\.restored"):
        opened(world.members["a"], "c3")
    # it still receives
    b = world.members["b"]
    told = b.send("test.say/1", ("a",), case="c1", close=False)
    world.settle()
    assert told.id in seen(world, "a")


def test_a_restored_node_can_take_what_it_would_have_to_answer(world: World) -> None:
    """An entry whose body it refuses waits for it; once it may sign, it has still not answered."""
    a, b = world.members["a"], world.members["b"]
    opened(a, "c1", "b")
    world.settle()
    old = trouble.copied(world, "a")
    for case in ("c2", "c3"):
        opened(a, case, "b")
    world.settle()
    world.databases["a"].close()
    bad = b.send("test.say/1", ("a",), case="c1", close=True, bad=True)
    b.sync()
    assert trouble.restore(world, "a", old) == "behind"
    world.settle()
    assert world.restored("a") == ""
    with world.databases["b"].read() as session:
        value = state.read(session, "case:c1")
    assert value is not None
    assert value["body_refused"]["of"] == bad.id
    folds_agree(world)


def test_what_a_restored_node_cannot_answer_yet_it_does_not_swallow(world: World) -> None:
    """With numbers lost for good it stops before that entry, and its next node goes on there."""
    a, b = world.members["a"], world.members["b"]
    opened(a, "c1", "b")
    world.settle()
    old = trouble.copied(world, "a")
    a.link.cut = True
    opened(a, "lost", "b")
    bad = b.send("test.say/1", ("a",), case="c1", close=True, bad=True)
    world.members["b"].sync()
    trouble.restore(world, "a", old)
    a = world.members["a"]
    a.link.cut = False
    done = a.sync()
    assert (done.down, a.courier is not None and a.courier.state.trouble) == (
        False, "exchange.restored"
    )  # fmt: skip
    with a.database.read() as session:
        assert session.scalar(select(InboxRow).where(InboxRow.exchange == bad.id)) is None


def test_a_copy_with_its_guard_is_noticed_by_the_hubs_heads(world: World) -> None:
    """A snapshot of the whole machine: guard and database agree, and are both old."""
    a = world.members["a"]
    opened(a, "c1")
    world.settle()
    image = trouble.clone(world, "a")
    opened(a, "c2")
    world.settle()
    assert image.courier is not None
    image.sync()
    with image.database.read() as session:
        assert restored.reason(session, "a-1") == ""
        heads = restored.heads(session, "a-1")
    with a.database.read() as session:
        assert heads["routine"] == restored.heads(session, "a-1")["routine"]
    # before that it signs nothing that could be a second history
    with world.hub_database.read() as session:
        assert session.get(MarkRow, "restored:a-1") is None


def test_a_damaged_guard_does_not_stop_the_courier(world: World) -> None:
    a = world.members["a"]
    opened(a, "c1")
    world.settle()
    for place in (world.folder / "a", world.folder / "guards"):
        (place / "a-1.guard").write_bytes(b"torn")
    assert trouble.restart(world, "a") == "damaged"
    told = opened(world.members["b"], "c9", "a")
    world.settle()
    assert told.id in seen(world, "a")
    assert world.restored("a") == "damaged"


def test_a_restored_node_does_not_write_its_guard_anew(world: World) -> None:
    """Carried to another machine with something unsent: pushing it must not hide the move."""
    a = world.members["a"]
    a.link.cut = True
    opened(a, "c1")
    guard = world.identities["a"].guard
    moved = NodeGuard(
        "a-1", inside=world.folder / "a", outside=world.folder / "guards", machine="m2"
    )
    object.__setattr__(a.identity, "guard", moved)
    with a.database.write() as session:
        assert restored.check_at_start(session, a.identity) == "other_machine"
    a.link.cut = False
    world.settle()
    with a.database.read() as session:
        assert outqueue.next_batch(session, "a-1", now=world.clock.now()) == []
        assert restored.reason(session, "a-1") == "other_machine"
    kept = guard.read()
    assert kept is not None
    assert kept.machine == "m1"


# ---------------------------------------------------------------- two of one


@pytest.fixture
def forked(world: World) -> tuple[World, Member, Member]:
    """Both PCs sign while they are offline; the first one syncs."""
    first = world.members["a"]
    opened(first, "c1")
    world.settle()
    second = trouble.clone(world, "a")
    second.sync()
    for member, case in ((first, "mine"), (second, "yours")):
        member.link.cut = True
        opened(member, case)
        member.link.cut = False
    first.sync()
    return world, first, second


def test_a_clone_that_signs_is_suspended_with_the_evidence(
    forked: tuple[World, Member, Member],
) -> None:
    world, first, second = forked
    second.sync()
    assert second.courier is not None
    assert second.courier.state.trouble == "sync.fork"
    with second.database.read() as session:
        assert restored.reason(session, "a-1") == "fork"
    world.settle()
    for name in ("a", "b", HUB):
        with world.databases[name].read() as session:
            key = state.read(session, "key:a-1")
        assert key is not None
        assert (key["why"], isinstance(key["until"], int)) == ("fork", True)
    with world.databases["b"].read() as session:
        assert timeline.alarms(session, member="b") == []
    # the first history stands, and that node may not go on with it either
    late = opened(first, "late")
    first.sync()
    with first.database.read() as session:
        assert session.get_one(OutboxRow, late.id).state == "held"
    assert first.courier is not None
    assert first.courier.state.trouble == "sync.node_withdrawn"
    # it still pulls
    told = opened(world.members["b"], "c7", "a")
    world.members["b"].sync()
    first.sync()
    assert told.id in seen(world, "a")


def test_a_fork_is_not_forgotten_at_the_next_hello(forked: tuple[World, Member, Member]) -> None:
    _, _, second = forked
    second.sync()
    for _ in range(3):
        assert second.courier is not None
        second.courier.caller.forget()
        second.sync()
        with second.database.read() as session:
            assert restored.reason(session, "a-1") == "fork"


def test_a_fork_pushed_again_and_again_is_one_suspension(
    forked: tuple[World, Member, Member],
) -> None:
    world, _, second = forked
    for _ in range(4):
        second.sync()
        world.clock.advance(minutes=6)
    world.settle()
    with world.hub_database.read() as session:
        verdicts = session.scalars(select(EntryRow.verdict).where(
            EntryRow.kind == "node.suspend/1"
        )).all()  # fmt: skip
    assert list(verdicts).count("ok") == 1


@pytest.mark.parametrize("lie", ["chain", "other_node", "unsigned", "swapped", "one"])
def test_evidence_that_shows_no_second_history_is_found_out(world: World, lie: str) -> None:
    """The hub's node could end any key with two entries that follow each other."""
    a, b = world.members["a"], world.members["b"]
    opened(a, "c1")
    opened(a, "c2")
    opened(b, "c3", "a")
    world.settle()
    first, second = _jws(world, "a")
    if lie == "other_node":
        [second, *_] = _jws(world, "b")
    elif lie == "unsigned":
        head, _, _ = second.rpartition(b".")
        second = head + b"." + first.rpartition(b".")[2]
    elif lie == "swapped":
        first, second = second, first
    elif lie == "one":
        second = first
    from consortium.exchange import forks

    forks.suspend(world.hub_database, world.members[HUB].post, first, second, now=world.clock.now())
    world.settle()
    with world.databases["b"].read() as session:
        alarms = [one.alarm for one in timeline.alarms(session, member="b")]
    assert alarms == ([] if lie == "one" else ["exchange.evidence"])


def _jws(world: World, name: str) -> list[bytes]:
    with world.databases[name].read() as session:
        return list(
            session.scalars(
                select(OutboxRow.jws)
                .where(OutboxRow.lane == "routine", OutboxRow.member == name)
                .order_by(OutboxRow.seq)
            )
        )


# ---------------------------------------------------------------- crash inside apply


def test_a_crash_inside_apply_is_undone_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = world.members["a"], world.members["b"]
    sent = opened(a, "c1")
    a.sync()
    real, calls = kinds.Open.apply, []

    def crash(self: kinds.Open, session: object, told: object) -> None:
        real(self, session, told)  # type: ignore[arg-type]
        calls.append(1)
        if len(calls) < 3:
            raise MemoryError

    monkeypatch.setattr(kinds.Open, "apply", crash)
    for _ in range(2):
        with pytest.raises(MemoryError):
            b.sync()
        with b.database.read() as session:
            assert state.read(session, "case:c1") is None
            assert sent.id not in taken(session, "b")
    world.settle()
    assert seen(world, "b").count(sent.id) == 1
    folds_agree(world)


# ---------------------------------------------------------------- requests replayed


def test_an_old_push_changes_nothing(world: World) -> None:
    """Signed requests are taken once, and what is in them has its answer already."""
    a = world.members["a"]
    opened(a, "c1")
    pushed: list[bytes] = []
    real = a.link.call

    def record(path: str, body: bytes, headers: dict[str, str]) -> object:
        if path == "/sync/push":
            pushed.append(body)
        return real(path, body, headers)

    a.link.call = record  # type: ignore[assignment, method-assign]
    world.settle()
    with world.hub_database.read() as session:
        before = session.scalars(select(EntryRow.index)).all()
    for body in pushed:
        assert world.desk.handle("/sync/push", body).status == 401
    with world.hub_database.read() as session:
        assert session.scalars(select(EntryRow.index)).all() == before


def test_envelopes_pass_unchanged(world: World) -> None:
    opened(world.members["a"], "c1")
    world.settle()
    with world.databases["a"].read() as session:
        mine = session.scalars(select(OutboxRow).where(OutboxRow.case == "c1")).one()
    with world.databases["b"].read() as session:
        theirs = session.scalars(select(InboxRow).where(InboxRow.case == "c1")).one()
    assert mine.body is not None
    assert mine.facts is not None
    whole = Envelope(mine.jws, mine.facts, mine.body)
    assert unpack(whole.pack()) == whole
    assert (theirs.facts, theirs.body) == (mine.facts, mine.body)
    assert theirs.leaf.endswith(mine.jws)
