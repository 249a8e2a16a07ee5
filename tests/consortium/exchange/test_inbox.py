"""What a recipient checks again by itself, and what it does when it finds something else."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from consortium.exchange import alarms, commitment, feed, jws, restored, state, timeline
from consortium.exchange.candidate import Candidate
from consortium.exchange.commitment import b64
from consortium.exchange.envelope import Envelope, unpack
from consortium.exchange.facts import Value
from consortium.exchange.folding import Folding
from consortium.exchange.header import Header, Lane
from consortium.exchange.inbox import Inbox
from consortium.exchange.kinds import ExchangeKind, Registry
from consortium.exchange.received import FeedBroken, Item
from consortium.exchange.sealing import seal
from consortium.exchange.tables import FeedCursorRow, FeedRow, InboxRow
from consortium.fhir import message as messages
from consortium.ledger import journal
from tests.consortium.exchange.files import document
from tests.consortium.exchange.kinds import AllowAll, taken
from tests.consortium.exchange.pens import Pen
from tests.consortium.exchange.world import HUB, World

Make = Callable[..., World]


@pytest.fixture
def world(make_world: Make) -> World:
    return make_world()


def pen_of(world: World, name: str) -> Pen:
    """A pen with a member's own key, standing where its chains stand at the hub."""
    pen = Pen(name)
    pen.key = world.identities[name].signer  # type: ignore[assignment]
    return pen


def push(world: World, raw: bytes) -> str:
    """Have the hub admit it; its verdict."""
    [answer] = world.admission.admit([raw])
    return journal.read_leaf(answer.leaf.encode()).verdict if answer.leaf else answer.status.value


def rows(world: World, name: str) -> dict[str, InboxRow]:
    with world.databases[name].read() as session:
        found = session.scalars(select(InboxRow).where(InboxRow.member == name))
        return {row.exchange: row for row in found}


def disputes(world: World) -> list[tuple[int, str]]:
    """(entry, member) of the disputes that the hub was told of."""
    with world.hub_database.read() as session:
        found = [one.facts for one in alarms.of_node(session) if one.code == "dispute"]
    return sorted((one["entry"], one["member"]) for one in found)


# ---------------------------------------------------------------- a hub that judges wrongly


def wrong(monkeypatch: pytest.MonkeyPatch, verdict: str, kind: str) -> None:
    """The hub's admission gives this verdict to every exchange of a kind."""
    real = Folding._verdict

    def judged(self: Folding, one: Candidate, known: ExchangeKind, *more: Any) -> str:
        return verdict if known.name == kind else real(self, one, known, *more)

    monkeypatch.setattr(Folding, "_verdict", judged)


def test_a_wrong_admission_is_kept_not_applied_and_disputed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = world.members["a"], world.members["b"]
    a.send("test.open/1", ("b",), case="c1", urgency="routine")
    a.send("test.say/1", ("b",), case="c1", close=True)
    world.settle()
    wrong(monkeypatch, "ok", "test.say/1")
    pen = standing(world, "a")
    late = sealed(world, pen, "test.say/1", "b", case="c1", close=False)
    assert push(world, late) == "ok"
    monkeypatch.undo()
    world.settle()
    exchange = jws.parse(unpack(late).jws).header.id
    for name in ("a", "b"):
        row = rows(world, name)[exchange]
        assert (row.state, row.alarm) == ("alarm", "test.closed")
        assert exchange not in seen(world, name)
        with world.databases[name].read() as session:
            case = state.read(session, "case:c1")
            assert [one.alarm for one in timeline.alarms(session, member=name)] == ["test.closed"]
        assert case is not None
        assert (case["state"], case["said"]) == ("closed", 1)
    assert disputes(world) == [(rows(world, "b")[exchange].index, name) for name in ("a", "b")]
    # the feed goes on behind it
    told = b.send("test.open/1", ("a",), case="c2", urgency="routine")
    world.settle()
    assert told.id in seen(world, "a")


def standing(world: World, name: str) -> Pen:
    """A pen that goes on where a member's own outbox stands."""
    pen = pen_of(world, name)
    with world.databases[name].read() as session:
        known = restored.heads(session, f"{name}-1")
    pen.heads = {Lane(lane): head for lane, head in known.items()}
    return pen


def seen(world: World, name: str) -> list[str]:
    with world.databases[name].read() as session:
        return taken(session, name)


@pytest.mark.parametrize("verdict", ["ok other", "ok got more"])
def test_other_outcome_words_are_a_wrong_verdict(
    world: World, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:
    wrong(monkeypatch, verdict, "test.open/1")
    sent = world.members["a"].send("test.open/1", ("b",), case="c1", urgency="routine")
    world.settle()
    for name in ("a", "b"):
        assert rows(world, name)[sent.id].state == "alarm"
        assert sent.id not in seen(world, name)


def test_where_not_all_is_held_the_verdict_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claimer does not hold the thing: mirrors find this one, a member cannot."""
    a, b = world.members["a"], world.members["b"]
    a.send("test.claim/1", ("lead",), case="ca", thing="t")
    world.settle()
    wrong(monkeypatch, "ok got", "test.claim/1")
    sent = b.send("test.claim/1", ("lead",), case="cb", thing="t")
    world.settle()
    assert rows(world, "b")[sent.id].state == "applied"


# ---------------------------------------------------------------- what only the body shows


def sealed(
    world: World, pen: Pen, kind: str, to: str, *, case: str, says: dict[str, Any] | None = None,
    bundle_of: str = "", files: Sequence[dict[str, Any]] = (), parts: str = "", **facts: Any,
) -> bytes:  # fmt: skip
    """A sealed exchange; `says` is what its body holds, where that is not what its facts say."""
    salt, told = bytes(32), messages.parameters(**(facts if says is None else says))
    exchange = pen.new_id()
    body = messages.build(
        kind.partition("/")[0], source=pen.member, destinations=(to,),
        exchange_id=bundle_of or exchange, now=world.clock.now(),
        resources=[told, *(document(f"d{n}", one) for n, one in enumerate(files))],
    )  # fmt: skip
    closed = seal(commitment.plain_body(body, salt), [world.sealing[to], world.sealing[pen.member]])
    return pen.write(
        kind, (to,), id=exchange, case=case, facts=facts, body_salt=salt, bundle=body, body=closed,
        parts=parts,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ({"says": {"urgency": "urgent"}}, "exchange.facts_differ"),
        ({"says": {}}, "exchange.facts_differ"),
        ({"bundle_of": "another"}, "exchange.body"),
    ],
)
def test_a_body_that_says_something_else_is_refused(
    world: World, lie: dict[str, Any], code: str
) -> None:
    pen = pen_of(world, "a")
    raw = sealed(world, pen, "test.open/1", "b", case="c1", urgency="routine", **lie)
    assert push(world, raw) == "ok"
    world.members["b"].sync()
    exchange = jws.parse(unpack(raw).jws).header.id
    row = rows(world, "b")[exchange]
    assert (row.state, row.alarm) == ("kept", code)
    world.members["b"].sync()
    with world.hub_database.read() as session:
        case = state.read(session, "case:c1")
    assert case is not None
    assert case["body_refused"] == {"of": exchange, "code": code}


def test_a_body_sealed_to_others_is_refused(world: World) -> None:
    pen = pen_of(world, "a")
    raw = sealed(world, pen, "test.open/1", "b", case="c1", urgency="routine")
    one = unpack(raw)
    other = seal(b"x" * 40, [world.sealing["lead"]])
    assert push(world, Envelope(one.jws, one.facts, other).pack()) == "ok"
    world.members["b"].sync()
    [row] = [row for row in rows(world, "b").values() if row.case == "c1"]
    assert row.alarm == "exchange.sealed_to_others"


def test_a_body_of_another_exchange_does_not_open_the_commitment(world: World) -> None:
    pen = pen_of(world, "a")
    one = unpack(sealed(world, pen, "test.open/1", "b", case="c1", urgency="routine"))
    two = unpack(sealed(world, pen, "test.open/1", "b", case="c2", urgency="routine"))
    assert push(world, Envelope(one.jws, one.facts, two.body).pack()) == "ok"
    world.members["b"].sync()
    [row] = [row for row in rows(world, "b").values() if row.case == "c1"]
    assert row.alarm == "exchange.body"


# ---------------------------------------------------------------- body.refuse


def refusal(world: World, pen: Pen, of: str, to: str, case: str) -> str:
    raw = sealed(world, pen, "body.refuse/1", to, case=case, of=of, code="test.bad")
    return push(world, raw)


def case_of(world: World, name: str) -> Value:
    with world.hub_database.read() as session:
        value = state.read(session, f"case:{name}")
    assert value is not None
    return value


def test_only_what_the_refused_exchange_did_is_put_back(world: World) -> None:
    """Else a party could undo any step of a case by refusing some old body."""
    a = world.members["a"]
    first = a.send("test.open/1", ("b",), case="c1", urgency="routine")
    closed = a.send("test.say/1", ("b",), case="c1", close=True)
    world.settle()
    pen = pen_of(world, "b")
    # an older one: it is told, and nothing moves
    assert refusal(world, pen, first.id, "a", "c1") == "ok"
    assert case_of(world, "c1")["state"] == "closed"
    # not the exchange's sender: nothing moves either
    pen_lead = pen_of(world, "lead")
    assert refusal(world, pen_lead, closed.id, "a", "c1") == "exchange.not_party"
    # the last one, by its recipient, to its sender
    assert refusal(world, pen, closed.id, "a", "c1") == "ok"
    assert case_of(world, "c1")["state"] == "open"
    # and only once
    assert refusal(world, pen, closed.id, "a", "c1") == "ok"
    assert case_of(world, "c1")["state"] == "open"


def test_nobody_refuses_his_own_body(world: World) -> None:
    a = world.members["a"]
    sent = a.send("test.open/1", ("b",), case="c1", urgency="routine")
    world.settle()
    pen = standing(world, "a")
    assert refusal(world, pen, sent.id, "a", "c1") == "exchange.not_party"


# ---------------------------------------------------------------- the feed itself


def items(world: World, name: str) -> list[Item]:
    """What the hub would serve to a member."""
    with world.hub_database.read() as session:
        page = feed.page(session, name, after=0, limit=99, most_bytes=10**7)
        leaves = journal.leaves(session, [one.index for one in page])
    return [Item(one.number, one.index, leaves[one.index], one.facts, one.body) for one in page]


def next_item(world: World) -> Item:
    """An entry from a to b that b has not taken."""
    world.members["a"].send("test.open/1", ("b",), case="c1", urgency="routine")
    world.members["a"].sync()
    return items(world, "b")[-1]


def take(world: World, item: Item, name: str = "b") -> str:
    member = world.members[name]
    with member.database.write() as session:
        return member.inbox.take(session, name, item, now=world.clock.now())


def test_an_entry_as_it_should_be_is_applied(world: World) -> None:
    assert take(world, next_item(world)) == "applied"


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2}, {"number": 1}, {"number": 99}, {"index": 0}, {"index": -1},
        {"leaf": b""}, {"leaf": b"1 ok\na.b.c"}, {"leaf": b"x" * 9000},
    ],
)  # fmt: skip
def test_a_feed_that_does_not_go_on_is_not_taken(world: World, change: dict[str, Any]) -> None:
    item = next_item(world)
    with pytest.raises(FeedBroken):
        take(world, replace(item, **change))
    with world.databases["b"].read() as session:
        cursor = session.get_one(FeedCursorRow, "b")
    assert cursor.number == item.number - 1
    assert take(world, item) == "applied"


def alarm_of(world: World, item: Item, name: str = "b") -> str:
    assert take(world, item, name) == "alarm"
    with world.databases[name].read() as session:
        return session.get_one(InboxRow, (name, item.index)).alarm


def forged(item: Item, **fields: Any) -> Item:
    """The same entry with another header, under the old signature."""
    time_ms, verdict, raw = journal.read_leaf(item.leaf)
    head = jws.parse(raw).header
    same = {name: getattr(head, name) for name in Header.__slots__}
    changed = Header(**{**same, **fields})
    body = b64(orjson.dumps(changed.json()))
    signing = f"{jws.protected(changed.node)}.{body}".encode()
    odd = signing + b"." + raw.rpartition(b".")[2]
    return replace(item, leaf=journal.make_leaf(time_ms=time_ms, verdict=verdict, jws=odd))


@pytest.mark.parametrize(
    ("fields", "alarm"),
    [
        ({"case": "other"}, "signature"), ({"node": "b-1"}, "node"), ({"node": "zz"}, "node"),
        ({"sender": "b"}, "node"), ({"to": ("lead",)}, "address"),
    ],
)  # fmt: skip
def test_an_entry_that_nobody_signed_is_an_alarm(
    world: World, fields: dict[str, Any], alarm: str
) -> None:
    assert alarm_of(world, forged(next_item(world), **fields)) == alarm
    with world.databases["b"].read() as session:
        assert state.read(session, "case:c1") is None


def test_an_entry_for_others_is_an_alarm(world: World) -> None:
    """A hub that serves b what a and lead have with each other."""
    world.members["a"].send("test.open/1", ("lead",), case="c1", urgency="routine")
    world.members["a"].sync()
    item = items(world, "lead")[-1]
    number = items(world, "b")[-1].number
    assert alarm_of(world, replace(item, number=number + 1)) == "address"


@pytest.mark.parametrize("facts", [None, b"", b"x" * 40])
def test_facts_that_do_not_open_are_an_alarm(world: World, facts: bytes | None) -> None:
    assert alarm_of(world, replace(next_item(world), facts=facts)) == "exchange.facts"


def test_a_newer_kind_is_kept_and_the_feed_goes_on(world: World) -> None:
    item = next_item(world)
    older = Registry(
        [kind for kind in world.registry.kinds.values() if kind.name != "test.open/1"],
        world.registry.families.values(), AllowAll(),
    )  # fmt: skip
    member = world.members["b"]
    member.inbox = Inbox(older, member.post, folds=True)
    assert take(world, item) == "newer"
    with member.database.read() as session:
        assert session.get_one(InboxRow, ("b", item.index)).alarm == "update_needed"


def test_a_refused_entry_of_another_is_noted_and_nothing_else(world: World) -> None:
    item = next_item(world)
    _, _, raw = journal.read_leaf(item.leaf)
    leaf = journal.make_leaf(time_ms=1_800_000_000_000, verdict="test.closed S1", jws=raw)
    assert take(world, replace(item, leaf=leaf, body=None)) == "refused"


def test_a_duplicate_is_not_told_as_refused(world: World) -> None:
    """What it repeats has been applied; a row put back to "not sent" would be wrong."""
    a = world.members["a"]
    sent = a.send("test.open/1", ("b",), case="c1", urgency="routine")
    world.settle()
    item = next(one for one in items(world, "a") if sent.id in str(jws.parse(
        journal.read_leaf(one.leaf).jws).header.id))  # fmt: skip
    _, _, raw = journal.read_leaf(item.leaf)
    leaf = journal.make_leaf(time_ms=1_900_000_000_000, verdict="duplicate 3", jws=raw)
    last = items(world, "a")[-1]
    repeated = replace(item, number=last.number + 1, index=last.index + 9, leaf=leaf)
    assert take(world, repeated, "a") == "refused"
    with a.database.read() as session:
        assert taken(session, "a", "refused") == []


def test_an_ack_that_does_not_fit_the_feed_is_an_alarm_at_the_hub(world: World) -> None:
    pen = standing(world, "b")
    with world.hub_database.read() as session:
        row = session.get_one(FeedRow, ("b", 1))
    facts = {"index": 900, "number": 1, "running": b64(row.running)}
    bundle = messages.build(
        "ack", source="b", destinations=(HUB,), exchange_id="ack-1", now=world.clock.now(),
        resources=[messages.parameters(**facts)],
    )  # fmt: skip
    raw = pen.write("ack/1", (HUB,), id="ack-1", facts=facts, open_bundle=bundle, lane=Lane.CONTROL)
    assert push(world, raw) == "ok"
    world.members[HUB].sync()
    with world.hub_database.read() as session:
        (told,) = alarms.of_node(session)
    assert (told.code, told.facts) == ("feed.ack", {"upto": 900, "number": 1})
