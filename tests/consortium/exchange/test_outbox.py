"""Sending: checked as the hub will, signed once, promised by the guard when it is committed."""

import random
import threading
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import blobs, commitment, jws, restored, state
from consortium.exchange.header import Lane
from consortium.exchange.outbox import Draft
from consortium.exchange.sealing import unseal
from consortium.exchange.tables import BlobUseRow, MarkRow, OutboxRow, OwnHeadRow
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from tests.consortium.exchange.senders import Sender


@pytest.fixture
def sender(tmp_path: Path, sqlite: Database) -> Sender:
    return Sender(sqlite, tmp_path)


@pytest.fixture
def both(tmp_path: Path, database: Database) -> Sender:
    """The hub's two members over one database, on SQLite and on PostgreSQL."""
    return Sender(database, tmp_path, "consortium", "lead")


def rows(sender: Sender) -> list[OutboxRow]:
    with sender.database.read() as session:
        return list(session.scalars(select(OutboxRow).order_by(OutboxRow.lane, OutboxRow.seq)))


def guarded(sender: Sender, name: str = "a") -> dict[str, tuple[int, str]]:
    kept = sender.identities[name].guard.read()
    assert kept is not None
    return dict(kept.heads)


# ---------------------------------------------------------------- one chain per lane


def test_each_exchange_names_the_one_before_it(sender: Sender) -> None:
    for n in range(3):
        sender.open(f"c{n}")
    sender.open("u1", urgency="urgent")
    prev = {Lane.ROUTINE: jws.FIRST_PREV, Lane.URGENT: jws.FIRST_PREV}
    for row in rows(sender):
        signed = jws.parse(row.jws)
        head = signed.header
        assert jws.verify(signed, sender.identities["a"].signer.public)
        assert (head.lane, head.seq, head.prev) == (row.lane, row.seq, prev[head.lane])
        prev[head.lane] = jws.digest_text(row.jws)
    assert guarded(sender) == {"routine": (3, prev[Lane.ROUTINE]), "urgent": (1, prev[Lane.URGENT])}


def test_the_same_form_again_signs_nothing(sender: Sender) -> None:
    draft = sender.draft(case="c1")
    first, second = sender.send(draft, draft)
    assert (first.again, second.again, second.seq) == (False, True, 1)
    assert len(rows(sender)) == 1
    with pytest.raises(Refusal, match="id_reused"):
        sender.send(sender.draft("test.say/1", case="c1", exchange=draft.id, close=False))


def test_what_the_hub_would_refuse_is_not_signed(sender: Sender) -> None:
    cases = [
        (sender.draft("test.say/1", case="none", close=True), "test.no_case"),
        (sender.draft("nothing/1"), "exchange.kind"),
        (sender.draft(case="c1", urgency="soon"), "exchange.facts"),
        (sender.draft(case="c1", to=("all",)), "exchange.recipients"),
        (sender.draft(case="c1", to=("stranger",)), "exchange.no_key"),
        (sender.draft("test.claim/1", case="c", thing="x" * 200), "exchange.facts"),
    ]
    for draft, code in cases:
        with sender.database.read() as session:
            told = sender.post.preview(session, draft, now=sender.clock.now())
        if code != "exchange.no_key":
            assert told is not None
            assert told.code == code
        with pytest.raises(Refusal, match=code.replace(".", r"\.")):
            sender.send(draft)
    assert rows(sender) == []
    assert guarded(sender) == {}


def test_a_body_beyond_the_limit_is_refused_before_it_has_a_number(sender: Sender) -> None:
    """A referral with far too much text in it; random, so that no packing makes it small."""
    noise = random.Random(3).randbytes(450_000).hex()
    texts = [noise[at : at + 60_000] for at in range(0, len(noise), 60_000)]
    big = messages.build(
        "test.open", source="a", destinations=("b",), exchange_id="x1", now=sender.clock.now(),
        resources=[
            messages.parameters(urgency="routine"),
            *(messages.json_part(f"p{n}", text) for n, text in enumerate(texts)),
        ],
    )  # fmt: skip
    draft = Draft(id="x1", kind="test.open/1", sender="a", to=("b",), body=big, case="c1")
    with pytest.raises(Refusal, match="too_large"):
        sender.send(draft)
    assert (rows(sender), guarded(sender)) == ([], {})


def test_a_body_is_sealed_to_both_sides_and_opens_its_commitment(sender: Sender) -> None:
    queued = sender.open("c1")
    [row] = rows(sender)
    assert row.body is not None
    salt, bundle = commitment.open_body(unseal(row.body, sender.identities["a"].unseal))
    assert commitment.commit_body(bundle, salt) == jws.parse(row.jws).header.body
    assert row.body.count(b"\n-> X25519 ") == 2
    assert queued.state == "queued"


def test_each_sealing_and_salt_is_fresh(sender: Sender) -> None:
    for n in range(2):
        sender.open(f"c{n}")
    one, two = rows(sender)
    assert one.facts is not None
    assert two.facts is not None
    assert one.facts[:32] != two.facts[:32]
    assert jws.parse(one.jws).header.facts != jws.parse(two.jws).header.facts


# ---------------------------------------------------------------- after


def test_an_exchange_follows_the_last_unanswered_one_of_its_case(sender: Sender) -> None:
    first = sender.open("c1", urgency="urgent")
    second = sender.say("c1")
    third = sender.say("c1")
    other = sender.open("c2")
    after = {row.id: jws.parse(row.jws).header.after for row in rows(sender)}
    assert after == {first.id: (), second.id: (first.id,), third.id: (second.id,), other.id: ()}


def test_answered_ones_need_no_waiting_for(sender: Sender) -> None:
    first = sender.open("c1")
    with sender.database.write() as session:
        session.get_one(OutboxRow, first.id).state = "sent"
        case = {"parties": ["a", "b"], "state": "open", "said": 0, "turn": "b", "prior": ""}
        state.write(session, {"case:c1": (case, 1)}, frozenset())
    second = sender.say("c1")
    assert {row.id: jws.parse(row.jws).header.after for row in rows(sender)}[second.id] == ()


def test_the_other_member_of_a_hub_is_not_waited_for(both: Sender) -> None:
    both.send(both.draft(sender="lead", case="c1"))
    both.send(both.draft(sender="consortium", case="c1"))
    assert {jws.parse(row.jws).header.after for row in rows(both)} == {()}


# ---------------------------------------------------------------- promises


class PowerCutError(Exception):
    """The end of everything at once."""


def cut(sender: Sender, session: Session, case: str) -> None:
    """Send, and then lose what is not committed."""
    sender.post.send(session, sender.draft(case=case), now=sender.clock.now())
    assert case not in {row.case for row in rows(sender)}
    raise PowerCutError


def test_nothing_is_promised_before_it_is_committed(sender: Sender) -> None:
    with pytest.raises(PowerCutError), sender.database.write() as session:
        cut(sender, session, "c1")
    assert (guarded(sender), rows(sender), sender.wake.times) == ({}, [], 0)


def test_the_end_of_a_savepoint_promises_nothing(sender: Sender) -> None:
    """Rooms send inside savepoints; a crash after one would leave a guard ahead for good."""

    def work() -> None:
        with sender.database.write() as session:
            with session.begin_nested():
                sender.post.send(session, sender.draft(case="c1"), now=sender.clock.now())
            assert guarded(sender) == {}
            raise PowerCutError

    with pytest.raises(PowerCutError):
        work()
    assert guarded(sender) == {}


def test_a_savepoint_that_was_undone_promises_nothing(sender: Sender) -> None:
    """An answer in parts: the second is refused, so the first is undone, and the rest goes on."""
    with sender.database.write() as session:
        with pytest.raises(PowerCutError), session.begin_nested():
            cut(sender, session, "c1")
        session.merge(MarkRow(name="x", value="y"))
    assert (rows(sender), guarded(sender)) == ([], {})
    with sender.database.write() as session:
        assert restored.check_at_start(session, sender.identities["a"]) == ""


def test_each_commit_of_one_session_promises_what_it_holds(sender: Sender) -> None:
    def work() -> None:
        with sender.database.write() as session:
            sender.post.send(session, sender.draft(case="c1"), now=sender.clock.now())
            session.commit()
            cut(sender, session, "c2")

    with pytest.raises(PowerCutError):
        work()
    assert [row.case for row in rows(sender)] == ["c1"]
    assert guarded(sender)["routine"][0] == 1


def test_two_members_of_a_hub_have_a_guard_each(both: Sender) -> None:
    both.send(both.draft(sender="lead", case="c1"), both.draft(sender="consortium", case="c2"))
    assert guarded(both, "lead")["routine"] != guarded(both, "consortium")["routine"]
    assert {guarded(both, name)["routine"][0] for name in ("lead", "consortium")} == {1}


def test_threads_of_one_node_never_sign_one_number(both: Sender) -> None:
    """On PostgreSQL nothing but the head's row keeps them apart."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(8)
    drafts = [both.draft(sender="lead", case=f"c{n}") for n in range(8)]

    def send(number: int) -> None:
        barrier.wait(30)
        try:
            both.send(drafts[number])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert [row.seq for row in rows(both)] == list(range(1, 9))
    with both.database.read() as session:
        assert session.get_one(OwnHeadRow, ("lead-1", "routine")).seq == 8
    assert guarded(both, "lead")["routine"][0] == 8


def test_two_clicks_at_once_are_one_exchange(both: Sender) -> None:
    draft = both.draft(sender="lead", case="c1")
    seen: list[bool] = []
    barrier = threading.Barrier(4)

    def click() -> None:
        barrier.wait(30)
        seen.append(both.send(draft)[0].again)

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(seen) == [False, True, True, True]
    assert len(rows(both)) == 1


# ---------------------------------------------------------------- restored, attachments


def test_a_restored_node_signs_nothing_and_shows_why(sender: Sender) -> None:
    with sender.database.write() as session:
        restored.mark(session, "a-1", "behind")
    with pytest.raises(Refusal, match=r"exchange\.restored"):
        sender.open("c1")
    with sender.database.read() as session:
        assert sender.post.preview(session, sender.draft(case="c1"), now=sender.clock.now()) is None


def test_attachments_are_committed_to_in_their_order(sender: Sender, tmp_path: Path) -> None:
    store = blobs.BlobStore(tmp_path / "blobs")
    with sender.database.write() as session:
        sealed = [
            blobs.seal(session, store, raw, name="x", content_type="image/png",
                       now=sender.clock.now())
            for raw in (b"one", b"two")
        ]  # fmt: skip
    ids = tuple(one.id for one in sealed)
    sender.send(sender.draft(case="c1", attachments=ids))
    [row] = rows(sender)
    parts = [commitment.Part(one.size, one.id) for one in sealed]
    assert jws.parse(row.jws).header.parts == commitment.commit_parts(parts)
    with sender.database.read() as session:
        kept = [session.get_one(BlobUseRow, (one, row.id)) for one in ids]
    assert {one.state for one in kept} == {blobs.QUEUED}
    with pytest.raises(Refusal, match=r"blob\.unknown"):
        sender.send(sender.draft(case="c2", attachments=("0" * 64,)))
    with pytest.raises(Refusal, match=r"blob\.too_many"):
        sender.send(sender.draft(case="c2", attachments=tuple(f"{n:064x}" for n in range(33))))


@pytest.mark.parametrize("raw", [b"", bytes(5 * 1024 * 1024 + 1)])
def test_attachments_have_a_size(sender: Sender, tmp_path: Path, raw: bytes) -> None:
    store = blobs.BlobStore(tmp_path / "blobs")
    with sender.database.write() as session, pytest.raises(Refusal, match=r"blob\."):
        blobs.seal(session, store, raw, name="x", content_type="x/y", now=sender.clock.now())
