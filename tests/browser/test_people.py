"""Eight people in one browser; a hundred pages open at once; a browser without scripts."""

import re
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from consortium.cli.demo_patients import Sketch
from consortium.cli.demo_people import LEAD, PEOPLE, person
from tests.browser import steps
from tests.browser.world import World

pytestmark = pytest.mark.browser
STREAMS = 100
ANSWER_MS = 3_000
TYPED = "反复头晕，请评估血压控制。"


def test_everybody_signs_in_and_one_profile_keeps_all_three_nodes(world: World) -> None:
    with world.window() as profile:
        page = profile.new_page()
        for one in PEOPLE:
            world.sign_in(page, one.login)
            expect(page.locator("summary.who")).to_contain_text(one.name)
        last = ("song", "han", "bai")
        for login in last:
            world.sign_in(page, login)
        for login in last:
            page.goto(world.base(login))
            expect(page.locator("summary.who")).to_contain_text(person(login).name)


def test_pages_answer_while_a_hundred_streams_are_open(world: World) -> None:
    with world.window(world.base("gu")) as profile, ExitStack() as streams:
        page = profile.new_page()
        world.sign_in(page, "gu")
        for _ in range(STREAMS):
            streams.enter_context(_stream(page, world.base("gu")))
        page.set_default_timeout(ANSWER_MS)
        for path in ("/", "/referrals?all=1", "/outbox", "/ledger", "/contracts"):
            page.goto(path)
            expect(page.locator("summary.who")).to_contain_text("顾明远")


def _stream(page: Page, base: str) -> socket.socket:
    """A page's event stream as this browser opens it; its first word has come."""
    at, agent = urlsplit(base), page.evaluate("navigator.userAgent")
    cookies = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies(base))
    stream = socket.create_connection((str(at.hostname), int(at.port or 0)), timeout=10)
    asked = f"GET /events?page=todo&part=worklist HTTP/1.1\r\nHost: {at.netloc}\r\n"
    stream.sendall(f"{asked}User-Agent: {agent}\r\nCookie: {cookies}\r\n\r\n".encode())
    head = stream.recv(4096)
    assert b" 200 OK" in head
    assert b"text/event-stream" in head
    return stream


def test_a_referral_is_written_and_sent_without_scripts(world: World) -> None:
    """Sign-in, registering, a draft saved by its button, sending: links and forms alone."""
    one = Sketch("方再春", "male", "1958-05-17", "高血压 2 级", "I10", ("162", "96", "80"))
    with world.window(world.base("han"), scripts=False) as profile:
        page = profile.new_page()
        world.sign_in(page, "han")
        patient = steps.register(page, one)
        steps.referral(page, patient, service="cardiology", urgency="routine", question=TYPED)
        steps.press(page, "referral.form.keep_leave")
        page.wait_for_url(f"{world.base('han')}/")
        expect(page.locator("#worklist-side")).to_contain_text("方再春")
        page.locator("#worklist-side a", has_text="上转申请草稿").click()
        expect(page.locator("#question")).to_have_value(TYPED)
        expect(page.locator(f"[name=target][value='{LEAD}/cardiology']")).to_be_checked()
        case = steps.send(page)
        expect(page.locator("#case-aside .thread > li").first).to_contain_text("上转申请")
        page.goto("/")
        expect(page.locator(f"#row-{case}")).to_contain_text(re.compile("方再春"))
        page.locator("summary.who").click()
        page.locator(".menu form[action='/sign-out'] button").click()
        page.wait_for_url("**/sign-in")
