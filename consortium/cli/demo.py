"""`consortium demo`: a hub, two clinics and a mirror as processes of their own, to try."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import typer

from consortium.cli.app import language, tell
from consortium.cli.demo_cases import tell_story
from consortium.cli.demo_people import (
    HUB,
    INSPECTOR,
    LEAD,
    PEOPLE,
    SHIQIAO,
    WEIJIAN,
    YUNLING,
    place,
)
from consortium.cli.demo_world import found
from consortium.kernel.database import Database
from consortium.kernel.errors import conflict
from consortium.kernel.system import write_durably
from consortium.ledger import journal
from consortium.settings import PREFIX, Settings
from consortium.words import say

FOLDERS = ("hub", SHIQIAO, YUNLING, WEIJIAN)
READY = "ready"
STORY_LENGTH = timedelta(days=5)
_START_S = 60.0


def run_demo(*, port: int, home: Path) -> int:
    """Prepare the folder once, start its processes, print sign-ins, stay until Ctrl-C."""
    home = home.absolute()
    refuse_taken_ports(port)
    prepare(home, port=port)
    running = [start(home / folder) for folder in FOLDERS]
    try:
        for number, process in enumerate(running):
            wait_until_ready(port + number, process)
        print_sign_ins(port, home)
        return _until_told(running)
    finally:
        stop(running)


def refuse_taken_ports(port: int) -> None:
    """Raise Refusal `system.port` for a port of the four that another program holds."""
    for number in range(len(FOLDERS)):
        with socket.socket() as probe:
            probe.settimeout(0.3)
            if probe.connect_ex(("127.0.0.1", port + number)) == 0:
                raise conflict("system.port", port=port + number)


def prepare(home: Path, *, port: int) -> None:
    """Found the consortium and tell its story, once; a half-made folder is made anew."""
    mark = home / READY
    if mark.exists():
        if mark.read_text(encoding="ascii").strip() != str(port):
            raise conflict("demo.other_port", port=mark.read_text(encoding="ascii").strip())
        confirm_clock(home)
        return
    if home.exists() and any(home.iterdir()) and not (home / "hub").exists():
        raise conflict("demo.folder")
    _clear(home)
    tell(say("demo.preparing", language()))
    world = found(home, port=port, start=datetime.now(UTC) - STORY_LENGTH, mirror=True)
    try:
        tell_story(world, until=datetime.now(UTC))
    finally:
        world.close()
    confirm_clock(home)
    write_durably(mark, str(port).encode())


def _clear(home: Path) -> None:
    import shutil

    for folder in (home, home.with_name(f"{home.name}-guard")):
        shutil.rmtree(folder, ignore_errors=True)


def confirm_clock(home: Path) -> None:
    """The demo's own two persons confirm the clock, so that it goes on after any pause."""
    database = Database(Settings.read(home / "hub").database_url)
    try:
        with database.write() as session:
            journal.confirm_clock(session, first="gaoyuan", second="lin", now=datetime.now(UTC))
    finally:
        database.close()


def start(folder: Path, **settings: str) -> subprocess.Popen[bytes]:
    """One node as a process of its own; its log goes into its folder.

    Args:
        folder: the node's.
        settings: what is set for this process alone, over the node's own file.
    """
    own = {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}
    with (folder / "node.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "consortium.cli", "serve", "--home", str(folder)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            # Ctrl-C goes to this process, which then stops the others in order
            start_new_session=True,
            env={**os.environ, **own, "PYTHONUNBUFFERED": "1"},
        )


def wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait for a node's first answer. Raises Refusal `demo.start` when none comes."""
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with suppress(httpx2.HTTPError):
            reply = httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=1, trust_env=False)
            if reply.status_code == httpx2.codes.OK:
                return
        time.sleep(0.05)
    raise conflict("demo.start", port=port)


def stop(running: "list[subprocess.Popen[bytes]]") -> None:
    """Stop the processes, the workstations first."""
    for process in reversed(running):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in running:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def print_sign_ins(port: int, home: Path) -> None:
    """Addresses, people, passwords, seals."""
    lang = language()
    ports = {HUB: port, LEAD: port, SHIQIAO: port + 1, YUNLING: port + 2, WEIJIAN: port + 3}
    shown = ""
    for one in (*PEOPLE, INSPECTOR):
        where = f"http://127.0.0.1:{ports[one.member]}"
        if where != shown:
            typer.echo(f"\n{where}")
            shown = where
        member = place(one.member)
        name = member.name_zh if lang == "zh" else member.name_en
        roles = "、".join(say(f"members.role.{role}", lang) for role in sorted(one.roles))
        typer.echo(f"  {one.login:<8} {one.password:<22} {one.name}  {name}  {roles}")
    typer.echo(f"\n{say('demo.seals', lang)}")
    for seal in (HUB, LEAD, SHIQIAO, YUNLING, WEIJIAN):
        typer.echo(f"  {seal:<11} {place(seal).seal_passphrase}")
    typer.echo(f"  {say('demo.seal_file', lang)} {home / 'consortium-seal'}")
    typer.echo(f"\n{say('demo.stop', lang)}")


def _until_told(running: "list[subprocess.Popen[bytes]]") -> int:
    """Wait for Ctrl-C; 1 if a node ends by itself."""
    told = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: told.set())
    while not told.wait(0.5):
        if any(process.poll() is not None for process in running):
            raise conflict("demo.ended")
    return 0
