"""Bad inputs at the pages, over the real app (research/reliability.md 5).

The number in a test's name is the row; tests/consortium/api/test_bad_inputs_table.py says of every
row where it is proved. Every refusal here is a page with its three sentences.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import func, select

from consortium import words
from consortium.audit.tables import EventRow
from consortium.cli.demo_people import person
from consortium.exchange.tables import OutboxRow
from consortium.patients.looks import LOOKS_MAX
from tests.support.real_world import World

QUESTION = "夜间阵发性呼吸困难两周，请评估"
LINES = ("发生了", "还在", "怎么办")
OTHER = "01a20b12-9ba8-7a9b-8295-0ad612ecbfff"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8"
    "ffff3f0005fe02fea72d9b1e0000000049454e44ae426082"
)


def told(answer: Response) -> tuple[int, str]:
    """Status and code of a refusal on a page, whose three sentences are there."""
    assert 'class="refused"' in answer.text, (answer.status_code, answer.headers, answer.text[:500])
    said = answer.text.split('class="refused"', 1)[1].split("</section>", 1)[0]
    code = re.findall(r'class="fine mono">([\w.]+)<', said)[-1]
    if "<dl>" in said:
        assert [one for one in LINES if f"<dt>{one}</dt>" in said] == list(LINES)
        assert len(re.findall(r"<dd>[^<]+", said)) == 3
    assert "Traceback" not in answer.text
    return answer.status_code, code


def exchange_of(page: Response) -> str:
    return str(page.text.split('name="exchange" value="', 1)[1].split('"', 1)[0])


def patient(world: World, name: str = "wu") -> str:
    return str(world.told["patients"][name])


ENTRY = {
    "name": "吴桂兰", "sex": "female", "birth": "1959-03-14", "no_number_reason": "not_at_hand",
    "number_kind": "id_number", "phone": "13800003027", "address": "石桥镇",
}  # fmt: skip
BAD_ENTRIES = {
    "4 C0 in a name": ({"name": "吴\x0b桂兰\x07"}, 422, "patients.name"),
    "4 NUL": ({"name": "吴\x00桂兰"}, 422, "web.control"),
    "3 damaged text": ({"name": "吴\ufffd兰"}, 400, "web.encoding"),
    "14 gender": ({"sex": "zzz"}, 422, "patients.sex"),
    "19 30 February": ({"birth": "2026-02-30"}, 422, "patients.birth"),
    "19 tomorrow": ({"birth": "2026-11-30"}, 422, "patients.birth"),
    "19 before 1880": ({"birth": "1879-12-31"}, 422, "patients.birth"),
    "19 the first day": ({"birth": "0001-01-01"}, 422, "patients.birth"),
    "19 the last day": ({"birth": "9999-12-31"}, 422, "patients.birth"),
    "19 a time": ({"birth": "1959-03-14T25:00"}, 422, "patients.birth"),
    "21 check digit": ({"number": "110105194912310021"}, 422, "identity.number"),
    "21 18 other digits": ({"number": "²" * 18}, 422, "identity.number"),
    "21 no number, no reason": ({"no_number_reason": ""}, 422, "patients.number_or_reason"),
    "no name": ({"name": " "}, 422, "patients.name"),
    "a name of 5,000": ({"name": "吴" * 5000}, 422, "patients.name"),
    "a telephone that would act": ({"phone": "javascript:1"}, 422, "patients.phone"),
}


@pytest.mark.parametrize("row", list(BAD_ENTRIES))
def test_rows_3_to_21_a_patient_is_not_registered_and_nothing_typed_is_lost(
    common_world: World, row: str
) -> None:
    change, status, code = BAD_ENTRIES[row]
    answer = common_world.browser("han").post("/patients/new", {**ENTRY, **change})
    assert told(answer) == (status, code)
    assert "石桥镇" in answer.text


def test_row_21_somebody_without_a_number_is_registered_with_the_reason(own_world: World) -> None:
    answer = own_world.browser("han").post("/patients/new", {**ENTRY, "name": "没有证件者"})
    assert answer.status_code == 303


def test_row_22_the_same_number_with_another_name_is_shown_beside_the_known_one(
    own_world: World,
) -> None:
    browser = own_world.browser("han")
    known = browser.get(f"/patients/{patient(own_world)}/correct").text
    number = known.split('id="number"', 1)[1].split('value="', 1)[1].split('"', 1)[0]
    sex = re.findall(r'<option value="(\w+)" selected', known.split('id="sex"', 1)[1])[0]
    change = {"name": "吴桂芳", "number": number, "sex": sex, "birth": "", "no_number_reason": ""}
    answer = browser.post("/patients/new", {**ENTRY, **change})
    assert told(answer) == (409, "patients.number_other_name")
    assert "吴桂兰" in answer.text
    assert f"/patients/{patient(own_world)}" in answer.text


@pytest.mark.parametrize("path", ["/patients/{}", "/referrals/{}", "/bookings/{}", "/records/{}",
                                  "/contracts/{}", "/receipts/{}", "/people/{}"])  # fmt: skip
@pytest.mark.parametrize(
    "name", ["a" * 65, "..%2f..%2fnode.db", "%F0%9F%98%80", "%27%20OR%201%3D1--", "a%0d%0aX:1"]
)
def test_row_16_an_id_that_is_none_is_not_there(common_world: World, path: str, name: str) -> None:
    login = "chen" if path.startswith(("/people", "/contracts")) else "han"
    answer = common_world.browser(login).get(path.format(name))
    assert answer.status_code == 404
    assert told(answer)[0] == 404
    assert "x" not in answer.headers


@pytest.mark.parametrize(
    "back",
    ["https://evil.test/", "//evil.test", "/\\evil.test", "/\t/evil.test", "javascript:alert(1)",
     "http://[", "//[", "/a\r\nSet-Cookie: a=b", "file:///etc/passwd"],
)  # fmt: skip
def test_row_17_no_address_of_a_form_is_followed_elsewhere(common_world: World, back: str) -> None:
    client = common_world.client("yunling")
    fields = {"name": "bai", "password": person("bai").password, "back": back}
    answer = client.post("/sign-in", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    for header in ("referer", "origin"):
        seen = client.get("/nowhere", headers={header: "http://["})
        assert seen.status_code == 404
    assert client.post("/account", headers={"origin": "http://["}).status_code == 403


@pytest.mark.parametrize(
    "header",
    [{"last-event-id": "\xb2"}, {"last-event-id": "9" * 5000}, {"accept-language": "zh;q=\xb2,en;q=x"},
     {"if-none-match": "\xb2"}, {"cookie": "language=\xff; a=" + "b" * 5000}],
)  # fmt: skip
def test_a_header_that_says_nothing_changes_nothing(
    common_world: World, header: Mapping[str, str]
) -> None:
    browser = common_world.browser("han")
    sent = {name: value.encode("latin-1") for name, value in header.items()}
    assert browser.client.request("GET", "/sign-in", headers=sent).status_code == 200  # type: ignore[arg-type]
    stream = common_world.client("shiqiao").get("/events?part=x", headers=sent)  # type: ignore[arg-type]
    assert stream.status_code == 303


@pytest.mark.parametrize("path", ["/outbox", "/bookings", "/records", "/contracts", "/referrals",
                                  "/?scope=member&"])  # fmt: skip
@pytest.mark.parametrize("after", ["x", "9" * 100, "\xb2.a", "-1.a", "1/2/3", "99999999999999.a"])
def test_row_43_a_mark_that_no_page_gave_is_refused(
    common_world: World, path: str, after: str
) -> None:
    login = "chen" if path == "/contracts" else "han"
    page = path.partition("?")
    params = {"after": after, "all": "1"} if page[0] != "/bookings" else {"after": after}
    if page[0] == "/":
        params |= {"scope": "member"}
    answer = common_world.browser(login).get(page[0], params=params)
    assert answer.status_code in {200, 422}
    if answer.status_code == 422:
        assert told(answer)[1] in {"paging.after", "web.form"}


# ---------------------------------------------------------------- the guard


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/xml",
                                  "multipart/form-data; boundary=a; charset=utf-7",
                                  "application/x-www-form-urlencoded; charset=utf-16"])  # fmt: skip
def test_row_11_only_forms_in_utf_8_are_read(common_world: World, kind: str) -> None:
    browser = common_world.browser("han")
    for path in ("/patients/new", "/referrals/new", "/drafts/referral:x", "/account", "/sign-in"):
        answer = browser.client.post(path, content=b'{"name":"x"}', headers={"content-type": kind})
        assert told(answer) == (415, "web.content_type")


def test_row_66_foreign_forms_hosts_and_origins_change_nothing(common_world: World) -> None:
    browser = common_world.browser("han")
    assert told(browser.client.post("/patients/new", data=ENTRY)) == (403, "web.csrf")
    forged = {**ENTRY, "csrf": "x" * 32}
    assert told(browser.client.post("/patients/new", data=forged)) == (403, "web.csrf")
    for headers in ({"origin": "https://evil.test"}, {"origin": "null"},
                    {"sec-fetch-site": "cross-site"}):  # fmt: skip
        answer = browser.post("/patients/new", ENTRY, headers=headers)
        assert told(answer) == (403, "web.origin")
    for host in ("evil.test", "127.0.0.1.evil.test", "", "[", "evil.test:8001"):
        answer = browser.get("/", headers={"host": host})
        assert told(answer) == (403, "web.host")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_row_68_pages_are_read_and_forms_posted_and_nothing_else(
    common_world: World, method: str
) -> None:
    browser = common_world.browser("han")
    for path in ("/ledger", f"/receipts/{OTHER}", "/patients", "/outbox", "/", "/people"):
        answer = browser.client.request(method, path, headers={"x-csrf-token": browser.csrf})
        assert told(answer) == (405, "web.method")
    with common_world.nodes["shiqiao"].database.read() as session:
        assert session.scalar(select(func.count()).select_from(EventRow))


# ---------------------------------------------------------------- who signs in


def test_row_65_the_sixth_wrong_password_waits_15_minutes(own_world: World) -> None:
    client = own_world.client("shiqiao")
    wrong = {"name": "chen", "password": "not this one"}
    for _ in range(5):
        answer = client.post("/sign-in", data=wrong)
        assert answer.status_code == 401
        assert "not this one" not in answer.text
    right = {"name": "chen", "password": person("chen").password}
    answer = client.post("/sign-in", data=right)
    assert answer.status_code == 429
    assert "15 分钟后再试" in answer.text
    own_world.clock.pass_s(16 * 60)
    assert client.post("/sign-in", data=right).status_code == 303


def test_row_65_a_cookie_is_worth_nothing_on_another_machine(own_world: World) -> None:
    browser = own_world.browser("han")
    cookies = dict(browser.client.cookies)
    for elsewhere in (
        own_world.client("shiqiao", client=("10.0.0.9", 50000)),
        own_world.client("shiqiao", headers={"user-agent": "another browser"}),
    ):
        for name, value in cookies.items():
            elsewhere.cookies.set(name, value)
        answer = elsewhere.get("/patients")
        assert (answer.status_code, answer.headers["location"][:8]) == (303, "/sign-in")
        door = elsewhere.get("/fhir/R4/Patient")
        assert (door.status_code, door.json()["issue"][0]["code"]) == (401, "login")
    assert browser.get("/patients").status_code == 200


@pytest.mark.parametrize(
    "fields", [{"name": "a" * 5000}, {"name": "han\x00"}, {"password": "x" * 100_000}, {}]
)
def test_row_65_odd_names_and_passwords_are_nobodys(
    common_world: World, fields: Mapping[str, str]
) -> None:
    answer = common_world.client("shiqiao").post("/sign-in", data=dict(fields))
    assert answer.status_code in {401, 422}


def test_row_67_two_hundred_patients_in_ten_minutes_are_the_last(own_world: World) -> None:
    browser = own_world.browser("han")
    for _ in range(LOOKS_MAX):
        assert browser.get(f"/patients/{patient(own_world)}").status_code == 200
    for path in (f"/patients/{patient(own_world)}", "/patients?q=wgl"):
        assert told(browser.get(path)) == (429, "patients.too_many_looks")
    door = browser.get(f"/fhir/R4/Patient/{patient(own_world)}")
    assert (door.status_code, door.json()["issue"][0]["code"]) == (429, "throttled")
    assert "韩素云" in own_world.browser("chen").get("/").text.split("提醒", 1)[1]
    own_world.clock.pass_s(11 * 60)
    assert browser.get(f"/patients/{patient(own_world)}").status_code == 200


def test_row_28_another_clinics_patient_and_case_are_not_there_and_the_try_is_kept(
    own_world: World,
) -> None:
    other = own_world.browser("bai")
    theirs = other.get(f"/patients/{patient(own_world)}")
    assert told(theirs) == (404, "patients.missing")
    nobodys = other.get(f"/patients/{OTHER}")
    assert _main(theirs) == _main(nobodys)
    case = other.get(f"/referrals/{own_world.told['case']}")
    assert (case.status_code, _main(case)) == (404, _main(other.get(f"/referrals/{OTHER}")))
    with own_world.nodes["yunling"].database.read() as session:
        actions = session.scalars(select(EventRow.action)).all()
    assert actions.count("patients.denied") == 2


def _main(answer: Response) -> str:
    return answer.text.split("<main", 1)[1].split("</main>", 1)[0]


# ---------------------------------------------------------------- sending


def referral(world: World, login: str = "han", name: str = "wu", **changes: Any) -> Response:
    """Fill in the referral form and press a button of it."""
    browser = world.browser(login)
    about = patient(world, name)
    page = browser.get(f"/referrals/new?about={about}")
    return browser.post("/referrals/new", sheet(about, exchange_of(page), **changes))


def sheet(about: str, exchange: str, **changes: Any) -> dict[str, Any]:
    return {
        "patient": about, "exchange": exchange, "target": "lead/cardiology", "urgency": "routine",
        "question": QUESTION, "diagnosis": "高血压 3 级", "diagnosis_code": "I10",
        "history": "近一周加重", "medication": "氨氯地平", "allergies": "无",
        "consent": "explicit", "consent_note": "患者本人签字", "systolic": "150",
        "diastolic": "92", "pulse": "80", "do": "send", **changes,
    }  # fmt: skip


def sent(world: World, folder: str = "shiqiao", kind: str = "referral.request/1") -> int:
    with world.nodes[folder].database.read() as session:
        query = select(func.count()).select_from(OutboxRow).where(OutboxRow.kind == kind)
        return session.scalar(query) or 0


def test_row_29_without_a_contract_the_clause_is_named_and_the_form_kept(own_world: World) -> None:
    browser = own_world.browser("bai")
    made = browser.post("/patients/new", {**ENTRY, "to": "referral"})
    about = made.headers["location"].partition("about=")[2]
    page = browser.get(f"/referrals/new?about={about}")
    answer = browser.post("/referrals/new", sheet(about, exchange_of(page)))
    assert told(answer) == (403, "contract.none")
    assert "款" in unescape(_main(answer))
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
    assert answer.status_code in {403, 404, 422}
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
    browser, about = own_world.browser("han"), patient(own_world)
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
    browser, about = own_world.browser("han"), patient(own_world)
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
    given = dict(re.findall(r'id="(name|number|birth|phone|address)" name="\w+"[^>]* value="([^"]*)"',
                            page))  # fmt: skip
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


def released(world: World) -> tuple[str, str]:
    """The hospital releases its records of a patient to the clinic; case and one record."""
    from consortium.records.tables import ResourceTable

    about = patient(world)
    browser = world.browser("han")
    page = browser.get(f"/records/new?about={about}")
    fields = {"patient": about, "exchange": exchange_of(page), "to": "lead", "basis": "explicit",
              "types": ["ServiceRequest", "Observation", "Condition"], "months": "12",
              "question": "调整用药前看既往结果"}  # fmt: skip
    answer = browser.post("/records/new", fields, [("picture", ("a.png", PNG, "image/png"))])
    assert answer.status_code == 303, told(answer)
    case = answer.headers["location"].rpartition("/")[2]
    world.settle()
    with world.nodes["shiqiao"].database.read() as session:
        found = session.scalars(select(ResourceTable.id).where(ResourceTable.case_id == case)).all()
    assert found, browser.get(f"/records/requests/{case}").text
    return case, str(found[0])


# ---------------------------------------------------------------- slots and cases


def booking(world: World, login: str, slot: str, about: str, **changes: Any) -> Response:
    browser = world.browser(login)
    page = browser.get(f"/bookings/new?about={about}&service=cardiology")
    fields = {"patient": about, "exchange": exchange_of(page), "service": "cardiology",
              "slot": slot, "urgency": "routine", "question": QUESTION, "consent": "explicit"}  # fmt: skip
    return browser.post("/bookings/new", {**fields, **changes})


def free(world: World, login: str = "han") -> list[str]:
    page = world.browser(login).get(f"/bookings/new?about={patient(world)}&service=cardiology").text
    return list(dict.fromkeys(re.findall(r'name="slot" value="([^"]+)"', page)))


def test_row_60_the_last_slot_is_taken_once_and_three_others_are_offered(own_world: World) -> None:
    slot = free(own_world)[0]
    assert booking(own_world, "han", slot, patient(own_world)).status_code == 303
    own_world.settle()
    answer = booking(own_world, "han", slot, patient(own_world, "li"))
    assert told(answer) == (409, "slot.taken")
    offered = set(re.findall(r'name="slot" value="([^"]+)"', answer.text))
    assert slot not in offered
    assert len(offered) >= 3
    assert QUESTION in answer.text


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


def test_every_code_is_said_in_both_languages() -> None:
    for table in (BAD_ENTRIES, WEEKS):
        for _change, _status, code in table.values():
            for lang in words.LANGS:
                assert len(words.refusal(code, lang, days=1, field="x", size="1")) == 3

