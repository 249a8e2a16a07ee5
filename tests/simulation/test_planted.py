"""Bugs planted one at a time: each is found, by a check or by a node itself.

A simulation that finds nothing proves nothing until it has found what was put there.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from consortium.exchange import inbox, objections, outqueue, restored
from consortium.exchange.admission import Admission
from consortium.exchange.answers import Answer
from consortium.exchange.batch import Batch
from consortium.exchange.candidate import Candidate
from consortium.exchange.chains import Chains
from consortium.exchange.courier import Courier
from consortium.exchange.facts import Facts, Value
from consortium.exchange.feed import Feeds
from consortium.exchange.guard import NodeGuard
from consortium.exchange.header import Header
from consortium.exchange.inbox import Inbox
from consortium.exchange.kinds import ExchangeKind, Registry
from consortium.exchange.outbox import Post
from consortium.exchange.received import Entry
from consortium.exchange.settling import Place, settle
from consortium.exchange.tables import EntryRow, OutboxRow, OwnHeadRow
from consortium.kernel.time import from_ms
from consortium.ledger import journal
from tests.consortium.exchange import checks, kinds
from tests.consortium.exchange.kinds import PowerCutError
from tests.simulation.acts import CLINICS, Acts, harder_step, schedule, step

pytestmark = pytest.mark.simulation
SEEDS = range(40, 60)
Plant = Callable[[pytest.MonkeyPatch], None]


def no_dedupe(patch: pytest.MonkeyPatch) -> None:
    """What is on the ledger already is judged again."""
    patch.setattr(Batch, "_load_answered", lambda *_: None)


def answer_before_commit(patch: pytest.MonkeyPatch) -> None:
    """The hub answers and then loses the transaction, now and then."""
    real, times = Admission._commit, []

    def commit(self: Admission, candidates: Sequence[Candidate]) -> dict[bytes, Answer]:
        times.append(1)
        if len(times) % 5:
            return real(self, candidates)
        with self._database.write() as session:
            batch = Batch(session, self._registry, candidates, timekeeper=self._timekeeper)
            for one in candidates:
                batch.judge(one)
            session.rollback()
        return batch.answers

    patch.setattr(Admission, "_commit", commit)


def feed_leaves_one_out(patch: pytest.MonkeyPatch) -> None:
    """The hub forgets an entry in a feed, with numbers and hashes that look whole."""
    real, times = Feeds.append, []

    def append(self: Feeds, members: Sequence[str], index: int, leaf_hash: bytes) -> None:
        times.append(1)
        real(self, members if len(times) % 9 else members[1:], index, leaf_hash)

    patch.setattr(Feeds, "append", append)


def another_running_hash(patch: pytest.MonkeyPatch) -> None:
    """A member's running hash is not the hub's."""
    patch.setattr(inbox, "running_hash", lambda previous, index, leaf: previous)


def step_left_out(patch: pytest.MonkeyPatch) -> None:
    """One member forgets to fold what others fold."""
    real = Inbox._fold

    def fold(self: Inbox, kind: ExchangeKind, entry: Entry, *more: Any) -> None:
        if kind.name != "test.say/1":
            real(self, kind, entry, *more)

    patch.setattr(Inbox, "_fold", fold)


def fold_differs(patch: pytest.MonkeyPatch) -> None:
    """The same exchange gives another value each time it is folded."""
    real, times = Registry.step, []

    def step(
        self: Registry, kind: ExchangeKind, name: str, old: Value | None, header: Header,
        facts: Facts, *more: Any,
    ) -> Value | None:  # fmt: skip
        times.append(1)
        value = real(self, kind, name, old, header, facts, *more)
        if value is not None and kind.name == "test.open/1":
            return {**value, "said": len(times)}
        return value

    patch.setattr(Registry, "step", step)


def any_leaf_will_do(patch: pytest.MonkeyPatch) -> None:
    """A node takes whatever leaf it is given, and the hub mixes two answers up."""

    def placed(_self: Courier, row: OutboxRow, answer: Answer) -> bool:
        leaf = answer.leaf.encode()
        view = journal.read_leaf(leaf)
        settle(row, Place(answer.index, leaf, view.verdict, from_ms(view.time_ms)))
        return True

    real = Admission.admit

    def admit(self: Admission, raws: Sequence[bytes], **more: Any) -> list[Answer]:
        answers = real(self, raws, **more)
        leaves = [one for one in answers if one.leaf]
        return leaves[::-1] if len(leaves) == len(answers) else answers

    patch.setattr(Courier, "_placed", placed)
    patch.setattr(Admission, "admit", admit)
    # the feed would tell the right place later: a node that believes its first answer does not look
    patch.setattr(inbox, "take_back", lambda *_: None)


def cursor_before_apply(patch: pytest.MonkeyPatch) -> None:
    """A crash inside apply is swallowed, and the cursor has moved on."""
    real = kinds.Open.apply

    def apply(self: kinds.Open, session: Any, opened: Any) -> None:
        try:
            with session.begin_nested():
                real(self, session, opened)
        except PowerCutError:
            return

    patch.setattr(kinds.Open, "apply", apply)


def refused_is_not_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Inbox, "_told_refused", lambda *_, **__: None)


def applied_twice(patch: pytest.MonkeyPatch) -> None:
    """The cursor is not written, so the same entry comes again."""
    real, seen = Inbox.take, set()

    def take(self: Inbox, session: Any, member: str, item: Any, **more: Any) -> str:
        state = real(self, session, member, item, **more)
        if (member, item.number) not in seen and item.number == 5:
            seen.add((member, item.number))
            self.cursor(session, member).number -= 1
        return state

    patch.setattr(Inbox, "take", take)


def no_guard(patch: pytest.MonkeyPatch) -> None:
    """Nothing is promised outside the database: a restored node signs the old numbers again."""
    patch.setattr(NodeGuard, "advance", lambda *_: None)
    patch.setattr(restored, "notice_hub", lambda *_: None)
    patch.setattr(restored, "_compare", lambda *_: "")


def signs_before_it_is_whole(patch: pytest.MonkeyPatch) -> None:
    """A restored node goes on as soon as it has a link."""
    patch.setattr(restored, "is_restored", lambda *_: False)
    patch.setattr(restored, "check_at_start", lambda *_: "")
    patch.setattr(restored, "notice_hub", lambda *_: None)


def newest_only(patch: pytest.MonkeyPatch) -> None:
    """Of an outbox only the newest goes out: where several wait, nothing follows its chain."""
    real = outqueue.next_batch
    patch.setattr(outqueue, "next_batch", lambda *a, **more: real(*a, **more)[-1:])


def number_not_kept(patch: pytest.MonkeyPatch) -> None:
    """The head of a lane does not move with the exchange that was signed."""
    real = Post._sign

    def sign(self: Post, session: Any, draft: Any, ready: Any, identity: Any, head: Any,
             **more: Any) -> Any:  # fmt: skip
        seq, digest = head.seq, head.hash
        row = real(self, session, draft, ready, identity, head, **more)
        if seq == 3:
            head.seq, head.hash = seq, digest
        return row

    patch.setattr(Post, "_sign", sign)


PLANTED: dict[Plant, int] = {
    no_dedupe: 41, answer_before_commit: 41, feed_leaves_one_out: 42, another_running_hash: 40,
    step_left_out: 42, fold_differs: 42, any_leaf_will_do: 42, cursor_before_apply: 80,
    refused_is_not_told: 43, applied_twice: 40, no_guard: 594, signs_before_it_is_whole: 1167,
    newest_only: 45, number_not_kept: 43,
}  # fmt: skip
"""Each with the schedule that is tried first: the one that was found to show it soonest."""
FOUND = (AssertionError, IntegrityError)
"""By a check at rest or on the way, or by a constraint of the database."""


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in (PLANTED[plant], *SEEDS):
        for steps in (30, 60):
            try:
                schedule(seed, steps=steps)
            except FOUND:
                return
    pytest.fail("no schedule found it")


@pytest.mark.parametrize("seed", sorted(set(PLANTED.values())))
def test_without_a_planted_bug_the_same_schedules_pass(seed: int) -> None:
    schedule(seed, steps=30)


def test_an_answer_given_again_after_a_restore_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule(17, steps=60, take=harder_step)
    monkeypatch.setattr(objections, "answered", lambda *_, **__: False)
    with pytest.raises(AssertionError):
        schedule(17, steps=60, take=harder_step)


def test_a_chain_with_a_broken_link_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Admission that does not look at `prev` lets a second history in; the ledger shows it."""
    real = Chains.misfit

    def misfit(self: Chains, signed: Any) -> Answer | None:
        chain = self._chains.get((signed.header.node, signed.header.lane.value))
        if chain is not None and signed.header.seq == chain.seq + 1:
            return None
        return real(self, signed)

    monkeypatch.setattr(Chains, "misfit", misfit)
    acts = Acts(7)
    try:
        acts.world.heal()
        a = acts.world.members["a"]
        a.send("test.open/1", ("b",), case="c1", urgency="routine")
        acts.rest()
        with a.database.write() as session:
            head = session.get_one(OwnHeadRow, ("a-1", "routine"))
            head.hash = "A" * 43
        a.send("test.open/1", ("b",), case="c2", urgency="routine")
        acts.rest()
        with pytest.raises(AssertionError):
            checks.chains_whole(acts.world)
    finally:
        acts.close()


def test_every_step_of_the_schedules_is_taken() -> None:
    """What the schedules promise to do they do: a rule that never acts would prove nothing."""
    acts = Acts(3)
    try:
        for _ in range(150):
            step(acts)
        acts.rest()
        assert any(acts.copies.values())
        with acts.world.hub_database.read() as session:
            rows = session.scalars(select(EntryRow.kind)).all()
        assert {"test.open/1", "test.say/1", "test.claim/1", "ack/1"} <= set(rows)
        assert all(len(acts.world.members[name].link.earlier) > 3 for name in CLINICS)
    finally:
        acts.close()
