"""Journey 1: a contract is drafted, sealed by three, rules what passes, is suspended by two."""

import pytest
from playwright.sync_api import Page, expect

from consortium.cli.demo_patients import Sketch
from consortium.cli.demo_people import HUB, LEAD, YUNLING, place
from consortium.cli.demo_world import SEAL_FILE
from tests.browser import steps
from tests.browser.site import look
from tests.browser.world import World

pytestmark = [pytest.mark.browser, steps.views(steps.ENGLISH_PHONE)]
VITALS = ("142", "88", "76")
FIRST = Sketch("方再春", "male", "1958-05-17", "高血压 2 级", "I10", VITALS, "氨氯地平 5 mg")
SECOND = Sketch("苗凤英", "female", "1966-10-02", "心悸待查", "R00.2", VITALS, "美托洛尔 25 mg")
QUOTA = {
    "zh": "心内科每月接收云岭乡卫生院转来的病人，最多 20 人",
    "en": "takes up to 20 patients a month from",
}
QUESTION = "血压难以控制，请评估并调整用药。"


def test_a_contract_from_draft_to_suspension(world: World) -> None:
    doctor = world.desk("bai")
    first = steps.register(doctor, FIRST)
    _refused(doctor, first, code="contract.none")

    contract = steps.propose(world.desk("gaoyuan"), quota="20")
    _signed_by_three(world, contract)

    case = _passes(doctor, first)
    _suspend(world, contract)
    second = steps.register(doctor, SECOND)
    _refused(doctor, second, code="contract.suspended")
    _open_cases_go_on(world, case)


def _refused(doctor: Page, patient: str, *, code: str) -> None:
    """The form says which clause keeps the case back; what was typed stays."""
    steps.referral(doctor, patient, service="cardiology", urgency="routine", question=QUESTION)
    doctor.click("[data-send]")
    refused = doctor.locator(".refused")
    steps.sees(refused, f"refusal.{code}.happened")
    expect(refused).to_contain_text(code)
    if code == "contract.none":
        steps.sees(refused, "shell.refused.clause", clause="S")
    expect(doctor.locator("#question")).to_have_value(QUESTION)
    assert doctor.evaluate("document.activeElement.id") == "refused-title"


def _signed_by_three(world: World, contract: str) -> None:
    """Each head is called by the worklist, reads the clauses, puts the seal; it is in force."""
    admin, clinic, hospital = world.desk("gaoyuan"), world.desk("tang"), world.desk("lin")
    for head, member in ((clinic, YUNLING), (hospital, LEAD)):
        head.goto("/")
        row = head.locator(f".work a[href='/contracts/{contract}']")
        expect(row).to_be_visible(timeout=steps.SOON_MS)
        row.click()
        expect(head.locator(".clauses")).to_contain_text(QUOTA[world.lang])
        look(head, f"contract-review-{member}")
        steps.seal(head, contract, member)
        name = place(member).name_zh if world.lang == "zh" else place(member).name_en
        steps.numbered(head.locator(".sig").filter(has_text=name))
    expect(admin.locator(".sig:not(.wait)")).to_have_count(2, timeout=steps.SOON_MS)
    steps.seal(admin, contract, HUB, world.nodes.home / SEAL_FILE)
    for page in (admin, clinic, hospital):
        steps.sees(page.locator("#contract .head .st"), "contract.state.in_force")
    expect(clinic.locator(".sig:not(.wait)")).to_have_count(3)
    look(clinic, "contract-in-force")


def _passes(doctor: Page, patient: str) -> str:
    """The same request, still on its form, passes now."""
    doctor.goto(f"/referrals/new?about={patient}")
    expect(doctor.locator("#question")).to_have_value(QUESTION)
    case = steps.send(doctor)
    steps.numbered(doctor.locator("#case-aside"))
    return case


def _suspend(world: World, contract: str) -> None:
    """The admin asks under the seal; alone it changes nothing; the hospital's head confirms."""
    admin, hospital, clinic = world.desk("gaoyuan"), world.desk("lin"), world.desk("tang")
    admin.goto(f"/contracts/{contract}")
    steps.press(admin, "contract.action.suspend")
    admin.select_option("[name=reason]", "quality")
    admin.fill("#passphrase", place(HUB).seal_passphrase)
    admin.set_input_files("#seal", world.nodes.home / SEAL_FILE)
    steps.sees(admin.locator(".says"), "contract.effect.suspend_open", n=1)
    look(admin, "contract-suspend")
    admin.click("button[form=hold]")
    steps.sees(admin.locator("#contract .head .st"), "contract.state.in_force")
    hospital.goto("/")
    hospital.locator(".work a[href*='/contracts/']").first.click()
    steps.press(hospital, "contract.page.confirm")
    hospital.click("button[form=confirm]")
    clinic.goto(f"/contracts/{contract}")
    steps.sees(clinic.locator("#contract .head .st"), "contract.state.suspended")


def _open_cases_go_on(world: World, case: str) -> None:
    specialist, doctor = world.desk("gu"), world.desk("bai")
    specialist.goto(f"/referrals/{case}?act=accept")
    specialist.check("[name=when][value=date]")
    specialist.click("#act [data-send]")
    doctor.goto(f"/referrals/{case}")
    steps.sees(doctor.locator("#case-aside .st").first, "referral.state.waiting")
