"""Hubs that withhold, reorder, renumber, or show old or other heads: each is found out."""

import random
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from consortium.exchange import alarms, feed, heads_kind
from consortium.exchange.alarms import Alarm
from consortium.exchange.caller import Caller
from consortium.exchange.commitment import b64
from consortium.exchange.kinds import QueryType
from consortium.exchange.mirrorasking import Mirrors
from consortium.exchange.mirrordesk import MirrorDesk
from consortium.exchange.mirrorpages import MirrorPages
from consortium.exchange.tables import FeedRow, MarkRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal
from consortium.ports import Link
from consortium.wiring.links import InProcessLink
from tests.consortium.exchange.kinds import MIRROR
from tests.consortium.exchange.liars import Frames, lies, withholding
from tests.consortium.exchange.world import HUB, World
from tests.support.clock import VirtualClock

Make = Callable[..., World]


def busy(world: World, rng: random.Random, times: int) -> None:
    """Some exchanges, mostly to b."""
    for number in range(times):
        sender, to = rng.choice([("a", "b"), ("a", "b"), ("lead", "b"), ("b", "a"), ("a", "lead")])
        case = f"{sender}{number}-{rng.randrange(10**6)}"
        world.members[sender].send("test.open/1", (to,), case=case, urgency="routine")
    for name in ("a", "lead", "b", HUB):
        world.members[name].sync()
    world.publish()


def indices(world: World, member: str) -> list[int]:
    with world.hub_database.read() as session:
        rows = select(FeedRow.index).where(FeedRow.member == member).order_by(FeedRow.number)
        return list(session.scalars(rows))


def told(world: World, member: str) -> list[Alarm]:
    with world.databases[member].read() as session:
        return [one for one in alarms.of_node(session) if one.about == member]


@pytest.mark.parametrize("seed", range(1))
def test_one_entry_withheld_from_one_member_is_found_and_named(
    make_world: Make, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    found_and_named(make_world(), monkeypatch, seed, times=12)


def test_it_is_found_with_a_hub_on_postgresql(
    tmp_path: Path, new_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    found_and_named(World(tmp_path, new_database), monkeypatch, 7, times=6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 15))
def test_one_in_a_thousand_is_found_every_time(
    make_world: Make, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    found_and_named(make_world(), monkeypatch, seed, times=1000)


def found_and_named(
    world: World, monkeypatch: pytest.MonkeyPatch, seed: int, *, times: int
) -> None:
    """The hub never shows b one of its entries; the next heads find it out, the list names it."""
    rng = random.Random(seed)
    busy(world, rng, 3)
    world.settle()
    assert world.say_heads()
    world.settle()
    assert told(world, "b") == []
    with world.hub_database.read() as session:
        size = journal.size(session)
    world.clock.advance(hours=1)
    world.members["b"].link.cut = True
    busy(world, rng, times)
    new = [index for index in indices(world, "b") if index >= size]
    hidden = rng.choice(new)
    monkeypatch.setattr(feed, "page", withholding("b", hidden))
    world.members["b"].link.cut = False
    world.members["b"].sync()
    assert [one.code for one in told(world, "b")] == []
    assert world.say_heads()
    world.members["b"].sync()
    (alarm,) = told(world, "b")
    assert (alarm.code, alarm.facts["entry"], alarm.facts["what"]) == (
        "feed.short", hidden, "missing",
    )  # fmt: skip
    assert alarm.facts["number"] == alarm.facts["mine"] + 1
    assert told(world, "a") == []


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_hub_that_hides_it_from_its_list_too_shows_no_list_that_was_signed(
    make_world: Make, monkeypatch: pytest.MonkeyPatch, mirrored: bool
) -> None:
    """Where there is a mirror its list, from the leaves, names the very entry."""
    world = make_world("a", "b", MIRROR, mirror=True) if mirrored else make_world()
    busy(world, random.Random(1), 6)
    hidden = indices(world, "b")[-1]
    world.members["b"].link.cut = True
    monkeypatch.setattr(feed, "page", withholding("b", hidden))
    full = heads_kind.feed_of

    def short(session: Any, member: str, params: Any) -> dict[str, Any]:
        answer = full(session, member, params)
        return {**answer, "items": [one for one in answer["items"] if one[0] != hidden]}

    world.desk._queries = {"feed.of": QueryType("feed.of", short)}
    world.members["b"].link.cut = False
    assert world.say_heads()
    if mirrored:
        world.members[MIRROR].sync()
        b = world.members["b"].courier
        assert b is not None
        pages = MirrorPages(world.registry, HUB)
        desk = MirrorDesk(world.databases[MIRROR], pages, clock=world.clock)
        peers: dict[str, Link] = {
            "http://nobody": world.members["b"].link,
            "http://m": InProcessLink(desk),
        }
        b.mirrors = Mirrors(
            b.witnessing, b.identity, world.clock, lambda url: nullcontext(peers[url]), [*peers]
        )
    world.members["b"].sync()
    world.members["b"].sync()
    (alarm,) = told(world, "b")
    assert (alarm.code, alarm.facts["list"]) == ("feed.short", "unproven")
    assert alarm.facts["after"] < hidden <= alarm.facts["upto"]
    named = (alarm.facts.get("entry"), alarm.facts.get("what"))
    assert named == ((hidden, "missing") if mirrored else (None, None))


def test_a_mirror_answers_nothing_but_the_askers_own_feed(make_world: Make) -> None:
    world = make_world("a", "b", MIRROR, mirror=True)
    busy(world, random.Random(2), 4)
    world.settle()
    pages = MirrorPages(world.registry, HUB)
    desk = MirrorDesk(world.databases[MIRROR], pages, clock=world.clock)
    asks = Caller(world.identities["b"], InProcessLink(desk), world.clock)
    reply = asks.query("feed.of", {"after": 0, "member": "a"})
    assert reply is not None
    assert [index for index, _ in reply["answer"]["items"]] == indices(world, "b")
    for name, params in (("slots.free", {}), ("feed.of", {"after": -1})):
        with pytest.raises(Refusal):
            asks.query(name, params)
    stranger = replace(world.identities["a"], node="z-1")
    with pytest.raises(Refusal, match=r"sync\.node"):
        Caller(stranger, InProcessLink(desk), world.clock).query("feed.of", {"after": 0})


def swapped(meta: dict[str, Any], parts: Frames) -> tuple[dict[str, Any], Frames]:
    """Two entries in another order, numbered as if nothing were."""
    if len(meta["items"]) < 2:
        return meta, parts
    first, second, *rest = meta["items"]
    first, second = {**second, "number": first["number"]}, {**first, "number": second["number"]}
    return {**meta, "items": [first, second, *rest]}, parts[3:6] + parts[:3] + parts[6:]


def renumbered(meta: dict[str, Any], parts: Frames) -> tuple[dict[str, Any], Frames]:
    """A number is left out."""
    items = [{**one, "number": one["number"] + 1} for one in meta["items"]]
    return {**meta, "items": items}, parts


def test_a_feed_in_another_order_or_with_other_numbers_is_an_alarm_at_once(
    make_world: Make,
) -> None:
    world = make_world()
    world.members["b"].link.cut = True
    busy(world, random.Random(2), 6)
    world.members["b"].link.cut = False
    for change in (swapped, renumbered):
        lies(world, "b", change)
        world.members["b"].sync()
        assert [one.code for one in told(world, "b")] == ["feed.broken"]
        with world.databases["b"].write() as session:
            alarms.drop(session, "feed.broken", about="b")


def another_head(meta: dict[str, Any], parts: Frames) -> tuple[dict[str, Any], Frames]:
    """Another number than the one that stands under the root."""
    if "receipt" in meta["heads"]:
        meta["heads"]["number"] += 1
    return meta, parts


def other_facts(meta: dict[str, Any], parts: Frames) -> tuple[dict[str, Any], Frames]:
    """Facts that the header of the entry does not commit to."""
    if "receipt" in meta["heads"]:
        meta["heads"]["facts"] = b64(bytes(32) + b'{"count":1,"index":1,"root":"x"}')
    return meta, parts


def another_entry(meta: dict[str, Any], parts: Frames) -> tuple[dict[str, Any], Frames]:
    """Another entry than the receipt proves."""
    if "receipt" in meta["heads"]:
        meta["heads"]["entry"] += 1
    return meta, parts


def test_heads_that_are_shown_to_one_member_alone_prove_nothing(make_world: Make) -> None:
    world = make_world()
    busy(world, random.Random(3), 6)
    world.settle()
    assert world.say_heads()
    for change, found in ((another_head, "path"), (other_facts, "exchange.facts"),
                          (another_entry, "heads.not_hub")):  # fmt: skip
        lies(world, "b", change)
        world.members["b"].sync()
        assert [(one.code, one.facts) for one in told(world, "b")] == [
            ("feed.unproven", {"found": found})
        ]
        with world.databases["b"].write() as session:
            alarms.drop(session, "feed.unproven", about="b")
    world.settle()
    assert told(world, "a") == told(world, "lead") == []


def test_heads_that_go_back_are_an_alarm(make_world: Make) -> None:
    """Two heads of one index would let a hub show each member another tree."""
    world = make_world()
    busy(world, random.Random(4), 3)
    world.settle()
    assert world.say_heads()
    world.settle()
    with world.databases["b"].write() as session:
        # as if b had been shown heads of a later index, by a hub that shows others to a
        row = session.get_one(MarkRow, "heads:b")
        row.value = orjson.dumps({**orjson.loads(row.value), "entry": 1, "seen": 999}).decode()
    world.members["b"].sync()
    assert [one.code for one in told(world, "b")] == ["feed.back"]


def no_heads(meta: dict[str, Any], parts: Frames) -> tuple[dict[str, Any], Frames]:
    return {**meta, "heads": {}}, parts


def test_a_hub_that_says_no_new_heads_is_an_alarm_after_two_hours(make_world: Make) -> None:
    world = make_world()
    busy(world, random.Random(5), 3)
    world.settle()
    lies(world, "b", no_heads)
    assert world.say_heads()
    b = world.members["b"]
    b.sync()
    world.clock.advance(minutes=60)
    b.sync()
    assert told(world, "b") == []
    world.clock.advance(hours=2)
    b.sync()
    assert [one.code for one in told(world, "b")] == ["feed.old"]
    assert b.courier is not None
    b.courier.caller.link = b.link
    b.sync()
    assert told(world, "b") == []


def test_after_a_day_without_a_link_nobody_is_accused_before_the_hub_could_speak(
    make_world: Make,
) -> None:
    world = make_world()
    b = world.members["b"]
    b.sync()
    b.link.cut = True
    b.sync()
    busy(world, random.Random(6), 3)
    world.clock.advance(hours=22)
    b.link.cut = False
    b.sync()
    assert told(world, "b") == []
    world.clock.advance(minutes=6)
    b.sync()
    assert [one.code for one in told(world, "b")] == ["feed.old"]


def test_a_clock_six_minutes_off_is_an_alarm_until_it_is_right(make_world: Make) -> None:
    world = make_world()
    a = world.members["a"]
    assert a.courier is not None
    other = VirtualClock(world.clock.now())
    a.clock = a.courier.clock = a.courier.caller.clock = other
    for number, minutes in enumerate((4, -4, 6, 0, -6, 0)):
        other.jump(seconds=(world.clock.now() - other.now()).total_seconds(), minutes=minutes)
        a.send("test.open/1", ("b",), case=f"c{number}", urgency="routine")
        for _ in range(3):
            a.courier.run_once(other.now())
            world.publish()
        codes = [one.code for one in told(world, "a")]
        assert codes == (["clock"] if abs(minutes) > 5 else []), minutes
