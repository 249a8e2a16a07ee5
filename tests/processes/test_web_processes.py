"""A hub served by two processes at once: one is killed under load, nothing acknowledged is lost."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from consortium import main, words
from consortium.cli.check_http import Browser
from consortium.cli.check_nodes import eventually
from consortium.cli.demo import confirm_clock
from consortium.cli.demo_people import SHIQIAO, YUNLING, person
from consortium.cli.demo_world import found
from consortium.exchange.answers import Answer, Status, read
from consortium.exchange.caller import Caller
from consortium.exchange.envelope import unpack
from consortium.exchange.hub_guard import hub_kept
from consortium.exchange.identity import Identity
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal, publisher
from consortium.ports import LinkDown, Reply
from consortium.settings import NodeRole, Settings
from consortium.wiring import HttpLink, SystemClock
from tests.bench.bench_admission import Referrals
from tests.processes.conftest import started, wait_for
from tests.support.cheap import least_cost
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.process
BATCHES, BATCH = 24, 4


@dataclass
class Client:
    """A clinic's node that pushes batches in their order, until each is answered by a leaf."""

    base: str
    identity: Identity
    batches: list[list[bytes]]
    acknowledged: dict[int, str] = field(default_factory=dict)
    links: list[HttpLink] = field(default_factory=list)

    def connect(self, *, away_from: str = "") -> Caller:
        """A link of its own; to another process than that of a nonce, if one is given."""
        while True:
            link = HttpLink(self.base, timeout_s=10)
            self.links.append(link)
            caller = Caller(self.identity, link, SystemClock())
            caller.hello()
            if not away_from or process_of(caller) != away_from:
                return caller

    def close(self) -> None:
        for link in self.links:
            link.close()

    def run(self) -> None:
        caller: Caller | None = None
        todo = list(self.batches)
        while todo:
            try:
                caller = caller or self.connect()
                answers = push(caller, todo[0])
            except LinkDown:
                caller = None
                time.sleep(0.05)
                continue
            assert {one.status for one in answers} == {Status.LEAF}
            self.acknowledged |= {one.index: one.leaf for one in answers}
            del todo[0]


def process_of(caller: Caller) -> str:
    return caller._nonce.rpartition(".")[2]


def push(caller: Caller, batch: list[bytes]) -> list[Answer]:
    answer = orjson.loads(caller.request("/sync/push", batch, final=[]))
    return [read(one) for one in answer["answers"]]


@dataclass(frozen=True)
class Served:
    hub: Path
    port: int
    pid: int
    clients: tuple[Client, Client]

    @property
    def workers(self) -> list[int]:
        """The web processes, in the order of their numbers as they were begun."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        told = {int(one): Path(f"/proc/{one}/cmdline").read_bytes() for one in children}
        return sorted(pid for pid, line in told.items() if b"spawn_main" in line)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path: the processes' sockets lie in the node's folder."""
    with tempfile.TemporaryDirectory(prefix="w", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def served(short: Path, port: int, postgres_server: PostgresServer) -> Iterator[Served]:
    url = postgres_server.url(postgres_server.create())
    now = datetime.now(UTC)
    start = now - timedelta(minutes=20)
    with least_cost():
        world = found(short / "world", port=port, start=start, hub_database=url)
    clients = []
    for member in (SHIQIAO, YUNLING):
        # there is no contract: refusals are leaves as well
        sender = Referrals(world.beside[member], "none", member)
        batches = [sender.next(BATCH, now=now) for _ in range(BATCHES)]
        identity = world.beside[member].identities.of(member)
        clients.append(Client(f"http://127.0.0.1:{port}", identity, batches))
    world.close()
    home = short / "world"
    confirm_clock(home)
    log = short / "log"
    with started("serve", "--home", home / "hub", "--workers", "2", log=log) as process:
        wait_for(port, process, log=log)
        yield Served(home / "hub", port, process.pid, (clients[0], clients[1]))
        for one in clients:
            one.close()


def leaves(hub: Path) -> list[str]:
    database = Database(Settings.read(hub).database_url)
    try:
        with database.read() as session:
            found = journal.entries(session, 0)
            newest = publisher.latest(session)
    finally:
        database.close()
    assert [one.index for one in found] == list(range(len(found)))
    assert newest is not None
    return [one.leaf.decode("ascii") for one in found[: newest.size]]


@pytest.mark.slow
def test_one_of_two_is_killed_under_load(served: Served) -> None:
    first, second = served.clients
    threads = [threading.Thread(target=one.run) for one in served.clients]
    for thread in threads:
        thread.start()
    eventually("some are in", lambda: min(len(one.acknowledged) for one in served.clients) > BATCH)
    killed = served.workers[0]  # it was there first, and runs the jobs
    os.kill(killed, signal.SIGKILL)
    for thread in threads:
        thread.join(timeout=60)
    acknowledged = first.acknowledged | second.acknowledged
    assert len(acknowledged) == 2 * BATCHES * BATCH

    def published() -> bool:
        return len(leaves(served.hub)) > max(acknowledged)

    eventually("another process goes on with the jobs", published)
    found = leaves(served.hub)
    assert {index: found[index] for index in acknowledged} == acknowledged
    signed = [leaf.partition("\n")[2] for leaf in found]
    assert len(set(signed)) == len(signed)
    guarded = hub_kept(Settings.read(served.hub).guard_dir).leaves
    assert {index: guarded[index].decode() for index in range(len(found))} == dict(enumerate(found))
    eventually("it is begun again", lambda: len(served.workers) == 2)
    assert killed not in served.workers
    _each_is_taken_once(first)
    _a_page_is_one_persons_at_every_process(served)


def _each_is_taken_once(client: Client) -> None:
    """What was answered by one process is answered alike by the other; a request counts once."""
    one = client.connect()
    other = client.connect(away_from=process_of(one))
    batch = client.batches[3]
    assert push(one, batch) == push(other, batch)
    assert {unpack(raw).jws.decode() for raw in batch} == {
        answer.leaf.partition("\n")[2] for answer in push(one, batch)
    }
    replies = [
        other.link.call("/sync/push", one._signed("/sync/push", batch, {"final": []}), {}),
        *_sent_twice(one, other),
    ]
    assert [reply.status for reply in replies] == [200, 200, 401, 401]
    one._nonce = f"{one._nonce.rpartition('.')[0]}.7"
    assert other.link.call("/sync/pull", one._signed("/sync/pull", [], {}), {}).status == 401


def _sent_twice(one: Caller, other: Caller) -> list[Reply]:
    """One request of the first's nonce, three times and by both ways."""
    raw = one._signed("/sync/pull", [], {"after": 0})
    return [caller.link.call("/sync/pull", raw, {}) for caller in (other, other, one)]


def _a_page_is_one_persons_at_every_process(served: Served) -> None:
    admin = person("gaoyuan")
    browser = Browser(served.port)
    # each request takes a connection of its own, to whichever process is there first
    browser._client.headers["connection"] = "close"
    try:
        browser.sign_in(admin.login, admin.password)
        for _ in range(12):
            assert browser.get("/").path == "/"
    finally:
        browser.close()


def test_sqlite_is_served_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "check_built", lambda: None)
    settings = Settings(home=tmp_path / "hub", role=NodeRole.HUB, web_processes=2)
    with pytest.raises(Refusal, match=r"system\.processes") as refused:
        main.serve(settings)
    assert "PostgreSQL" in words.refusal("system.processes", "en", **refused.value.facts)[2]
