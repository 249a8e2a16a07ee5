"""What a clinic without a contract reads where others choose a time."""

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
