"""The one thread that runs jobs: woken by whoever has work for it, and by the clock.

A job that takes long runs apart, in a thread of its own, while the lease is renewed here.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consortium.jobs import lease
from consortium.jobs.tables import JobRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.log import logger
from consortium.ports import Clock

_PATIENCE_S = 30
_REST_S = 0.5
"""Whoever has found another with the lease does not ask again at each wake-up."""
_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A job: `run_once(now)` does what is due and may be repeated at any time.

    It manages its own transactions, because its work may lie on both sides of a call over a link.
    `every` is the longest pause between two runs; a wake-up shortens it for jobs with `on_wake`.
    `apart`: the others do not wait for it; it is not begun again while it runs.
    """

    name: str
    run_once: Callable[[datetime], object]
    every: timedelta
    on_wake: bool = False
    apart: bool = False


class Scheduler:
    """Runs jobs one after the other while this process holds the lease.

    Args:
        alone: no other process serves this database (the lock of its folder says so): a lease that
            is there was left by a power cut, and is not waited for.
        name: of the lease; schedulers of one name take turns, of several names run side by side.
        length: of the lease, and so how long nobody runs these jobs after a process has died.
        process: number of this web process among several, whose earlier self is no more.
    """

    def __init__(
        self,
        database: Database,
        jobs: Sequence[Job],
        *,
        clock: Clock,
        period_s: float,
        alone: bool = False,
        name: str = "jobs",
        length: timedelta = lease.LEASE,
        process: int | None = None,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._period_s = period_s
        self._alone = alone
        self._name = name
        self._length = length
        self._before = "" if process is None else f"{process}-"
        self._holder = f"{self._before}{os.getpid()}-{id(self):x}"
        self._rests_until = float("-inf")
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._last: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._apart: dict[str, threading.Thread] = {}

    def notify(self) -> None:
        """Fits the port `Wake`: run the jobs that wait for work now."""
        self._wake.set()

    def start(self) -> None:
        """Begin to run jobs in a thread of its own."""
        if self._alone or self._before:
            with self._database.write() as session:
                lease.clear(session, name=self._name, of=self._before)
        self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the jobs that run now, and let go of the lease."""
        self._stop.set()
        self._wake.set()
        if self._thread is None:
            return
        self._thread.join(timeout=_PATIENCE_S)
        for thread in self._apart.values():
            thread.join(timeout=_PATIENCE_S)
        if any(thread.is_alive() for thread in self._apart.values()):
            return  # the lease ends by itself, and nobody begins the same meanwhile
        with self._database.write() as session:
            lease.release(session, name=self._name, holder=self._holder)

    def _loop(self) -> None:
        while not self._stop.is_set():
            woken = self._wake.wait(self._period_s)
            self._wake.clear()
            if not self._stop.is_set():
                self.run_due(woken=woken)

    def run_due(self, *, woken: bool) -> None:
        """Run what is due once, if the lease can be had."""
        if self._clock.monotonic() < self._rests_until:
            return
        try:
            with self._database.write() as session:
                mine = lease.take(
                    session,
                    name=self._name,
                    holder=self._holder,
                    now=self._clock.now(),
                    length=self._length,
                )
        except Exception:  # a door: the thread must outlive a full disk
            _log.exception("jobs.lease")
            return
        if not mine:
            self._rests_until = self._clock.monotonic() + _REST_S
            return
        for job in self._jobs:
            due = self._clock.monotonic() - self._last.get(job.name, float("-inf"))
            if due >= job.every.total_seconds() or (woken and job.on_wake):
                self._begin(job)

    def _begin(self, job: Job) -> None:
        if not job.apart:
            self._run(job)
            return
        running = self._apart.get(job.name)
        if running is not None and running.is_alive():
            return
        self._last[job.name] = self._clock.monotonic()
        thread = threading.Thread(target=self._run, args=(job,), name=job.name, daemon=True)
        self._apart[job.name] = thread
        thread.start()

    def _run(self, job: Job) -> None:
        self._last[job.name] = self._clock.monotonic()
        trouble = ""
        try:
            job.run_once(self._clock.now())
        except Refusal as refusal:
            trouble = refusal.code
            _log.warning("jobs.refused", job=job.name, code=refusal.code)
        except Exception as fault:  # a door: one job's fault must not end the others
            trouble = type(fault).__name__
            _log.exception("jobs.fault", job=job.name)
        if trouble or job.every >= timedelta(minutes=1):
            self._note(job, trouble)

    def _note(self, job: Job, trouble: str) -> None:
        with self._database.write() as session:
            session.merge(JobRow(name=job.name, ran_at=self._clock.now(), trouble=trouble[:64]))
