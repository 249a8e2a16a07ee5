"""A replay over leaves and facts: every planted fault is found and named, nothing else is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from consortium.exchange import alarms, feed, heads, heads_audit, jws, replay
from consortium.exchange.commitment import b64
from consortium.exchange.envelope import unpack
from consortium.exchange.header import Lane
from consortium.exchange.heads import Head, Heads
from consortium.exchange.heads_audit import Part
from consortium.exchange.jws import Signed
from consortium.exchange.recheck import Report, recheck, shown
from consortium.exchange.replay import Finding, Replay, Shown, Taken
from consortium.exchange.tables import EntryRow, FeedRow, SharedStateRow
from consortium.kernel.database import Database
from consortium.ledger import journal
from tests.consortium.exchange import kinds
from tests.consortium.exchange.pens import Hub, Pen
from tests.support.clock import START
from tests.support.databases import SqliteFiles

Replayed = Callable[[list[Shown]], Taken]


@pytest.fixture
def hub(sqlite: Database, tmp_path: Path) -> Hub:
    return told(sqlite, tmp_path)


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> Hub:
    return told(database, tmp_path)


def told(database: Database, folder: Path) -> Hub:
    """Entries 1 to 9: a case, a thing that one gets and another does not, and it given back."""
    hub = Hub(database, folder)
    a, b = hub.pens["a"], hub.pens["b"]
    hub.admit(
        a.open("c1", "b"), a.open("c1", "b"), b.say("c1", "a"), a.claim("t1", "lamp"),
        b.claim("t2", "lamp"), b.say("c1", "a", close=True), a.say("c1", "b"),
    )  # fmt: skip
    hub.clock.advance(seconds=5)
    hub.admit(a.write("test.give_back/1", case="t1"), b.claim("t3", "lamp"))
    return hub


@pytest.fixture
def replayed(sqlite_files: SqliteFiles, tmp_path: Path) -> Iterator[Replayed]:
    """Replays entries in a database of their own."""
    with sqlite_files.one(tmp_path, "mirror.db") as database:
        yield lambda entries: begun(database, entries)


def begun(database: Database, entries: list[Shown]) -> Taken:
    with database.write() as session:
        journal.create(session)
        return Replay(session, kinds.registry(), open_bodies=True).take(entries)


def entries_of(hub: Hub) -> list[Shown]:
    with hub.database.read() as session:
        return shown(session, hub.registry, 0, limit=256)


def leaf(
    one: Shown,
    *,
    verdict: str = "",
    later_ms: int = 0,
    raw: bytes = b"",
    facts: bytes | None = None,
) -> Shown:
    """An entry whose hub says something else."""
    view = journal.read_leaf(one.leaf)
    said = journal.make_leaf(
        time_ms=view.time_ms + later_ms, verdict=verdict or view.verdict, jws=raw or view.jws
    )
    return Shown(said, facts or one.facts, one.body)


def signed_by(pen: Pen, one: Shown, **changed: Any) -> bytes:
    """The JWS of an entry with another header, signed by this key."""
    header = replace(parsed(one).header, **changed)
    return jws.sign(header, pen.key)


def parsed(one: Shown) -> Signed:
    return jws.parse(journal.read_leaf(one.leaf).jws)


def found(taken: Taken) -> list[tuple[int, str]]:
    return [(one.index, one.aspect) for one in taken.findings]


def test_an_honest_ledger_has_no_finding(hub: Hub, database: Database) -> None:
    entries = entries_of(hub)
    verdicts = [journal.read_leaf(one.leaf).verdict for one in entries]
    assert verdicts == [
        "ok", "ok", "test.open", "ok", "ok got", "test.taken", "ok", "test.closed", "ok", "ok got",
    ]  # fmt: skip
    assert begun(database, entries) == Taken(10, ())
    assert recheck(database, hub.registry) == Report(10)
    assert recheck(hub.database, hub.registry) == Report(10)


@pytest.mark.parametrize(
    ("index", "verdict", "right"),
    [
        (2, "ok", "test.open"),
        (5, "ok got", "test.taken"),
        (3, "test.closed", "ok"),
        (4, "ok other", "ok got"),
        (8, "exchange.parent", "ok"),
        (1, "exchange.body", "exchange.body"),
    ],
)
def test_another_verdict(
    hub: Hub, replayed: Replayed, index: int, verdict: str, right: str
) -> None:
    """Wrong admissions, wrong refusals, other words. That a sealed body was none is taken."""
    entries = entries_of(hub)
    entries[index] = leaf(entries[index], verdict=verdict)
    first = replayed(entries[: index + 1]).findings
    kind = parsed(entries[index]).header.kind
    wanted = (Finding(index, "verdict", kind, verdict, right),) if verdict != right else ()
    assert first == wanted


def test_one_wrong_entry_is_one_finding(hub: Hub, replayed: Replayed) -> None:
    """What follows is judged over what the hub folded, wrong as it was."""
    entries = entries_of(hub)
    entries[2] = leaf(entries[2], verdict="ok")
    assert found(replayed(entries)) == [(2, "verdict")]


def test_a_signature_by_another_key(hub: Hub, replayed: Replayed) -> None:
    entries = entries_of(hub)
    entries[9] = leaf(entries[9], raw=signed_by(Pen("b", "other-1"), entries[9], node="b-1"))
    forged = parsed(entries[9])
    assert forged.header.node == "b-1"
    assert found(replayed(entries)) == [(9, "signature")]


def test_a_key_of_another_member_and_one_that_nobody_knows(hub: Hub, replayed: Replayed) -> None:
    entries = entries_of(hub)
    entries[8] = leaf(entries[8], raw=signed_by(hub.pens["a"], entries[8], sender="b"))
    unknown = {"node": "x-1", "seq": 1, "prev": jws.FIRST_PREV}
    entries[9] = leaf(entries[9], raw=signed_by(Pen("x"), entries[9], **unknown))
    assert [one for one in found(replayed(entries)) if one[1] == "key"] == [(8, "key"), (9, "key")]


def test_a_key_that_has_ended(hub: Hub, replayed: Replayed) -> None:
    first, second = hub.pens["b"].say("c1", "a"), hub.pens["b"].copy().say("c1", "a", close=True)
    hub.admit(first)
    evidence = {
        "node": "b-1",
        "first": jws.digest_text(unpack(first).jws),
        "second": jws.digest_text(unpack(second).jws),
    }
    suspended = hub.pens["consortium"].write(
        "node.suspend/1", ("all",), facts=evidence, open_bundle=b"{}", lane=Lane.CONTROL
    )
    [answer] = hub.admit(suspended)
    assert journal.read_leaf(answer.leaf.encode()).verdict == "ok"
    late = unpack(hub.pens["b"].say("c1", "a"))
    last = entries_of(hub)[7]
    entry = leaf(last, verdict="test.closed", later_ms=60_000, raw=late.jws, facts=late.facts)
    assert found(replayed([*entries_of(hub), entry])) == [(12, "key")]


def test_a_chain_that_is_broken_or_has_two_histories(hub: Hub, replayed: Replayed) -> None:
    entries = entries_of(hub)
    a, b = hub.pens["a"], hub.pens["b"]
    entries[8] = leaf(entries[8], raw=signed_by(a, entries[8], seq=9))
    twice = parsed(entries[3]).header
    entries[9] = leaf(entries[9], raw=signed_by(b, entries[9], seq=twice.seq, prev=twice.prev))
    taken = replayed(entries)
    assert [one for one in found(taken) if one[1] == "chain"] == [(8, "chain"), (9, "chain")]
    assert taken.count == 10


def test_time_that_goes_back(hub: Hub, replayed: Replayed) -> None:
    entries = entries_of(hub)
    entries[8] = leaf(entries[8], later_ms=-60_000)
    assert found(replayed(entries)) == [(8, "time")]


def test_facts_that_are_not_those_that_were_signed(hub: Hub, replayed: Replayed) -> None:
    entries = entries_of(hub)
    other = (entries[4].facts or b"").replace(b"lamp", b"bell")
    entries[4] = leaf(entries[4], facts=other)
    [first, *_] = replayed(entries).findings
    assert (first.index, first.said, first.found) == (4, "ok got", "exchange.facts")


def test_an_open_body_that_is_kept_back_or_changed(hub: Hub, replayed: Replayed) -> None:
    entries = entries_of(hub)
    assert entries[0].body is not None
    entries[0] = Shown(entries[0].leaf, entries[0].facts)
    assert found(replayed(entries)) == [(0, "body")]


def test_an_open_body_that_was_not_signed(hub: Hub, replayed: Replayed) -> None:
    [first, *_] = entries_of(hub)
    assert first.body is not None
    changed = bytes([first.body[0] ^ 1]) + first.body[1:]
    taken = replayed([Shown(first.leaf, first.facts, changed)])
    assert (0, "verdict") in found(taken)


def test_nothing_is_taken_after_a_leaf_that_is_none_or_comes_again(
    hub: Hub, replayed: Replayed
) -> None:
    entries = entries_of(hub)
    taken = replayed([*entries[:4], entries[3], *entries[4:]])
    assert (taken.count, found(taken), taken.halted) == (4, [(4, "again")], "again")


def test_a_leaf_that_cannot_be_read(hub: Hub, replayed: Replayed) -> None:
    entries = entries_of(hub)
    entries[3] = Shown(b"not a leaf", entries[3].facts)
    taken = replayed(entries)
    assert (taken.count, found(taken), taken.halted) == (3, [(3, "leaf")], "leaf")


def test_a_kind_of_a_later_release_is_waited_for(hub: Hub, replayed: Replayed) -> None:
    entries = entries_of(hub)
    raw = signed_by(hub.pens["b"], entries[9], kind="test.later/2")
    entries[9] = leaf(entries[9], raw=raw)
    taken = replayed(entries)
    assert (taken.count, taken.findings, taken.halted) == (9, (), "newer")


def test_it_goes_on_where_it_stopped(hub: Hub, sqlite_files: SqliteFiles, tmp_path: Path) -> None:
    """One entry at a time, each in a transaction of its own, comes to the same rows."""
    entries = entries_of(hub)
    with sqlite_files.one(tmp_path, "slow.db") as database:
        with database.write() as session:
            journal.create(session)
        for one in entries:
            with database.write() as session:
                assert Replay(session, hub.registry).take([one]) == Taken(1, ())
        assert recheck(database, hub.registry) == Report(10)


def test_findings_are_kept_once_with_their_alarm(database: Database) -> None:
    one = Finding(7, "verdict", "test.open/1", "ok", "test.open")
    for _ in range(2):
        with database.write() as session:
            replay.keep(session, [one], now=START)
    with database.read() as session:
        assert replay.findings(session) == [one]
        assert replay.count(session) == 1
        (told,) = alarms.of_node(session)
        assert (told.code, told.since) == ("replay", START)
        assert told.facts == {
            "entry": 7, "aspect": "verdict", "verdict": "ok", "found": "test.open"
        }  # fmt: skip


def test_heads_that_leave_an_entry_out_of_a_feed_name_it(hub: Hub, replayed: Replayed) -> None:
    """A hub that withholds an entry and signs heads that hide it is found out by the leaves."""
    with hub.database.read() as session:
        honest = heads.as_of(session, 9)
        rows = session.scalars(select(FeedRow).where(FeedRow.member == "b")).all()
        leaves = journal.leaves(session, [row.index for row in rows])
    items = [(index, journal.hash_leaf(one)) for index, one in sorted(leaves.items())]
    hidden = items.pop(2)[0]
    head = Head("b", *heads_audit.running_over(Part(0, feed.ZERO, items)))
    lied = Heads([head, *(one for one in honest.all if one.member != "b")])
    pen = hub.pens["consortium"]
    for found in (lied, honest):
        facts = {"index": 9 + (found is honest), "root": b64(found.root), "count": found.count}
        hub.admit(
            pen.write("feed.heads/1", ("all",), facts=facts, open_bundle=b"{}", lane=Lane.CONTROL)
        )
    taken = replayed(entries_of(hub))
    first, second = (one for one in taken.findings if one.aspect == "heads")
    assert (first.index, first.found) == (10, f"missing b {hidden} -1 9")
    assert second.found.startswith("range - -1 9 10")
    with hub.database.write() as session:
        replay.keep(session, [first], now=START)
        (told,) = alarms.of_node(session)
        assert (told.code, told.facts["member"], told.facts["entry"]) == (
            "feed.heads", "b", hidden,
        )  # fmt: skip


@pytest.mark.parametrize("damage", ["state", "verdict", "feed", "facts", "gone"])
def test_a_changed_row_of_a_kept_ledger(kept: Hub, damage: str) -> None:
    changes = {
        "state": update(SharedStateRow)
        .where(SharedStateRow.subject == "case:c1").values(value='{"state":"open"}'),
        "verdict": update(EntryRow).where(EntryRow.index == 4).values(verdict="ok"),
        "feed": update(FeedRow)
        .where(FeedRow.member == "b", FeedRow.number == 2).values(running=bytes(32)),
        "facts": update(EntryRow).where(EntryRow.index == 4).values(facts=bytes(40)),
        "gone": delete(SharedStateRow).where(SharedStateRow.subject == "thing:lamp"),
    }  # fmt: skip
    with kept.database.write() as session:
        session.execute(changes[damage])
    named = {
        (one.index, one.said if one.aspect == "state" else one.aspect)
        for one in recheck(kept.database, kept.registry).findings
    }
    wanted = {
        "state": (6, "case:c1"), "verdict": (4, "4"), "feed": (1, "b 2"), "facts": (4, "verdict"),
        "gone": (9, "thing:lamp"),
    }  # fmt: skip
    assert wanted[damage] in named
    if damage != "facts":
        assert named == {wanted[damage]}


def test_lanes_are_chains_of_their_own(hub: Hub, replayed: Replayed) -> None:
    pen = hub.pens["lead"]
    hub.admit(pen.open("u1", "a", urgency="urgent"), pen.open("u2", "a"))
    assert {parsed(one).header.lane for one in entries_of(hub)[10:]} == {Lane.URGENT, Lane.ROUTINE}
    assert replayed(entries_of(hub)) == Taken(12, ())
