"""What can happen to a small consortium, and what must hold of it when it has come to rest."""

import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from tests.consortium.exchange import checks, kinds, trouble
from tests.consortium.exchange.world import World
from tests.support.databases import SqliteFiles

CLINICS = ("a", "b")
EVERYBODY = (*CLINICS, "lead")
CODES = ("test.", "exchange.restored")
"""What a sender may be refused with; any other code is a failure."""
_FILES: list[SqliteFiles] = []


def scratch() -> Path:
    """A new folder, in memory where the system has such a place: a schedule syncs thousands of
    times, and what a power cut leaves of a file is tested elsewhere."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="sync-", dir=memory if memory.is_dir() else None))


def files() -> SqliteFiles:
    if not _FILES:
        _FILES.append(SqliteFiles(scratch()))
    return _FILES[0]


class Acts:
    """One consortium and everything that may happen to it."""

    def __init__(self, seed: int, *, hub: Callable[[], Database] | None = None) -> None:
        self.rng = random.Random(seed)
        self.stack = ExitStack()
        self.folder = scratch()
        self.copies: dict[str, list[Path]] = {name: [] for name in CLINICS}
        self.cases: list[tuple[str, str, str]] = []
        self.opened = 0
        made = 0

        def make() -> Database:
            nonlocal made
            made += 1
            if made == 1 and hub is not None:
                return hub()
            return self.stack.enter_context(files().one(self.folder, f"n{made}.db"))

        self.world = World(self.folder, make, CLINICS, seed=seed)
        self.stack.callback(self.world.close)
        for name in CLINICS:
            link = self.world.members[name].link
            link.lose_request, link.lose_answer, link.double = 0.1, 0.15, 0.2

    # ------------------------------------------------------------ people

    def send(self, name: str, kind: str, to: str, case: str, **facts: Any) -> None:
        try:
            self.world.members[name].send(kind, (to,), case=case, **facts)
        except Refusal as refusal:
            if not refusal.code.startswith(CODES):
                raise

    def open(self, name: str, *, urgent: bool, to_lead: bool) -> None:
        """A new case, or the same one again, which is refused."""
        self.opened += 1
        other = "lead" if to_lead else CLINICS[name == "a"]
        case = f"{name}{self.opened % 4}"
        self.send(name, "test.open/1", other, case, urgency="urgent" if urgent else "routine")

    def say(self, name: str, number: int, *, close: bool, to_lead: bool) -> None:
        other = "lead" if to_lead else CLINICS[name == "a"]
        owner = CLINICS[number % 2]
        self.send(name, "test.say/1", other, f"{owner}{number % 4}", close=close)

    def claim(self, name: str, number: int, thing: str) -> None:
        self.send(name, "test.claim/1", "lead", f"{name}-{number}", thing=thing)

    def give_back(self, name: str, number: int) -> None:
        self.send(name, "test.give_back/1", "lead", f"{name}-{number}")

    def say_badly(self, name: str, number: int) -> None:
        """Something whose body its recipient cannot take."""
        owner = self.rng.choice(EVERYBODY)
        other = self.rng.choice([one for one in EVERYBODY if one != name])
        self.send(name, "test.say/1", other, f"{owner}{number % 4}", close=False, bad=True)

    # ------------------------------------------------------------ machines

    def sync(self, name: str) -> None:
        self.world.clock.advance(seconds=1)
        try:
            self.world.members[name].sync()
        except kinds.PowerCutError:
            self.restart(name)

    def restart(self, name: str) -> None:
        """Off and on again: nothing but disk is left."""
        if name in CLINICS:
            self.marked(name, trouble.restart(self.world, name))
        else:
            self.world.start_hub()

    def cut_in_apply(self, name: str) -> None:
        kinds.CUTS.add(name)
        self.sync(name)
        kinds.CUTS.discard(name)

    def backup(self, name: str) -> None:
        copy = trouble.copied(self.world, name, tag=str(len(self.copies[name])))
        self.copies[name].append(copy)

    def restore(self, name: str) -> None:
        if self.copies[name]:
            self.marked(name, trouble.restore(self.world, name, self.rng.choice(self.copies[name])))

    def marked(self, name: str, why: str) -> None:
        """Whatever is done to a PC, it only ever finds itself behind its guard, never forked."""
        assert why in {"", "behind"}, (name, why)

    def replay(self, name: str) -> None:
        self.world.members[name].link.replay()

    def link(self, name: str, *, cut: bool) -> None:
        self.world.members[name].link.cut = cut

    def full_disk(self) -> None:
        """The hub's guard cannot be written once: nobody is told anything."""

        def full(first: int, leaves: object) -> None:
            self.disk_emptied()
            raise OSError(28, "no space left")

        self.world.hub_guard.leaves = full  # type: ignore[method-assign]

    def disk_emptied(self) -> None:
        vars(self.world.hub_guard).pop("leaves", None)

    def publish(self) -> None:
        self.world.publish()
        self.world.say_heads()

    def wait(self, hours: int) -> None:
        self.world.clock.advance(hours=min(hours, 23))
        self.world.members["lead"].sync()

    # ------------------------------------------------------------ the end

    def rest(self) -> None:
        """Heal everything and wait until nothing moves."""
        kinds.CUTS.clear()
        self.disk_emptied()
        self.world.heal()
        self.world.settle(rounds=60, heads=True)

    def check(self) -> None:
        """What must hold at rest. A node that lost numbers for good signs nothing, and is told."""
        checks.all_is_well(self.world, but=frozenset(filter(self._waits_to_answer, CLINICS)))
        checks.replay_agrees(self.world)

    def _waits_to_answer(self, name: str) -> bool:
        """Whether a node that lost numbers for good stands before an entry that it must answer."""
        courier = self.world.members[name].courier
        assert courier is not None
        told = courier.state.trouble == "exchange.restored"
        return told and self.world.restored(name) == "behind"

    def close(self) -> None:
        kinds.CUTS.clear()
        self.stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def step(acts: Acts) -> None:
    """One thing happens, by chance."""
    rng, name = acts.rng, acts.rng.choice(CLINICS)
    number = rng.randrange(4)
    act: Callable[[], None] = rng.choices(
        [
            lambda: acts.open(name, urgent=rng.random() < 0.5, to_lead=rng.random() < 0.5),
            lambda: acts.say(name, number, close=rng.random() < 0.2, to_lead=rng.random() < 0.5),
            lambda: acts.claim(name, number, rng.choice(["t1", "t2"])),
            lambda: acts.give_back(name, number),
            lambda: acts.sync(rng.choice(["a", "b", "a", "b", "lead", "consortium"])),
            lambda: acts.link(name, cut=rng.random() < 0.3),
            acts.publish,
            lambda: acts.restart(rng.choice([*CLINICS, "hub"])),
            lambda: acts.replay(name),
            lambda: acts.cut_in_apply(name),
            acts.full_disk,
            lambda: acts.wait(rng.randrange(1, 30)),
            lambda: acts.backup(name),
            lambda: acts.restore(name),
        ],
        weights=[5, 5, 3, 2, 12, 2, 1, 1, 1, 1, 0.5, 1, 1, 0.5],
    )[0]
    act()


def harder_step(acts: Acts) -> None:
    """As `step`, with bodies that nobody can take, a lead that speaks, and more broken PCs."""
    rng = acts.rng
    name, number = rng.choice(EVERYBODY), rng.randrange(4)
    clinic = rng.choice(CLINICS)
    act: Callable[[], None] = rng.choices(
        [
            lambda: step(acts),
            lambda: acts.open(name, urgent=rng.random() < 0.5, to_lead=name != "lead"),
            lambda: acts.say_badly(name, number),
            lambda: acts.cut_in_apply(rng.choice(EVERYBODY)),
            lambda: acts.restart("hub"),
            lambda: acts.backup(clinic),
            lambda: acts.restore(clinic),
        ],
        weights=[20, 4, 5, 1.5, 0.5, 1.5, 0.7],
    )[0]
    act()


def schedule(
    seed: int, *, steps: int, hub: Callable[[], Database] | None = None,
    take: Callable[[Acts], None] = step,
) -> None:  # fmt: skip
    """Run one schedule to its end and check it. Raises AssertionError when something is wrong."""
    acts = Acts(seed, hub=hub)
    try:
        for _ in range(steps):
            take(acts)
        acts.rest()
        acts.check()
    finally:
        acts.close()
