"""Many schedules of a hub and two workstations over a link that loses, doubles, reorders, cuts.

Workstations and hub are switched off and on, PCs break and old backups are put back, power goes in
the middle of an apply, the hub's disk is full, old requests come again. Whatever the schedule, all
comes to rest with nothing lost and nothing twice.
"""

import os

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.simulation.acts import CLINICS, Acts, harder_step, schedule
from tests.support.databases import PostgresDatabases

pytestmark = pytest.mark.simulation
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""A failing schedule is replayed by its seed; shrinking one costs minutes."""
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
who = st.sampled_from(CLINICS)
anyone = st.sampled_from([*CLINICS, "lead", "consortium"])
numbers = st.integers(0, 3)
things = st.sampled_from(["t1", "t2"])


class Sync(RuleBasedStateMachine):
    """One schedule, chosen step by step."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.acts = Acts(seed)

    @rule(name=who, urgent=st.booleans(), to_lead=st.booleans())
    def open_case(self, name: str, urgent: bool, to_lead: bool) -> None:
        self.acts.open(name, urgent=urgent, to_lead=to_lead)

    @rule(name=who, number=numbers, close=st.booleans(), to_lead=st.booleans())
    def say(self, name: str, number: int, close: bool, to_lead: bool) -> None:
        self.acts.say(name, number, close=close, to_lead=to_lead)

    @rule(name=who, number=numbers, thing=things)
    def claim(self, name: str, number: int, thing: str) -> None:
        self.acts.claim(name, number, thing)

    @rule(name=who, number=numbers)
    def give_back(self, name: str, number: int) -> None:
        self.acts.give_back(name, number)

    @rule(name=anyone)
    def sync(self, name: str) -> None:
        self.acts.sync(name)

    @rule(name=who, cut=st.booleans())
    def link(self, name: str, cut: bool) -> None:
        self.acts.link(name, cut=cut)

    @rule()
    def publish(self) -> None:
        self.acts.publish()

    @rule(name=st.sampled_from([*CLINICS, "hub"]))
    def restart(self, name: str) -> None:
        self.acts.restart(name)

    @rule(name=who)
    def replay(self, name: str) -> None:
        self.acts.replay(name)

    @rule(name=st.sampled_from([*CLINICS, "lead"]))
    def cut_in_apply(self, name: str) -> None:
        self.acts.cut_in_apply(name)

    @rule()
    def full_disk(self) -> None:
        self.acts.full_disk()

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.acts.wait(hours)

    @rule(name=who)
    def backup(self, name: str) -> None:
        self.acts.backup(name)

    @rule(name=who)
    def restore(self, name: str) -> None:
        self.acts.restore(name)

    @invariant()
    def nobody_signs_two_histories(self) -> None:
        if hasattr(self, "acts"):
            for name in CLINICS:
                assert self.acts.world.restored(name) in {"", "behind"}

    def teardown(self) -> None:
        if not hasattr(self, "acts"):
            return
        try:
            self.acts.rest()
            self.acts.check()
        finally:
            self.acts.close()


def test_whatever_the_schedule_nothing_is_lost_and_nothing_twice() -> None:
    run_state_machine_as_test(
        Sync,
        settings=settings(
            settings.default,
            max_examples=400 if LONG else 12,
            stateful_step_count=60 if LONG else 35,
            phases=PHASES,
        ),
    )


@pytest.mark.parametrize("seed", range(200 if LONG else 3))
def test_long_schedules_of_likely_steps(seed: int) -> None:
    schedule(seed, steps=400 if LONG else 90)


@pytest.mark.parametrize("seed", range(2_000, 2_200 if LONG else 2_002))
def test_schedules_with_bodies_that_nobody_can_take(seed: int) -> None:
    schedule(seed, steps=250 if LONG else 90, take=harder_step)


@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(20 if LONG else 2))
def test_with_a_hub_on_postgresql(postgres_databases: PostgresDatabases, seed: int) -> None:
    with postgres_databases.one() as database:
        schedule(1000 + seed, steps=70, hub=lambda: database)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5_000, 5_300))
def test_soak(seed: int) -> None:
    schedule(seed, steps=150)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6_000, 6_100))
def test_soak_with_bodies_that_nobody_can_take(seed: int) -> None:
    schedule(seed, steps=150, take=harder_step)
