"""Which pages a person can reach by links, one of each kind; what is wrong with how they look."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Page

from consortium import words
from tests.browser.site import AXE_TAGS, axe

PAGES_MAX = 80
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|(?<=/entries/)[0-9]+")
_VALUE = re.compile(r"(?<!\bact)=[^&]*")
_FILES = re.compile(r"/file(s/.*)?$|/consent$|^/fhir/|^/static/")
_ENGLISH = re.compile(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}")
_KEY = re.compile(r"\b[a-z_]+(?:\.[a-z_]+)+\b")
LINKS = """() => [...document.querySelectorAll('a[href]')].map((a) => a.href)"""
TEXT = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode, el = node.parentElement, text = node.textContent.trim();
    if (!text || !el.checkVisibility() || el.closest('textarea, .mono, code, pre')) continue;
    found.push([el.closest('[lang]').lang, text]);
  }
  return found;
}"""
POLLS = """() => [...document.querySelectorAll('[hx-trigger]')]
  .map((el) => el.getAttribute('hx-trigger'))
  .filter((one) => /\\b(every|load)\\b/.test(one) || /delay/.test(one) && !/^input\\b/.test(one))
  .concat([...document.querySelectorAll('script:not([src])')].map((el) => el.textContent))"""
AXE = """async (tags) => {
  const how = {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']};
  const why = (node) => `${node.target} ${node.failureSummary.split('\\n').pop().trim()}`;
  const {violations} = await axe.run(document, how);
  return violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${why(node)}`));
}"""


@dataclass
class Found:
    """What is wrong, by page and way of looking."""

    wrong: dict[str, list[str]] = field(default_factory=dict)

    def note(self, path: str, how: str, what: list[str]) -> None:
        """Keep what is wrong, if anything is."""
        if what:
            self.wrong[f"{path} ({how})"] = what[:8]

    def told(self) -> str:
        """All of it, a line each."""
        return "\n".join(f"{where}: {one}" for where, all_ in self.wrong.items() for one in all_)


def kind(path: str) -> str:
    """A path without its ids and values: pages of one kind look alike."""
    return _VALUE.sub("=", _ID.sub("*", path))


def reach(page: Page, base: str, start: tuple[str, ...], known: set[str]) -> list[str]:
    """Paths that can be reached by links from some pages: those, and one of each new kind.

    Args:
        page: of a signed-in person.
        base: the address of their node.
        start: where they begin.
        known: kinds of pages that somebody has seen; filled further.
    """
    found: list[str] = []
    waiting, seen = list(start), {kind(one) for one in start}
    for _ in range(PAGES_MAX):
        if not waiting:
            break
        path = waiting.pop(0)
        answer = page.goto(base + path, wait_until="domcontentloaded")
        assert answer is not None
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        if path in start or kind(path) not in known:
            found.append(path)
        for href in _own(page.evaluate(LINKS), base):
            if kind(href) not in seen:
                seen.add(kind(href))
                waiting.append(href)
    known |= seen
    return found


def _own(hrefs: list[str], base: str) -> Iterator[str]:
    for href in hrefs:
        parts = urlsplit(href)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        if href.startswith(base) and not _FILES.search(parts.path):
            yield path


def foreign(page: Page) -> list[str]:
    """Visible words that are not of the page's language, keys without words, open places."""
    lang = (page.get_attribute("html", "lang") or "")[:2]
    found = []
    for own, text in page.evaluate(TEXT):
        if lang == "en" and own[:2] == "en" and re.search(r"[\u3400-\u9fff]", text):
            found.append(f"Chinese: {text}")
        if (
            lang == "zh"
            and own[:2] == "zh"
            and re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", text)
        ):
            found.append(f"English: {text}")
        found += [f"key: {key}" for key in _KEY.findall(text) if words.known(key)]
        found += [f"open: {text}" for place in re.findall(r"\{\w+\}", text) if place]
    return found


def polls(page: Page) -> list[str]:
    """What asks again by the clock, and scripts inside of the page."""
    return list(page.evaluate(POLLS))


def violations(page: Page) -> list[str]:
    """What axe-core finds at WCAG 2.2 A and AA."""
    page.evaluate(axe())
    return list(page.evaluate(AXE, list(AXE_TAGS)))
