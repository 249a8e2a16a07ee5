"""The check's own processes, each workstation's link through a cable that can be cut."""

import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from consortium.cli import demo
from consortium.cli.check_counts import Books
from consortium.cli.check_http import Browser, CheckError
from consortium.cli.demo_people import HUB, LEAD, SHIQIAO, WEIJIAN, YUNLING, person, place
from consortium.cli.demo_world import SEAL_FILE, found
from consortium.cli.proxy import Proxy
from consortium.kernel.crash import SIGNAL

HUB_FOLDER = "hub"
NODES = {
    HUB_FOLDER: (HUB, LEAD),
    SHIQIAO: (SHIQIAO,),
    YUNLING: (YUNLING,),
    WEIJIAN: (WEIJIAN,),
}
_FOUNDED_BEFORE = timedelta(minutes=30)
_PAUSE_S = 0.1
_SYNC_S = "0.4"
_END_S = 30.0
_PORT_MIN, _PORTS, _TRIES = 20_000, 4_000, 100


@dataclass(slots=True)
class Nodes:
    """Nodes as processes, their cables, their books, and the browsers of their people."""

    home: Path
    port: int
    books: Books
    cables: dict[str, Proxy] = field(default_factory=dict)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    browsers: dict[str, Browser] = field(default_factory=dict)

    # ------------------------------------------------------------ processes

    def port_of(self, folder: str) -> int:
        """Where a node serves its pages."""
        return self.port + list(NODES).index(folder)

    def start_all(self) -> None:
        """Start all at once."""
        for folder in self.books.nodes:
            self._launch(folder)
        for folder in self.books.nodes:
            demo.wait_until_ready(self.port_of(folder), self.processes[folder])

    def start(self, folder: str, **settings: str) -> None:
        """Start a node and wait for its first answer; its people sign in anew.

        Args:
            folder: the node's.
            settings: what is set for this process alone.
        """
        self._launch(folder, **settings)
        demo.wait_until_ready(self.port_of(folder), self.processes[folder])

    def _launch(self, folder: str, **settings: str) -> None:
        if folder in self.cables:
            settings["hub_url"] = f"http://127.0.0.1:{self.cables[folder].port}"
        settings.setdefault("sync_period_s", _SYNC_S)
        self.processes[folder] = demo.start(self.home / folder, **settings)

    def kill(self, folder: str) -> None:
        """End a node without a word to it; sessions are in its memory and gone."""
        process = self.processes[folder]
        process.send_signal(SIGNAL)
        process.wait(timeout=_END_S)
        self._forget(folder)

    def ended_by_itself(self, folder: str) -> None:
        """Wait until a node has killed itself.

        Raises:
            CheckError: it lives on, or ended in another way.
        """
        try:
            code = self.processes[folder].wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            raise CheckError(f"{folder} did not come to the place where it is killed") from None
        if code != -SIGNAL:
            raise CheckError(f"{folder} ended with {code} and was not killed")
        self._forget(folder)

    def _forget(self, folder: str) -> None:
        gone = [name for name in self.browsers if self.folder_of(name) == folder]
        for name in gone:
            self.browsers.pop(name).close()

    def stop(self) -> None:
        """Stop everything; nothing stays open."""
        for browser in self.browsers.values():
            browser.close()
        self.browsers.clear()
        demo.stop(list(self.processes.values()))
        for cable in self.cables.values():
            cable.close()
        self.books.close()

    # ------------------------------------------------------------ people

    def browser(self, name: str) -> Browser:
        """The browser of a person, signed in."""
        if name not in self.browsers:
            one = person(name)
            browser = Browser(self.port_of(self.folder_of(name)))
            browser.sign_in(one.login, one.password)
            self.browsers[name] = browser
        return self.browsers[name]

    def member_of(self, name: str) -> str:
        return person(name).member

    def folder_of(self, name: str) -> str:
        """The node at which a person signs in."""
        return _folder_of(person(name).member)

    def seal_of(self, member: str) -> str:
        return place(member).seal_passphrase

    def consortium_seal(self) -> bytes:
        """The file of the consortium's seal, which does not lie at the hub."""
        return (self.home / SEAL_FILE).read_bytes()


def _folder_of(member: str) -> str:
    return next(folder for folder, members in NODES.items() if member in members)


@contextmanager
def running(home: Path, *, port: int, mirror: bool = False) -> Iterator[Nodes]:
    """Found the consortium in an empty folder, then serve it."""
    found(home, port=port, start=datetime.now(UTC) - _FOUNDED_BEFORE, mirror=mirror).close()
    demo.confirm_clock(home)
    with serving(home, port=port, mirror=mirror) as nodes:
        yield nodes


@contextmanager
def serving(home: Path, *, port: int, mirror: bool = False) -> Iterator[Nodes]:
    """Serve a consortium that was founded; everything is stopped at the end."""
    served = {folder: NODES[folder] for folder in NODES if mirror or folder != WEIJIAN}
    nodes = Nodes(home, port, Books(home, served))
    try:
        for clinic in (SHIQIAO, YUNLING):
            nodes.cables[clinic] = Proxy(port)
        nodes.start_all()
        yield nodes
    finally:
        nodes.stop()


def eventually(what: str, holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait until something holds.

    Raises:
        CheckError: it did not in time.
    """
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            raise CheckError(f"{what}: not within {within_s:.0f} s")
        time.sleep(_PAUSE_S)


def free_ports() -> int:
    """The first of neighbouring ports, one a node, that nobody listens on, picked by chance."""
    for _ in range(_TRIES):
        # founding comes before listening: two checks at once must not pick the same
        port = _PORT_MIN + len(NODES) * secrets.randbelow(_PORTS)
        if all(_free(port + number) for number in range(len(NODES))):
            return port
    raise CheckError("no neighbouring ports are free")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
