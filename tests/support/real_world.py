"""The real app over the demo's consortium: founded once for all test processes, copied for use.

`founded` makes three nodes with a contract, slots, patients and cases through the services and the
chain; `open_copy` builds the nodes of a copy and their apps (`consortium.main.create_app`). No
scheduler runs: `World.settle` carries what is to be carried.
"""

import fcntl
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from httpx2 import Response
from starlette.testclient import TestClient

from consortium import wiring
from consortium.cli.demo_cases import Story, half_day, working_days
from consortium.cli.demo_contract import make_contract
from consortium.cli.demo_people import person
from consortium.cli.demo_world import Cable, DemoWorld, PastClock, found
from consortium.kernel import log
from consortium.main import create_app
from consortium.referrals.content import ReportText
from consortium.scheduling.model import SessionKind
from consortium.settings import Settings
from consortium.wiring import Node
from tests.support.clock import START

NODES = ("hub", "shiqiao", "yunling")
_READY = "told.json"
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
Files = list[tuple[str, tuple[str, bytes, str]]]


def founded(home: Path) -> Path:
    """The consortium with a short story; made by the first test process that asks."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / _READY).exists():
            _found(home)
    return home


def _found(home: Path) -> None:
    world = found(home, port=8000, start=START)
    try:
        contract = make_contract(world)
        story = Story(world, until=world.clock.now() + timedelta(days=2))
        # a city hospital's own hours; the week after, so that every slot lies ahead
        days = working_days(story.until + timedelta(days=1), 3)
        for kind, hour in ((SessionKind.TELECONSULT, 9), (SessionKind.CLINIC, 14)):
            story.publish_week("cardiology", kind, half_day(days, hour, 3))
        case = story.refer("wu", "cardiology", "urgent", "血压难以控制，请评估并调整用药。")
        declined = story.refer("he", "neurology", "routine", "颈肩痛伴手麻，请评估。")
        story.decline(declined, "manage_locally", "可先行颈椎牵引与理疗。")
        reported = story.refer("zhong", "nephrology", "urgent", "蛋白尿加重，请评估肾功能。")
        story.accept(reported, date=world.clock.now() + timedelta(days=1))
        story.arrive(reported)
        story.report(
            reported, ReportText("慢性肾脏病 3 期", "肾小球滤过率 48", "低盐饮食，月后复查")
        )
        story.book("li", "cardiology", "空腹血糖 11.8，请调整方案。", after=story.until)
        world.clock.pass_s(60)
        world.settle()
        told = {
            "now": world.clock.now().isoformat(),
            "contract": contract,
            "case": case,
            "declined": declined,
            "patients": story.patients,
        }
        (home / _READY).write_text(json.dumps(told), encoding="utf-8")
    finally:
        world.close()


@dataclass
class Browser:
    """A person's browser at their node, signed in."""

    client: TestClient
    csrf: str = ""

    def get(self, path: str, **more: Any) -> Response:
        return self.client.get(path, **more)

    def post(
        self, path: str, fields: Mapping[str, Any] | None = None, files: Files | None = None,
        **more: Any,
    ) -> Response:  # fmt: skip
        """Send a form with its token."""
        return self.client.post(path, data={"csrf": self.csrf, **(fields or {})}, files=files,
                                **more)  # fmt: skip


@dataclass
class World:
    """Three nodes of a copy, open, and what the story told of them."""

    home: Path
    clock: PastClock
    nodes: dict[str, Node]
    cables: dict[str, Cable]
    told: Mapping[str, Any]
    apps: dict[str, FastAPI] = field(default_factory=dict)
    _browsers: dict[str, Browser] = field(default_factory=dict)

    def folder_of(self, login: str) -> str:
        """The node at which a person signs in."""
        member = person(login).member
        return member if member in self.nodes else "hub"

    def node_of(self, login: str) -> Node:
        return self.nodes[self.folder_of(login)]

    def app(self, folder: str) -> FastAPI:
        if folder not in self.apps:
            self.apps[folder] = create_app(self.nodes[folder])
        return self.apps[folder]

    def client(self, folder: str = "shiqiao", **more: Any) -> TestClient:
        """Somebody who is not signed in; faults of the program become answers."""
        port = self.nodes[folder].settings.port
        return TestClient(
            self.app(folder),
            base_url=f"http://127.0.0.1:{port}",
            raise_server_exceptions=False,
            follow_redirects=False,
            **more,
        )

    def browser(self, login: str = "han", *, anew: bool = False) -> Browser:
        """A person's browser, signed in; the same one again unless `anew`."""
        if anew or login not in self._browsers:
            client = self.client(self.folder_of(login))
            told = {"name": login, "password": person(login).password}
            answer = client.post("/sign-in", data=told)
            assert answer.status_code == 303, answer.text
            self._browsers[login] = Browser(client, csrf_of(client.get("/account").text))
        return self._browsers[login]

    def settle(self) -> None:
        """Let every node sync until nothing moves."""
        demo = DemoWorld(
            self.home, self.clock, self.nodes["hub"],
            {name: self.nodes[name] for name in NODES[1:]}, self.cables,
        )  # fmt: skip
        demo.settle()

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()


@contextmanager
def logged() -> Iterator[StringIO]:
    """What the product writes into its log, written as the product does."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, StringIO()
    log.configure(level="DEBUG", stream=stream)
    try:
        yield stream
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


def csrf_of(html: str) -> str:
    """The token of a page's forms."""
    found_ = _CSRF.search(html)
    assert found_ is not None
    return found_[1]


@contextmanager
def open_copy(original: Path, home: Path) -> Iterator[World]:
    """The nodes of a copy; closed at the end."""
    copied(original, home)
    told = json.loads((home / _READY).read_text(encoding="utf-8"))
    world = build(home, told, now=datetime.fromisoformat(told["now"]))
    try:
        world.settle()  # until then nobody knows whether there is a link
        yield world
    finally:
        world.close()


def copied(original: Path, home: Path) -> None:
    """The folders of all nodes with their guards."""
    guard = home.with_name(f"{home.name}-guard")
    shutil.copytree(original, home)
    shutil.copytree(original.with_name(f"{original.name}-guard"), guard)
    line = f"guard_dir = {json.dumps(str(guard))}"
    for folder in NODES:
        file = home / folder / "node.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(re.sub(r"(?m)^guard_dir = .*$", lambda _: line, text), encoding="utf-8")


def build(home: Path, told: Mapping[str, Any], *, now: datetime) -> World:
    """Open the nodes of a folder as it stands, at a moment."""
    clock = PastClock(now)
    hub = wiring.build(Settings.read(home / "hub"), clock=clock)
    nodes, cables = {"hub": hub}, {}
    for folder in NODES[1:]:
        cables[folder] = Cable()
        cables[folder].hub = hub
        nodes[folder] = wiring.build(Settings.read(home / folder), clock=clock, link=cables[folder])
    for node in nodes.values():
        wiring.start_checks(node)
    return World(home, clock, nodes, cables, told)
