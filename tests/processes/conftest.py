"""Real processes: the command line as it is run, a founded consortium, ports that nobody uses."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from consortium.cli.check_nodes import Nodes, free_ports, running
from consortium.kernel.database import Database
from consortium.ledger import journal
from consortium.settings import Settings

START_S = 300.0
ENGLISH = {**os.environ, "LC_ALL": "en_GB.UTF-8"}


@dataclass(frozen=True)
class Told:
    """What a command said."""

    code: int
    out: str
    err: str


def command(*args: str | Path, typed: str = "", **environment: str) -> Told:
    """Run `consortium ...` to its end; `environment` names settings of this run."""
    ended = subprocess.run(
        [sys.executable, "-m", "consortium.cli", *map(str, args)],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        env={**ENGLISH, **environment},
        timeout=300,
    )
    return Told(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def started(
    *args: str | Path, log: Path, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """`consortium ...` as a process that stays; it is told to stop at the end."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "consortium.cli", *map(str, args)],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env={**ENGLISH, **environment},
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def answers(port: int, path: str = "/healthz") -> bool:
    """Whether a node on this machine answers."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).is_success
    except httpx2.HTTPError:
        return False


def wait_for(port: int, process: "subprocess.Popen[bytes]", *, log: Path) -> None:
    """Wait until a node answers; fail with its log when it does not."""
    end = time.monotonic() + START_S
    while not answers(port):
        said = log.read_text(errors="replace")
        assert process.poll() is None, said
        assert time.monotonic() < end, said
        time.sleep(0.1)


def ledger_size(home: Path) -> int:
    """How many leaves the ledger in a hub's folder holds."""
    database = Database(Settings.read(home).database_url)
    try:
        with database.read() as session:
            return journal.size(session)
    finally:
        database.close()


@pytest.fixture
def port() -> int:
    """The first of three neighbouring ports that are free."""
    return free_ports()


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """The demo's hub and two clinics, founded and served, one for each test process."""
    with running(tmp_path_factory.mktemp("world") / "nodes", port=free_ports()) as made:
        yield made
