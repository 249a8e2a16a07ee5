"""A real Chromium, one for each test process; the invented clinic, and the demo's three nodes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from consortium.words import Lang
from tests.browser.preview import invented_words, preview_stage
from tests.browser.site import DESK, Site, launch
from tests.browser.world import World, founded, running
from tests.support.serving import served
from tests.support.web_stage import Stage


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def preview(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The clinic of the pictures, for tests that only look."""
    with invented_words():
        made = preview_stage(tmp_path_factory.mktemp("preview"))
        yield made
        made.node.database.close()


@pytest.fixture(scope="module")
def site(preview: Stage, chromium: Browser) -> Iterator[Site]:
    """The clinic of the pictures in the browser."""
    with served(preview.app) as base:
        yield Site(base, chromium)


@pytest.fixture
def own(tmp_path: Path, chromium: Browser) -> Iterator[tuple[Stage, Site]]:
    """A clinic that the test may change."""
    with invented_words():
        made = preview_stage(tmp_path)
        with served(made.app) as base:
            yield made, Site(base, chromium)
        made.node.database.close()


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The demo's consortium, founded once for all test processes; tests work on copies."""
    base = tmp_path_factory.getbasetemp()
    return founded((base if worker_id == "master" else base.parent) / "consortium")


@pytest.fixture(scope="module")
def world(
    original: Path,
    tmp_path_factory: pytest.TempPathFactory,
    chromium: Browser,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    """Three real processes with the demo's story, for the tests of one file, in one view."""
    home = tmp_path_factory.mktemp("world") / "nodes"
    view: tuple[Lang, tuple[int, int]] = getattr(request, "param", ("zh", DESK))
    with running(original, home, chromium, lang=view[0], size=view[1]) as made:
        yield made
