"""A session that is gone takes nothing of what was typed with it: one signs in over the page."""

import pytest
from playwright.sync_api import Page, expect

from consortium.cli.demo_patients import Sketch
from consortium.cli.demo_people import person
from consortium.desk import drafts
from tests.browser import steps
from tests.browser.site import Site, listening, look
from tests.browser.world import World
from tests.support.web_stage import PASSWORD, Stage

pytestmark = pytest.mark.browser
FIRST, THEN = "反复胸闷，", "请看是否需要动态心电图。"


def _sign_in_over(page: Page, password: str) -> None:
    page.fill("#lock-password", "not this one")
    page.click("#unlock button.main")
    expect(page.locator("#lock-wrong")).to_contain_text("密码不对")
    page.fill("#lock-password", password)
    page.click("#unlock button.main")
    expect(page.locator("#lock")).to_be_hidden()


def test_what_was_typed_while_the_node_was_down_is_saved(world: World) -> None:
    # a window of its own: what its event stream says of the stopped node is no fault here
    window = world.windows.enter_context(world.window(world.base("han")))
    doctor = window.new_page()
    world.sign_in(doctor, "han")
    sketch = Sketch("柏月娥", "female", "1972-08-11", "胸闷待查", "R07.4", ("138", "84", "74"), "")
    patient = steps.register(doctor, sketch)
    steps.referral(doctor, patient, service="cardiology", urgency="routine", question=FIRST)
    expect(doctor.locator("#saved")).to_contain_text("已自动保存", timeout=steps.SOON_MS)
    listening(doctor)
    world.nodes.kill("shiqiao")
    doctor.locator("#question").press_sequentially(THEN)
    unsaved = doctor.get_attribute("#saved", "data-unsaved")
    expect(doctor.locator("#saved")).to_have_text(unsaved or "", timeout=steps.SOON_MS)
    world.nodes.start("shiqiao")
    expect(doctor.locator("#lock")).to_be_visible(timeout=2 * steps.SOON_MS)
    _sign_in_over(doctor, person("han").password)
    expect(doctor.locator("#question")).to_have_value(FIRST + THEN)
    expect(doctor.locator("#saved")).to_contain_text("已自动保存", timeout=steps.SOON_MS)
    listening(doctor)
    again = doctor.context.new_page()
    again.goto(doctor.url)
    expect(again.locator("#question")).to_have_value(FIRST + THEN)
    again.close()
    steps.send(doctor)
    expect(doctor.locator("main")).to_contain_text(FIRST + THEN)


def test_a_lost_cookie_and_a_sign_in_in_another_tab(own: tuple[Stage, Site]) -> None:
    stage, site = own
    with site.page() as page:
        page.goto("/gallery/draft")
        listening(page)
        page.context.clear_cookies()
        page.type("#question", "胸闷 3 周")
        expect(page.locator("#lock")).to_be_visible(timeout=8_000)
        other = page.context.new_page()
        site.sign_in(other)
        _sign_in_over(page, PASSWORD)
        expect(page.locator("#saved")).to_contain_text("已自动保存", timeout=8_000)
        assert page.input_value("#question") == "胸闷 3 周"
        with stage.node.database.read() as session:
            saved = drafts.read(session, actor=stage.actor(session, "han"), form="gallery")
        assert saved is not None
        assert saved.fields["question"] == "胸闷 3 周"
        other.goto("/account")
        expect(other.locator("#lock")).to_be_hidden()
        other.close()


def test_a_service_that_does_not_answer_leaves_the_page_as_it_is(own: tuple[Stage, Site]) -> None:
    _stage, site = own
    with site.page() as page:
        page.goto("/gallery/draft")
        page.type("#question", "胸闷 3 周")
        page.evaluate("document.body.dispatchEvent(new Event('locked'))")
        page.route("**/lock", lambda route: route.abort())
        page.fill("#lock-password", PASSWORD)
        page.click("#unlock button.main")
        expect(page.locator("#lock-wrong")).to_contain_text("没有应答")
        look(page, "lock-unheard")
        page.unroute("**/lock")
        page.click("#unlock button.main")
        expect(page.locator("#lock")).to_be_hidden()
        assert page.input_value("#question") == "胸闷 3 周"
