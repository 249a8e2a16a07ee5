"""The demo's three nodes in a browser: founded once, copied for each file of tests, served."""

import fcntl
import shutil
import sqlite3
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from consortium import settings
from consortium.cli import demo
from consortium.cli.check_nodes import NODES, Nodes, free_ports, serving
from consortium.cli.demo_people import person
from consortium.cli.proxy import Proxy
from consortium.words import Lang
from tests.browser.site import DESK, LOCALES, Theme, faults_of, speak

_WATCHED_S, _PAUSE_S = 30.0, 0.02


@dataclass(slots=True)
class World:
    """The three nodes as processes, the links of the two clinics, and the browser.

    Attributes:
        nodes: processes, cables (`nodes.cables[clinic].cut()`), databases to read.
        windows: closes every window at the end.
        watching: looks into books beside the browser.
        lang, size: of everybody's window.
    """

    nodes: Nodes
    browser: Browser
    windows: ExitStack
    watching: ThreadPoolExecutor
    lang: Lang = "zh"
    size: tuple[int, int] = DESK
    _desks: dict[str, Page] = field(default_factory=dict)
    _faults: dict[str, list[str]] = field(default_factory=dict)

    def base(self, login: str) -> str:
        """The address of the node at which a person signs in."""
        return f"http://127.0.0.1:{self.nodes.port_of(self.nodes.folder_of(login))}"

    def cable(self, login: str) -> Proxy:
        """The link of a person's clinic to the hub."""
        return self.nodes.cables[self.nodes.folder_of(login)]

    def desk(self, login: str) -> Page:
        """A person's own browser window, signed in; the same one again."""
        if login not in self._desks:
            window = self.window(self.base(login), lang=self.lang, size=self.size)
            self._desks[login] = self.windows.enter_context(window).new_page()
            self._faults[login] = faults_of(self._desks[login])
            self.sign_in(self._desks[login], login, self.lang)
        return self._desks[login]

    @contextmanager
    def window(
        self,
        base: str = "",
        *,
        lang: Lang = "zh",
        size: tuple[int, int] = DESK,
        theme: Theme = "light",
        scripts: bool = True,
    ) -> Iterator[BrowserContext]:
        """A browser profile of its own, with nobody signed in."""
        context = self.browser.new_context(
            base_url=base or None,
            viewport={"width": size[0], "height": size[1]},
            locale=LOCALES[lang],
            color_scheme=theme,
            java_script_enabled=scripts,
        )
        context.set_default_timeout(15_000)
        yield context
        context.close()

    def sign_in(self, page: Page, login: str, lang: Lang = "zh") -> None:
        """Let a person sign in at their own node, in a language."""
        base = self.base(login)
        page.goto(f"{base}/sign-in")
        page.fill("#name", login)
        page.fill("#password", person(login).password)
        page.click("main button")
        page.wait_for_url(f"{base}/")
        speak(page, lang)

    def row_at(self, folder: str, case: str) -> "Future[float]":
        """When a case's row is first in the books of a node, in ms; watched from now on."""
        path = self.nodes.home / folder / "node.db"
        return self.watching.submit(_first_seen_ms, path, case)

    def forget(self, login: str) -> None:
        """Close a person's window, as when their node was killed."""
        self._desks.pop(login).close()

    def faults(self) -> dict[str, list[str]]:
        """What went wrong in scripts of the windows, by person."""
        return {login: found for login, found in self._faults.items() if found}


def _first_seen_ms(path: Path, case: str) -> float:
    find = "SELECT 1 FROM desk_row WHERE case_id = ? AND member = 'lead'"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as books:
        end = time.monotonic() + _WATCHED_S
        while books.execute(find, (case,)).fetchone() is None:
            assert time.monotonic() < end, f"no row of {case}"
            time.sleep(_PAUSE_S)
    return 1000 * time.time()


def founded(home: Path) -> Path:
    """The consortium with its story, not served; made by the first test process that asks."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        demo.prepare(home, port=8000)
    return home


def copy_of(original: Path, home: Path, *, port: int) -> None:
    """A founded consortium in a folder and at ports of its own."""
    guard = home.with_name(f"{home.name}-guard")
    shutil.copytree(original, home)
    shutil.copytree(original.with_name(f"{original.name}-guard"), guard)
    for place, folder in enumerate(NODES):
        own = tomllib.loads((home / folder / settings.NODE_FILE).read_text(encoding="utf-8"))
        own |= {"port": port + place, "guard_dir": str(guard)}
        settings.save(home / folder, **own)
    demo.confirm_clock(home)


@contextmanager
def running(
    original: Path,
    home: Path,
    browser: Browser,
    *,
    lang: Lang = "zh",
    size: tuple[int, int] = DESK,
) -> Iterator[World]:
    """A copy of the founded consortium, served by three processes; stopped at the end."""
    port = free_ports()
    copy_of(original, home, port=port)
    with (
        serving(home, port=port) as nodes,
        ThreadPoolExecutor(1) as watching,
        ExitStack() as windows,
    ):
        world = World(nodes, browser, windows, watching, lang, size)
        yield world
        assert world.faults() == {}, world.faults()
