"""`consortium hub recover` over the real rooms: the hub's database is gone, its guard is not."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consortium import wiring
from consortium.cli.app import app
from consortium.cli.demo_world import PastClock
from consortium.cli.recover import MISSING
from consortium.exchange import behind, pieces, restored
from consortium.exchange.tables import EntryRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import publisher
from consortium.settings import Settings
from tests.consortium.exchange.copies import copy_of, put_back
from tests.consortium.exchange.losing import rows
from tests.support import real_world


@pytest.fixture
def home(founded_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    place = tmp_path / "home"
    real_world.copied(founded_home, place)
    return place


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def ledger(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    database = Database(f"sqlite:///{home / 'hub' / 'node.db'}")
    try:
        return rows(database)
    finally:
        database.close()


def lose(home: Path, *, guard: bool) -> None:
    for file in (home / "hub").glob("node.db*"):
        file.unlink()
    for file in () if guard else home.with_name("home-guard").glob("hub-*.guardlog"):
        file.unlink()


def opened(home: Path) -> real_world.World:
    told = json.loads((home / "told.json").read_text(encoding="utf-8"))
    return real_world.build(home, told, now=datetime.fromisoformat(told["now"]))


def test_a_hub_whose_disk_died(home: Path) -> None:
    lost = ledger(home)
    lose(home, guard=True)
    size = len(lost["ledger_entry"])
    code, said = run("hub", "recover", "--home", str(home / "hub"))
    assert (code, f"ok  0-{size - 1} guard" in said) == (0, True), said
    assert ledger(home) == lost
    assert run("hub", "recover", "--home", str(home / "hub"))[0] == 0
    world = opened(home)
    hub = world.nodes["hub"]
    try:
        for _ in range(3):
            world.settle()
            wiring.recover(hub, world.clock.now())
        with hub.database.read() as session:
            own = hub.identities.by_member.values()
            assert [restored.reason(session, one.node) for one in own] == ["", ""]
            assert pieces.missing_bodies(session) == []
    finally:
        world.close()


def test_without_guard_and_mirror_it_says_what_is_missing(home: Path) -> None:
    """The hub's own members write to each other in entries that nobody else ever had."""
    lost = ledger(home)
    files = []
    for name in ("shiqiao", "yunling"):
        files += ["--file", str(home / f"{name}.evidence")]
        code, said = run("workstation", "evidence", files[-1], "--home", str(home / name))
        assert (code, int(said.split()[-1]) > 10) == (0, True), said
    size = len(lost["ledger_entry"])
    lose(home, guard=False)
    hub = str(home / "hub")
    assert run("hub", "recover", "--home", hub)[0] == MISSING
    said = ""
    for _ in range(2):
        code, said = run("hub", "recover", "--home", hub, *files)
        assert code == MISSING, said
        assert "hub successor" in said
        assert re.search(r"lead \(\S+, control\): its numbers 1-", said), said
    own = [at for at, kind, *_ in sent(lost) if kind == "ack/1"]
    first = own[0]
    assert f"--  {first}-" in said
    taken = ledger(home)["ledger_entry"]
    assert taken == lost["ledger_entry"][: len(taken)]
    assert 0 < len(taken) <= first < size
    with pytest.raises(Refusal, match=r"ledger\.behind"):
        opened(home)


def sent(lost: dict[str, list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """(index, kind) of what the lead hospital sent to the consortium."""
    place = {name: at for at, name in enumerate(one.key for one in EntryRow.__table__.c)}
    return [
        (row[0], row[place["kind"]])
        for row in lost["exchange_entry"]
        if row[place["sender"]] == "lead" and row[place["recipients"]] == '["consortium"]'
    ]


def test_a_start_is_refused_when_a_peer_has_seen_more(home: Path) -> None:
    world = opened(home)
    hub = world.nodes["hub"]
    try:
        copy = copy_of(hub.database, home / "old.db")
        with hub.database.read() as session:
            before = publisher.latest(session)
        world.clock.pass_s(3700)
        assert hub.say_heads(world.clock.now())
        world.settle()
        with hub.database.read() as session:
            note = publisher.latest(session)
    finally:
        world.close()
    assert note is not None
    by_itself(home, copy, world.clock)
    lose(home, guard=False)
    put_back(copy, home / "hub" / "node.db").close()
    settings = Settings.read(home / "hub", gossip_peers=("http://mirror",))
    for answer, refused in ((before, False), (note, True)):
        node = wiring.build(settings, clock=world.clock)
        try:
            node.tell_peer = lambda *_, told=answer: told.note if told is not None else None
            if not refused:
                wiring.start_checks(node)
                continue
            with pytest.raises(Refusal, match=r"ledger\.behind"):
                wiring.start_checks(node)
            wiring.start_checks(node, recovering=True)
        finally:
            node.close()


def by_itself(home: Path, copy: Path, clock: PastClock) -> None:
    """With its guard a hub that serves while entries are missing takes them and goes on."""
    lost = ledger(home)
    lose(home, guard=True)
    put_back(copy, home / "hub" / "node.db").close()
    node = wiring.build(Settings.read(home / "hub"), clock=clock)
    try:
        with pytest.raises(Refusal, match="behind_guard"):
            wiring.start_checks(node)
        wiring.begin_recovery(node)
        wiring.start_checks(node, recovering=True)
        with node.database.read() as session, pytest.raises(Refusal, match=r"ledger\.behind"):
            behind.refuse(session)
        assert wiring.recover(node, clock.now()) > 0
        with node.database.read() as session:
            behind.refuse(session)
        assert wiring.recover(node, clock.now()) == 0
    finally:
        node.close()
    assert ledger(home) == lost
