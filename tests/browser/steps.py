"""What people do on pages again and again, by the words that they read there."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from consortium import words
from consortium.cli.demo_patients import Sketch, number_of
from consortium.cli.demo_people import LEAD, YUNLING, place
from tests.browser.site import DESK, PHONE, look

ANSWERS = {"routine": "1440", "urgent": "240", "emergency": "30"}
SHARED = ("Patient", "Condition", "Observation", "DiagnosticReport", "DocumentReference")
CASE = re.compile(r"/referrals/[0-9a-f]{8}-[0-9a-f-]{27}$")
View = tuple[str, tuple[int, int]]
CHINESE_DESK: View = ("zh", DESK)
ENGLISH_PHONE: View = ("en", PHONE)
_VIEWS: tuple[View, ...] = (CHINESE_DESK, ENGLISH_PHONE, ("zh", PHONE), ("en", DESK))


def views(*short: View) -> pytest.MarkDecorator:
    """A journey in both languages and at both widths: in `short` ones always, else in soak."""
    return pytest.mark.parametrize(
        "world",
        [view if view in short else pytest.param(view, marks=pytest.mark.slow) for view in _VIEWS],
        indirect=True,
        ids=lambda view: f"{view[0]}-{view[1][0]}",
    )


SOON_MS = 10_000
"""For what travels over a link: a clinic asks the hub every second."""


@dataclass(frozen=True)
class Files:
    """Files that people choose on pages."""

    folder: Path

    def picture(self, size_bytes: int, name: str = "ecg.jpg") -> Path:
        """Something that begins and ends as a photograph does."""
        path = self.folder / name
        path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(size_bytes - 6) + b"\xff\xd9")
        return path


def told(page: Page, key: str, **params: object) -> str:
    """The words of a key in the language of a page."""
    return words.say(key, (page.get_attribute("html", "lang") or "")[:2], **params)


def sees(where: Locator, key: str, **params: object) -> None:
    """Wait until these words are read there; what travels over a link needs a moment."""
    expect(where).to_contain_text(told(where.page, key, **params), timeout=2 * SOON_MS)


def reads(where: Locator, key: str, **patterns: str) -> None:
    """Wait until a sentence is read there whose parameters look like these."""
    expect(where).to_contain_text(
        re.compile(told(where.page, key, **patterns)), timeout=2 * SOON_MS
    )


def numbered(where: Locator) -> None:
    """Wait until a ledger number is read there."""
    reads(where, "shell.ledger_no", n=r"\d+")


def press(page: Page, key: str) -> None:
    """Press the first button or link of these words."""
    name = told(page, key)
    either = page.get_by_role("button", name=name).or_(page.get_by_role("link", name=name))
    either.filter(visible=True).first.click()


def register(page: Page, one: Sketch) -> str:
    """Look for a patient by name, find nobody, register; gives the patient's id."""
    page.goto(f"/patients?q={one.name}")
    expect(page.locator("main .empty")).to_be_visible()
    page.locator("main .empty a").click()
    expect(page.locator("#name")).to_have_value(one.name)
    page.fill("#number", number_of(one))
    page.click("[data-send]")
    expect(page.locator(".pt .name")).to_have_text(one.name)
    return page.url.rpartition("/")[2].partition("?")[0]


def note(page: Page, one: Sketch) -> None:
    """Note on the patient's page what is known today."""
    page.click("#add > summary")
    page.fill("#diagnosis", one.diagnosis)
    page.fill("#medication", one.medication)
    for name, value in zip(("systolic", "diastolic", "pulse"), one.vitals, strict=True):
        page.fill(f"#{name}", value)
    page.check("[name=no_allergy]")
    page.click("#add button.main")
    expect(page.locator("#known-title").locator("..")).to_contain_text(one.diagnosis)


def referral(page: Page, patient: str, *, service: str, urgency: str, question: str) -> None:
    """Open a patient's form and fill in what only the doctor can say."""
    page.goto(f"/referrals/new?about={patient}")
    page.check(f"[name=urgency][value={urgency}]")
    page.fill("#question", question)
    page.fill("#history", "近一周加重，已在本院对症处理。")
    if not page.input_value("#diagnosis"):
        page.fill("#diagnosis", "待查")
    page.check(f"[name=target][value='{LEAD}/{service}']")
    page.check("[name=consent][value=explicit]")


def send(page: Page) -> str:
    """Sign and send what is on the form; gives the case."""
    page.click("[data-send]")
    page.wait_for_url(CASE)
    return page.url.rpartition("/")[2]


def seal(page: Page, contract: str, member: str, file: Path | None = None) -> None:
    """Read a contract and put the member's seal to it."""
    page.goto(f"/contracts/{contract}")
    press(page, "contract.sign.act")
    page.fill("#passphrase", place(member).seal_passphrase)
    if file is not None:
        page.set_input_files("#seal", file)
    press(page, "contract.sign.act")
    page.wait_for_url(re.compile(rf"/contracts/{contract}$"))


def propose(admin: Page, *, quota: str) -> str:
    """Draft Yunling's contract in the form, its terms told in plain words beside it; propose it."""
    admin.goto("/contracts")
    press(admin, "contract.page.new")
    expect(admin.locator("#clinic")).to_have_value(YUNLING)
    press(admin, "contract.form.begin")
    admin.wait_for_url("**/contracts/drafts/*")
    admin.fill("#title", "云岭乡卫生院双向转诊与远程会诊协议")
    _terms(admin, 1, "cardiology.referral", quota=quota)
    press(admin, "contract.form.add")
    expect(admin.locator("[name='s1.quota']")).to_have_value(quota)
    _terms(admin, 2, "cardiology.teleconsult", quota=quota)
    for name, values in (("types", SHARED), ("purposes", ("TREAT",))):
        for value in values:
            admin.check(f"[name={name}][value={value}]")
    expect(admin.locator("#preview")).to_contain_text(quota)
    sees(admin.locator("#preview"), "contract.form.sound")
    look(admin, "contract-draft")
    press(admin, "contract.form.propose")
    expect(admin.locator("#contract-title")).to_be_visible(timeout=SOON_MS)
    return admin.url.rpartition("/")[2].partition("?")[0]


def _terms(admin: Page, line: int, what: str, *, quota: str) -> None:
    admin.select_option(f"[name='s{line}.what']", what)
    admin.select_option(f"[name='s{line}.way']", f"{YUNLING}>{LEAD}")
    admin.fill(f"[name='s{line}.quota']", quota)
    for urgency, minutes in ANSWERS.items():
        admin.select_option(f"[name='s{line}.{urgency}']", minutes)
