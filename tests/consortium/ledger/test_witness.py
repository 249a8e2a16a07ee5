"""What a member has seen of the log only grows; whatever does not fit is refused and kept."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from chain import merkle, note
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import receipts, witness
from consortium.ledger.tables import EvidenceRow
from tests.chain.making import Log
from tests.chain.test_receipt import KEY
from tests.consortium.ledger.making import NOW

RULES = receipts.policy_text(KEY.verifier.text)


def advance(
    database: Database, log: Log, *, old: int = 0, proof: list[bytes] | None = None
) -> witness.View | Refusal:
    hashes = merkle.consistency_proof(old, log.size, log.read) if proof is None else proof
    with database.write() as session:
        return witness.advance(session, log.checkpoint, hashes, policy_bytes=RULES, now=NOW)


def view(database: Database) -> witness.View | None:
    with database.read() as session:
        return witness.checkpoint_view(session)


def kept(database: Database) -> list[witness.Evidence]:
    with database.read() as session:
        return witness.evidence(session)


def code(answer: witness.View | Refusal) -> str:
    assert isinstance(answer, Refusal)
    return answer.code


def test_the_view_grows_with_the_log(database: Database) -> None:
    assert view(database) is None
    with database.read() as session:
        assert receipts.seen_size(session) == 0
    old = 0
    for size in (1, 2, 3, 64, 65, 300):
        seen = advance(database, Log(size, KEY), old=old)
        assert seen == view(database)
        assert isinstance(seen, witness.View)
        assert (seen.size, seen.origin) == (size, KEY.name)
        with database.read() as session:
            assert receipts.seen_size(session) == size
        old = size
    assert kept(database) == []


def test_the_same_checkpoint_again_is_no_news(database: Database) -> None:
    advance(database, Log(7, KEY))
    seen = advance(database, Log(7, KEY), proof=[])
    assert isinstance(seen, witness.View)
    assert seen.size == 7
    assert kept(database) == []


def test_a_smaller_checkpoint_is_refused_and_kept(database: Database) -> None:
    advance(database, Log(7, KEY))
    answer = advance(database, Log(5, KEY), proof=[])
    assert code(answer) == "ledger.smaller"
    assert isinstance(answer, Refusal)
    assert answer.facts == {"held": 7, "offered": 5}
    found = kept(database)
    assert [(one.code, one.held, one.offered) for one in found] == [
        ("ledger.smaller", Log(7, KEY).checkpoint, Log(5, KEY).checkpoint)
    ]
    seen = view(database)
    assert seen is not None
    assert seen.size == 7


def test_two_roots_of_one_size_are_refused_and_kept(database: Database) -> None:
    advance(database, Log(7, KEY))
    assert code(advance(database, Log(7, KEY, first=1), proof=[])) == "ledger.split"
    assert [one.code for one in kept(database)] == ["ledger.split"]
    assert view(database) is not None


@pytest.mark.parametrize("proof", ["honest", "empty", "short", "malformed", "long"])
def test_a_tree_that_does_not_begin_with_what_was_seen(database: Database, proof: str) -> None:
    advance(database, Log(7, KEY))
    other = Log(20, KEY, first=1)
    honest = merkle.consistency_proof(7, 20, other.read)
    offered = {
        "honest": honest,
        "empty": [],
        "short": honest[:-1],
        "malformed": [b"x"],
        "long": honest * 30,
    }[proof]
    assert code(advance(database, other, proof=offered)) == "ledger.unproven"
    (found,) = kept(database)
    assert found.offered == other.checkpoint
    assert found.proof == (() if proof in ("malformed", "long") else tuple(offered))
    seen = view(database)
    assert seen is not None
    assert seen.size == 7
    assert isinstance(advance(database, Log(20, KEY), old=7), witness.View)


def test_what_is_not_signed_as_the_policy_asks_leaves_no_trace(database: Database) -> None:
    advance(database, Log(7, KEY))
    stranger = Log(9, note.SigningKey(KEY.name, b"\x07" * 32))
    with database.write() as session:
        for data in (stranger.checkpoint, b"", Log(9, KEY).checkpoint[:-1]):
            answer = witness.advance(session, data, [], policy_bytes=RULES, now=NOW)
            assert code(answer) == "ledger.note"
    assert kept(database) == []


def test_the_same_evidence_is_kept_once(database: Database) -> None:
    advance(database, Log(7, KEY))
    for _ in range(3):
        advance(database, Log(5, KEY), proof=[])
    assert len(kept(database)) == 1


def test_evidence_has_a_limit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "EVIDENCE_MAX", 2)
    advance(database, Log(7, KEY))
    for size in (1, 2, 3, 4):
        assert code(advance(database, Log(size, KEY), proof=[])) == "ledger.smaller"
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(EvidenceRow)) == 2


def test_evidence_is_listed_newest_first(database: Database) -> None:
    advance(database, Log(7, KEY))
    with database.write() as session:
        for size in (2, 4, 3):
            witness.advance(
                session,
                Log(size, KEY).checkpoint,
                [],
                policy_bytes=RULES,
                now=NOW + timedelta(minutes=size),
            )
    with database.read() as session:
        found = witness.evidence(session, limit=2)
    assert [one.offered for one in found] == [Log(size, KEY).checkpoint for size in (4, 3)]


def test_a_successor_log_has_its_own_view(database: Database) -> None:
    advance(database, Log(7, KEY))
    successor = Log(1, note.SigningKey("hub.example/ledger2", b"\x08" * 32))
    rules = receipts.policy_text(successor.key.verifier.text)
    with database.write() as session:
        seen = witness.advance(
            session,
            successor.checkpoint,
            [],
            policy_bytes=rules,
            now=NOW + timedelta(minutes=1),
        )
    assert isinstance(seen, witness.View)
    assert view(database) == seen
    assert kept(database) == []
