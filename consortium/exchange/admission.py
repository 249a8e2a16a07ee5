"""Admission: the one place where an exchange gets its index, its verdict and its effect.

PROTOCOL 4. Parsing and signatures are done outside the lock, in parallel; under the head row's
lock a batch of up to 256 exchanges is judged in memory over one SELECT of all subjects named, and
leaf, feeds, shared state and head size are written in one transaction. Concurrent pushes share a
batch (group commit), so one fsync serves them all.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy import select

from consortium.exchange import candidate, jws
from consortium.exchange.answers import Answer, Status
from consortium.exchange.batch import Batch
from consortium.exchange.candidate import Candidate
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.judgement import key_public
from consortium.exchange.kinds import Registry
from consortium.exchange.limits import BATCH_MAX
from consortium.exchange.state import read
from consortium.exchange.tables import EntryRow
from consortium.kernel.database import Database
from consortium.ledger import journal
from consortium.ports import Clock, Wake

_PARALLEL_FROM = 8


class OnFork(Protocol):
    """Told, after the commit, of two exchanges signed under one number."""

    def __call__(self, first: bytes, second: bytes, *, now: datetime) -> None: ...


@dataclass(slots=True)
class _Job:
    candidates: list[Candidate]
    answers: dict[bytes, Answer] = field(default_factory=dict)
    error: BaseException | None = None
    done: bool = False


class Admission:
    """The hub's admission. One object a process; several processes share one database.

    Args:
        guard: keeps every leaf outside the database before it is answered.
        wake: told after each batch, so that local feeds are taken at once.
        on_fork: told, after the commit, of two exchanges signed under one number.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        *,
        clock: Clock,
        guard: HubGuard,
        wake: Wake,
        on_fork: OnFork | None = None,
    ) -> None:
        self._database = database
        self._registry = registry
        self._timekeeper = journal.Timekeeper(clock)
        self._guard = guard
        self._wake = wake
        self.on_fork = on_fork
        self._keys: dict[str, bytes] = {}
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="verify")
        self._whole = False
        self._queue: list[_Job] = []
        self._queueing = threading.Lock()
        self._leading = threading.Lock()

    def close(self) -> None:
        """End the verifying threads."""
        self._pool.shutdown(wait=True)

    def admit(self, raws: Sequence[bytes], *, final: frozenset[str] = frozenset()) -> list[Answer]:
        """Judge exchanges in the order given; each answer stands at its envelope's place.

        Args:
            raws: packed envelopes, at most 256.
            final: digests (base64url) of exchanges whose sender gives up waiting for a parent.

        Raises:
            Refusal: `ledger.clock` or `ledger.frozen` when no index may be given now; nothing was
                written.
        """
        prepared = [candidate.read(raw, self._registry) for raw in raws]
        read = [one for one in prepared if isinstance(one, Candidate)]
        # signatures alone are checked beside each other: all else waits for the interpreter anyway
        if len(read) >= _PARALLEL_FROM:
            half = len(read) // 2
            other = self._pool.submit(self._checked, read[half:])
            refused = self._checked(read[:half]) | other.result()
        else:
            refused = self._checked(read)
        candidates = [one for one in read if id(one) not in refused]
        if final:
            for one in candidates:
                one.final = jws.digest_text(one.signed.raw) in final
        answers = self._commit_with_others(candidates) if candidates else {}
        return [
            one if isinstance(one, Answer) else refused.get(id(one)) or answers[one.signed.digest]
            for one in prepared
        ]

    def _checked(self, candidates: Sequence[Candidate]) -> dict[int, Answer]:
        """Answers to those whose key is unknown or did not sign them, by the object's identity."""
        refused: dict[int, Answer] = {}
        for one in candidates:
            public = self._public_of(one)
            if public is None:
                refused[id(one)] = Answer.of(one.signed, Status.NODE)
            elif not jws.verify(one.signed, public):
                refused[id(one)] = Answer.of(one.signed, Status.SIGNATURE)
        return refused

    def _public_of(self, one: Candidate) -> bytes | None:
        """The key that a node id stands for, whatever its validity: that is judged at the index."""
        node = one.signed.header.node
        if node not in self._keys:
            with self._database.read() as session:
                record = read(session, f"key:{node}")
            if record is None:
                return _introduced(one)
            public = key_public(
                {**record, "until": None}, member=record["member"], index=record["from"]
            )
            if public is None:
                return None
            self._keys[node] = public
        return self._keys[node]

    def _commit_with_others(self, candidates: list[Candidate]) -> dict[bytes, Answer]:
        job = _Job(candidates)
        with self._queueing:
            self._queue.append(job)
        with self._leading:
            if not job.done:
                self._lead()
        if job.error is not None:
            raise job.error
        return job.answers

    def _lead(self) -> None:
        """Commit as many waiting jobs as fit a batch; the oldest come first."""
        while True:
            with self._queueing:
                jobs: list[_Job] = []
                size = 0
                while self._queue and (
                    not jobs or size + len(self._queue[0].candidates) <= BATCH_MAX
                ):
                    jobs.append(self._queue.pop(0))
                    size += len(jobs[-1].candidates)
            if not jobs:
                return
            self._answer(jobs)

    def _answer(self, jobs: Sequence[_Job]) -> None:
        """Commit jobs together; when that fails each alone, so that none takes others with it."""
        try:
            answers = self._commit([one for job in jobs for one in job.candidates])
        except BaseException as error:
            if len(jobs) > 1:
                for job in jobs:
                    self._answer([job])
                return
            jobs[0].error = error
        else:
            for job in jobs:
                job.answers = answers
        for job in jobs:
            job.done = True

    def _commit(self, candidates: Sequence[Candidate]) -> dict[bytes, Answer]:
        with self._database.write() as session:
            batch = Batch(session, self._registry, candidates, timekeeper=self._timekeeper)
            for one in candidates:
                batch.judge(one)
            batch.flush()
        self._promise(batch)
        if self.on_fork is not None:
            for first, second in batch.forks:
                self.on_fork(first, second, now=self._timekeeper.now())
        return batch.answers

    def cover(self) -> None:
        """Keep in the guard whatever leaf a commit has left that nobody lived to keep."""
        with self._database.read() as session:
            size = journal.size(session)
        self._close_gaps(size)

    def _close_gaps(self, size: int) -> None:
        for first, end in self._guard.gaps(size):
            for start in range(first, end, BATCH_MAX):
                stop = min(start + BATCH_MAX, end)
                self._guard.leaves(start, self._stored(start, stop))
        self._whole = True

    def _promise(self, batch: Batch) -> None:
        """Nobody is answered before the guard holds every leaf, those of a crashed commit too."""
        if not self._whole:
            self._close_gaps(batch.first)
        self._whole = False
        for index in batch.answered:
            # its own process may not have lived to keep it
            if not self._guard.keeps(index):
                self._guard.leaves(index, self._stored(index, index + 1))
        if batch.leaves:
            self._guard.leaves(batch.first, batch.leaves)
            self._wake.notify()
        self._whole = True

    def _stored(self, start: int, end: int) -> list[tuple[bytes, bytes]]:
        with self._database.read() as session:
            leaves = journal.leaves(session, range(start, end))
            facts = session.scalars(
                select(EntryRow.facts)
                .where(EntryRow.index >= start, EntryRow.index < end)
                .order_by(EntryRow.index)
            )
            return [
                (leaves[index], kept or b"")
                for index, kept in zip(range(start, end), facts, strict=True)
            ]


def _introduced(one: Candidate) -> bytes | None:
    """The key that entry 0 brings with itself; the batch sees to it that it is entry 0."""
    if one.kind is None or one.misfit is not None:
        return None
    record = one.kind.introduces(one.signed.header, one.facts)
    return key_public(record, member=one.signed.header.sender, index=0)
