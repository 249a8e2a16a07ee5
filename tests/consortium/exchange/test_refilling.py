"""Pieces of a lost ledger: which are believed, which are refused, and what is still missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chain import checkpoint
from chain.checkpoint import Checkpoint
from consortium.exchange import alarms, behind, pieces
from consortium.exchange.holes import Gap, holes
from consortium.exchange.pieces import Piece
from consortium.exchange.refilling import Refill, Refilled
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal, receipts
from consortium.ledger.keys import LogKey, make_log_key
from consortium.ledger.refill import Growing
from tests.consortium.exchange.kinds import PowerCutError
from tests.consortium.exchange.losing import rows
from tests.consortium.exchange.pens import Hub
from tests.consortium.exchange.test_replay import entries_of, leaf, signed_by, told
from tests.support.databases import SqliteFiles


@dataclass
class Lost:
    """A ledger of ten entries, and an empty database that is to hold it again."""

    hub: Hub
    database: Database
    whole: list[Piece]

    def give(self, *found: Piece, giver: str = "file f") -> list[str]:
        with self.database.write() as session:
            return [pieces.keep(session, self.hub.registry, one, giver=giver) for one in found]

    def take(self, *sizes: int) -> Refilled:
        """Refill; the roots of these sizes are known."""
        roots = {size: self.root(size) for size in sizes}
        now = self.hub.clock.now()
        return Refill(self.database, self.hub.registry, roots, now=now).run()

    def root(self, size: int) -> bytes:
        tree = Growing()
        tree.add([journal.hash_leaf(one.leaf) for one in self.whole[:size]])
        return tree.root()

    def lie(self, index: int, **changed: Any) -> Piece:
        """An entry whose giver says something else."""
        shown = entries_of(self.hub)[index]
        other = leaf(shown, **changed)
        return replace(self.whole[index], leaf=other.leaf, facts=other.facts)


@pytest.fixture
def lost(sqlite: Database, database: Database, tmp_path: Path) -> Lost:
    return made(sqlite, database, tmp_path)


@pytest.fixture
def cheap(sqlite_files: SqliteFiles, sqlite: Database, tmp_path: Path) -> Any:
    with sqlite_files.one(tmp_path, "again.db") as database:
        yield made(sqlite, database, tmp_path)


def made(full: Database, empty: Database, folder: Path) -> Lost:
    hub = told(full, folder)
    with empty.write() as session:
        journal.create(session)
    whole = [Piece(at, one.leaf, one.facts, one.body) for at, one in enumerate(entries_of(hub))]
    return Lost(hub, empty, whole)


def aspects(told: Refilled) -> list[tuple[int, str]]:
    return [(one.index, one.aspect) for one in told.refused]


def test_in_any_order_and_in_two_runs_it_is_the_ledger_that_was_lost(lost: Lost) -> None:
    lost.give(*reversed(lost.whole[:6]), giver="guard")
    assert lost.take(4, 10).stopped == "hole"
    lost.give(*lost.whole, giver="mirror m")
    told = lost.take(4, 10)
    assert (told.size, told.stopped, told.refused) == (10, "", [])
    assert rows(lost.database) == rows(lost.hub.database)
    assert lost.take() == Refilled(size=10, upto=10)


@pytest.mark.parametrize("changed", [{"verdict": "ok"}, {"later_ms": 1}])
def test_a_root_chooses_between_two_versions(cheap: Lost, changed: dict[str, Any]) -> None:
    cheap.give(cheap.lie(2, **changed), giver="file g")
    cheap.give(*cheap.whole)
    told = cheap.take(7)
    assert (told.size, told.refused) == (10, [])
    assert rows(cheap.database) == rows(cheap.hub.database)


def test_a_lie_alone_makes_no_root_and_nothing_of_it_is_taken(cheap: Lost) -> None:
    cheap.give(*cheap.whole[:6], cheap.lie(6, later_ms=1), *cheap.whole[7:])
    told = cheap.take(4, 8)
    assert (told.size, told.stopped, told.upto) == (4, "root", 8)
    cheap.give(cheap.whole[6], giver="file g")
    assert cheap.take(4, 8).size == 10


@pytest.mark.parametrize(
    ("changed", "aspect"),
    [({"verdict": "test.taken"}, "verdict"), ({"later_ms": 10**9}, "time"),
     ({"later_ms": -(10**9)}, "time")],
)  # fmt: skip
def test_a_lie_that_no_root_covers_is_refused_by_the_replay(
    cheap: Lost, changed: dict[str, Any], aspect: str
) -> None:
    cheap.give(*cheap.whole[:9], cheap.lie(9, **changed))
    told = cheap.take(4)
    assert (told.size, aspects(told)[:1]) == (9, [(9, aspect)])
    cheap.give(cheap.whole[9])
    assert cheap.take(4).size == 10


def test_a_faked_signature_is_refused(cheap: Lost) -> None:
    shown = entries_of(cheap.hub)[9]
    raw = signed_by(cheap.hub.pens["lead"], shown, node="b-1")
    cheap.give(*cheap.whole[:9], cheap.lie(9, raw=raw))
    told = cheap.take()
    assert (told.size, aspects(told)[0]) == (9, (9, "signature"))


def test_two_versions_and_nothing_to_choose_by(cheap: Lost) -> None:
    cheap.give(*cheap.whole)
    cheap.give(cheap.lie(9, later_ms=1), giver="file g")
    told = cheap.take(4)
    assert (told.size, told.stopped, told.upto) == (9, "several", 9)
    cheap.give(cheap.whole[9], giver="guard")
    assert cheap.take(4).size == 10


def test_what_its_giver_cannot_hold_is_left_out(cheap: Lost) -> None:
    """A member is shown its own feed, and no refusal but its own."""
    assert cheap.give(cheap.whole[4], giver="member b") == ["strange"]
    assert cheap.give(cheap.whole[5], giver="member lead") == ["strange"]
    assert cheap.give(replace(cheap.whole[4], leaf=b"none")) == ["strange"]
    assert cheap.give(cheap.whole[4]) == [""]


def test_facts_that_open_nothing_are_not_facts(cheap: Lost) -> None:
    wrong = (cheap.whole[4].facts or b"").replace(b"lamp", b"bell")
    cheap.give(*cheap.whole[:4], replace(cheap.whole[4], facts=wrong), *cheap.whole[5:])
    told = cheap.take(10)
    assert (told.stopped, told.upto) == ("facts", 4)
    cheap.give(cheap.whole[4])
    assert cheap.take(10).size == 10


def test_holes_are_named_with_the_chains_that_miss_a_number(cheap: Lost) -> None:
    given: Sequence[Piece] = [one for one in cheap.whole if one.index not in {3, 7}]
    cheap.give(*given, giver="mirror m")
    with cheap.database.read() as session:
        found = holes(session, upto=12)
    assert found.ranges == ((3, 4), (7, 8), (10, 12))
    assert found.count == 4
    assert Gap("b", "b-1", "routine", 1, 1) in found.gaps


def test_a_body_that_comes_later_belongs_to_its_entry_alone(cheap: Lost) -> None:
    bare = [replace(one, body=None) for one in cheap.whole]
    cheap.give(*bare, giver="guard")
    assert cheap.take(10).size == 10
    with cheap.database.read() as session:
        missing = pieces.missing_bodies(session)
        assert set(pieces.missing_bodies(session, "lead")) < set(missing)
    assert 4 in missing
    assert 2 not in missing
    sealed = b"age-encryption.org/v1\n-> the body of 4"
    other = replace(cheap.whole[4], leaf=cheap.whole[8].leaf, body=sealed)
    assert cheap.give(other) == ["strange"]
    assert cheap.give(replace(cheap.whole[4], body=b"not sealed")) == ["known"]
    assert cheap.give(replace(cheap.whole[4], body=sealed)) == [""]
    with cheap.database.read() as session:
        assert pieces.missing_bodies(session) == [one for one in missing if one != 4]


def test_a_time_to_come_is_measured_against_the_clock(cheap: Lost) -> None:
    cheap.give(*cheap.whole)
    late = cheap.hub.clock.now() - timedelta(hours=1)
    told = Refill(cheap.database, cheap.hub.registry, {}, now=late).run()
    assert (told.size, aspects(told)[0]) == (0, (0, "time"))


# ---------------------------------------------------------------- cut, and claimed


@pytest.mark.parametrize("writes", range(2))
def test_cut_anywhere_and_run_again(
    cheap: Lost, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """The power goes at a commit: what was committed stays, and nothing is taken twice."""
    cheap.give(*cheap.whole, giver="guard")
    left, real = [writes], pieces.drop_below

    def cut(session: Any, size: int) -> None:
        if not left[0]:
            raise PowerCutError
        left[0] -= 1
        real(session, size)

    monkeypatch.setattr(pieces, "drop_below", cut)
    with pytest.raises(PowerCutError):
        cheap.take(2, 3, 6, 8)
    monkeypatch.undo()
    with cheap.database.read() as session:
        assert journal.size(session) == (0, 8)[writes]
    assert cheap.take(2, 3, 6, 8).size == 10
    assert rows(cheap.database) == rows(cheap.hub.database)


def test_what_nobody_has_signed_changes_nothing(cheap: Lost, tmp_path: Path) -> None:
    """A bigger size in a text, a checkpoint of another key, one of no more than there is."""
    key, other = (make_log_key(tmp_path / name, origin="t.test/l") for name in ("1", "2"))
    rules, now = [receipts.policy_text(key.vkey)], cheap.hub.clock.now()

    def note(size: int, by: LogKey) -> bytes:
        return checkpoint.sign(Checkpoint("t.test/l", size, bytes(32)), by.signers)

    claims = [b"t.test/l\n99\nx\n", note(99, other), note(10, key), b"", b"x\n9\n"]
    with cheap.hub.database.write() as session:
        for claim in claims:
            assert not behind.shown(session, claim, giver="member a", rules=rules, now=now)
        behind.refuse(session)
        assert behind.shown(session, note(11, key), giver="member a", rules=rules, now=now)
        with pytest.raises(Refusal, match=r"ledger\.behind"):
            behind.refuse(session)
        assert [one.code for one in alarms.of_node(session)] == ["ledger.behind"]
    with pytest.raises(Refusal, match=r"ledger\.behind"):
        cheap.hub.admit(cheap.hub.pens["a"].open("c9"))


@pytest.mark.parametrize("text", ["", "x", "x\n", "x\n12", "x\n-1\ny", "x\n1e9\ny", "x\n12\ny"])
def test_what_a_text_claims(text: str) -> None:
    assert behind.claimed(text) == (12 if text == "x\n12\ny" else 0)
