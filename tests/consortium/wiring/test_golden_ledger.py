"""The golden ledger: entries of the whole product's kinds are judged and folded as they were."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select

from consortium import wiring
from consortium.exchange import closing
from consortium.exchange.commitment import unb64
from consortium.exchange.judgement import outcome_of
from consortium.exchange.limits import BATCH_MAX
from consortium.exchange.replay import Finding, Replay, Shown
from consortium.exchange.tables import SharedStateRow
from consortium.kernel.database import Database
from consortium.ledger import journal
from tests.support.databases import SqliteFiles
from tests.vectors import golden_ledger

Entries = list[tuple[bytes, bytes]]
Replayed = Callable[[Entries], tuple[list[Finding], Database]]


@pytest.fixture(scope="module")
def golden() -> tuple[Entries, dict[str, object]]:
    return golden_ledger.read()


@pytest.fixture
def replayed(sqlite_files: SqliteFiles, tmp_path: Path) -> Iterator[Replayed]:
    with ExitStack() as stack:

        def run(entries: Entries) -> tuple[list[Finding], Database]:
            database = stack.enter_context(sqlite_files.one(tmp_path))
            found: list[Finding] = []
            with database.write() as session:
                journal.create(session)
                for start in range(0, len(entries), BATCH_MAX):
                    page = [Shown(*one) for one in entries[start : start + BATCH_MAX]]
                    taken = Replay(session, wiring.registry()).take(page)
                    assert (taken.count, taken.halted) == (len(page), "")
                    found += taken.findings
            return found, database

        yield run


def test_replay_from_leaves_and_facts_gives_the_state(
    golden: tuple[Entries, dict[str, object]], replayed: Replayed
) -> None:
    entries, state = golden
    found, database = replayed(entries)
    assert found == []
    with database.read() as session:
        rows = session.scalars(select(SharedStateRow))
        assert {row.subject: orjson.loads(row.value) for row in rows} == state


@pytest.mark.parametrize("turned_to", ["contract.quota Q1", "ok v7"])
def test_a_wrong_admission_and_a_wrong_refusal_are_both_found(
    golden: tuple[Entries, dict[str, object]], replayed: Replayed, turned_to: str
) -> None:
    entries, _ = golden
    views = [journal.read_leaf(leaf) for leaf, _ in entries]
    place = next(
        number
        for number, view in enumerate(views)
        if b"referral.request" in leaf_header(view.jws) and outcome_of(view.verdict)[0]
    )
    view = views[place]
    forged = journal.make_leaf(time_ms=view.time_ms, verdict=turned_to, jws=view.jws)
    found, _ = replayed([*entries[:place], (forged, entries[place][1])])
    assert [(one.index, one.aspect, one.said, one.found) for one in found] == [
        (place, "verdict", turned_to, view.verdict)
    ]


def test_a_month_closes_alike_for_whoever_replays(
    golden: tuple[Entries, dict[str, object]], sqlite_files: SqliteFiles, tmp_path: Path
) -> None:
    """The story told nine days later ends a month; pages of any size come to the same."""
    told = [(later(leaf), facts) for leaf, facts in golden[0]]
    found = []
    for size in (BATCH_MAX, 19):
        with sqlite_files.one(tmp_path, f"{size}.db") as database, database.write() as session:
            journal.create(session)
            for start in range(0, len(told), size):
                page = [Shown(*one) for one in told[start : start + size]]
                Replay(session, wiring.registry()).take(page)
            found.append(closing.closed(session, "2026-11"))
    one, other = found
    assert one == other
    assert one is not None
    assert 0 < one.index < len(told) - 1
    figures = orjson.loads(one.figures)
    counted = figures["kinds"].values()
    assert sum(sum(pair) for kind in counted for pair in kind.values()) == one.index + 1
    assert figures["quotas"]


def later(leaf: bytes) -> bytes:
    time, rest = leaf.split(b" ", 1)
    return b"%d %b" % (int(time) + 9 * 86_400_000, rest)


def test_the_golden_ledger_holds_what_the_story_tells(
    golden: tuple[Entries, dict[str, object]],
) -> None:
    entries, state = golden
    kinds = {orjson.loads(leaf_header(journal.read_leaf(leaf).jws))["kind"] for leaf, _ in entries}
    assert {"referral.request/1", "contract.sign/1", "booking.request/1", "key.add/1"} <= kinds
    assert sum(name.startswith("case:") for name in state) >= 10


def leaf_header(jws_raw: bytes) -> bytes:
    return unb64(jws_raw.split(b".")[1].decode("ascii"))
