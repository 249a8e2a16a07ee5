"""Jobs: one holder at a time, one job's fault does not end the others."""

import threading
import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from consortium.jobs import lease
from consortium.jobs.scheduler import Job, Scheduler
from consortium.jobs.tables import JobRow
from consortium.kernel.database import Database
from consortium.kernel.errors import conflict
from tests.support.clock import VirtualClock


def _take(database: Database, holder: str, clock: VirtualClock) -> bool:
    with database.write() as session:
        return lease.take(session, name="jobs", holder=holder, now=clock.now())


def test_a_lease_has_one_holder_until_its_end(database: Database, clock: VirtualClock) -> None:
    assert _take(database, "a", clock)
    assert not _take(database, "b", clock)
    clock.advance(seconds=20)
    assert _take(database, "a", clock)
    clock.advance(seconds=29)
    assert not _take(database, "b", clock)
    clock.advance(seconds=2)
    assert _take(database, "b", clock)
    assert not _take(database, "a", clock)


def test_a_released_lease_is_free_at_once(database: Database, clock: VirtualClock) -> None:
    assert _take(database, "a", clock)
    with database.write() as session:
        lease.release(session, name="jobs", holder="b")
    assert not _take(database, "b", clock)
    with database.write() as session:
        lease.release(session, name="jobs", holder="a")
    assert _take(database, "b", clock)


@given(st.integers(31, 10**9))
def test_a_lease_written_by_a_wrong_clock_does_not_hold(ahead_s: int) -> None:
    clock = VirtualClock()

    class Row:
        holder, until = "a", clock.now() + timedelta(seconds=ahead_s)

    class Session:
        def get(self, *_: object, **__: object) -> Row:
            return Row()

    assert lease.take(Session(), name="jobs", holder="b", now=clock.now())  # type: ignore[arg-type]


def test_a_job_apart_keeps_nobody_waiting(database: Database, clock: VirtualClock) -> None:
    begun: list[str] = []
    may_end = threading.Event()

    def slow(_now: object) -> None:
        begun.append("slow")
        may_end.wait(20)

    jobs = [
        Job("slow", slow, every=timedelta(seconds=10), apart=True),
        Job("quick", lambda _now: begun.append("quick"), every=timedelta(seconds=10)),
    ]
    scheduler = Scheduler(database, jobs, clock=clock, period_s=1)
    for _ in range(5):
        scheduler.run_due(woken=False)
        clock.advance(seconds=20)
    with database.write() as session:
        assert not lease.take(session, name="jobs", holder="other", now=clock.now())
    assert (begun.count("slow"), begun.count("quick")) == (1, 5)
    may_end.set()
    while any(one.name == "slow" for one in threading.enumerate()):
        time.sleep(0.01)
    scheduler.run_due(woken=False)
    assert begun.count("slow") == 2


def test_faults_are_noted_and_the_next_job_runs(database: Database, clock: VirtualClock) -> None:
    ran: list[str] = []

    def broken(_now: object) -> None:
        raise OSError("disk")

    def refused(_now: object) -> None:
        raise conflict("exchange.id_reused")

    jobs = [
        Job("broken", broken, every=timedelta(minutes=5)),
        Job("refused", refused, every=timedelta(minutes=5)),
        Job("good", lambda _now: ran.append("good"), every=timedelta(minutes=5), on_wake=True),
    ]
    scheduler = Scheduler(database, jobs, clock=clock, period_s=1)
    scheduler.run_due(woken=False)
    assert ran == ["good"]
    scheduler.run_due(woken=False)
    assert ran == ["good"]
    scheduler.run_due(woken=True)
    assert ran == ["good", "good"]
    with database.read() as session:
        rows = {row.name: row.trouble for row in session.scalars(select(JobRow))}
    assert rows == {"broken": "OSError", "refused": "exchange.id_reused", "good": ""}


def test_who_does_not_hold_the_lease_runs_nothing(database: Database, clock: VirtualClock) -> None:
    ran: list[str] = []
    job = Job("good", lambda _now: ran.append("good"), every=timedelta(seconds=1))
    first = Scheduler(database, [job], clock=clock, period_s=1)
    second = Scheduler(database, [job], clock=clock, period_s=1)
    first.run_due(woken=False)
    clock.advance(seconds=2)
    second.run_due(woken=True)
    assert ran == ["good"]


@pytest.mark.parametrize("alone", [False, True])
def test_a_lease_that_a_power_cut_left_is_waited_for_only_where_others_may_live(
    database: Database, clock: VirtualClock, alone: bool
) -> None:
    ran = threading.Event()
    job = Job("good", lambda _now: ran.set(), every=timedelta(seconds=1))
    assert _take(database, "killed", clock)
    scheduler = Scheduler(database, [job], clock=clock, period_s=0.01, alone=alone)
    scheduler.start()
    assert ran.wait(3 if alone else 0.2) is alone
    scheduler.stop()
