"""A site in a real browser: pages in both languages, four sizes, both themes; what is looked at."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from playwright.sync_api import Browser, Page, Playwright

from consortium.words import Lang
from tests.support.source import ROOT
from tests.support.web_stage import PASSWORD

Theme = Literal["light", "dark"]
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
DESK, PHONE, SMALL = (1366, 768), (390, 844), (320, 700)
LOCALES: dict[Lang, str] = {"zh": "zh-CN", "en": "en-GB"}
SCREENSHOTS = ROOT / "screenshots"
AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


def launch(playwright: Playwright) -> Browser:
    """Chromium as the machine has it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise RuntimeError("Chromium is missing. On Debian or Ubuntu: apt install chromium")
    return playwright.chromium.launch(executable_path=path, args=list(FLAGS))


@cache
def axe() -> str:
    """The source of axe-core, from the front end's development packages."""
    return (ROOT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@dataclass
class Site:
    """One served app and the browser that looks at it."""

    base: str
    browser: Browser
    login: str = "han"
    password: str = PASSWORD

    @contextmanager
    def page(
        self,
        lang: Lang = "zh",
        *,
        size: tuple[int, int] = DESK,
        theme: Theme = "light",
        scripts: bool = True,
        signed_in: bool = True,
    ) -> Iterator[Page]:
        """A page in a browser of its own; ends the test on any fault of a script."""
        context = self.browser.new_context(
            base_url=self.base,
            viewport={"width": size[0], "height": size[1]},
            locale=LOCALES[lang],
            color_scheme=theme,
            java_script_enabled=scripts,
        )
        context.set_default_timeout(15_000)
        page = context.new_page()
        faults = faults_of(page)
        if signed_in:
            self.sign_in(page, lang)
        yield page
        context.close()
        assert faults == [], faults

    def sign_in(self, page: Page, lang: Lang = "zh") -> None:
        """Sign in, in a language."""
        page.goto("/sign-in")
        page.fill("#name", self.login)
        page.fill("#password", self.password)
        page.click("main button")
        page.wait_for_url(f"{self.base}/")
        speak(page, lang)


def speak(page: Page, lang: Lang) -> None:
    """Change the language of a signed-in person's page, when it is not this one."""
    if page.get_attribute("html", "lang") != ("zh-CN" if lang == "zh" else "en"):
        page.click(".top button[name=to]")
        page.wait_for_load_state()


def faults_of(page: Page) -> list[str]:
    """Faults of scripts on a page, from now on."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))

    def console(message: Any) -> None:
        # a refused page is the browser's business to report, and the test's to ask for
        if message.type == "error" and "Failed to load resource" not in message.text:
            found.append(message.text)

    page.on("console", console)
    return found


def listening(page: Page) -> None:
    """Wait until the page has the answer of its event stream: no news is missed from here on."""
    # by the page's own clock: its policy forbids the way in which Playwright waits for a function
    page.evaluate(
        """(tries) => new Promise((heard, missed) => {
          const look = () => {
            if (document.querySelector('#live')?._htmx?.sse?.reader) heard();
            else if (tries--) setTimeout(look, 20);
            else missed(new Error('no event stream'));
          };
          look();
        })""",
        750,
    )


def look(page: Page, name: str) -> None:
    """Keep a picture of the page under screenshots/, to be looked at."""
    size = page.viewport_size or {"width": 0, "height": 0}
    lang = (page.get_attribute("html", "lang") or "")[:2]
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(
        path=str(SCREENSHOTS / f"{name}-{lang}-{size['width']}.png"),
        full_page=size["width"] < 720,
    )


def overflow(page: Page) -> list[str]:
    """What is wider than the window, outside of what scrolls by itself on purpose."""
    found: list[str] = page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          return [...document.querySelectorAll('body *')]
            .filter((el) => el.getBoundingClientRect().right > width + 1)
            .filter((el) => !el.closest('.rail, .tabs, .week-box, .vh, .skip'))
            .map((el) => `${el.tagName.toLowerCase()}.${el.className}`).slice(0, 8)
            .concat([`page is ${document.documentElement.scrollWidth} wide`]);
        }"""
    )
    return found


def violations(page: Page) -> list[str]:
    """What axe-core finds at WCAG 2.2 A and AA."""
    page.evaluate(axe())
    options = {"runOnly": {"type": "tag", "values": list(AXE_TAGS)}}
    result = page.evaluate(f"axe.run(document, {json.dumps(options)})")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary'].splitlines()[-1].strip()}"
        for rule in result["violations"]
        for node in rule["nodes"]
    ]


def requests_of(page: Page) -> list[str]:
    """Paths that the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.split("/", 3)[-1]))
    return asked
