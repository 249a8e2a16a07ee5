"""What the page does by itself: follows the ledger, keeps drafts, locks, answers keys."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from consortium.desk import drafts
from tests.browser.preview import NOW, rows
from tests.browser.site import Site, listening, look, requests_of, violations
from tests.support.web_stage import PASSWORD, Stage, a_row

pytestmark = pytest.mark.browser
Own = tuple[Stage, Site]
FIRST = "#row-case0"


def _others(asked: list[str]) -> list[str]:
    """What was asked for beside the event stream."""
    return [path for path in asked if not path.startswith("events")]


def test_a_row_changes_within_two_seconds_and_nothing_else_is_asked(own: Own) -> None:
    stage, site = own
    with site.page() as page:
        listening(page)
        asked = requests_of(page)
        changed = replace(next(rows(NOW)), patient_name="马德顺甲", urgency="urgent")
        started = time.monotonic()
        stage.put(changed)
        expect(page.locator(f"{FIRST} .who b")).to_have_text("马德顺甲", timeout=2_000)
        assert time.monotonic() - started < 2
        expect(page.locator(f"{FIRST} .urg")).to_have_class("urg u2")
        stage.put(a_row("new", "新来的", NOW, urgency="emergency"))
        expect(page.locator("#row-new")).to_be_visible(timeout=2_000)
        assert page.locator(".work tbody tr:not(.grp)").first.get_attribute("id") == "row-new"
        expect(page.locator('.rail [aria-current="page"] .n')).to_contain_text("10")
        assert _others(asked) == []
        assert "every " not in " ".join(
            page.eval_on_selector_all("[hx-trigger]", "all => all.map(el => el.outerHTML)")
        )


def test_a_stream_whose_first_request_fails_is_asked_for_again(own: Own) -> None:
    _stage, site = own
    answers = iter(("abort", "full"))

    def odd(route: Route) -> None:
        match next(answers, ""):
            case "abort":
                route.abort()
            case "full":
                route.fulfill(status=503)
            case _:
                route.continue_()

    context = site.browser.new_context(base_url=site.base, locale="zh-CN")
    page = context.new_page()
    page.route("**/events?*", odd)
    site.sign_in(page)
    listening(page)
    assert next(answers, "") == ""
    context.close()


def test_the_strip_breaks_where_the_link_does(own: Own) -> None:
    stage, site = own
    with site.page() as page:
        page.goto("/account")
        listening(page)
        asked = requests_of(page)
        stage.node.link.online = False
        stage.node.wake.notify()
        expect(page.locator("#strip .cut")).to_contain_text("离线")
        expect(page.locator("#banners .amber")).to_contain_text("照常工作")
        expect(page.locator('.rail a[href="/outbox"]')).to_be_visible()
        look(page, "offline")
        assert _others(asked) == []
        stage.node.link.online = True
        stage.node.wake.notify()
        expect(page.locator("#banners .amber")).to_have_count(0)


def test_news_moves_neither_focus_nor_typing(own: Own) -> None:
    stage, site = own
    with site.page() as page:
        listening(page)
        page.focus("#act-case3")
        stage.put(a_row("new", "新来的", NOW, urgency="emergency"))
        expect(page.locator("#row-new")).to_be_visible()
        assert page.evaluate("document.activeElement.id") == "act-case3"
        page.fill("#find", "马德")
        stage.put(a_row("newer", "又来的", NOW, urgency="emergency"))
        expect(page.locator("#row-newer")).to_be_visible()
        assert page.input_value("#find") == "马德"
        assert page.evaluate("document.activeElement.id") == "find"


def test_keys_work_outside_of_fields_only(site: Site) -> None:
    with site.page() as page:
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.id") == "act-case0"
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.id") == "act-case1"
        page.keyboard.press("ArrowUp")
        assert page.evaluate("document.activeElement.id") == "act-case0"
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "find"
        page.keyboard.type("n?/")
        assert page.input_value("#find") == "n?/"
        page.keyboard.press("Escape")
        with page.expect_request("**/referrals/new"):
            page.keyboard.press("n")
        page.goto("/")
        page.keyboard.press("F1")
        page.wait_for_url("**/help")


def test_keys_can_be_switched_off(site: Site) -> None:
    with site.page() as page:
        page.goto("/help")
        page.uncheck("[data-keys] input")
        page.goto("/")
        page.evaluate("addEventListener('keydown', (e) => { window.taken = e.defaultPrevented; })")
        page.keyboard.press("n")
        assert page.evaluate("window.taken") is False
        assert page.url == f"{site.base}/"
        page.goto("/help")
        page.check("[data-keys] input")


def test_the_lock_lies_over_the_page_and_keeps_it(own: Own) -> None:
    _stage, site = own
    with site.page() as page:
        page.clock.install()
        page.goto("/gallery/draft")
        listening(page)  # a stream without an answer for so long is a fault
        page.fill("#question", "胸闷 3 周")
        page.clock.fast_forward(301_000)
        expect(page.locator("#lock")).to_be_visible()
        look(page, "locked")
        assert violations(page) == []
        assert page.locator("#app").get_attribute("inert") is not None
        page.fill("#lock-password", "not this one")
        page.keyboard.press("Enter")
        expect(page.locator("#lock-wrong")).to_be_visible()
        page.fill("#lock-password", PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("#lock")).to_be_hidden()
        assert page.input_value("#question") == "胸闷 3 周"
        assert page.locator("#app").get_attribute("inert") is None


def test_a_locked_page_is_locked_at_the_server_too(own: Own) -> None:
    _stage, site = own
    with site.page() as page:
        page.clock.install()
        page.goto("/")
        listening(page)
        with page.expect_response("**/lock"):
            page.clock.fast_forward(301_000)
        expect(page.locator("#lock")).to_be_visible()
        assert page.goto("/outbox").status == 401  # type: ignore[union-attr]
        expect(page.locator("h1")).to_have_text("已锁屏")
        page.fill("#lock-password", PASSWORD)
        page.click("main button.main")
        page.wait_for_url("**/outbox")


def test_a_draft_is_saved_two_seconds_after_typing(own: Own) -> None:
    stage, site = own
    with site.page() as page:
        page.goto("/gallery/draft")
        page.type("#question", "胸闷 3 周")
        expect(page.locator("#saved")).to_contain_text("已自动保存", timeout=8_000)
        with stage.node.database.read() as session:
            saved = drafts.read(session, actor=stage.actor(session, "han"), form="gallery")
        assert saved is not None
        assert saved.fields["question"] == "胸闷 3 周"
        page.reload()
        assert page.input_value("#question") == "胸闷 3 周"


def test_a_double_click_sends_once(own: Own) -> None:
    _stage, site = own
    with site.page() as page:
        page.goto("/gallery/draft")
        page.fill("#question", "胸闷")
        page.dblclick("[data-send]")
        page.wait_for_url("**/gallery/sent")
        assert page.inner_text("#count") == "1"


def test_ctrl_enter_sends_and_a_large_file_is_told_before(own: Own, tmp_path: Path) -> None:
    _stage, site = own
    large = tmp_path / "large.png"
    large.write_bytes(b"x" * 6_000_000)
    with site.page() as page:
        page.goto("/gallery/draft")
        page.set_input_files("#upload", str(large))
        words = page.evaluate("document.querySelector('#upload').validationMessage")
        assert re.search(r"超过 5\.0", words)
        small = tmp_path / "small.png"
        small.write_bytes(b"x" * 900_000)
        page.set_input_files("#upload", str(small))
        page.fill("#question", "胸闷")
        page.keyboard.press("Control+Enter")
        page.wait_for_url("**/gallery/sent")
        assert page.inner_text("#bytes") == "900000"


def test_a_refused_piece_is_read_out_above_the_page(own: Own) -> None:
    _stage, site = own
    with site.page() as page:
        page.goto("/gallery/draft")
        page.click("#refuse")
        expect(page.locator("#notice .refused")).to_be_visible()
        assert page.evaluate("document.activeElement.id") == "refused-title"
        look(page, "refused")


def test_every_form_works_without_scripts(own: Own) -> None:
    stage, site = own
    with site.page(scripts=False) as page:
        expect(page.locator(FIRST)).to_be_visible()
        page.click(".top button[name=to]")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        page.click(".top button[name=to]")
        page.goto("/gallery/draft")
        page.fill("#question", "胸闷")
        page.click("button[name=keep]")
        page.wait_for_url(f"{site.base}/gallery/draft")
        expect(page.locator(".toast")).to_contain_text("草稿已存在本机")
        assert page.input_value("#question") == "胸闷"
        stage.node.clock.advance(minutes=6)
        page.click("[data-send]")
        expect(page.locator("h1")).to_have_text("已锁屏")
        page.fill("#lock-password", PASSWORD)
        page.click("main button.main")
        page.wait_for_url("**/gallery/sent")
        assert page.inner_text("#count") == "1"
        page.click("summary")
        page.click(".menu form[action='/sign-out'] button")
        page.wait_for_url("**/sign-in")
