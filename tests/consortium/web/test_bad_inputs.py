"""Bad inputs at the pages, over the real app: who comes, and what a patient may be.

The number in a test's name is the row of research/reliability.md 5;
tests/consortium/api/test_bad_inputs_table.py says of every row where it is proved.
Every refusal here is a page with its three sentences.
"""

import re
from collections.abc import Mapping

import pytest
from sqlalchemy import func, select

from consortium import words
from consortium.audit.tables import EventRow
from consortium.cli.demo_people import person
from consortium.patients.looks import LOOKS_MAX
from tests.support.bad_pages import ENTRY, OTHER, main_of, patient, told
from tests.support.real_world import World

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
    [
        {"last-event-id": "\xb2"},
        {"last-event-id": "9" * 5000},
        {"accept-language": "zh;q=\xb2,en;q=x"},
        {"if-none-match": "\xb2"},
        {"cookie": "language=\xff; a=" + "b" * 5000},
    ],
)
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
    body = b'--a\r\ncontent-disposition: form-data; name="name"\r\n\r\n+2AA-\r\n--a--\r\n'
    for path in ("/patients/new", "/referrals/new", "/drafts/referral:x", "/account", "/sign-in"):
        answer = browser.client.post(path, content=body, headers={"content-type": kind})
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
    later = own_world.browser("han", anew=True)
    assert later.get(f"/patients/{patient(own_world)}").status_code == 200


def test_row_28_another_clinics_patient_and_case_are_not_there_and_the_try_is_kept(
    own_world: World,
) -> None:
    other = own_world.browser("bai")
    theirs = other.get(f"/patients/{patient(own_world)}")
    assert told(theirs) == (404, "patients.missing")
    nobodys = other.get(f"/patients/{OTHER}")
    assert main_of(theirs) == main_of(nobodys)
    case = other.get(f"/referrals/{own_world.told['case']}")
    assert (case.status_code, main_of(case)) == (404, main_of(other.get(f"/referrals/{OTHER}")))
    with own_world.nodes["yunling"].database.read() as session:
        actions = session.scalars(select(EventRow.action)).all()
    assert actions.count("patients.denied") == 2


def test_every_code_is_said_in_both_languages() -> None:
    for _change, _status, code in BAD_ENTRIES.values():
        for lang in words.LANGS:
            assert len(words.refusal(code, lang)) == 3
