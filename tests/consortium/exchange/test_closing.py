"""A month that is over: hub and mirror come to the same hashes, and what differs is found."""

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update

from consortium.exchange import alarms, closing, closing_desk, replay, state
from consortium.exchange.commitment import b64
from consortium.exchange.recheck import recheck
from consortium.exchange.tables import ClosingRow, ClosingSubjectRow, OutboxRow, SharedStateRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal
from tests.consortium.exchange.kinds import MIRROR
from tests.consortium.exchange.pens import Hub
from tests.consortium.exchange.world import HUB, World

Make = Callable[..., World]
NOVEMBER, DECEMBER = "2026-11", "2026-12"


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def told(text: str) -> bytes:
    return struct.pack(">I", len(text.encode())) + text.encode()


@pytest.fixture
def world(make_world: Make) -> World:
    """November with two cases of a clinic, one of them closed; then the first of December."""
    made = make_world("a", MIRROR, mirror=True)
    talk(made, "c1", "c2")
    made.members["a"].send("test.say/1", ("lead",), case="c1", close=True)
    made.settle()
    made.clock.advance(days=7)
    return made


def talk(world: World, *cases: str) -> None:
    for case in cases:
        world.members["a"].send("test.open/1", ("lead",), case=case, urgency="routine")
    world.settle()


def close(world: World) -> str:
    """The hub says what is over, and everybody hears."""
    done = closing_desk.close(world.hub_database, world.members[HUB].post, now=world.clock.now())
    world.settle()
    return done


def answer(world: World) -> str:
    member = world.members[MIRROR]
    now = world.clock.now()
    done = closing_desk.answer(member.database, member.post, MIRROR, now=now)
    world.settle()
    return done


def subject(world: World, name: str, *, at: str = HUB) -> dict[str, Any]:
    with world.databases[at].read() as session:
        return state.read(session, name) or {}


def refused(world: World, member: str, **facts: Any) -> str:
    """Why this member may not agree to these facts."""
    with pytest.raises(Refusal) as found:
        world.members[member].send("state.agreed/1", ("all",), **facts)
    return found.value.code


# ---------------------------------------------------------------- bytes


def test_the_root_is_over_names_in_order_of_their_bytes(database: Database) -> None:
    rows = [("case:b", "{}", 3), ("case:B", '{"a":1}', 2), ("case:\u00e9", "{}", 4)]
    with database.write() as session:
        session.add_all(
            ClosingSubjectRow(month=NOVEMBER, subject=name, value=value, entry=entry)
            for name, value, entry in rows
        )
        session.add(ClosingRow(month=NOVEMBER, first=0, index=9))
        session.flush()
        found = closing.closed(session, NOVEMBER)
    leaves = [
        sha(b"\0sharing-chain/subject/1\0", told(name), told(value), struct.pack(">Q", entry))
        for name, value, entry in sorted(rows, key=lambda row: row[0].encode())
    ]
    assert found is not None
    assert found.state == b64(sha(b"\1", sha(b"\1", *leaves[:2]), leaves[2]))
    assert found.count == 3


def test_figures_are_counted_from_verdicts_alone() -> None:
    figures = closing.figures_of(
        [("b/1", "x", "ok", 2), ("b/1", "x", "test.no Q1", 1), ("a/1", "y", "duplicate 7", 3),
         ("b/1", "x", "ok v2", 4)],
        [("k/s/x/y", 5)],
    )  # fmt: skip
    assert orjson.loads(figures) == {
        "kinds": {"a/1": {"y": [0, 3]}, "b/1": {"x": [6, 1]}},
        "refused": {"duplicate": 3, "test.no": 1},
        "quotas": {"k/s/x/y": 5},
    }


# ---------------------------------------------------------------- hub, mirror, members


def test_state_is_kept_as_of_the_last_entry_of_the_month(
    database: Database, tmp_path: Path
) -> None:
    hub = Hub(database, tmp_path)
    pen = hub.pens["a"]
    hub.admit(pen.open("c1", "b"))
    before = hub.value("case:c1")
    size = hub.size()
    hub.clock.advance(days=7)
    hub.admit(pen.say("c1", "b"), pen.open("c2", "b"))
    with database.write() as session:
        row = session.get(ClosingRow, NOVEMBER)
        kept = {name: orjson.loads(value) for name, value, _ in closing.subjects(session, NOVEMBER)}
        found = closing.closed(session, NOVEMBER)
    assert row is not None
    assert (row.first, row.index) == (0, size - 1)
    assert kept["case:c1"] == before
    assert hub.value("case:c1") != before
    assert "case:c2" not in kept
    assert found is not None
    assert orjson.loads(found.figures)["kinds"]["test.open/1"] == {"a": [1, 0]}
    hub.close()


def test_hub_closes_and_the_mirror_agrees(world: World) -> None:
    assert close(world) == ""  # nothing of December yet
    talk(world, "c3")
    assert close(world) == NOVEMBER
    assert close(world) == ""
    said = subject(world, "closed:2026-11")
    assert said["agreed"] == []
    names = ("month", "index", "state", "feeds", "chains", "figures")
    agreed = {name: said[name] for name in names}
    assert refused(world, "a", **agreed) == "closing.not_mirror"
    assert refused(world, MIRROR, **{**agreed, "index": 2}) == "closing.differs"
    assert answer(world) == "agreed"
    assert answer(world) == ""
    for name in (HUB, "a", MIRROR):
        assert subject(world, "closed:2026-11", at=name)["agreed"] == [MIRROR], name
        assert subject(world, closing.AGREED, at=name)["month"] == NOVEMBER, name
    with world.databases[MIRROR].read() as session:
        assert replay.findings(session) == []
        assert {one.code for one in alarms.of_node(session)} <= {"feed.old"}
    assert recheck(world.hub_database, world.registry).findings == []
    world.clock.advance(days=31)
    talk(world, "c4")
    assert close(world) == DECEMBER
    assert subject(world, "closed:2026-12")["first"] == said["index"] + 1
    assert answer(world) == "agreed"


def test_a_planted_difference_is_disputed(world: World) -> None:
    with world.hub_database.write() as session:
        session.execute(
            update(SharedStateRow).where(SharedStateRow.subject == "case:c2").values(entry=1)
        )
    talk(world, "c3")
    assert close(world) == NOVEMBER
    with world.databases[MIRROR].read() as session:
        [found] = [one for one in replay.findings(session) if one.aspect == "closed"]
        assert found.said.split(" ")[0] == found.found.split(" ")[0]
        assert alarms.standing(session, "replay", about=f"{found.index}:closed") is not None
    assert answer(world) == "dispute"
    assert subject(world, "closed:2026-11")["agreed"] == []
    with world.hub_database.read() as session:
        [alarm] = [one for one in alarms.of_node(session) if one.code == "dispute"]
        assert alarm.facts["member"] == MIRROR
        assert alarm.facts["found"] == "closing.differs"
    answer(world)
    with world.databases[MIRROR].read() as session:
        sent = session.scalars(select(OutboxRow.kind)).all()
    assert sent.count("dispute.raise/1") == 1


def test_copies_of_old_months_go(database: Database, tmp_path: Path) -> None:
    hub = Hub(database, tmp_path)
    for month in range(6):
        hub.admit(hub.pens["a"].open(f"c{month}", "b"))
        hub.clock.advance(days=31)
        with database.write() as session:
            journal.confirm_clock(session, first="p1", second="p2", now=hub.clock.now())
    with database.read() as session:
        months = session.scalars(select(ClosingSubjectRow.month).distinct()).all()
        assert len(months) == 3
        assert closing.closed(session, NOVEMBER) is None
    hub.close()
