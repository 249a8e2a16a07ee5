"""One exchange from outbox to apply and back, over a hub and two workstations."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from consortium.exchange import blobs, state, timeline
from consortium.exchange.blobs import BlobStore
from consortium.exchange.tables import InboxRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal, receipts
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.exchange.kinds import taken
from tests.consortium.exchange.world import HUB, World
from tests.support.clock import VirtualClock


@pytest.fixture
def world(tmp_path: Path, new_database: Callable[[], Database]) -> World:
    return World(tmp_path, new_database)


def test_it_is_admitted_delivered_and_applied_once_on_both_sides(world: World) -> None:
    a, b = world.members["a"], world.members["b"]
    sent = a.send("test.open/1", ("b",), case="c1", urgency="urgent")
    world.settle()
    with a.database.read() as session:
        assert taken(session, "a")[-1] == sent.id
        entry = timeline.one(session, member="a", exchange_id=sent.id)
        assert (entry.state, entry.receipt) == ("delivered", True)
        proof = timeline.receipt_file(session, member="a", exchange_id=sent.id)
    assert proof is not None
    assert receipts.check(proof, world.policy).index == entry.index
    with b.database.read() as session:
        assert taken(session, "b").count(sent.id) == 1
        case = state.read(session, "case:c1")
    assert case is not None
    assert case["opened_at"] == entry.index
    folds_agree(world)


def test_a_third_member_gets_nothing_of_it(
    tmp_path: Path, new_database: Callable[[], Database]
) -> None:
    world = World(tmp_path, new_database, ("a", "b", "c"))
    world.members["a"].send("test.open/1", ("b",), case="c1", urgency="routine")
    world.settle()
    with world.databases["c"].read() as session:
        rows = session.scalars(select(InboxRow)).all()
        assert [row.kind for row in rows if row.case] == []
        assert state.read(session, "case:c1") is None


def test_what_is_signed_while_the_link_is_cut_waits_and_then_goes_once(world: World) -> None:
    a = world.members["a"]
    a.link.cut = True
    first = a.send("test.open/1", ("b",), case="c1", urgency="routine")
    second = a.send("test.say/1", ("b",), case="c1", close=False)
    assert a.sync().down
    with a.database.read() as session:
        assert timeline.waiting_count(session, members=("a",)) == 2
    a.link.cut = False
    world.settle()
    with world.databases["b"].read() as session:
        assert taken(session, "b")[-2:] == [first.id, second.id]


def test_the_same_form_twice_is_one_exchange(world: World) -> None:
    a = world.members["a"]
    first = a.send("test.open/1", ("b",), case="c1", urgency="routine")
    again = a.send("test.open/1", ("b",), case="c1", urgency="routine", exchange=first.id)
    assert (again.again, again.seq) == (True, first.seq)


def test_a_lost_answer_is_given_again_word_for_word(world: World) -> None:
    a = world.members["a"]
    sent = a.send("test.open/1", ("b",), case="c1", urgency="routine")
    a.link.lose_answer = 1.0
    a.sync()
    a.link.lose_answer = 0.0
    world.settle()
    with world.hub_database.read() as session:
        assert journal.size(session) > 1
    with a.database.read() as session:
        assert timeline.one(session, member="a", exchange_id=sent.id).state == "delivered"


def test_of_two_claims_one_is_refused_and_its_sender_told(world: World) -> None:
    a, b = world.members["a"], world.members["b"]
    first = a.send("test.claim/1", ("lead",), case="ca", thing="t")
    second = b.send("test.claim/1", ("lead",), case="cb", thing="t")
    world.settle()
    with a.database.read() as session:
        assert first.id in taken(session, "a")
    with b.database.read() as session:
        entry = timeline.one(session, member="b", exchange_id=second.id)
        assert (entry.state, entry.code) == ("refused", "test.taken")
        assert taken(session, "b", "refused") == [second.id]
    folds_agree(world)
    a.send("test.give_back/1", ("lead",), case="ca")
    b.send("test.claim/1", ("lead",), case="cb2", thing="t")
    world.settle()
    with world.hub_database.read() as session:
        thing = state.read(session, "thing:t")
        assert thing is not None
        assert thing["holder"] == "b"


def test_the_sender_is_refused_at_once_by_what_it_knows(world: World) -> None:
    a = world.members["a"]
    a.send("test.open/1", ("b",), case="c1", urgency="routine")
    a.send("test.say/1", ("b",), case="c1", close=True)
    world.settle()
    with pytest.raises(Refusal, match=r"test\.closed"):
        a.send("test.say/1", ("b",), case="c1", close=False)


def test_a_body_that_a_recipient_cannot_accept_is_answered(world: World) -> None:
    a, b = world.members["a"], world.members["b"]
    a.send("test.open/1", ("b",), case="c1", urgency="routine")
    bad = a.send("test.say/1", ("b",), case="c1", close=True, bad=True)
    world.settle()
    with b.database.read() as session:
        assert bad.id not in taken(session, "b")
        alarms = timeline.alarms(session, member="b")
    assert [one.alarm for one in alarms] == ["test.bad_body"]
    with a.database.read() as session:
        case = state.read(session, "case:c1")
    assert case is not None
    assert (case["state"], case["turn"]) == ("open", "a")
    assert case["body_refused"]["of"] == bad.id
    folds_agree(world)


def test_an_attachment_follows_the_exchange(world: World) -> None:
    a, b = world.members["a"], world.members["b"]
    with a.database.write() as session:
        blob = blobs.seal(
            session, a.store, b"picture" * 1000, name="x.png", content_type="image/png",
            now=world.clock.now(),
        )  # fmt: skip
        attached = blobs.attachment(session, blob.id)
    sent = a.send("test.open/1", ("b",), case="c1", urgency="routine", attachments=(blob.id,))
    world.settle()
    assert blobs.open_attachment(b.store, attached) is None
    with b.database.write() as session:
        blobs.want(session, blob.id, exchange=sent.id, now=world.clock.now())
    world.settle()
    assert blobs.open_attachment(b.store, attached) == b"picture" * 1000


def test_entry_0_brings_its_own_key_and_no_other_entry_does(world: World) -> None:
    with world.hub_database.read() as session:
        first = state.read(session, "key:consortium-1")
    assert first is not None
    assert first["from"] == 0
    assert world.members[HUB].courier is not None


def test_a_file_of_a_refused_exchange_goes_with_the_next_one(world: World) -> None:
    a, b = world.members["a"], world.members["b"]
    world.members["b"].send("test.claim/1", ("lead",), case="cb", thing="t")
    world.settle()
    with a.database.write() as session:
        blob = blobs.seal(
            session, a.store, b"picture", name="x.png", content_type="image/png",
            now=world.clock.now(),
        )  # fmt: skip
        attached = blobs.attachment(session, blob.id)
    a.send("test.claim/1", ("lead",), case="ca", thing="t", attachments=(blob.id,))
    world.settle()
    sent = [
        a.send("test.open/1", (to,), case=case, urgency="routine", attachments=(blob.id,))
        for to, case in (("b", "c1"), ("lead", "c2"))
    ]
    world.settle()
    lead = world.members["lead"]
    for member, exchange in ((b, sent[0].id), (lead, sent[1].id)):
        with member.database.write() as session:
            blobs.want(session, blob.id, exchange=exchange, now=world.clock.now())
    world.settle()
    hub = BlobStore(world.folder / HUB / "blobs")
    assert blobs.open_attachment(b.store, attached) == b"picture"
    assert blobs.open_attachment(hub, attached) == b"picture"


def test_each_pull_compares_the_clocks_not_the_hello_alone(world: World) -> None:
    world.settle()
    courier = world.members["a"].courier
    assert courier is not None
    assert courier.state.clock_off_s == 0
    courier.clock = VirtualClock(world.clock.now() + timedelta(hours=2))
    world.members["a"].sync()
    assert courier.state.clock_off_s == 7200
    courier.clock = world.clock
    world.members["a"].sync()
    assert courier.state.clock_off_s == 0
