"""Every day's needs: nothing typed is lost, nothing is sent twice, answers come by themselves."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from consortium.cli.demo_patients import Sketch
from consortium.exchange import census
from tests.browser import steps
from tests.browser.site import listening, look, requests_of
from tests.browser.world import World

pytestmark = pytest.mark.browser
VITALS = ("138", "84", "74")
TYPED = "反复胸闷，请看是否需要动态心电图。"
LARGEST_BYTES = 5_000_000
SLOW_BYTES_S = 2_500_000


def _somebody(name: str, birth: str) -> Sketch:
    return Sketch(name, "female", birth, "胸闷待查", "R07.4", VITALS, "")


def _case(page: Page, name: str) -> str:
    """The case of a patient in the worklist."""
    found = page.locator(".work tr", has_text=name).first.get_attribute("id")
    assert found is not None
    return found.removeprefix("row-")


def _requests(world: World) -> int:
    """How many referrals the clinic has signed so far."""
    with world.nodes.books.read("shiqiao") as session:
        return sum(one.kind == "referral.request/1" for one in census.signed(session))


def test_returned_and_declined_come_to_the_doctor_by_themselves(world: World) -> None:
    doctor, specialist = world.desk("han"), world.desk("gu")
    doctor.goto("/")
    returned, declined = _case(doctor, "孙有田"), _case(doctor, "赵巧云")
    listening(doctor)
    asked = requests_of(doctor)

    specialist.goto(f"/referrals/{returned}")
    specialist.keyboard.press("2")
    specialist.check("#act [name=missing][value=imaging]")
    specialist.fill("#act [name=note]", "请补腰椎 MRI。")
    specialist.click("#act [data-send]")
    expect(doctor.locator(f"#row-{returned}")).to_contain_text(
        "补充 1 项后重发：影像", timeout=steps.SOON_MS
    )
    expect(doctor.locator(f"#row-{returned} .turn")).to_contain_text("我")

    specialist.goto(f"/referrals/{declined}")
    specialist.keyboard.press("5")
    specialist.check("#act [name=reason][value=no_capacity]")
    look(specialist, "referral-decline")
    specialist.click("#act [data-send]")
    expect(doctor.locator(f"#row-{declined}")).to_contain_text(
        "不予接收：没有容量", timeout=steps.SOON_MS
    )
    assert [path for path in asked if not path.startswith("events")] == []

    doctor.locator(f"#row-{returned} .act a").click()
    steps.press(doctor, "referral.do.resend")
    expect(doctor.locator(".banner.amber").first).to_contain_text("请补腰椎 MRI。")
    doctor.fill("#history", "已补腰椎 MRI：L4/5 突出。")
    expect(doctor.locator("#saved")).to_contain_text("已自动保存", timeout=steps.SOON_MS)
    steps.send(doctor)
    expect(doctor.locator("#case-aside .thread > li").first).to_be_visible()
    expect(specialist.locator("#queue")).to_contain_text("孙有田", timeout=steps.SOON_MS)


def test_a_draft_comes_back_after_the_machine_was_killed(world: World) -> None:
    doctor = world.desk("han")
    patient = steps.register(doctor, _somebody("柏月娥", "1972-08-11"))
    doctor.goto(f"/referrals/new?about={patient}")
    doctor.locator("#question").press_sequentially(TYPED)
    expect(doctor.locator("#saved")).to_contain_text("已自动保存", timeout=steps.SOON_MS)
    address = doctor.url
    world.nodes.kill("shiqiao")
    world.forget("han")
    world.nodes.start("shiqiao")
    again = world.desk("han")
    again.goto(address)
    expect(again.locator("#question")).to_have_value(TYPED)
    again.goto("/")
    expect(again.locator("#worklist-side")).to_contain_text("上转申请草稿")
    expect(again.locator("#worklist-side")).to_contain_text("柏月娥")


def test_what_is_missing_follows_the_typing(world: World) -> None:
    doctor = world.desk("han")
    patient = steps.register(doctor, _somebody("毛桂枝", "1958-03-19"))
    doctor.goto(f"/referrals/new?about={patient}")
    link = doctor.locator("#meter a[href='#question']")
    expect(link).to_be_visible()
    gaps = doctor.inner_text("#gaps")
    doctor.locator("#question").press_sequentially(TYPED)
    expect(link).to_have_count(0, timeout=steps.SOON_MS)
    expect(doctor.locator("#gaps")).not_to_have_text(gaps)
    doctor.fill("#question", "")
    expect(link).to_be_visible(timeout=steps.SOON_MS)
    expect(doctor.locator("#gaps")).to_have_text(gaps)
    assert doctor.evaluate("document.activeElement.id") == "question"


def test_a_double_click_and_a_second_tab_send_once(world: World) -> None:
    doctor = world.desk("han")
    patient = steps.register(doctor, _somebody("阮桂香", "1969-02-25"))
    steps.referral(doctor, patient, service="cardiology", urgency="routine", question=TYPED)
    expect(doctor.locator("#saved")).to_contain_text("已自动保存", timeout=steps.SOON_MS)
    other = doctor.context.new_page()
    other.goto(doctor.url)
    before = _requests(world)
    doctor.dblclick("[data-send]")
    doctor.wait_for_url(steps.CASE)
    other.click("[data-send]")
    other.wait_for_url(doctor.url)
    other.close()
    doctor.goto("/")
    expect(doctor.locator(".work tr", has_text="阮桂香")).to_have_count(1)
    assert _requests(world) == before + 1


def test_a_file_of_five_megabytes_shows_its_way(world: World, tmp_path: Path) -> None:
    doctor = world.desk("han")
    files = steps.Files(tmp_path)
    patient = steps.register(doctor, _somebody("滕水珍", "1963-07-21"))
    steps.referral(doctor, patient, service="cardiology", urgency="routine", question=TYPED)
    doctor.set_input_files("#files", files.picture(5 * 1024 * 1024 + 1, "large.jpg"))
    assert "5" in doctor.evaluate("document.querySelector('#files').validationMessage")
    doctor.set_input_files("#files", files.picture(LARGEST_BYTES, "echo.jpg"))
    link = doctor.context.new_cdp_session(doctor)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
    link.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": SLOW_BYTES_S})
    steps.press(doctor, "referral.form.attach")
    expect(doctor.locator("progress[data-progress]")).to_be_visible()
    expect(doctor.locator("[data-progress-words]")).to_contain_text(re.compile(r"\d+ ?%"))
    look(doctor, "upload")
    expect(doctor.locator(".files .name")).to_have_text("echo.jpg", timeout=steps.SOON_MS)
    link.detach()
    expect(doctor.locator(".files")).to_contain_text("5.0")
    case = steps.send(doctor)
    specialist = world.desk("gu")
    specialist.goto("/")
    expect(specialist.locator(f"#row-{case}")).to_be_visible(timeout=steps.SOON_MS)
    specialist.goto(f"/referrals/{case}")
    expect(specialist.locator(".case .files a.name")).to_have_text(
        "echo.jpg", timeout=2 * steps.SOON_MS
    )


def test_an_urgent_case_without_link_names_the_telephone(world: World) -> None:
    doctor = world.desk("han")
    patient = steps.register(doctor, _somebody("费立芬", "1955-12-06"))
    world.cable("han").cut()
    try:
        expect(doctor.locator("#strip .cut")).to_contain_text("离线", timeout=steps.SOON_MS)
        doctor.goto(f"/referrals/new?about={patient}&urgency=emergency")
        expect(doctor.locator("[name=urgency][value=emergency]")).to_be_checked()
        call = doctor.locator(".acts a[href^='tel:']")
        expect(call).to_contain_text("0558-6200120")
        expect(call).to_be_in_viewport()
        expect(doctor.locator("[data-send]")).to_be_in_viewport()
        look(doctor, "emergency-offline")
    finally:
        world.cable("han").restore()
    expect(doctor.locator("#strip .cut")).to_have_count(0, timeout=steps.SOON_MS)


def test_a_printed_code_is_checked_at_another_clinic(world: World, tmp_path: Path) -> None:
    doctor, other = world.desk("han"), world.desk("bai")
    doctor.goto("/outbox")
    doctor.locator("main tbody a[href^='/receipts/']").last.click()
    doctor.emulate_media(media="print")
    picture = tmp_path / "code.png"
    doctor.locator(".codes figure").screenshot(path=picture)
    doctor.emulate_media(media="screen")
    digest = doctor.locator(".slip dd.mono").inner_text()

    other.goto("/receipts/check")
    other.set_input_files("#file", picture)
    other.locator("#check button.main").click()
    steps.sees(other.locator("main"), "receipt.check_page.good")
    expect(other.locator(".slip dd.mono")).to_have_text(digest)
    expect(other.locator(".slip .seal")).to_be_visible()
