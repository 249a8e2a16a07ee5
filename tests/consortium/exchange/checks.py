"""What must hold of a whole consortium once it has come to rest."""

from collections import Counter

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import jws
from consortium.exchange.commitment import open_facts
from consortium.exchange.judgement import outcome_of
from consortium.exchange.jws import FIRST_PREV
from consortium.exchange.recheck import recheck
from consortium.exchange.tables import (
    EntryRow,
    FeedCursorRow,
    FeedHeadRow,
    InboxRow,
    MarkRow,
    OutboxRow,
    SharedStateRow,
)
from consortium.ledger import journal
from tests.consortium.exchange.kinds import taken
from tests.consortium.exchange.world import HUB, LEAD, World

QUIET = {"ack/1", "feed.heads/1", "body.refuse/1", "dispute.raise/1", "node.suspend/1"}
"""Kinds whose hooks note nothing in the test's own table."""


def folds_agree(world: World, *, but: frozenset[str] = frozenset()) -> None:
    """For every node and subject in whose audience it is, its fold equals the hub's."""
    with world.hub_database.read() as session:
        truth = {row.subject: row.value for row in session.scalars(select(SharedStateRow))}
    for name in set(world.clinics) - but:
        with world.databases[name].read() as session:
            own = {row.subject: row.value for row in session.scalars(select(SharedStateRow))}
        mine = {
            subject: value
            for subject, value in truth.items()
            if world.registry.audience(subject, orjson.loads(value)) & {"all", name}
        }
        assert own == mine


def nothing_lost_nothing_twice(world: World, *, but: frozenset[str] = frozenset()) -> None:
    """Every outbox is answered; each admitted exchange was applied once wherever it belongs."""
    with world.hub_database.read() as session:
        entries = list(session.scalars(select(EntryRow).order_by(EntryRow.index)))
    verdicts = Counter(row.exchange for row in entries if outcome_of(row.verdict)[0])
    assert [one for one, times in verdicts.items() if times > 1] == []
    for name in {LEAD, *world.clinics} - but:
        with world.databases[name].read() as session:
            _no_alarms(session, name)
            _all_answered(session, world, name, admitted=frozenset(verdicts))
            unfit = _unfit_refused_once(session, name)
            assert taken(session, name) == [
                row.exchange
                for row in entries
                if outcome_of(row.verdict)[0]
                and row.kind not in QUIET
                and row.exchange not in unfit
                and {name, "all"} & {row.sender, *orjson.loads(row.recipients)}
            ]
            assert taken(session, name, "refused") == [
                row.exchange for row in entries
                if not outcome_of(row.verdict)[0] and row.sender == name and row.kind not in QUIET
            ]  # fmt: skip


def _no_alarms(session: Session, name: str) -> None:
    rows = session.scalars(select(InboxRow).where(InboxRow.member == name))
    alarms = [
        (name, row.kind, row.index, row.verdict, row.alarm)
        for row in rows
        if row.state in {"alarm", "newer"} or (row.state != "kept" and row.alarm)
    ]
    assert alarms == []
    marks = session.scalars(select(MarkRow.name).where(MarkRow.name.startswith("alarm:")))
    assert list(marks) == []


def _all_answered(session: Session, world: World, name: str, *, admitted: frozenset[str]) -> None:
    own = list(session.scalars(select(OutboxRow).where(OutboxRow.member == name)))
    courier = world.members[name].courier
    trouble = courier.state.trouble if courier is not None else "no courier"
    waiting = [row for row in own if row.state not in {"sent", "refused"}]
    assert [(row.kind, row.lane, row.seq, row.state) for row in waiting] == [], trouble
    for row in own:
        assert row.leaf is not None
        assert journal.read_leaf(row.leaf).jws == row.jws
        assert row.receipt is not None
        assert (row.state == "sent") == (row.id in admitted)


def _unfit_refused_once(session: Session, name: str) -> frozenset[str]:
    """Bodies that a member could not take: each was answered, and none twice."""
    kept = session.scalars(
        select(InboxRow.exchange).where(
            InboxRow.member == name, InboxRow.state == "kept", InboxRow.alarm == "test.bad_body"
        )
    ).all()
    refusals = session.scalars(
        select(OutboxRow.facts).where(OutboxRow.member == name, OutboxRow.kind == "body.refuse/1")
    )
    assert sorted(open_facts(facts or b"")["of"] for facts in refusals) == sorted(kept)
    return frozenset(kept)


def feeds_agree(world: World, *, but: frozenset[str] = frozenset()) -> None:
    """Each member stands where its feed ends, with the hash that the hub has there."""
    for name in {HUB, LEAD, *world.clinics} - but:
        with world.databases[name].read() as session:
            mine = session.get_one(FeedCursorRow, name)
        with world.hub_database.read() as session:
            theirs = session.get_one(FeedHeadRow, name)
        assert (mine.number, mine.running) == (theirs.number, theirs.running)


def chains_whole(world: World) -> None:
    """On the ledger every chain counts from 1 without a gap, each naming the one before."""
    with world.hub_database.read() as session:
        rows = list(session.scalars(select(EntryRow).order_by(EntryRow.index)))
        leaves = journal.leaves(session, range(len(rows)))
    heads: dict[tuple[str, str], tuple[int, str]] = {}
    for place, row in enumerate(rows):
        raw = journal.read_leaf(leaves[row.index]).jws
        header = jws.parse(raw).header
        key = (row.node, row.lane)
        seq, prev = heads.get(key, (0, FIRST_PREV))
        assert row.index == place
        assert (row.seq, header.seq, header.prev) == (seq + 1, seq + 1, prev)
        heads[key] = (row.seq, jws.digest_text(raw))
    assert world.restored(HUB) == ""


def replay_agrees(world: World) -> None:
    """Whoever replays leaves and facts comes to every verdict, chain, feed and value again."""
    report = recheck(world.hub_database, world.registry)
    assert report.findings == []
    with world.hub_database.read() as session:
        assert (report.size, report.halted) == (journal.size(session), "")


def all_is_well(world: World, *, but: frozenset[str] = frozenset()) -> None:
    """Every check at once; of the members in `but` only what others see of them."""
    nothing_lost_nothing_twice(world, but=but)
    folds_agree(world, but=but)
    feeds_agree(world, but=but)
    chains_whole(world)
