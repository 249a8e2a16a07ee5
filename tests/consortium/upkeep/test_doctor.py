"""The self-check: a sound node passes, and each fault that is planted is found and named."""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from consortium import words
from consortium.exchange import closing as months
from consortium.exchange import state
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.tables import InboxRow, MarkRow
from consortium.kernel.database import Database
from consortium.kernel.time import to_ms
from consortium.ledger import journal
from consortium.ledger.journal import NewLeaf
from consortium.ledger.tables import EvidenceRow
from consortium.members.keys import Age, KeyFolder, SeedSigner
from consortium.ports import LinkDown, Reply
from consortium.settings import NodeRole, Settings
from consortium.upkeep import doctor
from consortium.upkeep.doctor import Finding
from tests.support.clock import VirtualClock

MEMBER = "clinic-a"
JWS = b"eyJhIjoxfQ.eyJiIjoxfQ." + b"A" * 86


@dataclass
class FakeHub:
    """A link whose hub answers hello with its own time, or as a test wants."""

    clock: VirtualClock
    off: timedelta = timedelta(0)
    status: int = 200
    down: bool = False
    asked: list[str] = field(default_factory=list)

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.asked.append(path)
        if self.down:
            raise LinkDown
        self.clock.advance(seconds=0.2)
        answer = {"nonce": "n", "time_ms": to_ms(self.clock.now() + self.off)}
        return Reply(self.status, orjson.dumps(answer))


@dataclass
class Node:
    """A sound workstation, or hub, to plant faults in."""

    settings: Settings
    database: Database
    clock: VirtualClock
    hub: FakeHub

    def examine(self) -> dict[str, Finding]:
        link = self.hub if self.settings.role is NodeRole.WORKSTATION else None
        found = doctor.examine(self.settings, self.database, link=link, clock=self.clock)
        return {finding.code: finding for finding in found}


def _told_by_ledger(
    signer: SeedSigner, age: Age, *, member: str = MEMBER
) -> dict[str, tuple[dict[str, Any], int]]:
    record = {"member": member, "use": "node", "public": signer.text, "from": 3, "until": None}
    directory = {"state": "joined", "nodes": [signer.key_id], "sealing": age.recipient}
    return {f"key:{signer.key_id}": (record, 3), f"member:{member}": (directory, 3)}


@pytest.fixture
def node(database: Database, tmp_path: Path, clock: VirtualClock) -> Node:
    settings = Settings(
        home=tmp_path / "home",
        role="workstation",
        hub_url="http://hub.example",
        guard_dir=tmp_path / "guard",
        database_url=database.url,
    )
    settings.home.mkdir()
    signer, age = KeyFolder(settings.home).make(MEMBER)
    with database.write() as session:
        state.write(session, _told_by_ledger(signer, age), frozenset())
    settings.backup_dir.mkdir()
    (settings.backup_dir / f"{clock.now():%Y%m%dT%H%M%SZ}.backup.age").touch()
    return Node(settings, database, clock, FakeHub(clock))


@pytest.fixture(autouse=True)
def _current(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables made from metadata have no revision row yet; what is checked is tested elsewhere."""
    monkeypatch.setattr("consortium.upkeep.doctor.check_revision", lambda _: None)


def _as_hub(node: Node) -> None:
    node.settings = node.settings.model_copy(update={"role": NodeRole.HUB})
    with node.database.write() as session:
        journal.create(session)
        head = journal.lock_head(session)
        time_ms = to_ms(node.clock.now())
        leaf = journal.make_leaf(time_ms=time_ms, verdict="ok", jws=JWS)
        fresh = NewLeaf(leaf, hashlib.sha256(JWS).digest())
        journal.append(session, head, [fresh], time_ms=time_ms)


def test_a_sound_workstation_passes(node: Node) -> None:
    found = node.examine()
    assert [code for code, finding in found.items() if not finding.ok] == []
    assert {code.partition(".")[0] for code in found} == {
        "disk", "migrations", "keys", "link", "clock", "ledger", "alarms", "backup",
    }  # fmt: skip
    assert node.hub.asked == ["/sync/hello"]
    assert found["link.ok"].facts["ms"] == 200


def test_a_sound_hub_passes(node: Node) -> None:
    _as_hub(node)
    found = node.examine()
    assert [code for code, finding in found.items() if not finding.ok] == []
    assert {"link.hub", "clock.hub", "ledger.ok"} <= found.keys()
    assert node.hub.asked == []


# ---------------------------------------------------------------- one fault for each check


def _full(node: Node, patch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(node.settings.home)._replace(free=100 * 2**20)
    patch.setattr("consortium.upkeep.doctor.shutil.disk_usage", lambda _: usage)


def _read_only(node: Node, patch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(30, "read-only")

    patch.setattr("consortium.upkeep.doctor.os.fsync", refuse)


def _no_keys(node: Node, patch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(node.settings.home / "keys")


def _damaged_key(node: Node, patch: pytest.MonkeyPatch) -> None:
    file = node.settings.home / "keys" / MEMBER / "node.key"
    file.write_text(file.read_text()[:-9])


def _open_key(node: Node, patch: pytest.MonkeyPatch) -> None:
    (node.settings.home / "keys" / MEMBER / "node.key").chmod(0o644)


def _ended_key(node: Node, patch: pytest.MonkeyPatch) -> None:
    name = f"key:{KeyFolder(node.settings.home).node(MEMBER).key_id}"
    with node.database.write() as session:
        record = state.read(session, name)
        assert record is not None
        state.write(session, {name: ({**record, "until": 9}, 9)}, frozenset({name}))


def _other_sealing_key(node: Node, patch: pytest.MonkeyPatch) -> None:
    (node.settings.home / "keys" / MEMBER / "sealing.key").unlink()
    KeyFolder(node.settings.home).make(MEMBER)


def _cut(node: Node, patch: pytest.MonkeyPatch) -> None:
    node.hub.down = True


def _not_known_there(node: Node, patch: pytest.MonkeyPatch) -> None:
    node.hub.status = 401


def _clock_wrong(node: Node, patch: pytest.MonkeyPatch) -> None:
    node.hub.off = timedelta(minutes=-6)


def _hub_clock_behind(node: Node, patch: pytest.MonkeyPatch) -> None:
    _as_hub(node)
    node.clock.jump(hours=-2)


def _tampered_leaf(node: Node, patch: pytest.MonkeyPatch) -> None:
    _as_hub(node)
    with node.database.write() as session:
        session.execute(text("UPDATE ledger_entry SET leaf_hash = :other"), {"other": b"x" * 32})


def _older_than_its_guard(node: Node, patch: pytest.MonkeyPatch) -> None:
    _as_hub(node)
    signer, age = KeyFolder(node.settings.home).make("consortium")
    with node.database.write() as session:
        state.write(session, _told_by_ledger(signer, age, member="consortium"), frozenset())
    guard = HubGuard(node.settings.guard_dir, name=f"hub-{signer.key_id}")
    guard.checkpoint(2, b"r" * 32)
    guard.close()


def _restored(node: Node, patch: pytest.MonkeyPatch) -> None:
    node_id = KeyFolder(node.settings.home).node(MEMBER).key_id
    with node.database.write() as session:
        session.add(MarkRow(name=f"restored:{node_id}", value="behind"))


def _differing_entry(node: Node, patch: pytest.MonkeyPatch) -> None:
    with node.database.write() as session:
        session.add(
            InboxRow(
                member=MEMBER, index=12, number=1, running=bytes(32), exchange="e",
                kind="referral.request/1",
                case="c", sender="clinic-b", time=node.clock.now(), verdict="ok", leaf=b"x",
                state="alarm", alarm="exchange.facts",
            )
        )  # fmt: skip


def _two_ledgers(node: Node, patch: pytest.MonkeyPatch) -> None:
    with node.database.write() as session:
        session.add(
            EvidenceRow(
                digest=b"d" * 32, code="ledger.split", held=b"a", offered=b"b", proof=b"",
                at=node.clock.now(), checksum=b"c" * 32,
            )
        )  # fmt: skip


def _no_backup(node: Node, patch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(node.settings.backup_dir)


def _old_backup(node: Node, patch: pytest.MonkeyPatch) -> None:
    node.clock.advance(days=3)


Plant = Callable[[Node, pytest.MonkeyPatch], None]


def _closed_alone(node: Node, patch: pytest.MonkeyPatch) -> None:
    _as_hub(node)
    said = {"at": to_ms(node.clock.now() - timedelta(days=8)), "agreed": []}
    told: dict[str, dict[str, Any]] = {
        months.NEWEST: {"month": "2026-10", "index": 1, "entry": 2},
        months.subject("2026-10"): said,
        "member:watch": {"state": "joined", "kind": "regulator"},
    }
    with node.database.write() as session:
        state.write(session, {name: (value, 2) for name, value in told.items()}, frozenset())


PLANTS: list[tuple[Plant, str]] = [
    (_full, "disk.low"),
    (_read_only, "disk.locked"),
    (_no_keys, "keys.none"),
    (_damaged_key, "keys.damaged"),
    (_open_key, "keys.open"),
    (_ended_key, "keys.ended"),
    (_other_sealing_key, "keys.sealing"),
    (_cut, "link.down"),
    (_not_known_there, "link.refused"),
    (_clock_wrong, "clock.off"),
    (_hub_clock_behind, "clock.behind"),
    (_tampered_leaf, "ledger.damaged"),
    (_older_than_its_guard, "ledger.short"),
    (_restored, "ledger.restored"),
    (_differing_entry, "ledger.alarm"),
    (_two_ledgers, "ledger.split"),
    (_two_ledgers, "alarms.some"),
    (_no_backup, "backup.none"),
    (_old_backup, "backup.old"),
    (_closed_alone, "closing.alone"),
]


@pytest.mark.parametrize(("plant", "code"), PLANTS, ids=[code for _, code in PLANTS])
def test_a_planted_fault_is_found_and_told(
    node: Node, monkeypatch: pytest.MonkeyPatch, plant: Plant, code: str
) -> None:
    if code.startswith("backup") and node.database.dialect != "sqlite":
        assert "backup.elsewhere" in node.examine()
        return
    plant(node, monkeypatch)
    found = node.examine()
    assert not found[code].ok, found
    for lang in words.LANGS:
        told, to_do = found[code].told(lang)
        assert told
        assert to_do


def test_another_release_s_database_is_told_and_not_read_further(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("consortium.upkeep.revisions.NEEDED", "9999")
    found = node.examine()
    assert found["migrations.other"].facts == {"found": "", "needed": "9999"}
    assert found.keys() == {"disk.ok", "migrations.other"}
    assert "9999" in found["migrations.other"].told("en")[0]


def test_a_damaged_database_is_told(tmp_path: Path, clock: VirtualClock) -> None:
    file = tmp_path / "node.db"
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    settings = Settings(home=tmp_path, role="hub", guard_dir=tmp_path)
    with closing(Database(settings.database_url)) as database:
        found = doctor.examine(settings, database, link=None, clock=clock)
    assert [finding.code for finding in found] == ["disk.ok", "migrations.damaged"]


def test_each_finding_has_its_words() -> None:
    source = Path(doctor.__file__).read_text()
    told = {key.split(".", 1)[1].rsplit(".", 1)[0] for key in words.areas()["doctor"]}
    assert all(f'"{code}"' in source for code in told)
    for _, code in PLANTS:
        assert code in told


def test_the_check_leaves_nothing_behind(node: Node) -> None:
    def held() -> dict[Path, Any]:
        return {path: path.stat().st_size for path in node.settings.home.rglob("*")}

    before = held()
    node.examine()
    assert held() == before
