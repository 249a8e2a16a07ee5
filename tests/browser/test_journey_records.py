"""Journey 3: a week of slots, one booked, two clinics race for one; records asked for and given."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from consortium.cli.demo_patients import SKETCHES, Sketch, number_of
from consortium.cli.demo_people import HUB, LEAD, YUNLING, place
from consortium.cli.demo_world import SEAL_FILE
from tests.browser import steps
from tests.browser.site import look
from tests.browser.world import World

pytestmark = [pytest.mark.browser, steps.views(steps.CHINESE_DESK)]
QUESTION = "心悸加重，请看动态心电图并指导用药。"


@pytest.fixture(scope="module")
def both(world: World) -> World:
    """Both clinics are under contract."""
    contract = steps.propose(world.desk("gaoyuan"), quota="10")
    for login, member in (("tang", YUNLING), ("lin", LEAD)):
        head = world.desk(login)
        head.goto("/")
        expect(head.locator(".work a[href*='/contracts/']").first).to_be_visible(
            timeout=steps.SOON_MS
        )
        steps.seal(head, contract, member)
    steps.seal(world.desk("gaoyuan"), contract, HUB, world.nodes.home / SEAL_FILE)
    world.desk("tang").goto(f"/contracts/{contract}")
    steps.sees(world.desk("tang").locator("#contract .head .st"), "contract.state.in_force")
    return world


def _somebody(name: str, birth: str) -> Sketch:
    return Sketch(name, "male", birth, "心房颤动", "I48", ("136", "82", "96"), "美托洛尔 25 mg")


# ---------------------------------------------------------------- slots


def test_a_week_is_published_and_a_time_booked(both: World) -> None:
    specialist, doctor = both.desk("gu"), both.desk("han")
    specialist.goto("/slots")
    look(specialist, "slots")
    specialist.select_option("#see-service", "cardiology")
    specialist.select_option("#see-kind", "teleconsult")
    steps.press(specialist, "slots.apply")
    free = specialist.locator(".week .sl.pick input")
    places = [free.nth(place).get_attribute("value") for place in range(3)]
    for value in places:
        specialist.check(f".week input[value='{value}']")
    later = free.nth(3).get_attribute("value")
    steps.press(specialist, "slots.publish")
    # the page says so by itself, and leaves alone what is ticked beside
    specialist.check(f".week input[value='{later}']")
    for value in places:
        spot = f"#at-{(value or '').replace(' ', '-').replace(':', '')}"
        expect(specialist.locator(spot)).to_have_class("sl free", timeout=steps.SOON_MS)
    expect(specialist.locator(".sessions .st.amber")).to_have_count(0)
    expect(specialist.locator(".sessions .st.green")).not_to_have_count(0)
    expect(specialist.locator(f".week input[value='{later}']")).to_be_checked()

    patient = steps.register(doctor, _somebody("费立本", "1955-12-06"))
    case = _book(doctor, patient, place=0)
    steps.sees(doctor.locator("#booking .st").first, "booking.state.booked")
    look(doctor, "booking")
    steps.numbered(doctor.locator("#booking .thread .rcpt a").first)
    specialist.goto("/bookings")
    expect(specialist.locator(f"#booking-{case}")).to_contain_text("费立本", timeout=steps.SOON_MS)


def _chosen(doctor: Page, patient: str, *, place: int) -> str:
    """A filled booking form; gives the slot."""
    doctor.goto(f"/bookings/new?patient={patient}")
    doctor.select_option("[name=service]", "cardiology")
    steps.press(doctor, "bookings.form.show")
    slot = doctor.locator(".days [name=slot]").nth(place)
    expect(slot).to_be_attached()
    name = slot.get_attribute("value")
    assert name is not None
    doctor.locator(".days label.sb").nth(place).click()
    doctor.fill("#question", QUESTION)
    doctor.check("[name=consent][value=explicit]")
    return name


def _book(doctor: Page, patient: str, *, place: int) -> str:
    _chosen(doctor, patient, place=place)
    look(doctor, "booking-form")
    steps.press(doctor, "bookings.form.sign")
    doctor.wait_for_url("**/bookings/0*")
    return doctor.url.rpartition("/")[2]


def test_two_clinics_race_for_one_time(both: World) -> None:
    """Both sign with the link cut, for the same time; then both links come back."""
    doctors = {login: both.desk(login) for login in ("han", "bai")}
    names = {"han": "滕水生", "bai": "阮贵祥"}
    patients = {
        login: steps.register(page, _somebody(names[login], "1963-07-21"))
        for login, page in doctors.items()
    }
    slots = {login: _chosen(page, patients[login], place=3) for login, page in doctors.items()}
    assert slots["han"] == slots["bai"]
    for login, page in doctors.items():
        both.cable(login).cut()
        steps.press(page, "bookings.form.sign")
        page.wait_for_url("**/bookings/0*")
        steps.sees(page.locator("#booking .st").first, "booking.state.pending")
    for login in doctors:
        both.cable(login).restore()
    for page in doctors.values():
        expect(page.locator("#booking .st").first).not_to_contain_text(
            steps.told(page, "booking.state.pending"), timeout=2 * steps.SOON_MS
        )
    states = {login: _state(page) for login, page in doctors.items()}
    won = [
        login
        for login, state in states.items()
        if steps.told(doctors[login], "booking.state.booked") == state
    ]
    lost = [
        login
        for login, state in states.items()
        if steps.told(doctors[login], "booking.state.refused") == state
    ]
    assert (len(won), len(lost)) == (1, 1)
    _offered_the_next(doctors[lost[0]])


def _state(page: Page) -> str:
    return page.locator("#booking .st").first.inner_text()


def _offered_the_next(loser: Page) -> None:
    """What happened, what is safe, what to do: the next three times, one press away."""
    expect(loser.locator(".refused")).to_contain_text("slot.taken")
    look(loser, "booking-lost")
    steps.press(loser, "bookings.case.retry")
    expect(loser.locator(".offers [name=slot]")).to_have_count(3)
    expect(loser.locator("#question")).to_have_value(QUESTION)
    look(loser, "booking-offers")
    loser.check("[name=consent][value=explicit]")
    steps.press(loser, "bookings.form.sign")
    loser.wait_for_url("**/bookings/0*")
    steps.sees(loser.locator("#booking .st").first, "booking.state.booked")


# ---------------------------------------------------------------- records


def _ask(doctor: Page, patient: str, consent: Path) -> str:
    """Ask the hospital for a patient's reports, with a picture of the consent."""
    doctor.goto(f"/records/new?patient={patient}")
    doctor.select_option("#to", LEAD)
    while (ticked := doctor.locator("[name=types]:checked")).count():
        ticked.first.uncheck()
    doctor.check("[name=types][value=DiagnosticReport]")
    doctor.fill("#question", "患者转回本院随访，需要了解检查结果。")
    doctor.check("[name=basis][value=explicit]")
    doctor.set_input_files("#picture", consent)
    look(doctor, "record-form")
    steps.press(doctor, "records.form.sign")
    doctor.wait_for_url("**/records/requests/*")
    return doctor.url.rpartition("/")[2].partition("?")[0]


def test_a_record_is_released_by_itself_on_an_exact_match(both: World, tmp_path: Path) -> None:
    doctor = both.desk("bai")
    patient = steps.register(doctor, SKETCHES["wu"])
    _ask(doctor, patient, steps.Files(tmp_path).picture(40_000, "consent.jpg"))
    steps.sees(doctor.locator("#record .banner.green"), "record.by.auto")
    look(doctor, "record-released")
    doctor.goto(f"/patients/{patient}")
    expect(doctor.locator("main")).to_contain_text("高血压 3 级，很高危")
    hospital = place(LEAD).name_zh if both.lang == "zh" else place(LEAD).name_en
    steps.sees(doctor.locator("main"), "patient.arrived_from", source=hospital)
    look(doctor, "patient-with-record")
    base = both.base("bai")
    found = doctor.request.get(f"{base}/fhir/R4/DiagnosticReport?patient={patient}").json()
    assert found["resourceType"] == "Bundle"
    assert [one["resource"]["resourceType"] for one in found["entry"]] == ["DiagnosticReport"]
    other = doctor.request.get(f"{base}/fhir/R4/Observation?patient={patient}").json()
    assert other.get("entry", []) == []
    read = doctor.request.get(
        f"{base}/fhir/R4/DiagnosticReport/{found['entry'][0]['resource']['id']}"
    )
    assert read.ok


def test_a_person_releases_what_the_node_does_not(both: World, tmp_path: Path) -> None:
    """Name and birth date alone do not suffice: a person compares both sides."""
    doctor, specialist = both.desk("bai"), both.desk("gu")
    patient = _without_number(doctor, SKETCHES["chen"])
    case = _ask(doctor, patient, steps.Files(tmp_path).picture(40_000, "consent.jpg"))
    specialist.goto("/")
    row = specialist.locator(f"#row-{case}")
    expect(row).to_be_visible(timeout=steps.SOON_MS)
    row.locator(".act a").click()
    expect(specialist.locator("#decide")).to_contain_text("陈水根")
    look(specialist, "record-decide")
    specialist.check("#decide [name=patient]")
    steps.press(specialist, "records.decide.release")
    steps.sees(doctor.locator("#record .banner.green"), "record.by.person")


def _without_number(doctor: Page, one: Sketch) -> str:
    doctor.goto(f"/patients/new?name={one.name}")
    doctor.select_option("#no_number_reason", index=1)
    doctor.select_option("#sex", one.sex)
    doctor.fill("#birth", one.birth)
    doctor.click("[data-send]")
    expect(doctor.locator(".pt .name")).to_have_text(one.name)
    return doctor.url.rpartition("/")[2].partition("?")[0]


def test_the_number_of_one_with_the_name_of_another_is_refused(both: World, tmp_path: Path) -> None:
    doctor, specialist = both.desk("bai"), both.desk("gu")
    other = replace(SKETCHES["ma"], name="马得顺")
    assert number_of(other) == number_of(SKETCHES["ma"])
    patient = steps.register(doctor, other)
    case = _ask(doctor, patient, steps.Files(tmp_path).picture(40_000, "consent.jpg"))
    specialist.goto("/")
    expect(specialist.locator(f"#row-{case}")).to_be_visible(timeout=steps.SOON_MS)
    specialist.goto(f"/records/requests/{case}")
    steps.sees(specialist.locator("#decide-title"), "record.why.identity_conflict")
    specialist.locator("#decide summary").click()
    specialist.select_option("#decide [name=reason]", "identity_conflict")
    specialist.fill("#decide [name=text]", "姓名与证号不符，请核对证件。")
    steps.press(specialist, "records.decide.refuse_sign")
    steps.sees(doctor.locator("#record .st").first, "record.state.refused")
    steps.sees(doctor.locator("#record"), "record.reason.identity_conflict")
    expect(doctor.locator("#record")).to_contain_text("姓名与证号不符，请核对证件。")
    look(doctor, "record-refused")
    doctor.goto(f"/patients/{patient}")
    expect(doctor.locator("main")).not_to_contain_text("青霉素")
