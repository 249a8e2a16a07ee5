"""Guard files of a node: two copies, whole or the old ones; what a copied database shows."""

import shutil
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from consortium.exchange import restored
from consortium.exchange.guard import GuardDamaged, NodeGuard
from consortium.exchange.identity import Identity
from consortium.exchange.tables import OwnHeadRow
from consortium.kernel.database import Database
from tests.consortium.exchange.world import KeyInMemory

HEADS = {"routine": (3, "hash3"), "urgent": (1, "hash1")}


def guard(folder: Path, *, node: str = "a-1", machine: str = "m1") -> NodeGuard:
    return NodeGuard(node, inside=folder / "in", outside=folder / "out", machine=machine)


def kept(folder: Path) -> dict[str, tuple[int, str]]:
    found = guard(folder).read()
    assert found is not None
    return dict(found.heads)


def test_both_copies_hold_the_heads(tmp_path: Path) -> None:
    guard(tmp_path).advance(HEADS)
    copies = [(tmp_path / place / "a-1.guard").read_bytes() for place in ("in", "out")]
    assert copies[0] == copies[1]
    assert kept(tmp_path) == HEADS


def test_heads_never_go_back(tmp_path: Path) -> None:
    one = guard(tmp_path)
    one.advance(HEADS)
    one.advance({"routine": (2, "older"), "urgent": (5, "hash5")})
    assert kept(tmp_path) == {"routine": (3, "hash3"), "urgent": (5, "hash5")}
    assert one.heads == kept(tmp_path)


@pytest.mark.parametrize("place", ["in", "out"])
def test_one_copy_lost_is_made_again(tmp_path: Path, place: str) -> None:
    guard(tmp_path).advance(HEADS)
    file = tmp_path / place / "a-1.guard"
    file.unlink()
    assert kept(tmp_path) == HEADS
    guard(tmp_path).advance({})
    assert orjson.loads(file.read_bytes())["heads"]["routine"] == [3, "hash3"]


@pytest.mark.parametrize("place", ["in", "out"])
@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b'{"node":"a-1"}', b'{"heads":{"x":1}}'])
def test_one_torn_copy_does_no_harm(tmp_path: Path, place: str, torn: bytes) -> None:
    guard(tmp_path).advance(HEADS)
    (tmp_path / place / "a-1.guard").write_bytes(torn)
    assert kept(tmp_path) == HEADS


def test_two_torn_copies_are_damage_and_none_is_none(tmp_path: Path) -> None:
    one = guard(tmp_path)
    assert one.read() is None
    one.advance(HEADS)
    for place in ("in", "out"):
        (tmp_path / place / "a-1.guard").write_bytes(b"{")
    with pytest.raises(GuardDamaged):
        one.read()


def test_a_cut_between_the_two_copies_leaves_the_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = guard(tmp_path)
    one.advance(HEADS)
    from consortium.kernel.system import write_durably as real

    def cut(path: Path, content: bytes) -> None:
        if path.parent.name == "out":
            raise OSError("power")
        real(path, content)

    monkeypatch.setattr("consortium.exchange.guard.write_durably", cut)
    with pytest.raises(OSError, match="power"):
        one.advance({"routine": (4, "hash4")})
    monkeypatch.undo()
    assert kept(tmp_path)["routine"] == (4, "hash4")
    # what was not kept in both places was not promised: it is written again before it is sent
    one.advance({"routine": (4, "hash4")})
    outside = orjson.loads((tmp_path / "out" / "a-1.guard").read_bytes())
    assert outside["heads"]["routine"] == [4, "hash4"]


# ---------------------------------------------------------------- against the database


class Station:
    """A node's database and guard, without the rest."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder, self.database = folder, database
        self.hub: dict[str, tuple[int, str]] = {}

    def identity(self, **more: str) -> Identity:
        one = guard(self.folder, **more)
        return Identity("a", "a-1", KeyInMemory("a-1", bytes(32)), (), one)

    def signs(self, lane: str, seq: int, digest: str = "") -> None:
        with self.database.write() as session:
            session.merge(OwnHeadRow(node="a-1", lane=lane, seq=seq, hash=digest or f"hash{seq}"))

    def start(self, **more: str) -> str:
        with self.database.write() as session:
            return restored.check_at_start(session, self.identity(**more))

    def takes_back(self) -> bool:
        with self.database.write() as session:
            return restored.clear_if_whole(session, self.identity(), hub=self.hub)

    @property
    def reason(self) -> str:
        with self.database.read() as session:
            return restored.reason(session, "a-1")


@pytest.fixture
def station(tmp_path: Path, sqlite: Database) -> Station:
    made = Station(tmp_path, sqlite)
    made.signs("routine", 3)
    guard(tmp_path).advance({"routine": (3, "hash3")})
    return made


def test_equal_heads_are_no_restore(station: Station) -> None:
    assert station.start() == ""


def test_a_database_ahead_of_its_guard_fills_it_silently(station: Station) -> None:
    station.signs("routine", 5)
    station.signs("urgent", 1)
    assert station.start() == ""
    assert kept(station.folder) == {"routine": (5, "hash5"), "urgent": (1, "hash1")}


def test_a_database_behind_its_guard_signs_nothing(station: Station) -> None:
    guard(station.folder).advance({"urgent": (1, "hash1")})
    assert station.start() == "behind"
    assert station.reason == "behind"
    # the mark outlasts the next start, and the guard is not moved back
    assert station.start() == "behind"
    assert kept(station.folder)["urgent"] == (1, "hash1")


def test_no_guard_at_all_is_a_restore(station: Station) -> None:
    shutil.rmtree(station.folder / "in")
    shutil.rmtree(station.folder / "out")
    assert station.start() == "no_guard"
    assert not station.takes_back()


def test_a_guard_of_another_node_is_a_restore(station: Station) -> None:
    for place in ("in", "out"):
        file = station.folder / place / "a-1.guard"
        file.write_bytes(orjson.dumps({**orjson.loads(file.read_bytes()), "node": "b-1"}))
    assert station.start() == "other_node"
    assert not station.takes_back()


def test_a_folder_carried_to_another_machine_is_a_restore(station: Station) -> None:
    assert station.start(machine="m2") == "other_machine"
    with station.database.write() as session:
        identity = station.identity(machine="m2")
        assert not restored.clear_if_whole(session, identity, hub={"routine": (3, "hash3")})


def test_a_damaged_guard_is_a_restore_that_stays(station: Station) -> None:
    for place in ("in", "out"):
        (station.folder / place / "a-1.guard").write_bytes(b"torn")
    assert station.start() == "damaged"
    assert not station.takes_back()
    assert station.reason == "damaged"


def test_with_its_numbers_back_it_goes_on(station: Station) -> None:
    guard(station.folder).advance({"routine": (5, "hash5")})
    assert station.start() == "behind"
    station.hub = {"routine": (5, "hash5")}
    assert not station.takes_back()
    station.signs("routine", 5)
    assert station.takes_back()
    assert station.start() == ""


def test_numbers_that_only_the_guard_knows_are_lost(station: Station) -> None:
    guard(station.folder).advance({"routine": (5, "hash5")})
    station.start()
    station.hub = {"routine": (4, "hash4")}
    station.signs("routine", 4)
    assert not station.takes_back()
    assert station.reason == "behind"


@pytest.mark.parametrize("where", ["guard", "hub"])
def test_the_same_number_with_another_hash_is_not_the_same(station: Station, where: str) -> None:
    guard(station.folder).advance({"routine": (5, "hash5" if where == "hub" else "other")})
    station.start()
    station.hub = {"routine": (5, "other" if where == "hub" else "hash5")}
    station.signs("routine", 5)
    assert not station.takes_back()


def test_a_node_that_signed_two_histories_never_goes_on(station: Station) -> None:
    with station.database.write() as session:
        restored.mark(session, "a-1", restored.FORK)
    station.hub = {"routine": (3, "hash3")}
    assert not station.takes_back()
    assert station.start() == "fork"


def test_a_hub_that_knows_more_of_a_node_than_itself_shows_a_copy(station: Station) -> None:
    """Guard and database copied together say nothing; the hub's heads do, before a fork."""
    assert station.start() == ""
    with station.database.write() as session:
        restored.notice_hub(session, station.identity(), {"routine": (3, "x")})
        assert restored.reason(session, "a-1") == ""
        restored.notice_hub(session, station.identity(), {"routine": (4, "x")})
        assert restored.reason(session, "a-1") == "behind"


def test_a_mark_is_one_row(station: Station) -> None:
    guard(station.folder).advance({"routine": (9, "x")})
    station.start()
    station.start()
    with station.database.read() as session:
        assert session.scalar(text("select count(*) from node_mark")) == 1
