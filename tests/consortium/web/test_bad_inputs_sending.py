"""Bad inputs at the pages, over the real app: what is sent, booked, corrected and read.

The number in a test's name is the row of research/reliability.md 5;
tests/consortium/api/test_bad_inputs_table.py says of every row where it is proved.
Every refusal here is a page with its three sentences.
"""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from tests.support.bad_pages import (
    ENTRY,
    OTHER,
    QUESTION,
    booking,
    exchange_of,
    free,
    main_of,
    patient,
    referral,
    released,
    sent,
    sheet,
    told,
)
from tests.support.real_world import World

# ---------------------------------------------------------------- sending


def test_row_29_without_a_contract_the_clause_is_named_and_the_form_kept(own_world: World) -> None:
    browser = own_world.browser("bai")
    made = browser.post("/patients/new", {**ENTRY, "to": "referral"})
    about = made.headers["location"].partition("about=")[2]
    page = browser.get(f"/referrals/new?about={about}")
    answer = browser.post("/referrals/new", sheet(about, exchange_of(page)))
    assert told(answer) == (403, "contract.none")
    assert "款" in unescape(main_of(answer))
    assert QUESTION in answer.text
    assert sent(own_world, "yunling") == 0


@pytest.mark.parametrize(
    "change",
    [{"question": "a\x0bb\x07"}, {"diagnosis": "\x1b[31m"}, {"systolic": "1e400"},
     {"systolic": "NaN"}, {"pulse": "9" * 5000}, {"vitals_at": "0001-01-01T00:00"},
     {"vitals_at": "2026-02-30T25:00"}, {"target": "x/y/z"}, {"target": "yunling/cardiology"},
     {"urgency": "ASAP!!"}, {"consent": "none"}, {"question": ""}, {"question": "长" * 9000},
     {"diagnosis_code": "../../x"}, {"paper": "../../etc/passwd"}, {"paper": "0" * 64}],
)  # fmt: skip
def test_rows_4_and_14_a_referral_that_cannot_be_sent_keeps_what_was_typed(
    common_world: World, change: dict[str, Any]
) -> None:
    before = sent(common_world)
    answer = referral(common_world, **change)
    assert answer.status_code in {403, 404, 409, 422}
    assert told(answer)[0] == answer.status_code
    assert sent(common_world) == before


def test_row_31_fields_that_only_the_system_sets_have_no_effect(own_world: World) -> None:
    extra = {"ledger_index": "7", "verified": "true", "state": "closed", "member": "lead",
             "author": "gu", "source": "lead", "id": OTHER}  # fmt: skip
    browser = own_world.browser("han")
    made = browser.post("/patients/new", {**ENTRY, "name": "钱三", **extra})
    about = made.headers["location"].rpartition("/")[2]
    assert about != OTHER
    seen = browser.get(f"/fhir/R4/Patient/{about}").json()
    assert not seen.keys() & {"ledger_index", "verified", "state"}
    answer = referral(own_world, **extra)
    assert answer.status_code == 303
    assert "待" in own_world.browser("han").get(answer.headers["location"]).text


def test_row_32_the_same_form_again_gets_the_same_answer_and_sends_nothing(
    own_world: World,
) -> None:
    browser, about = own_world.browser("han"), patient(own_world, "li")
    page = browser.get(f"/referrals/new?about={about}")
    before = sent(own_world)
    one = browser.post("/referrals/new", sheet(about, exchange_of(page)))
    two = browser.post("/referrals/new", sheet(about, exchange_of(page)))
    assert one.status_code == two.status_code == 303
    assert one.headers["location"] == two.headers["location"]
    assert sent(own_world) == before + 1


def test_row_33_the_same_form_with_other_words_is_not_taken_for_the_first(
    own_world: World,
) -> None:
    browser, about = own_world.browser("han"), patient(own_world, "li")
    exchange = exchange_of(browser.get(f"/referrals/new?about={about}"))
    assert browser.post("/referrals/new", sheet(about, exchange)).status_code == 303
    other = sheet(about, exchange, question="改成：请尽快安排造影检查")
    answer = browser.post("/referrals/new", other)
    assert told(answer) == (422, "web.sent_already")
    assert "改成：请尽快安排造影检查" in answer.text
    page = browser.get(f"/referrals/{own_world.told['case']}")
    message = {"exchange": OTHER, "text": "补充：昨夜又发作一次"}
    path = f"/referrals/{own_world.told['case']}/message"
    assert page.status_code == 200
    assert browser.post(path, message).status_code == 303
    assert told(browser.post(path, {**message, "text": "另一句话"})) == (422, "web.sent_already")


def test_rows_26_and_27_a_stale_correction_is_shown_beside_the_newer_one(own_world: World) -> None:
    about = patient(own_world)
    browser = own_world.browser("han")
    page = browser.get(f"/patients/{about}/correct").text
    filled = r'id="(name|number|birth|phone|address)" name="\w+"[^>]* value="([^"]*)"'
    given = dict(re.findall(filled, page))
    given |= {"sex": "female", "number_kind": "id_number", "version": "1"}
    path = f"/patients/{about}/correct"
    assert browser.post(path, {**given, "phone": "13900001111"}).status_code == 303
    answer = browser.post(path, {**given, "phone": "13700002222"})
    assert told(answer) == (409, "patients.changed")
    two = answer.text.split('class="two"', 1)[1].split("</section>", 1)[0]
    assert "13900001111" in two
    assert "13700002222" in two
    assert "韩素云" in two
    assert "09:" in two
    version = answer.text.split('name="version" value="', 1)[1].split('"', 1)[0]
    again = browser.post(path, {**given, "phone": "13700002222", "version": version})
    assert again.status_code == 303
    for version in ("", "-1", "\xb2", "9" * 5000, "1.0"):
        answer = browser.post(path, {**given, "version": version})
        assert told(answer) == (409, "patients.changed")


def test_row_30_what_a_withdrawn_consent_brought_is_no_longer_shown(own_world: World) -> None:
    case, record = released(own_world)
    browser = own_world.browser("han")
    assert browser.get(f"/records/{record}").status_code == 200
    page = browser.get(f"/records/requests/{case}")
    fields = {"reason": "patient", "exchange": exchange_of(page)}
    assert browser.post(f"/records/requests/{case}/withdraw", fields).status_code == 303
    own_world.settle()
    answer = browser.get(f"/records/{record}")
    assert told(answer) == (403, "record.suppressed")
    assert "急救" in answer.text
    assert told(own_world.browser("bai").get(f"/records/{record}")) == (404, "record.unknown")


# ---------------------------------------------------------------- slots and cases


def test_row_60_the_last_slot_is_taken_once_and_three_others_are_offered(own_world: World) -> None:
    slot, about = free(own_world)[0], patient(own_world, "he")
    for one in (patient(own_world), about):
        assert booking(own_world, "han", slot, one).status_code == 303
    own_world.settle()
    page = own_world.browser("han").get(f"/bookings/new?about={about}")
    assert told(page)[1] == "slot.taken"
    offers = page.text.split('class="days offers"', 1)[1].split("</div>", 1)[0]
    offered = set(re.findall(r'name="slot" value="([^"]+)"', offers))
    assert len(offered - {slot}) == 3
    assert QUESTION in page.text


@pytest.mark.parametrize(
    "slot", ["", "x", "a/b/c", "slot:x/3", f"{OTHER}/1", f"{OTHER}/-1", "9" * 99]
)
def test_row_61_a_slot_that_is_none_is_not_booked(common_world: World, slot: str) -> None:
    before = sent(common_world, kind="booking.request/1")
    answer = booking(common_world, "han", slot, patient(common_world))
    assert answer.status_code in {404, 409, 422}
    assert told(answer)[1]
    assert QUESTION in answer.text or answer.status_code == 404
    assert sent(common_world, kind="booking.request/1") == before


WEEKS = {
    "in the past": ("2026-11-02 09:00", 422, "session.past"),
    "25:00": ("2026-11-30 25:00", 422, "session.time"),
    "no time": ("2026-11-30", 422, "session.time"),
    "no day": ("2026-02-30 09:00", 422, "session.day"),
    "the first day": ("0001-01-01 00:00", 422, "session.day"),
    "the last day": ("9999-12-31 23:59", 422, "session.day"),
    "far ahead": ("2030-11-25 09:00", 422, "session.far"),
}


@pytest.mark.parametrize("row", list(WEEKS))
def test_row_61_a_time_that_cannot_be_is_not_published(common_world: World, row: str) -> None:
    start, status, code = WEEKS[row]
    browser = common_world.browser("gu")
    fields = {"exchange": exchange_of(browser.get("/slots")), "start": start, "minutes": "30",
              "service": "cardiology", "kind": "teleconsult", "week": "2026-11-30"}  # fmt: skip
    assert told(browser.post("/slots", fields)) == (status, code)
    for week in ("9999-12-31", "0001-01-01", "x", "2026-02-30", "\xb2"):
        assert told(browser.get("/slots", params={"week": week})) == (422, "session.day")


def test_row_61_two_sessions_of_one_person_do_not_overlap(own_world: World) -> None:
    browser = own_world.browser("gu")
    fields = {"exchange": exchange_of(browser.get("/slots")), "minutes": "60",
              "start": ["2026-11-30 09:00", "2026-11-30 09:30"], "service": "cardiology",
              "kind": "teleconsult"}  # fmt: skip
    answer = browser.post("/slots", fields)
    assert told(answer)[0] in {409, 422}
    assert told(answer)[1] in {"session.overlap", "session.grid"}


def test_row_62_a_booking_whose_session_is_cancelled_is_to_be_moved_and_names_a_telephone(
    own_world: World,
) -> None:
    specialist = own_world.browser("gu")
    page = specialist.get("/slots?week=2026-11-23").text
    assert booking(own_world, "han", free(own_world)[0], patient(own_world)).status_code == 303
    own_world.cables["shiqiao"].cut = False
    own_world.settle()
    for href in dict.fromkeys(re.findall(r'action="(/slots/sessions/[^"]+/cancel)"', page)):
        form = page.split(f'action="{href}"', 1)[1].split("</form>", 1)[0]
        exchange = form.split('name="exchange" value="', 1)[1].split('"', 1)[0]
        specialist.post(href, {"exchange": exchange, "reason": "leave", "week": "2026-11-23"})
    own_world.settle()
    for node in own_world.nodes.values():
        node.notice(own_world.clock.now())
    own_world.settle()
    listed = own_world.browser("han").get("/bookings").text
    assert "要改时间" in listed or "待改" in listed or "改约" in listed


def test_row_63_a_case_that_was_refused_is_not_accepted_any_more(own_world: World) -> None:
    declined, browser = own_world.told["declined"], own_world.browser("gu")
    for act in ("accept", "return", "arrive", "no_show", "claim"):
        answer = browser.post(f"/referrals/{declined}/{act}", {"exchange": "", "when": "date",
                              "date": "2026-12-01", "missing": "labs"})  # fmt: skip
        assert told(answer)[0] in {403, 404, 409}, act
    for act in ("resend", "cancel", "acknowledge"):
        answer = own_world.browser("han").post(f"/referrals/{declined}/{act}", {"reason": "other"})
        assert told(answer)[0] in {403, 404, 409, 422}, act
    answer = browser.post(f"/referrals/{declined}/fly", {})
    assert told(answer) == (404, "web.not_found")


def test_row_63_a_consult_that_began_is_not_cancelled(own_world: World) -> None:
    browser = own_world.browser("han")
    assert booking(own_world, "han", free(own_world)[0], patient(own_world)).status_code == 303
    own_world.settle()
    listed = re.findall(r'href="(/bookings/[0-9a-f-]{36})"', browser.get("/bookings").text)
    page = browser.get(listed[0])
    fields = {"reason": "patient", "exchange": exchange_of(page)}
    own_world.clock.pass_s(timedelta(days=9).total_seconds())
    browser = own_world.browser("han", anew=True)
    answer = browser.post(f"{listed[0]}/cancel", fields)
    assert told(answer)[0] == 409


# ---------------------------------------------------------------- this machine


def test_row_42_a_clock_of_the_year_2000_does_not_stop_the_clinic(own_world: World) -> None:
    from consortium.cli.demo_world import PastClock

    node = own_world.nodes["shiqiao"]
    now = own_world.clock.now()
    wrong = PastClock(now.replace(year=2000))
    for courier in node.couriers.values():
        courier.clock = wrong
        courier.caller.clock = wrong
        courier.caller.forget()
    assert own_world.browser("han").post(
        f"/referrals/{own_world.told['case']}/message", {"text": "补充"}
    ).status_code == 303  # fmt: skip
    node.sync(now)
    assert node.link_state("shiqiao").trouble == ""
    page = own_world.browser("han").get("/").text
    assert "这台电脑的时间不准" in page


def test_row_64_an_emergency_is_for_a_person_to_answer(own_world: World) -> None:
    about, browser = patient(own_world), own_world.browser("han")
    page = browser.get(f"/records/new?about={about}")
    fields = {"patient": about, "exchange": exchange_of(page), "to": "lead", "months": "12",
              "types": ["Observation"], "basis": "emergency", "question": ""}  # fmt: skip
    answer = browser.post("/records/new", fields)
    assert told(answer) == (422, "record.question")
