"""Journey 2: a referral written with the link cut, answered without refreshing, then closed."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from consortium.cli.demo_patients import Sketch, number_of
from tests.browser import steps
from tests.browser.site import listening, look, requests_of
from tests.browser.world import World

pytestmark = [pytest.mark.browser, steps.views(steps.CHINESE_DESK, steps.ENGLISH_PHONE)]
PATIENT = Sketch(
    "祝长林", "male", "1961-03-29", "胸闷待查", "R07.4", ("142", "88", "76"), "阿司匹林 100 mg"
)
QUESTION = "活动后胸闷两周，请评估是否需要造影。"
WITHIN_MS = 2_000
SEEN_AT = """case_id => new Promise((seen) => {
  const look = () => document.getElementById(`row-${case_id}`) && seen(Date.now());
  look() ?? new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
})"""


def test_a_referral_from_a_cut_link_to_its_closing(world: World, tmp_path: Path) -> None:
    doctor, specialist, desk = world.desk("han"), world.desk("gu"), world.desk("song")
    patient = steps.register(doctor, PATIENT)
    steps.note(doctor, PATIENT)
    _found_in_every_way(doctor, patient)
    _written(doctor, patient, steps.Files(tmp_path).picture(60_000))

    case = _saved_here(world, doctor)
    _sent_and_seen(world, case, doctor=doctor, specialist=specialist)
    _accepted(specialist, case)
    _answered(doctor, case)
    _slip(doctor, case)
    _arrived(desk, case)
    _reported(specialist, case)
    _closed(doctor, case)
    _whole_thread(doctor, case, side="clinic")
    _whole_thread(specialist, case, side="hospital")


def _found_in_every_way(doctor: Page, patient: str) -> None:
    """By name, by the initials of its pinyin, by the end of the number."""
    number = number_of(PATIENT)
    for query in ("祝长", "zcl", number, number[-4:]):
        doctor.goto(f"/patients?q={query}")
        expect(doctor.locator(f".results a[href$='{patient}']").first).to_be_visible()


def _written(doctor: Page, patient: str, file: Path) -> None:
    """Diagnosis and vitals are there with their source; at most eight fields are asked for."""
    doctor.goto(f"/referrals/new?about={patient}")
    expect(doctor.locator("#diagnosis")).to_have_value(PATIENT.diagnosis)
    steps.reads(
        doctor.locator("#diagnosis-source"), "referral.form.taken_from", source=".+", at=".+"
    )
    expect(doctor.locator("[name=systolic]")).to_have_value("142")
    assert doctor.locator(".meter i").count() <= 8
    steps.referral(doctor, patient, service="cardiology", urgency="urgent", question=QUESTION)
    doctor.set_input_files("#files", file)
    steps.press(doctor, "referral.form.attach")
    expect(doctor.locator(".files .name")).to_have_text("ecg.jpg")
    expect(doctor.locator("#question")).to_have_value(QUESTION)


def _saved_here(world: World, doctor: Page) -> str:
    """The link is cut: signed and saved here, not a byte has left."""
    cable = world.cable("han")
    cable.cut()
    steps.sees(doctor.locator("#strip .cut"), "shell.strip.offline")
    before = cable.carried_bytes
    case = steps.send(doctor)
    steps.sees(doctor.locator("#case-aside"), "referral.state.queued")
    expect(doctor.locator(".thread .wait .rcpt")).to_be_visible()
    look(doctor, "referral-saved-here")
    doctor.goto("/")
    steps.sees(doctor.locator(f"#row-{case}"), "referral.need.taker.queued")
    expect(doctor.locator(".thread .on")).to_have_count(0)
    assert cable.carried_bytes == before
    return case


def _sent_and_seen(world: World, case: str, *, doctor: Page, specialist: Page) -> None:
    """The link is back: a ledger number here, and there a row that nobody asked for."""
    doctor.goto(f"/referrals/{case}")
    specialist.goto("/")
    listening(specialist)
    asked = requests_of(specialist)
    specialist.evaluate(f"void (window.seen = ({SEEN_AT})({case!r}))")
    folded = world.row_at("hub", case)
    world.cable("han").restore()
    row = specialist.locator(f"#row-{case}")
    expect(row).to_be_visible(timeout=steps.SOON_MS)
    took = specialist.evaluate("window.seen") - folded.result()
    assert took < WITHIN_MS
    assert [path for path in asked if not path.startswith("events")] == []
    service = steps.told(specialist, "contract.service.cardiology")
    steps.sees(row, "referral.need.provider.requested", service=service)
    steps.numbered(doctor.locator("#case-aside .rcpt a"))
    steps.sees(doctor.locator("#strip"), "shell.strip.online")
    _checked(doctor, doctor.locator("#case-aside .rcpt a").first.get_attribute("href"))
    doctor.goto("/")


def _checked(page: Page, receipt: str | None) -> None:
    """The receipt's page checks it at this opening: the seal, and every line green."""
    page.goto(receipt or "")
    end = time.monotonic() + steps.SOON_MS / 1000
    while page.locator(".slip").count() == 0 and time.monotonic() < end:
        page.reload()  # the number comes with the answer, the receipt with a sync after it
    expect(page.locator(".slip .seal")).to_be_visible()
    expect(page.locator(".chk .no")).to_have_count(0)
    assert page.locator(".chk .ok").count() >= 4


def _accepted(specialist: Page, case: str) -> None:
    """From the row to the case; a slot is chosen."""
    specialist.click(f"#act-{case}")
    expect(specialist.locator(".pt .name")).to_have_text(PATIENT.name)
    expect(specialist.locator(".case .ask")).to_have_text(QUESTION)
    expect(specialist.locator(".case .files .name")).to_have_text("ecg.jpg")
    look(specialist, "referral-triage")
    specialist.keyboard.press("1")
    expect(specialist.locator("#act-title")).to_be_visible()
    specialist.locator("#when input[type=radio]").first.check()
    specialist.fill("#place", "门诊三楼 2 诊室")
    look(specialist, "referral-accept")
    specialist.click("#act [data-send]")
    steps.sees(specialist.locator(".toast"), "referral.toast.accept")
    expect(specialist.locator(".queue [aria-current]")).not_to_contain_text(PATIENT.name)
    specialist.goto(f"/referrals/{case}")
    steps.sees(specialist.locator("#case-aside .st").first, "referral.state.booked")


def _answered(doctor: Page, case: str) -> None:
    """The doctor's list, open since before, shows the answer."""
    row = doctor.locator(f"#row-{case}")
    steps.sees(row, "referral.state.booked")
    steps.sees(row, "referral.turn.patient")
    row.locator(".act a").click()
    expect(doctor.locator(".banner.blue").first).to_contain_text("门诊三楼 2 诊室")
    look(doctor, "referral-answered")


def _slip(doctor: Page, case: str) -> None:
    """The slip: time and place largest, the name masked, the code at least 25 mm wide."""
    doctor.goto(f"/referrals/{case}/slip")
    ticket = doctor.locator(".ticket")
    expect(ticket).to_contain_text("祝*林")
    expect(ticket).to_contain_text("0558-6211201")
    look(doctor, "slip")
    doctor.emulate_media(media="print")
    box = doctor.locator(".ticket svg.qr").bounding_box()
    assert box is not None
    assert box["width"] >= 25 * 96 / 25.4
    doctor.emulate_media(media="screen")


def _arrived(desk: Page, case: str) -> None:
    """The consult desk reads the slip's number and registers the arrival."""
    desk.goto(f"/referrals/{case}")
    number = desk.locator("#case-aside .mono").first.inner_text()
    desk.goto("/referrals/arrivals")
    expect(desk.locator(".results a", has_text=PATIENT.name).first).to_be_visible()
    look(desk, "arrivals")
    desk.fill("#number", number)
    desk.keyboard.press("Enter")
    expect(desk.locator(".pt .name")).to_have_text(PATIENT.name)
    steps.press(desk, "referral.do.arrive")
    desk.click("#act [data-send]")
    steps.sees(desk.locator("#case-aside .st").first, "referral.state.arrived")


def _reported(specialist: Page, case: str) -> None:
    """The report, signed with the specialist's own key."""
    specialist.goto(f"/referrals/{case}/report")
    specialist.fill("#diagnosis", "稳定型心绞痛")
    specialist.fill("#findings", "运动试验阳性，心脏彩超未见室壁运动异常。")
    specialist.fill("#advice", "加用阿托伐他汀 20 mg 每晚一次，两周后复诊。")
    look(specialist, "report")
    specialist.keyboard.press("Control+Enter")
    steps.sees(specialist.locator("#case-aside .st").first, "referral.state.reported")


def _closed(doctor: Page, case: str) -> None:
    """The doctor reads the report, marks it adopted: the case is closed."""
    doctor.goto("/")
    row = doctor.locator(f"#row-{case}")
    steps.sees(row, "referral.need.taker.reported")
    row.locator(".act a").click()
    expect(doctor.locator("#report")).to_contain_text("稳定型心绞痛")
    doctor.locator("[data-key='1']").click()
    doctor.check("#act [name=reason][value=adopted]")
    doctor.click("#act [data-send]")
    steps.sees(doctor.locator("#case-aside .st").first, "referral.state.closed")
    look(doctor, "referral-closed")


def _whole_thread(page: Page, case: str, *, side: str) -> None:
    """One timeline, each exchange with a receipt that holds, on this side too."""
    page.goto(f"/referrals/{case}")
    knots = page.locator("#case-aside .thread > li")
    acts = ("acknowledge", "report", "arrive", "accept", "request")
    for place, act in enumerate(acts):
        steps.sees(knots.nth(place), f"kind.referral.{act}")
        steps.numbered(knots.nth(place).locator(".rcpt a"))
    assert knots.count() == len(acts)
    receipts = page.locator("#case-aside .rcpt a").evaluate_all("all => all.map((a) => a.href)")
    for receipt in receipts:
        _checked(page, receipt)
    look(page, f"receipt-{side}")
