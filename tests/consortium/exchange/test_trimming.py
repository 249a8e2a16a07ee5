"""Sealed bodies go when all have them, a backup covers them and they are old; never before."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.audit.tables import EventRow
from consortium.exchange import blobs, outqueue, state, timeline, trimming
from consortium.exchange.answers import Answer, Status
from consortium.exchange.commitment import b64
from consortium.exchange.sealing import MAGIC
from consortium.exchange.tables import EntryRow, FeedCursorRow, InboxRow, OutboxRow
from consortium.exchange.trimming import Trimmed
from consortium.kernel.database import Database
from tests.consortium.exchange.world import HUB, LEAD, World
from tests.support.clock import START

Make = Callable[..., World]
DAY = timedelta(days=1)
NOW = START + 400 * DAY


# ---------------------------------------------------------------- the rule, entry by entry


def planted(session: Session, rng: random.Random, *, count: int) -> dict[int, bool]:
    """Entries with anything that can be; says of each whether its body may go, by other means."""
    acks = {name: rng.randrange(-1, count) for name in "abcd"}
    backup, cursor = rng.randrange(count + 1), rng.randrange(count)
    for name, index in acks.items():
        if index >= 0:
            value = {"parties": [name], "index": index, "number": 1}
            state.write(session, {f"ack:{name}": (value, 0)}, frozenset())
    state.write(session, {"backup:hub": ({"size": backup}, 0)}, frozenset())
    session.add(FeedCursorRow(member=HUB, number=1, index=cursor, running=b"r" * 32))
    reached = {**acks, HUB: cursor, "stranger": -1}
    may_go: dict[int, bool] = {}
    for index in range(count):
        age = timedelta(days=rng.choice((1, 89, 91, 200)))
        sender = rng.choice("abcd")
        to = rng.sample(["a", "b", "c", "d", HUB, "stranger"], rng.randrange(1, 4))
        sealed, ok = rng.random() < 0.8, rng.random() < 0.8
        body = (MAGIC if sealed else b"s" * 32) + b"x" * index
        session.add(entry(index, sender, to, body=body, ok=ok, at=NOW - age))
        needed = {sender, *to} if ok else {sender}
        may_go[index] = (
            sealed
            and age.days > 90
            and index < backup
            and all(reached[one] >= index for one in needed)
        )
    session.flush()
    return may_go


def entry(
    index: int, sender: str, to: list[str], *, body: bytes | None, ok: bool = True,
    at: datetime = START,
) -> EntryRow:  # fmt: skip
    return EntryRow(
        index=index, exchange=f"x{index}", jws_hash=b"%032d" % index, node=f"{sender}-1",
        lane="routine", seq=index, sender=sender, recipients=orjson.dumps(to).decode(),
        kind="test.open/1", case="c", sameness=b"s" * 32, verdict="ok" if ok else "test.no",
        time=at, facts=b"f", body=body,
    )  # fmt: skip


def bodies(session: Session) -> dict[int, int]:
    rows = session.execute(select(EntryRow.index, EntryRow.body))
    return {index: len(body) for index, body in rows if body is not None}


def test_nothing_goes_before_acks_backup_and_age(database: Database) -> None:
    rng = random.Random(11)
    with database.write() as session:
        may_go = planted(session, rng, count=700)
        before = bodies(session)
        due = trimming.due(session, now=NOW)
    done = trimming.trim(database, now=NOW)
    with database.read() as session:
        after = bodies(session)
        told = session.scalars(select(EventRow.facts).where(EventRow.action == "exchange.trim"))
        counted = [orjson.loads(one)["count"] for one in told]
    gone = {index for index, may in may_go.items() if may}
    assert 20 < len(gone) < 300
    assert before.keys() - after.keys() == gone
    assert done == due == Trimmed(len(gone), sum(before[index] for index in gone))
    assert sum(counted) == len(gone)
    assert trimming.trim(database, now=NOW) == Trimmed()


# ---------------------------------------------------------------- a whole consortium


def backed_up(world: World, *, size: int) -> None:
    """The hub says that a backup covers everything up to a size."""
    world.members[HUB].send("backup/1", ("all",), size=size)
    world.settle()


def test_a_sender_reads_and_can_push_again_what_its_outbox_let_go(make_world: Make) -> None:
    world = make_world("a", "b")
    a = world.members["a"]
    sent = a.send("test.open/1", ("b",), case="c1", urgency="routine")
    world.members["b"].link.cut = True
    world.members["a"].sync()
    assert trimming.trim_outbox(a.database, now=world.clock.now()) == Trimmed()
    world.heal()
    world.settle()
    assert trimming.trim_outbox(a.database, now=world.clock.now()) == Trimmed()  # no backup yet
    with a.database.read() as session:
        body = session.get_one(OutboxRow, sent.id).body
    backed_up(world, size=100)
    assert trimming.trim_outbox(a.database, now=world.clock.now()).count > 0
    with a.database.write() as session:
        row = session.get_one(OutboxRow, sent.id)
        assert row.body is None
        opened = timeline.message(
            session, world.registry, a.post.identities, member="a", exchange_id=sent.id,
            now=world.clock.now(),
        )  # fmt: skip
        assert opened is not None
        assert opened.exchange_id == sent.id
        gap = Answer(b64(row.jws_hash), Status.GAP, expected=1)
        outqueue.without_leaf(session, row, gap, now=world.clock.now())
    with a.database.read() as session:
        pushed = outqueue.next_batch(session, "a-1", now=world.clock.now())
        assert [one.body for one in pushed if one.id == sent.id] == [body]


def test_a_lane_stops_where_a_body_is_no_more(make_world: Make) -> None:
    world = make_world("a", "b")
    a = world.members["a"]
    first, second = (
        a.send("test.open/1", ("b",), case=case, urgency="routine") for case in ("c1", "c2")
    )
    world.settle()
    backed_up(world, size=100)
    trimming.trim_outbox(a.database, now=world.clock.now())
    with a.database.write() as session:
        for row in session.scalars(select(InboxRow).where(InboxRow.exchange == second.id)):
            row.body = None
        row_one = session.get_one(OutboxRow, first.id)
        gap = Answer(b64(row_one.jws_hash), Status.GAP, expected=1)
        outqueue.without_leaf(session, row_one, gap, now=world.clock.now())
    with a.database.read() as session:
        lane = outqueue.next_batch(session, "a-1", now=world.clock.now())
        assert [one.id for one in lane if one.lane == "routine"] == [first.id]


def test_files_go_with_their_exchanges_and_local_ones_stay(make_world: Make) -> None:
    world = make_world("a", "b")
    a, hub = world.members["a"], world.members[HUB]
    kept: dict[str, str] = {}
    for to in ("b", LEAD):
        with a.database.write() as session:
            blob = blobs.seal(
                session, a.store, to.encode() * 500, name="x.png", content_type="image/png",
                now=world.clock.now(),
            )  # fmt: skip
        kept[to] = blob.id
        a.send("test.open/1", (to,), case=f"c-{to}", urgency="routine", attachments=(blob.id,))
    world.settle()
    backed_up(world, size=100)
    local = {HUB, LEAD}

    def files(days: int) -> Trimmed:
        now = world.clock.now() + days * DAY
        return trimming.trim_files(world.hub_database, hub.store, local=local, now=now)

    assert files(91) == Trimmed()  # bodies are still there
    assert trimming.trim(world.hub_database, now=world.clock.now() + 89 * DAY) == Trimmed()
    assert trimming.trim(world.hub_database, now=world.clock.now() + 91 * DAY).count == 2
    assert files(89) == Trimmed()
    assert files(91).count == 1
    assert hub.store.get(kept["b"]) is None
    assert hub.store.get(kept[LEAD]) is not None
    assert files(91) == Trimmed()
    assert a.store.get(kept["b"]) is not None
