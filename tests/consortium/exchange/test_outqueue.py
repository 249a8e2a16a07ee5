"""What is pushed next, and what an answer without a leaf means for it."""

from pathlib import Path

import pytest

from consortium.exchange import answers, jws, outqueue, replies, restored
from consortium.exchange.answers import Answer, Status
from consortium.exchange.commitment import b64
from consortium.exchange.envelope import unpack
from consortium.exchange.replies import Given
from consortium.exchange.requests import ANSWER
from consortium.exchange.tables import OutboxRow
from consortium.kernel.database import Database
from consortium.ports import LinkDown
from tests.consortium.exchange.senders import Sender
from tests.consortium.exchange.world import KeyInMemory


@pytest.fixture
def sender(tmp_path: Path, sqlite: Database) -> Sender:
    return Sender(sqlite, tmp_path)


def batch(sender: Sender) -> list[str]:
    """Cases of what would be pushed now, in that order."""
    with sender.database.read() as session:
        rows = outqueue.next_batch(session, "a-1", now=sender.clock.now())
    return [row.case for row in rows]


def answered(sender: Sender, case: str, status: Status, *, expected: int = 0) -> str:
    """Give an answer without a leaf to the exchange of a case."""
    with sender.database.write() as session:
        [row] = [one for one in session.query(OutboxRow).all() if one.case == case]
        answer = Answer(b64(row.jws_hash), status, expected=expected)
        return outqueue.without_leaf(session, row, answer, now=sender.clock.now())


def state_of(sender: Sender, case: str) -> str:
    with sender.database.read() as session:
        return next(one.state for one in session.query(OutboxRow).all() if one.case == case)


def test_urgent_goes_before_what_was_signed_earlier(sender: Sender) -> None:
    sender.open("r1")
    sender.open("r2")
    sender.open("u1", urgency="urgent")
    assert batch(sender) == ["u1", "r1", "r2"]


def test_a_parents_lane_goes_up_to_the_parent_and_no_further(sender: Sender) -> None:
    """An urgent one whose case began in the routine lane takes that lane's way along."""
    sender.open("r1")
    sender.open("c1")
    sender.open("r2")
    child = sender.draft("test.say/1", case="c1", close=False)
    sender.send(child)
    with sender.database.write() as session:
        row = session.get_one(OutboxRow, child.id)
        row.lane, row.seq = "urgent", 1
    assert batch(sender) == ["r1", "c1", "c1", "r2"]


def test_a_batch_is_bounded_by_bytes_and_takes_at_least_one(sender: Sender) -> None:
    for n in range(4):
        sender.open(f"c{n}")
    with sender.database.write() as session:
        for row in session.query(OutboxRow).all():
            row.body = bytes(300 * 1024)
    assert batch(sender) == ["c0"]
    with sender.database.write() as session:
        for row in session.query(OutboxRow).all():
            row.body = bytes(100 * 1024)
    assert batch(sender) == ["c0", "c1"]


def test_another_nodes_rows_are_not_pushed(sender: Sender) -> None:
    sender.open("c1")
    with sender.database.read() as session:
        assert outqueue.next_batch(session, "other", now=sender.clock.now()) == []


@pytest.mark.parametrize("status", [Status.HELD, Status.NODE, Status.SIGNATURE, Status.MALFORMED])
def test_what_is_held_back_rests_with_its_lane_for_five_minutes(
    sender: Sender, status: Status
) -> None:
    sender.open("c1")
    sender.open("c2")
    sender.open("u1", urgency="urgent")
    assert answered(sender, "c1", status).startswith("sync.")
    assert state_of(sender, "c1") == "held"
    assert batch(sender) == ["u1"]
    sender.clock.advance(minutes=5)
    assert batch(sender) == ["u1", "c1", "c2"]


def test_a_waiting_one_is_given_up_after_24_hours(sender: Sender) -> None:
    sender.open("c1")
    answered(sender, "c1", Status.WAIT)
    sender.clock.advance(hours=23, minutes=59)
    answered(sender, "c1", Status.WAIT)
    assert (batch(sender), final(sender)) == (["c1"], 0)
    sender.clock.advance(minutes=1)
    assert final(sender) == 1


def final(sender: Sender) -> int:
    with sender.database.read() as session:
        rows = outqueue.next_batch(session, "a-1", now=sender.clock.now())
        return len(outqueue.given_up(rows, now=sender.clock.now()))


def test_a_gap_is_pushed_again_from_where_the_hub_stands(sender: Sender) -> None:
    """The hub came back from an older copy of itself: what it had is still here."""
    for n in range(4):
        sender.open(f"c{n}")
    with sender.database.write() as session:
        for row in session.query(OutboxRow).all():
            row.state = "sent" if row.seq < 4 else "queued"
    assert batch(sender) == ["c3"]
    answered(sender, "c3", Status.GAP, expected=2)
    assert batch(sender) == ["c1", "c2", "c3"]


def test_a_fork_stops_the_node_and_rests(sender: Sender) -> None:
    sender.open("c1")
    assert answered(sender, "c1", Status.FORK, expected=2) == "sync.fork"
    with sender.database.read() as session:
        assert restored.reason(session, "a-1") == "fork"
    assert batch(sender) == []


def test_a_restored_node_pushes_what_its_guard_covers(sender: Sender) -> None:
    for n in range(3):
        sender.open(f"c{n}")
    with sender.database.read() as session:
        rows = outqueue.next_batch(session, "a-1", now=sender.clock.now())
    assert [row.seq for row in outqueue.covered(rows, {"routine": (2, "x")})] == [1, 2]
    assert outqueue.covered(rows, {}) == []


def test_heads_before_sending_are_the_last_of_each_lane(sender: Sender) -> None:
    sender.open("c1")
    sender.open("c2")
    sender.open("u1", urgency="urgent")
    with sender.database.read() as session:
        rows = outqueue.next_batch(session, "a-1", now=sender.clock.now())
    assert {lane: seq for lane, (seq, _) in outqueue.heads_of(rows).items()} == {
        "routine": 2, "urgent": 1
    }  # fmt: skip
    assert all(unpack(outqueue.envelope_of(row).pack()).jws == row.jws for row in rows)


# ---------------------------------------------------------------- reading the hub's replies


HUB = KeyInMemory("consortium-1", b"consortium".ljust(32))


def given(answer: Answer, *, key: KeyInMemory = HUB, kid: str = "consortium-1") -> Given:
    statement = {**answer.json(), "at_ms": 1}
    return Given(answer, jws.sign_statement(statement, kid=kid, signer=key, typ=ANSWER))


def believed(sender: Sender, one: Given) -> bool:
    with sender.database.read() as session:
        return replies.hub_says(session, one)


def test_an_answer_without_a_leaf_counts_with_the_hubs_signature(sender: Sender) -> None:
    """Else whoever stands on the line could tell a node that it had forked."""
    fork = Answer("x" * 43, Status.FORK, expected=3)
    assert believed(sender, given(fork))
    assert not believed(sender, Given(fork, ""))
    assert not believed(sender, Given(fork, given(Answer("x" * 43, Status.WAIT)).signed))
    assert not believed(sender, given(fork, key=KeyInMemory("x", bytes(32))))
    lead = KeyInMemory("lead-1", b"lead".ljust(32))
    assert not believed(sender, given(fork, key=lead, kid="lead-1"))
    assert not believed(sender, given(fork, kid="nobody-1"))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>sign in</html>", b"{}", b"[]", b'{"answers":3}', b'{"answers":[]}',
        b'{"answers":[{"jws":"x"}]}', b'{"answers":[{"jws":"x","status":"odd"}]}', b"null",
        b'{"answers":[{"jws":"x","status":"leaf","index":"x"}]}', b'{"answers":[5]}',
    ],
)  # fmt: skip
def test_what_is_no_reply_of_a_hub_is_no_link(body: bytes) -> None:
    """The provider's sign-in page answers 200 to everything."""
    with pytest.raises(LinkDown):
        replies.pushed(body, count=1)
    with pytest.raises(LinkDown):
        replies.page(body)


@pytest.mark.parametrize("answer", [
    Answer("a", Status.LEAF, index=0, leaf="1 ok\na.b.c"), Answer("a", Status.GAP, expected=3,
    head="h"), Answer("a", Status.HELD, code="exchange.kind"), Answer("a", Status.WAIT),
])  # fmt: skip
def test_answers_read_back(answer: Answer) -> None:
    assert answers.read(answer.json()) == answer
