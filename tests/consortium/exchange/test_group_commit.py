"""Many threads at one admission: contiguous indices, one winner, nobody harmed by another."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from consortium.exchange.answers import Answer
from consortium.exchange.candidate import Candidate
from consortium.kernel.database import Database
from consortium.ledger import journal
from tests.consortium.exchange import kinds
from tests.consortium.exchange.pens import Hub, Pen, verdict

THREADS = 32
ROUNDS = 32


@pytest.fixture
def hub(tmp_path: Path, database: Database) -> Hub:
    return Hub(database, tmp_path)


def together(work: Sequence[Callable[[], object]]) -> list[BaseException]:
    """Run all at once, from a barrier on; what they raised."""
    barrier = threading.Barrier(len(work))
    errors: list[BaseException] = []

    def run(one: Callable[[], object]) -> None:
        barrier.wait(30)
        try:
            one()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return errors


def test_32_threads_get_contiguous_indices(tmp_path: Path, database: Database) -> None:
    names = ("consortium", "lead", *(f"m{n}" for n in range(THREADS)))
    hub = Hub(database, tmp_path, names)
    pens = [hub.pens[name] for name in names[2:]]
    answers: dict[str, list[Answer]] = {}

    def push(pen: Pen) -> None:
        raws = [pen.open(f"{pen.member}-{n}") for n in range(3)]
        answers[pen.member] = [hub.admission.admit([raw])[0] for raw in raws]

    assert together([partial(push, pen) for pen in pens]) == []
    given = sorted(answer.index for all_of_one in answers.values() for answer in all_of_one)
    assert given == list(range(1, 1 + 3 * THREADS))
    assert hub.size() == 1 + 3 * THREADS
    assert [one["index"] for one in hub.guard.records()] == list(range(hub.size()))
    for mine in answers.values():
        assert [verdict(answer) for answer in mine] == ["ok"] * 3
        assert [answer.index for answer in mine] == sorted(answer.index for answer in mine)


def test_waiting_pushes_share_a_commit(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one batch is being written the others gather: one fsync serves them all."""
    sizes: list[int] = []
    gathered = threading.Event()
    real = hub.admission._commit

    def slow(candidates: Sequence[Candidate]) -> dict[bytes, Answer]:
        sizes.append(len(candidates))
        if len(sizes) == 1:
            gathered.wait(10)
        return real(candidates)

    monkeypatch.setattr(hub.admission, "_commit", slow)
    a, b = hub.pens["a"], hub.pens["b"]
    raws = [a.open("c1"), b.open("c2", urgency="urgent")]
    work = [partial(hub.admission.admit, [raw]) for raw in raws]
    first = threading.Thread(target=work[0])
    first.start()
    while not sizes:
        pass
    others = [threading.Thread(target=one) for one in (*work[1:], work[0], work[1])]
    for thread in others:
        thread.start()
    while len(hub.admission._queue) < len(others):
        pass
    gathered.set()
    for thread in (first, *others):
        thread.join(30)
    assert sizes == [1, 3]
    assert hub.size() == 3


@pytest.mark.parametrize("poison", ["judge", "step"])
def test_one_that_breaks_the_batch_takes_no_other_with_it(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, poison: str
) -> None:
    """What fails round a rule is no verdict; the sender of something else must not feel it."""

    def broken(*_args: object, **_more: object) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(kinds.Claim, poison, broken)
    gate = threading.Event()
    real = hub.admission._commit

    def gathering(candidates: Sequence[Candidate]) -> dict[bytes, Answer]:
        gate.wait(10)
        return real(candidates)

    monkeypatch.setattr(hub.admission, "_commit", gathering)
    results: dict[str, object] = {}

    def push(name: str, raw: bytes) -> None:
        try:
            results[name] = verdict(hub.admission.admit([raw])[0])
        except OSError as error:
            results[name] = error

    a, b, lead = hub.pens["a"], hub.pens["b"], hub.pens["lead"]
    raws = {"bad": a.claim("ca", "t"), "good": b.open("c1"), "also": lead.open("c2", to="b")}
    threads = [threading.Thread(target=push, args=(name, raw)) for name, raw in raws.items()]
    for thread in threads:
        thread.start()
    while len(hub.admission._queue) < 2:
        pass
    gate.set()
    for thread in threads:
        thread.join(30)
    assert isinstance(results.pop("bad"), OSError)
    assert results == {"good": "ok", "also": "ok"}
    monkeypatch.undo()
    assert hub.verdicts(raws["bad"]) == ["ok got"]


def test_two_admissions_over_one_database_share_its_indices(hub: Hub, tmp_path: Path) -> None:
    """As two web processes would; on SQLite the file lock, on PostgreSQL the head row's."""
    other = Hub.beside(hub, tmp_path / "second")
    a, b = hub.pens["a"], hub.pens["b"]
    got: list[int] = []

    def push(admitting: Hub, pen: Pen) -> None:
        for n in range(12):
            [answer] = admitting.admission.admit([pen.open(f"{pen.member}{n}")])
            got.append(answer.index)

    assert together([lambda: push(hub, a), lambda: push(other, b)]) == []
    assert sorted(got) == list(range(1, 25))
    with hub.database.read() as session:
        leaves = journal.leaves(session, range(25))
    times = [journal.read_leaf(leaves[index]).time_ms for index in range(25)]
    assert times == sorted(times)


# ---------------------------------------------------------------- the race


@pytest.mark.parametrize("admissions", [1, 2])
def test_one_of_two_claims_gets_it_in_each_of_32_rounds(
    hub: Hub, tmp_path: Path, admissions: int
) -> None:
    """Both clinics claim the same thing at once: one ok leaf and one refused leaf a round."""
    desks = [hub, hub if admissions == 1 else Hub.beside(hub, tmp_path / "second")]
    pens = [hub.pens["a"], hub.pens["b"]]
    for number in range(ROUNDS):
        told: dict[str, str] = {}

        def claim(side: int, number: int = number, told: dict[str, str] = told) -> None:
            raw = pens[side].claim(f"{pens[side].member}-{number}", f"t{number}")
            [answer] = desks[side].admission.admit([raw])
            told[pens[side].member] = verdict(answer)

        assert together([lambda: claim(0), lambda: claim(1)]) == []
        assert sorted(told.values()) == ["ok got", "test.taken"]
        winner = next(name for name, word in told.items() if word == "ok got")
        thing = hub.value(f"thing:t{number}")
        assert thing is not None
        assert thing["holder"] == winner
    assert hub.size() == 1 + 2 * ROUNDS
