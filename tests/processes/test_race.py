"""Two clinics race for the same slot over HTTP, 32 times: one gets it, the other is told."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from consortium import wiring
from consortium.cli.check_nodes import free_ports
from consortium.cli.demo_cases import Story, half_day, working_days
from consortium.cli.demo_contract import make_contract
from consortium.cli.demo_patients import SKETCHES, register
from consortium.cli.demo_people import SHIQIAO, YUNLING, person
from consortium.cli.demo_world import found
from consortium.exchange import state
from consortium.exchange.tables import EntryRow
from consortium.kernel.actor import Actor
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from consortium.members import accounts
from consortium.scheduling import service as scheduling
from consortium.scheduling.model import SessionKind
from consortium.settings import Settings
from consortium.teleconsult import service as teleconsult
from consortium.wiring import Node
from tests.processes.conftest import started
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.process
ROUNDS = 32
DOCTORS = {SHIQIAO: "han", YUNLING: "bai"}
SERVICE = "cardiology"


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.slow), "postgres"])
def hub_database(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url(name)


class Clinic:
    """A workstation in this process; its link is HTTP."""

    def __init__(self, home: Path, member: str) -> None:
        self.node: Node = wiring.build(Settings.read(home / member))
        self.member = member
        one = person(DOCTORS[member])
        now = datetime.now(UTC)
        with self.node.database.write() as session:
            self.actor: Actor = accounts.sign_in(
                session, one.login, one.password, keyring=self.node.keyring, now=now
            )
            self.patient = register(session, self.actor, SKETCHES["wu"], now=now)

    def sync(self) -> None:
        done = self.node.couriers[self.member].run_once(datetime.now(UTC))
        assert not done.down

    def book(self, slot: str) -> None:
        now = datetime.now(UTC)
        with self.node.database.write() as session:
            teleconsult.request(
                session,
                teleconsult.Form(slot, "routine", "请会诊。", "explicit"),
                patient=self.patient,
                actor=self.actor,
                post=self.node.post,
                signer=self.node.keyring.signer(self.actor),
                exchange=new_id(now),
                now=now,
            )


def prepare(home: Path, port: int, hub_database: str) -> tuple[str, ...]:
    """Two clinics under contract and more free slots than rounds; gives the slots."""
    now = datetime.now(UTC)
    world = found(home, port=port, start=now - timedelta(hours=2), hub_database=hub_database)
    try:
        for clinic in (SHIQIAO, YUNLING):
            make_contract(world, clinic, sessions=2 * ROUNDS)
        story = Story(world, until=now)
        days = working_days(now + timedelta(days=1), 5)
        story.publish_week(SERVICE, SessionKind.TELECONSULT, half_day(days, 8, 8))
        world.clock.pass_to(now)
        world.settle()
        node = world.beside[SHIQIAO]
        with node.database.read() as session:
            free = scheduling.free(
                session, node.post, member=SHIQIAO, service=SERVICE,
                kind=SessionKind.TELECONSULT, now=now,
            )  # fmt: skip
        return tuple(one.name for one in free.slots[:ROUNDS])
    finally:
        world.close()


def at_once(*acts: Callable[[], None]) -> None:
    """Run acts from one barrier; what one raises is raised here."""
    barrier = threading.Barrier(len(acts))
    faults: list[BaseException] = []

    def run(act: Callable[[], None]) -> None:
        barrier.wait()
        try:
            act()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def test_one_ok_leaf_and_one_refused_leaf_a_round(tmp_path: Path, hub_database: str) -> None:
    port = free_ports()
    slots = prepare(tmp_path / "demo", port, hub_database)
    assert len(slots) == ROUNDS
    hub_home = tmp_path / "demo" / "hub"
    with started("serve", "--home", hub_home, log=tmp_path / "hub.log"):
        clinics = [Clinic(tmp_path / "demo", member) for member in DOCTORS]
        wait_for_link(clinics[0])
        for slot in slots:
            for clinic in clinics:
                clinic.book(slot)
            at_once(*(clinic.sync for clinic in clinics))
        refused = [told(clinic) for clinic in clinics]
        for clinic in clinics:
            clinic.node.close()
    assert sum(refused) == ROUNDS
    count_leaves(hub_home, slots)


def wait_for_link(clinic: Clinic) -> None:
    for _ in range(200):
        if not clinic.node.couriers[clinic.member].run_once(datetime.now(UTC)).down:
            return
        threading.Event().wait(0.1)
    raise AssertionError("the hub does not answer")


def told(clinic: Clinic) -> int:
    """How many bookings came back to this clinic as taken."""
    clinic.sync()
    with clinic.node.database.read() as session:
        shown = teleconsult.bookings(session, actor=clinic.actor, limit=100).rows
    return sum(one.code == "slot.taken" for one in shown)


def count_leaves(hub_home: Path, slots: tuple[str, ...]) -> None:
    database = Database(Settings.read(hub_home).database_url)
    with database.read() as session:
        rows = session.scalars(select(EntryRow).where(EntryRow.kind == "booking.request/1"))
        verdicts = [row.verdict.split(" ")[0] for row in rows]
        held = state.read_many(session, slots)
    database.close()
    assert Counter(verdicts) == {"ok": ROUNDS, "slot.taken": ROUNDS}
    assert len({value["case"] for value in held.values()}) == ROUNDS
