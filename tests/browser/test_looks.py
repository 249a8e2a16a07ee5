"""Pages as they are seen: nothing cut off, nothing that axe-core objects to, in every form."""

import pytest
from playwright.sync_api import Page

from consortium.words import Lang
from tests.browser.preview import NOW
from tests.browser.site import DESK, PHONE, SMALL, Site, Theme, look, overflow, violations
from tests.support.web_stage import Stage, a_row

pytestmark = pytest.mark.browser
PAGES = (
    "/", "/outbox", "/ledger", "/search?q=ma", "/help", "/people", "/account", "/hand-over",
    "/no/such/page", "/gallery/parts", "/gallery/form", "/gallery/case", "/gallery/receipt",
    "/gallery/receipt?broken=true",
)  # fmt: skip
LANGS: tuple[Lang, ...] = ("zh", "en")
THEMES: tuple[Theme, ...] = ("light", "dark")


def _name(path: str) -> str:
    return path.strip("/").replace("/", "-").replace("?", "-") or "todo"


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("size", [DESK, PHONE, SMALL], ids=lambda size: str(size[0]))
def test_nothing_is_wider_than_the_window(site: Site, lang: Lang, size: tuple[int, int]) -> None:
    with site.page(lang, size=size) as page:
        wide = {}
        for path in PAGES:
            page.goto(path)
            if size in (DESK, PHONE):
                look(page, _name(path))
            if found := overflow(page):
                wide[path] = found
        assert wide == {}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("lang", LANGS)
def test_everybody_can_use_every_page(site: Site, lang: Lang, theme: Theme) -> None:
    with site.page(lang, theme=theme) as page:
        wrong = {}
        for path in PAGES:
            page.goto(path)
            if found := violations(page):
                wrong[path] = found
        assert wrong == {}


@pytest.mark.parametrize("theme", THEMES)
def test_everybody_can_sign_in(site: Site, theme: Theme) -> None:
    with site.page(theme=theme, signed_in=False) as page:
        page.goto("/sign-in")
        look(page, "sign-in")
        assert violations(page) == []
        assert page.evaluate("document.activeElement.id") == "name"


def test_everybody_can_use_a_phone(site: Site) -> None:
    with site.page(size=PHONE) as page:
        for path in ("/", "/gallery/form", "/gallery/parts"):
            page.goto(path)
            assert violations(page) == [], path


def test_a_long_name_wraps_on_the_smallest_screen(own: tuple[Stage, Site]) -> None:
    stage, site = own
    name = "Qingyuan First People's Hospital referral desk"
    stage.put(a_row("long", "马德", NOW, turn="theirs", turn_name=name, act="referral.act.supply"))
    for size in (SMALL, PHONE):
        with site.page("en", size=size) as page:
            assert name in page.inner_text("#row-long .turn")
            assert overflow(page) == []


def test_at_twice_the_size_nothing_is_lost(site: Site) -> None:
    with site.page(size=(683, 384)) as page:
        for path in PAGES:
            page.goto(path)
            assert overflow(page) == [], path


def test_the_first_act_is_seen_on_an_old_screen(site: Site) -> None:
    """1366 by 768 leaves about 620 lines in a browser: the first row and the bar are there."""
    with site.page(size=(1366, 620)) as page:
        _in_view(page, "#row-case0 .act a")
        page.goto("/gallery/form")
        _in_view(page, ".acts .main")


def _in_view(page: Page, css: str) -> None:
    box = page.locator(css).first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 620


def test_on_paper_there_is_the_page_and_not_the_shell(site: Site) -> None:
    with site.page() as page:
        page.goto("/gallery/receipt")
        page.emulate_media(media="print")
        assert page.locator(".slip").is_visible()
        for css in (".rail", ".top", ".mark"):
            assert not page.locator(css).is_visible()


def test_targets_are_large_enough_for_a_thumb(site: Site) -> None:
    with site.page(size=PHONE) as page:
        for path in ("/", "/gallery/form"):
            page.goto(path)
            small = page.evaluate(
                """() => [...document.querySelectorAll('.btn, .rail a, select, input.in')]
                  .filter((el) => el.offsetParent && el.getBoundingClientRect().height < 43.5)
                  .map((el) => el.outerHTML.slice(0, 80))"""
            )
            assert small == [], path
