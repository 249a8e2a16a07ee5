"""Feeds: numbered, hashed over what was delivered, begun with what went to all before."""

import hashlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from consortium.exchange import feed, state
from consortium.exchange.commitment import b64
from consortium.exchange.feed import Feeds, running_hash
from consortium.exchange.header import Lane
from consortium.exchange.tables import EntryRow, FeedHeadRow, FeedRow
from consortium.kernel.database import Database
from consortium.ledger import journal
from tests.consortium.exchange.pens import Hub, Pen


@given(st.lists(st.tuples(st.integers(0, 2**63), st.binary(min_size=32, max_size=32))))
def test_the_running_hash_is_over_every_index_and_leaf(entries: list[tuple[int, bytes]]) -> None:
    mine = plain = feed.ZERO
    for index, leaf in entries:
        mine = running_hash(mine, index, leaf)
        head = b"sharing-chain/feed/1\0" + plain + struct.pack(">Q", index) + leaf
        plain = hashlib.sha256(head).digest()
    assert mine == plain


def test_number_0_is_32_zero_bytes() -> None:
    assert bytes(32) == feed.ZERO


def test_a_member_without_a_feed_gets_nothing(sqlite: Database) -> None:
    with sqlite.write() as session:
        feeds = Feeds(session)
        feeds.append(("nobody",), 3, bytes(32))
        feeds.open("a", [(1, b"1" * 32), (2, b"2" * 32)], at=2)
        feeds.open("a", [(9, b"9" * 32)], at=9)
        feeds.append(("a", "nobody"), 3, b"3" * 32)
        feeds.flush()
    with sqlite.read() as session:
        rows = session.execute(select(FeedRow.member, FeedRow.number, FeedRow.index))
        assert [tuple(row) for row in rows] == [("a", 1, 1), ("a", 2, 2), ("a", 3, 3)]


def running(hub: Hub, member: str) -> list[tuple[int, int, bytes]]:
    with hub.database.read() as session:
        rows = session.execute(
            select(FeedRow.number, FeedRow.index, FeedRow.running)
            .where(FeedRow.member == member)
            .order_by(FeedRow.number)
        ).all()
        head = session.get(FeedHeadRow, member)
    if head is not None:
        assert (head.number, head.running) == (rows[-1][0], rows[-1][2])
    return [(number, index, hashed) for number, index, hashed in rows]


def checked(hub: Hub, member: str) -> list[int]:
    """The indices of a feed, after its hashes were made again from the ledger's leaves."""
    found = running(hub, member)
    with hub.database.read() as session:
        leaves = journal.leaves(session, [index for _, index, _ in found])
    hashed = feed.ZERO
    for place, (number, index, kept) in enumerate(found, 1):
        hashed = running_hash(hashed, index, journal.hash_leaf(leaves[index]))
        assert (number, kept) == (place, hashed)
    return [index for _, index, _ in found]


@pytest.fixture
def hub(tmp_path: Path, database: Database) -> Hub:
    return Hub(database, tmp_path)


def test_each_feed_holds_what_concerns_its_member(hub: Hub) -> None:
    a, b = hub.pens["a"], hub.pens["b"]
    hub.admit(a.open("c1"), b.open("c2", to="a"), a.open("c1"))
    hub.admit(b.say("nowhere"))
    assert checked(hub, "a") == [0, 1, 2, 3]
    assert checked(hub, "b") == [0, 2, 4]
    assert checked(hub, "lead") == [0, 1]
    assert checked(hub, "consortium") == [0]


def seed_more(hub: Hub, *names: str) -> bytes:
    """A later entry that brings members in; by the hub's node, so its key is known."""
    pens = [Pen(name) for name in names]
    hub.pens |= {pen.member: pen for pen in pens}
    facts = {
        "nodes": {pen.member: b64(pen.key.public) for pen in pens},
        "sealing": dict.fromkeys(names, "age1x"),
    }
    return hub.pens["consortium"].write(
        "test.seed/1", ("all",), facts=facts, open_bundle=b"{}", lane=Lane.CONTROL
    )


def test_a_new_members_feed_begins_with_what_went_to_all(hub: Hub) -> None:
    a = hub.pens["a"]
    assert hub.verdicts(a.open("c1"), seed_more(hub, "c"), a.open("c2")) == ["ok"] * 3
    assert checked(hub, "c") == [0, 2]
    # also those of the same push before it, and of earlier ones
    assert hub.verdicts(seed_more(hub, "d"), seed_more(hub, "e"), a.open("c3")) == ["ok"] * 3
    assert checked(hub, "e") == [0, 2, 4, 5]
    assert checked(hub, "d") == [0, 2, 4, 5]
    assert checked(hub, "c") == [0, 2, 4, 5]
    assert hub.verdicts(hub.pens["c"].open("c9", to="e")) == ["ok"]
    assert checked(hub, "e")[-1] == checked(hub, "c")[-1] == 7


def test_a_feed_page_is_bounded_by_bytes_and_count(hub: Hub) -> None:
    a = hub.pens["a"]
    hub.admit(*(a.open(f"c{n}") for n in range(9)))
    with hub.database.read() as session:
        few = feed.page(session, "lead", after=0, limit=4, most_bytes=10**6)
        assert [one.number for one in few] == [1, 2, 3, 4]
        small = feed.page(session, "lead", after=2, limit=99, most_bytes=1)
        assert [one.number for one in small] == [3]
        assert feed.page(session, "lead", after=99, limit=9, most_bytes=9) == []
        assert feed.among(session, "lead", [0, 1, 5, 99]) == [0, 1, 5]
        assert feed.among(session, "b", [0, 1, 5]) == [0]


def test_erased_facts_and_bodies_leave_the_hash_as_it_was(hub: Hub) -> None:
    hub.admit(hub.pens["a"].open("c1"))
    before = checked(hub, "lead")
    with hub.database.write() as session:
        row = session.get_one(EntryRow, 1)
        row.facts = row.body = None
    assert checked(hub, "lead") == before


def test_a_refused_exchange_is_in_its_senders_feed_alone(hub: Hub) -> None:
    a = hub.pens["a"]
    hub.admit(a.open("c1"), a.open("c1"))
    with hub.database.read() as session:
        rows = session.execute(select(FeedRow.member, FeedRow.index).where(FeedRow.index > 0))
        assert {tuple(row) for row in rows} == {("a", 1), ("lead", 1), ("a", 2)}
        kept = session.get_one(EntryRow, 2)
        assert (kept.verdict, kept.facts is None) == ("test.open", False)


# ---------------------------------------------------------------- shared state


def test_links_follow_what_is_held_in_memory(sqlite: Database) -> None:
    with sqlite.write() as session:
        case = {"parties": [], "thing": "thing:t"}
        thing = {"parties": ["lead"], "holder": "a"}
        state.write(session, {"case:1": (case, 0), "thing:t": (thing, 0)}, frozenset())
        held = state.Held(session)
        held.load(["case:1>thing", "case:2>thing", "case:1"])
        assert held.link("case:1>thing") == ("thing:t", thing)
        assert held.link("case:2>thing") == ("", None)
        assert held.resolve(["case:1", "case:1>thing", "case:2>thing", "case:1"]) == [
            "case:1", "thing:t"
        ]  # fmt: skip
        held.put("case:1", {**case, "thing": "thing:u"}, 5)
        assert held.resolve(["case:1>thing"]) == ["thing:u"]
        held.put("thing:u", thing, 6)
        held.flush()
    with sqlite.read() as session:
        assert state.read_many(session, ["case:1", "thing:u", "x"]).keys() == {"case:1", "thing:u"}
        assert [name for name, _ in state.scan(session, "thing:")] == ["thing:t", "thing:u"]
        assert state.read(session, "case:2") is None


def test_state_is_read_in_chunks(sqlite: Database) -> None:
    names = [f"thing:{n:04}" for n in range(1000)]
    with sqlite.write() as session:
        state.write(session, {name: ({"n": name}, 1) for name in names}, frozenset())
        state.write(session, {names[0]: ({"n": "new"}, 2)}, frozenset(names))
    with sqlite.read() as session:
        assert len(state.read_many(session, names)) == 1000
        assert state.read(session, names[0]) == {"n": "new"}
        assert len(state.scan(session, "thing:", limit=10)) == 10
