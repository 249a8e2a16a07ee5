"""What pages say of what is not there: a contract, a day of birth, a resident ID card."""

import re

from consortium.words import say
from tests.support.bad_pages import ENTRY
from tests.support.real_world import World


def test_the_form_says_that_no_contract_covers_the_consult(common_world: World) -> None:
    browser = common_world.browser("bai")
    answer = browser.post("/patients/new", ENTRY)
    patient = re.match(r"/patients/([0-9a-f-]{36})", answer.headers["location"])
    assert patient is not None
    form = browser.get(f"/bookings/new?patient={patient[1]}").text
    empty = re.search(r'<div class="empty.*?</div>', form, re.DOTALL)
    assert empty is not None
    assert say("bookings.form.uncovered", "zh") in empty[0]


def test_a_year_of_birth_and_another_document_stand_in_the_banner(common_world: World) -> None:
    browser = common_world.browser("han")
    told = {
        **ENTRY,
        "name": "秦五一",
        "birth": "1963",
        "number": "P1234567",
        "number_kind": "other",
    }
    answer = browser.post("/patients/new", told)
    assert answer.status_code == 303, answer.text
    banner = re.search(
        r'<section class="pt".*?</section>', browser.get(answer.headers["location"]).text, re.DOTALL
    )
    assert banner is not None
    assert "1963" in banner[0]
    assert say("patients.number_kind.other", "zh") in banner[0]
    assert say("shell.patient.id_tail", "zh") not in banner[0]
