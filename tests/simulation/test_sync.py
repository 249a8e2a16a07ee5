"""Many schedules of a hub and two workstations over a link that loses, doubles, reorders, cuts."""

import shutil
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from tests.consortium.exchange.checks import chains_whole, folds_agree, nothing_lost_nothing_twice
from tests.consortium.exchange.world import World
from tests.simulation.acts import files, scratch

pytestmark = pytest.mark.simulation
CLINICS = ("a", "b")
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""A failing schedule is replayed by its seed; shrinking one costs minutes."""
who = st.sampled_from(CLINICS)
cases = st.sampled_from(["c1", "c2", "c3", "c4"])


class Sync(RuleBasedStateMachine):
    """Whatever the schedule, all comes to rest with nothing lost and nothing twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.folder = scratch()
        self.opened = 0

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        made = 0

        def make() -> Database:
            nonlocal made
            made += 1
            return self.stack.enter_context(files().one(self.folder, f"n{made}.db"))

        self.world = World(self.folder, make, CLINICS, seed=seed)
        for name in CLINICS:
            link = self.world.members[name].link
            link.lose_request, link.lose_answer, link.double = 0.1, 0.15, 0.2

    def _send(self, name: str, kind: str, to: str, case: str, **facts: Any) -> None:
        try:
            self.world.members[name].send(kind, (to,), case=case, **facts)
        except Refusal as refusal:
            assert refusal.code.startswith("test.")  # noqa: PT017 - a wrong code is the failure

    @rule(name=who, urgent=st.booleans(), to_lead=st.booleans())
    def open_case(self, name: str, urgent: bool, to_lead: bool) -> None:
        self.opened += 1
        other = "lead" if to_lead else CLINICS[name == "a"]
        urgency = "urgent" if urgent else "routine"
        self._send(name, "test.open/1", other, f"{name}{self.opened % 3}", urgency=urgency)

    @rule(name=who, case=st.sampled_from(["a0", "a1", "a2", "b0", "b1", "b2"]), close=st.booleans())
    def say(self, name: str, case: str, close: bool) -> None:
        self._send(name, "test.say/1", CLINICS[name == "a"], case, close=close)

    @rule(name=who, case=cases, thing=st.sampled_from(["t1", "t2"]))
    def claim(self, name: str, case: str, thing: str) -> None:
        self._send(name, "test.claim/1", "lead", f"{name}-{case}", thing=thing)

    @rule(name=who, case=cases)
    def give_back(self, name: str, case: str) -> None:
        self._send(name, "test.give_back/1", "lead", f"{name}-{case}")

    @rule(name=st.sampled_from(["a", "b", "lead", "consortium"]))
    def sync(self, name: str) -> None:
        self.world.clock.advance(seconds=1)
        self.world.members[name].sync()

    @rule(name=who, cut=st.booleans())
    def link(self, name: str, cut: bool) -> None:
        self.world.members[name].link.cut = cut

    @rule()
    def publish(self) -> None:
        self.world.publish()
        self.world.say_heads()

    @rule()
    def restart_hub(self) -> None:
        self.world.start_hub()

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.world.clock.advance(hours=min(hours, 23))
        self.world.members["lead"].sync()

    @invariant()
    def nothing_is_ahead_of_its_guard(self) -> None:
        if hasattr(self, "world"):
            for name in CLINICS:
                assert self.world.restored(name) == ""

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.world.heal()
                self.world.settle(rounds=40, heads=True)
                nothing_lost_nothing_twice(self.world)
                folds_agree(self.world)
                chains_whole(self.world)
        finally:
            self.stack.close()
            shutil.rmtree(self.folder, ignore_errors=True)


TestSync = Sync.TestCase
TestSync.settings = settings(
    settings.default, max_examples=25, stateful_step_count=30, phases=PHASES
)
