"""The audit: who did what and who has seen whom; whatever was changed since is found."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from consortium import audit
from consortium.audit.model import FIRST_PREV, Link, hash_of
from consortium.audit.tables import AuditHeadRow, EventRow
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.ids import MemberId, UserId

NOW = datetime(2026, 11, 24, 1, 0, 0, 123_456, tzinfo=UTC)
DOCTOR = Actor(UserId("u1"), "name", MemberId("clinic"), frozenset({Role.TOWNSHIP_DOCTOR}))


def fill(database: Database, count: int) -> None:
    with database.write() as session:
        for number in range(count):
            audit.record(
                session,
                actor=DOCTOR,
                action="records.view",
                subject=f"document:{number}",
                patient=f"p{number % 3}",
                now=NOW + timedelta(seconds=number),
                number=number,
                reason="care",
            )


def verify(database: Database, known: audit.Head | None = None) -> int | None:
    with database.read() as session:
        return audit.verify(session, known=known)


def clear(session: Session) -> None:
    session.execute(delete(EventRow))
    session.execute(delete(AuditHeadRow))


def test_an_act_reads_back(database: Database) -> None:
    with database.write() as session:
        assert audit.head(session) is None
        assert audit.verify(session) is None
        number = audit.record(
            session,
            actor=DOCTOR,
            action="records.view",
            subject="document:a:b",
            patient="p1",
            now=NOW,
            reason="care",
            emergency=True,
        )
        assert number == 1
        assert (
            audit.record(session, actor="cli", action="user.reset", subject="user:u2", now=NOW) == 2
        )
    with database.read() as session:
        (event,) = audit.viewed_by(session, "p1")
        assert audit.verify(session) is None
    assert event == audit.Event(
        seq=1,
        at=NOW.replace(microsecond=123_000),
        user="u1",
        member="clinic",
        action="records.view",
        subject="document:a:b",
        patient="p1",
        facts={"reason": "care", "emergency": True},
    )


def test_who_has_seen_a_patient_by_pages(database: Database) -> None:
    fill(database, 30)
    with database.read() as session:
        first = audit.viewed_by(session, "p1", limit=4)
        rest = audit.viewed_by(session, "p1", before=first[-1].seq)
        assert audit.viewed_by(session, "nobody") == []
    assert [event.seq for event in first] == [29, 26, 23, 20]
    assert [event.seq for event in rest] == [17, 14, 11, 8, 5, 2]


def test_undone_with_its_transaction(database: Database) -> None:
    fill(database, 2)
    with pytest.raises(ZeroDivisionError):
        _record_and_fail(database)
    assert verify(database) is None
    with database.read() as session:
        head = audit.head(session)
    assert head is not None
    assert head.seq == 2


def _record_and_fail(database: Database) -> None:
    with database.write() as session:
        audit.record(session, actor=DOCTOR, action="a.b", subject="c:d", now=NOW)
        raise ZeroDivisionError


def test_racing_processes_make_one_chain(database: Database) -> None:
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        for _ in range(5):
            with database.write() as session:
                audit.record(session, actor=DOCTOR, action="a.b", subject="c:d", now=NOW)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(database) is None
    with database.read() as session:
        head = audit.head(session)
    assert head is not None
    assert head.seq == 20


@pytest.mark.parametrize(
    "given",
    [
        {"action": "view", "subject": "a:b"},
        {"action": "Records.view", "subject": "a:b"},
        {"action": "records.view", "subject": "document"},
        {"action": "records.view", "subject": "document:"},
        {"action": "records.view", "subject": ":1"},
        {"action": "records.view", "subject": "a:b", "text": "x" * 2048},
    ],
)
def test_malformed_acts_are_errors(database: Database, given: dict[str, Any]) -> None:
    with database.write() as session, pytest.raises(ValueError, match="act"):
        audit.record(session, actor=DOCTOR, now=NOW, **given)


def test_the_hash_is_as_described() -> None:
    """A golden value: a chain of earlier years must verify for ever."""
    link = Link(1, NOW, "u1", "clinic", "records.view", "document", "1", None, "{}")
    assert hash_of(link, FIRST_PREV).hex() == GOLDEN
    assert hash_of(link, FIRST_PREV) != hash_of(
        Link(1, NOW, "u1", "clinic", "records.view", "document", "1", "", "{}"), FIRST_PREV
    )


GOLDEN = "683739d0e365dff196705c449b819dd8bb008bddbab08fc1ce753ed32b464ed4"


# ---------------------------------------------------------------- whatever was changed is found

COUNT = 12
CHANGES: dict[str, Any] = {
    "at": NOW - timedelta(days=1),
    "user": "u9",
    "member": "other",
    "action": "records.print",
    "subject_type": "x",
    "subject": "x",
    "patient": "p9",
    "facts": "{}",
    "hash": bytes(32),
}


@given(st.sampled_from(sorted(CHANGES)), st.integers(1, COUNT))
def test_a_changed_act_is_found(database: Database, column: str, seq: int) -> None:
    with database.write() as session:
        clear(session)
    fill(database, COUNT)
    with database.write() as session:
        session.execute(
            update(EventRow).where(EventRow.seq == seq).values({column: CHANGES[column]})
        )
    assert verify(database) == seq


@given(st.sets(st.integers(1, COUNT), min_size=1))
def test_deleted_acts_are_found(database: Database, gone: set[int]) -> None:
    with database.write() as session:
        clear(session)
    fill(database, COUNT)
    with database.write() as session:
        session.execute(delete(EventRow).where(EventRow.seq.in_(gone)))
    assert verify(database) == min(gone)


@given(st.permutations(range(1, COUNT + 1)))
def test_reordered_acts_are_found(database: Database, order: list[int]) -> None:
    with database.write() as session:
        clear(session)
    fill(database, COUNT)
    with database.write() as session:
        for old, new in enumerate(order, 1):
            session.execute(update(EventRow).where(EventRow.seq == old).values(seq=100 + new))
        session.execute(update(EventRow).values(seq=EventRow.seq - 100))
    first = next((seq for seq in range(1, COUNT + 1) if order[seq - 1] != seq), None)
    assert verify(database) == first


def _cut(session: Session) -> None:
    """The last acts are gone, and the end of the chain says so too."""
    session.execute(delete(EventRow).where(EventRow.seq > 5))
    digest = session.scalar(select(EventRow.hash).where(EventRow.seq == 5))
    session.execute(update(AuditHeadRow).values(seq=5, hash=digest))


def _made_anew(session: Session) -> None:
    """Every hash is made again after one act was changed."""
    session.execute(update(EventRow).where(EventRow.seq == 4).values(user="u9"))
    last = FIRST_PREV
    for row in session.scalars(select(EventRow).order_by(EventRow.seq)).all():
        row.prev = last
        last = hash_of(
            Link(
                row.seq, row.at, row.user, row.member, row.action, row.subject_type, row.subject,
                row.patient, row.facts,
            ),
            last,
        )  # fmt: skip
        row.hash = last
        session.flush()
    session.execute(update(AuditHeadRow).values(hash=last))


@pytest.mark.parametrize(("forge", "bad"), [(_cut, 6), (_made_anew, COUNT)])
def test_a_head_stated_elsewhere_finds_a_forged_chain(
    database: Database, forge: Callable[[Session], None], bad: int
) -> None:
    fill(database, COUNT)
    with database.read() as session:
        known = audit.head(session)
    assert verify(database, known) is None
    with database.write() as session:
        forge(session)
    assert verify(database) is None
    assert verify(database, known) == bad


def test_a_head_that_was_touched_is_found(database: Database) -> None:
    fill(database, 3)
    for values, bad in (({"seq": 2}, 3), ({"seq": 4}, 4), ({"seq": 3, "hash": bytes(32)}, 3)):
        with database.write() as session:
            session.execute(update(AuditHeadRow).values(values))
        assert verify(database) == bad
    with database.write() as session:
        session.execute(delete(AuditHeadRow))
    assert verify(database) == 1


def test_a_long_chain_is_read_in_parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consortium.audit.service._CHUNK", 5)
    for count in (5, 3, 2):
        fill(database, count)
        assert verify(database) is None
    with database.write() as session:
        session.execute(update(EventRow).where(EventRow.seq == 8).values(user="u9"))
    assert verify(database) == 8
