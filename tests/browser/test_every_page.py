"""Every page that the demo's people reach: both languages, three widths, both themes."""

import os
import re

import pytest
from playwright.sync_api import Page, expect

from consortium.cli.demo_patients import Sketch
from consortium.words import Lang
from tests.browser import reach, steps
from tests.browser.reach import Found
from tests.browser.site import DESK, PHONE, SMALL, Theme, faults_of, look, overflow, speak
from tests.browser.world import World

pytestmark = pytest.mark.browser
LEAST = 3
PEOPLE = (
    "han", "gu",
    pytest.param("gaoyuan", marks=pytest.mark.slow),
    pytest.param("tang", marks=pytest.mark.slow),
    pytest.param("song", marks=pytest.mark.slow),
    pytest.param("chen", marks=pytest.mark.slow),
)  # fmt: skip
"""A clinic's doctor and a specialist in the short tier: most kinds of pages and every list; the
heads', the office's and the desk's own pages are seen in the long one."""
TALL = (DESK[0], 2400)
"""Nothing lies half under the bar, where a target would look too small."""
STRANGER = Sketch("苗凤英", "female", "1966-10-02", "心悸待查", "R00.2", ("142", "88", "76"))
THEMES: dict[Lang, Theme] = {"zh": "light", "en": "dark"}
"""Each page is seen in both, each language in one."""
KEPT = bool(os.environ.get("SCREENSHOTS"))


def _start(page: Page, base: str) -> tuple[str, ...]:
    """The to-do list with every case that stands there, each in another state."""
    page.goto(base)
    cases = page.locator(".work .act a").evaluate_all("all => all.map((a) => a.pathname)")
    return ("/", *cases, "/no/such/page", "/search?q=ma")


def _seen(page: Page, base: str, path: str, lang: Lang, found: Found) -> None:
    """Look at one page in one language: three widths, one theme."""
    page.set_viewport_size({"width": TALL[0], "height": TALL[1]})
    answer = page.goto(base + path)
    assert answer is not None
    found.note(path, "status", [str(answer.status)] if answer.status >= 500 else [])
    found.note(path, lang, reach.foreign(page))
    found.note(path, "polls", reach.polls(page))
    found.note(path, f"{lang} {THEMES[lang]}", reach.violations(page))
    for size in (DESK, PHONE, SMALL):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        found.note(path, f"{lang} {size[0]}", overflow(page))
        if KEPT and size != SMALL:
            look(page, f"page-{re.sub('[^a-z0-9]+', '-', path)[:70]}")


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Kinds of pages that one of the people has seen already."""
    return set()


@pytest.fixture(scope="module")
def lived(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """What the story leaves out: a contract to be signed, one being drafted, a record asked for."""
    admin, doctor = world.desk("gaoyuan"), world.desk("han")
    steps.propose(admin, quota="10")
    admin.goto("/contracts/new")
    steps.press(admin, "contract.form.begin")
    admin.wait_for_url("**/contracts/drafts/*")
    patient = steps.register(doctor, STRANGER)
    doctor.goto(f"/records/new?patient={patient}")
    doctor.fill("#question", "患者转回本院随访。")
    doctor.set_input_files("#picture", steps.Files(tmp_path_factory.mktemp("files")).picture(9_000))
    steps.press(doctor, "records.form.sign")
    doctor.wait_for_url("**/records/requests/*")
    for login, what in (("tang", "/contracts/"), ("gu", "/records/")):
        world.desk(login).goto("/")
        expect(world.desk(login).locator(f".work a[href^='{what}']").first).to_be_visible(
            timeout=2 * steps.SOON_MS
        )
    return world


@pytest.mark.parametrize("login", PEOPLE)
def test_every_page_of_a_person(lived: World, known: set[str], login: str) -> None:
    world = lived
    base = world.base(login)
    with world.window() as profile:
        page = profile.new_page()
        faults = faults_of(page)
        world.sign_in(page, login)
        paths = reach.reach(page, base, _start(page, base), known)
        found = Found()
        for lang, theme in THEMES.items():
            page.emulate_media(color_scheme=theme)
            page.goto(base)
            speak(page, lang)
            for path in paths:
                _seen(page, base, path, lang, found)
    assert found.wrong == {}, found.told()
    assert faults == []
    assert len(paths) >= LEAST
