"""The golden ledger: entries of the whole product's kinds are judged and folded as they were."""

import orjson
import pytest

from consortium import wiring
from consortium.exchange.commitment import unb64
from consortium.exchange.judgement import outcome_of
from consortium.ledger import journal
from tests.support.replay import Replay
from tests.vectors import golden_ledger

Entries = list[tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def golden() -> tuple[Entries, dict[str, object]]:
    return golden_ledger.read()


def replayed(entries: Entries) -> Replay:
    replay = Replay(wiring.registry())
    for leaf, facts in entries:
        replay.take(leaf, facts)
    return replay


def test_replay_from_leaves_and_facts_gives_the_state(
    golden: tuple[Entries, dict[str, object]],
) -> None:
    entries, state = golden
    replay = replayed(entries)
    assert replay.faults == []
    assert replay.result() == state


def test_a_wrong_admission_and_a_wrong_refusal_are_both_found(
    golden: tuple[Entries, dict[str, object]],
) -> None:
    entries, _ = golden
    views = [journal.read_leaf(leaf) for leaf, _ in entries]
    for turned_to in ("contract.quota Q1", "ok v7"):
        place = next(
            number
            for number, view in enumerate(views)
            if b"referral.request" in leaf_header(view.jws) and outcome_of(view.verdict)[0]
        )
        view = views[place]
        forged = journal.make_leaf(time_ms=view.time_ms, verdict=turned_to, jws=view.jws)
        changed = [*entries[:place], (forged, entries[place][1])]
        faults = replayed(changed).faults
        assert [fault[0] for fault in faults] == [place]


def test_the_golden_ledger_holds_what_the_story_tells(
    golden: tuple[Entries, dict[str, object]],
) -> None:
    entries, state = golden
    kinds = {orjson.loads(leaf_header(journal.read_leaf(leaf).jws))["kind"] for leaf, _ in entries}
    assert {"referral.request/1", "contract.sign/1", "booking.request/1", "key.add/1"} <= kinds
    assert sum(name.startswith("case:") for name in state) >= 10


def leaf_header(jws_raw: bytes) -> bytes:
    return unb64(jws_raw.split(b".")[1].decode("ascii"))
