"""Feed heads: bytes, tree, when the hub says them, who may, what a member finds with them."""

import hashlib
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from consortium.exchange import alarms, feed, heads, heads_audit, heads_kind, state
from consortium.exchange.commitment import b64
from consortium.exchange.feed import Feeds, running_hash
from consortium.exchange.header import Header, Lane
from consortium.exchange.heads import Head, Heads
from consortium.exchange.heads_audit import Accused, Difference, Item, Part
from consortium.exchange.tables import FeedRow, MarkRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.time import to_ms
from consortium.ledger import journal
from tests.consortium.exchange.checks import all_is_well
from tests.consortium.exchange.pens import Hub
from tests.consortium.exchange.world import HUB, World
from tests.support.clock import START, VirtualClock

Make = Callable[..., World]


# ---------------------------------------------------------------- bytes and tree


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(member: str, number: int, running: bytes) -> bytes:
    name = member.encode()
    told = struct.pack(">I", len(name)) + name + struct.pack(">Q", number) + running
    return sha(b"\x00sharing-chain/feed-head/1\x00", told)


def test_the_root_is_over_members_in_order_of_their_bytes() -> None:
    told = [Head("b", 2, b"2" * 32), Head("B", 1, b"1" * 32), Head("c", 3, b"3" * 32)]
    found = Heads(told)
    one, two, three = leaf("B", 1, b"1" * 32), leaf("b", 2, b"2" * 32), leaf("c", 3, b"3" * 32)
    assert found.root == sha(b"\1", sha(b"\1", one, two), three)
    assert found.count == 3
    assert found.of("nobody") is None
    for member in ("B", "b", "c"):
        placed = found.of(member)
        assert placed is not None
        place, head = placed
        path = found.path(place)
        assert heads.stands_under(found.root, head, place=place, count=3, path=path)
        other = Head(member, head.number + 1, head.running)
        assert not heads.stands_under(found.root, other, place=place, count=3, path=path)
        assert not heads.stands_under(found.root, head, place=place, count=3, path=[b"x"])


def test_as_of_an_index_each_feed_stands_where_it_stood_then(database: Database) -> None:
    leaves = {index: sha(b"%d" % index) for index in range(6)}
    with database.write() as session:
        feeds = Feeds(session)
        feeds.open("a", [], at=0)
        feeds.append(("a",), 0, leaves[0])
        feeds.append(("a",), 2, leaves[2])
        feeds.open("b", [(0, leaves[0])], at=4)
        feeds.append(("a", "b"), 4, leaves[4])
        feeds.flush()
        once = running_hash(feed.ZERO, 0, leaves[0])
        a2 = running_hash(once, 2, leaves[2])
        assert heads.as_of(session, 1).all == [Head("a", 1, once)]
        assert heads.as_of(session, 3).all == [Head("a", 2, a2)]
        both = heads.as_of(session, 4)
        assert both.all == heads.as_of(session, 99).all
        assert both.all == [
            Head("a", 3, running_hash(a2, 4, leaves[4])),
            Head("b", 2, running_hash(once, 4, leaves[4])),
        ]


# ---------------------------------------------------------------- who may say them, and when


def test_only_the_hub_says_heads_and_never_of_an_earlier_index(tmp_path: Path) -> None:
    kind = heads_kind.FeedHeads()
    values = state_with(None)

    def judged(index: int, *, sender: str = HUB, to: tuple[str, ...] = ("all",)) -> Any:
        header = Header(
            id="x", kind="feed.heads/1", sender=sender, to=to, node="n", lane=Lane.CONTROL, seq=1,
            prev="", facts="", body="", at="",
        )  # fmt: skip
        facts = {"index": index, "root": "r", "count": 1}
        verdict = kind.judge(values, header, facts, START)
        return verdict.code if isinstance(verdict, Refusal) else verdict

    assert judged(5) == ""
    assert judged(5, sender="lead") == "exchange.not_hub"
    assert judged(5, to=("a",)) == "exchange.recipients"
    assert judged(-1) == "heads.backwards"
    values = state_with({"index": 5})
    assert judged(5) == judged(4) == "heads.backwards"
    assert judged(6) == ""


class state_with:  # noqa: N801 - reads as a word
    def __init__(self, value: dict[str, Any] | None) -> None:
        self._value = value

    def get(self, name: str) -> dict[str, Any] | None:
        assert name == heads.SUBJECT
        return self._value

    def link(self, name: str) -> tuple[str, None]:
        raise AssertionError(name)


def said(world: World) -> list[int]:
    with world.hub_database.read() as session:
        newest = state.read(session, heads.SUBJECT)
    return [] if newest is None else [newest["index"], newest["entry"]]


def test_heads_are_said_once_an_hour_and_only_of_growth(
    tmp_path: Path, new_database: Callable[[], Database]
) -> None:
    world = World(tmp_path, new_database)
    a = world.members["a"]
    a.send("test.open/1", ("b",), case="c1", urgency="routine")
    world.settle()
    assert world.say_heads()
    first = said(world)
    with world.hub_database.read() as session:
        size = journal.size(session)
    assert first == [size - 2, size - 1]
    a.send("test.open/1", ("b",), case="c2", urgency="routine")
    world.settle()
    assert not world.say_heads()
    world.clock.advance(hours=1)
    assert world.say_heads()
    assert said(world)[0] > first[1]
    world.settle()
    all_is_well(world)
    world.clock.advance(hours=5)
    assert not world.say_heads()
    for name in ("a", "b", "lead"):
        with world.databases[name].read() as session:
            assert state.read(session, heads.SUBJECT) == state_of(world)
            assert alarms.of_node(session) == []


def state_of(world: World) -> dict[str, Any] | None:
    with world.hub_database.read() as session:
        return state.read(session, heads.SUBJECT)


def test_a_hub_whose_feeds_were_changed_says_nothing_more_over_it(make_world: Make) -> None:
    world = make_world()
    world.members["a"].send("test.open/1", ("b",), case="c1", urgency="routine")
    world.settle()
    assert world.say_heads()
    with world.hub_database.write() as session:
        row = session.scalars(select(FeedRow).where(FeedRow.member == "b")).all()[-2]
        row.running = bytes(32)
    world.members["a"].send("test.open/1", ("b",), case="c2", urgency="routine")
    world.settle()
    world.clock.advance(hours=1)
    assert not world.say_heads()
    with world.hub_database.read() as session:
        assert [one.code for one in alarms.of_node(session)] == ["feed.changed"]


# ---------------------------------------------------------------- naming, pure


def items(rng: random.Random, count: int) -> list[Item]:
    index, found = 0, []
    for _ in range(count):
        index += rng.randrange(1, 9)
        found.append((index, rng.randbytes(32)))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_whatever_entry_is_left_out_it_is_the_one_that_is_named(seed: int) -> None:
    """One in a thousand, of members with feeds of all lengths, from the signed root alone."""
    rng = random.Random(seed)
    parts = {
        f"m{n}": Part(n, rng.randbytes(32), items(rng, 1000 if n == 3 else rng.randrange(1, 20)))
        for n in range(6)
    }
    honest = Heads([Head(name, *heads_audit.running_over(part)) for name, part in parts.items()])
    member = rng.choice(sorted(parts))
    part = parts[member]
    hidden = part.items[-rng.randrange(1, min(60, len(part.items)) + 1)][0]
    short = Part(part.number, part.running, [one for one in part.items if one[0] != hidden])
    lied = {**{one.member: one for one in honest.all},
            member: Head(member, *heads_audit.running_over(short))}  # fmt: skip
    root = Heads(list(lied.values())).root

    def accused(root: bytes, count: int = 6) -> Accused | None:
        return heads_audit.accuse(root, count=count, honest=honest, parts=parts, after=3, upto=9000)

    assert accused(root) == Accused("missing", member, hidden, 3, 9000)
    assert accused(honest.root) is None
    assert accused(root, 7) == Accused("count", "", -1, 3, 9000)
    assert heads_audit.compare(short.items, part.items) == Difference("missing", hidden)
    assert heads_audit.compare(part.items, short.items) == Difference("extra", hidden)
    assert heads_audit.compare(part.items, part.items) == Difference("same", -1)
    other = [(index, bytes(32) if index == hidden else one) for index, one in part.items]
    assert heads_audit.compare(other, part.items) == Difference("other", hidden)


def test_what_no_single_omission_explains_is_a_range() -> None:
    rng = random.Random(1)
    part = Part(0, feed.ZERO, items(rng, 5))
    honest = Heads([Head("a", *heads_audit.running_over(part))])
    found = heads_audit.accuse(
        rng.randbytes(32), count=1, honest=honest, parts={"a": part}, after=-1, upto=50
    )
    assert found == Accused("range", "", -1, -1, 50)


def test_who_holds_all_feeds_names_member_and_entry(tmp_path: Path, database: Database) -> None:
    """A hub whose own table is short signs a root that fits it; the true feeds show the entry."""
    hub = Hub(database, tmp_path)
    a, b = hub.pens["a"], hub.pens["b"]
    hub.admit(*(a.open(f"c{n}", to="b") for n in range(4)), b.open("d1", to="lead"))
    with database.read() as session:
        upto = journal.size(session) - 1
        honest = heads.as_of(session, upto)
        rows = session.scalars(select(FeedRow).where(FeedRow.member == "b")).all()
        leaves = journal.leaves(session, [row.index for row in rows])
        hidden, running, number = rows[2].index, feed.ZERO, 0
        for row in rows:
            if row.index != hidden:
                number += 1
                running = running_hash(running, row.index, journal.hash_leaf(leaves[row.index]))
        lied = [one for one in honest.all if one.member != "b"] + [Head("b", number, running)]
        root = b64(Heads(lied).root)
        for after in (-1, 0, 1):
            found = heads_audit.audit(
                session, root=root, count=honest.count, upto=upto, after=after
            )
            assert found == Accused("missing", "b", hidden, after, upto)
        true = b64(honest.root)
        assert heads_audit.audit(session, root=true, count=honest.count, upto=upto) is None


# ---------------------------------------------------------------- alarms


def test_the_newest_alarms_are_told_however_many_there_are(sqlite: Database) -> None:
    clock = VirtualClock()
    with sqlite.write() as session:
        for number in range(505, 0, -1):
            clock.advance(seconds=1)
            value = {"code": "x", "about": "", "since_ms": to_ms(clock.now()), "facts": {}}
            name = f"alarm:x:{number:04}"
            session.add(MarkRow(name=name, value=orjson.dumps(value).decode()))
        clock.advance(seconds=1)
        alarms.put(session, "z", now=clock.now())
        assert [one.id for one in alarms.of_node(session, limit=2)] == ["alarm:z:", "alarm:x:0001"]
        assert alarms.counts(session) == {"x": 505, "z": 1}


def test_an_alarm_keeps_its_first_time_and_its_facts_and_takes_new_ones(sqlite: Database) -> None:
    clock = VirtualClock()
    with sqlite.write() as session:
        alarms.put(session, "feed.short", about="b", now=clock.now(), upto=5)
        clock.advance(hours=1)
        alarms.put(session, "feed.short", about="b", now=clock.now(), upto=9, entry=4)
        alarms.put(session, "clock", about="b", now=clock.now(), minutes=6)
        found = alarms.of_node(session)
        assert [(one.code, one.since) for one in found] == [
            ("clock", clock.now()), ("feed.short", START),
        ]  # fmt: skip
        assert found[1].facts == {"upto": 5, "entry": 4}
        assert len(alarms.of_node(session, limit=1)) == 1
        alarms.drop(session, "clock", about="b")
        assert alarms.standing(session, "clock", about="b") is None
        with pytest.raises(Refusal) as refused:
            alarms.acknowledge(session, "alarm:clock:b", actor=None, now=START)  # type: ignore[arg-type]
        assert refused.value.kind is RefusalKind.MISSING
