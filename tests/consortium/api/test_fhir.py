"""The FHIR door over HTTP, as a client sees it."""

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.testclient import TestClient

from consortium.api import fhir_query
from consortium.fhir import clinical, gate, systems
from consortium.fhir.bindings import check
from consortium.fhir.face import Resource
from consortium.patients.model import Entry, Patient
from tests.consortium.api.conftest import ROOT, Ask, Shelf
from tests.consortium.fhir.samples import NUMBER
from tests.consortium.patients.factory import LI, WANG
from tests.support.clock import START, VirtualClock
from tests.support.source import ROOT as REPOSITORY
from tests.support.web_stage import Stage

Register = Callable[[Entry], Patient]


def issue(answer: Any) -> tuple[int, str, str]:
    """Status, FHIR issue code and our own code of an OperationOutcome, which must be valid."""
    assert answer.headers["content-type"].startswith("application/fhir+json")
    outcome = gate.parse(answer.content)
    check(outcome, now=START)
    assert outcome["resourceType"] == "OperationOutcome"
    (one,) = outcome["issue"]
    assert one["details"]["text"]
    return answer.status_code, one["code"], one["details"]["coding"][0]["code"]


def observation(number: int, **changes: Any) -> Resource:
    made = clinical.vital(
        id_=f"o-{number:04d}", patient="Patient/p", name="pulse", value=72, taken=START
    )
    raw = gate.dump(made).replace(b'"value":72', b'"value":  72.0')
    plain: dict[str, Any] = {
        "type": "Observation",
        "id": made["id"],
        "version": 3,
        "updated": START,
        "raw": raw,
    }
    return Resource(**(plain | changes))


def test_the_statement_is_of_4_0_1_and_needs_no_sign_in(ask: Ask) -> None:
    answer = ask().get(f"{ROOT}/metadata")
    assert answer.status_code == 200
    statement = gate.parse(answer.content)
    check(statement, now=START)
    assert statement["fhirVersion"] == "4.0.1"
    told = {one["type"]: one for one in statement["rest"][0]["resource"]}
    assert sorted(told) == ["Observation", "Patient"]
    assert {one["name"] for one in told["Patient"]["searchParam"]} == {"_id", "identifier"}
    assert {one["name"] for one in told["Observation"]["searchParam"]} == {
        "_id",
        "identifier",
        "patient",
    }


def test_a_patient_is_read_with_version_and_time(
    doctor: TestClient, register: Register, clinic: Stage
) -> None:
    wang = register(WANG)
    answer = doctor.get(f"{ROOT}/Patient/{wang.id}")
    assert answer.status_code == 200
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"] == "Tue, 24 Nov 2026 01:00:00 GMT"
    assert gate.parse(answer.content)["name"][0]["text"] == "王秀英"


def test_the_original_bytes_go_out(doctor: TestClient, shelf: Shelf) -> None:
    shelf.kept = [observation(1)]
    assert doctor.get(f"{ROOT}/Observation/o-0001").content == shelf.kept[0].raw
    assert shelf.kept[0].raw in doctor.get(f"{ROOT}/Observation").content


def test_what_the_client_has_is_not_sent_again(doctor: TestClient, shelf: Shelf) -> None:
    shelf.kept = [observation(1)]
    for header, value, status in (
        ("if-none-match", 'W/"3"', 304),
        ("if-none-match", 'W/"2", W/"3"', 304),
        ("if-none-match", "*", 304),
        ("if-none-match", 'W/"2"', 200),
        ("if-modified-since", "Tue, 24 Nov 2026 01:00:00 GMT", 304),
        ("if-modified-since", "Tue, 24 Nov 2026 00:59:59 GMT", 200),
        ("if-modified-since", "Tue, 24 Nov 2026 01:00:00 -0000", 200),
        ("if-modified-since", "yesterday", 200),
    ):
        answer = doctor.get(f"{ROOT}/Observation/o-0001", headers={header: value})
        assert answer.status_code == status, value
        assert answer.headers["etag"] == 'W/"3"'
        assert bool(answer.content) is (status == 200)


def test_a_search_by_identifier(doctor: TestClient, register: Register) -> None:
    wang, li = register(WANG), register(LI)
    for params, expected in (
        ({"identifier": f"{systems.ID_NUMBER}|{NUMBER}"}, [wang.id]),
        ({"identifier": NUMBER}, [wang.id]),
        ({"identifier": "000002"}, [li.id]),
        ({"identifier": f"{systems.SOCIAL_CARD}|{NUMBER}"}, []),
        ({"_id": li.id}, [li.id]),
        ({}, sorted([wang.id, li.id])),
        ({"_id": li.id, "identifier": NUMBER}, []),
    ):
        answer = doctor.get(f"{ROOT}/Patient", params=params)
        bundle = gate.parse(answer.content)
        check(bundle, now=START)
        assert answer.status_code == 200
        assert bundle["type"] == "searchset"
        assert bundle["total"] == len(expected)
        assert [one["resource"]["id"] for one in bundle.get("entry", ())] == expected
        assert all(one["fullUrl"].startswith(ROOT) for one in bundle.get("entry", ()))


def pages(client: TestClient, url: str) -> list[list[str]]:
    found = []
    while url:
        bundle = gate.parse(client.get(url).content)
        found.append([one["resource"]["id"] for one in bundle.get("entry", ())])
        links = {one["relation"]: one["url"] for one in bundle["link"]}
        assert links["self"] == url
        url = links.get("next", "")
    return found


def test_pages_go_on_over_every_room_that_has_the_type(
    doctor: TestClient, shelf: Shelf, other_shelf: Shelf
) -> None:
    shelf.kept = [observation(number) for number in range(0, 9, 2)]
    other_shelf.kept = [observation(number) for number in (1, 3, 5, 6, 8)]
    found = pages(doctor, f"{ROOT}/Observation?_count=3")
    assert [one for page in found for one in page] == [
        f"o-{number:04d}" for number in range(9) if number != 7
    ]
    assert [len(page) for page in found] == [3, 3, 2]


def test_a_page_holds_at_most_a_hundred(doctor: TestClient, shelf: Shelf) -> None:
    shelf.kept = [observation(number) for number in range(250)]
    found = pages(doctor, f"{ROOT}/Observation?_count=1000000")
    assert [len(page) for page in found] == [100, 100, 50]


def test_a_room_that_gives_a_hundred_at_most_loses_nothing(
    doctor: TestClient, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.kept = [observation(number) for number in range(150)]
    whole = shelf.resources
    monkeypatch.setattr(
        doctor.app.state,  # type: ignore[attr-defined]
        "fhir_table",
        {"Observation": (lambda *a, **more: list(whole(*a, **more))[:100],)},
    )
    assert sum(map(len, pages(doctor, f"{ROOT}/Observation?_count=100"))) == 150


def test_the_next_page_asks_for_the_same(doctor: TestClient, shelf: Shelf) -> None:
    shelf.kept = [observation(number) for number in range(3)]
    answer = doctor.get(f"{ROOT}/Observation", params={"patient": "Patient/p", "_count": "2"})
    links = {one["relation"]: one["url"] for one in gate.parse(answer.content)["link"]}
    assert dict(parse_qsl(urlsplit(links["next"]).query)) == {
        "patient": "Patient/p",
        "_count": "2",
        "_after": "o-0001",
    }


REFUSED: dict[str, tuple[str, dict[str, str], tuple[int, str, str]]] = {
    "unknown parameter": (
        "Patient?colour=red",
        {},
        (400, "not-supported", "fhir.parameter"),
    ),
    "a modifier": ("Patient?identifier:exact=1", {}, (400, "not-supported", "fhir.parameter")),
    "patient of a patient": ("Patient?patient=1", {}, (400, "not-supported", "fhir.parameter")),
    "a parameter twice": ("Patient?_id=a&_id=b", {}, (400, "not-supported", "fhir.parameter")),
    "one of several": ("Patient?_id=a,b", {}, (400, "not-supported", "fhir.parameter")),
    "no number": ("Patient?_count=many", {}, (400, "value", "fhir.parameter_value")),
    "less than nothing": ("Patient?_count=-1", {}, (400, "value", "fhir.parameter_value")),
    "nothing": ("Patient?_count=0", {}, (400, "value", "fhir.parameter_value")),
    "a digit of another script": (
        "Patient?_count=%D9%A3",
        {},
        (400, "value", "fhir.parameter_value"),
    ),
    "an id that is none": ("Patient?_id=../x", {}, (400, "value", "fhir.parameter_value")),
    "a foreign patient": (
        "Observation?patient=https://evil.test/Patient/1",
        {},
        (400, "value", "fhir.parameter_value"),
    ),
    "a system alone": ("Patient?identifier=urn:a|", {}, (400, "value", "fhir.parameter_value")),
    "a value of no system": ("Patient?identifier=|1", {}, (400, "value", "fhir.parameter_value")),
    "an edited page": ("Patient?_after=%20", {}, (400, "value", "fhir.parameter_value")),
    "a NUL": ("Patient?_after=%00", {}, (422, "value", "web.control")),
    "an id of 65": (f"Patient/{'a' * 65}", {}, (422, "value", "fhir.value")),
    "an id with an emoji": ("Patient/%F0%9F%98%80", {}, (422, "value", "fhir.value")),
    "a parameter of read": ("Patient/a?_elements=id", {}, (400, "not-supported", "fhir.parameter")),
    "nobody": ("Patient/nobody", {}, (404, "not-found", "fhir.not_found")),
    "a type that is not kept": ("Citation", {}, (404, "not-supported", "fhir.no_such_type")),
    "no type": ("patients/a", {}, (404, "not-supported", "fhir.no_such_type")),
    "no address": ("Patient/a/b/c", {}, (404, "not-found", "web.not_found")),
    "XML": ("Patient", {"accept": "application/fhir+xml"}, (406, "not-supported", "fhir.format")),
    "XML by parameter": ("Patient?_format=xml", {}, (406, "not-supported", "fhir.format")),
    "another host": ("Patient", {"host": "evil.test"}, (403, "security", "web.host")),
}


def test_what_is_refused_is_told_as_an_outcome(doctor: TestClient) -> None:
    answers = {
        name: issue(doctor.get(f"{ROOT}/{path}", headers=headers))
        for name, (path, headers, _expected) in REFUSED.items()
    }
    assert answers == {name: expected for name, (_path, _headers, expected) in REFUSED.items()}


def test_the_door_is_for_reading(doctor: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = doctor.request(method, f"{ROOT}/Patient/a", content=b"{}")
        assert issue(answer)[:2] == (405, "not-supported")


def test_a_body_that_is_too_large(doctor: TestClient, clinic: Stage) -> None:
    size = clinic.node.settings.request_max_bytes + 1
    answer = doctor.post(f"{ROOT}/Patient", content=b" " * size)
    assert issue(answer) == (413, "too-long", "web.too_large")


def test_json_is_spoken_whatever_it_is_called(doctor: TestClient) -> None:
    for accept in ("application/fhir+json", "application/json;q=0.9", "text/html, */*;q=0.1", ""):
        assert doctor.get(f"{ROOT}/Patient", headers={"accept": accept}).status_code == 200
    for name in ("json", "application/fhir%2Bjson", "application/fhir+json"):
        assert doctor.get(f"{ROOT}/Patient?_format={name}").status_code == 200


def test_words_in_the_language_that_is_accepted(doctor: TestClient) -> None:
    for accepted, lang, word in (
        ("zh-CN,zh;q=0.9", "zh", "没有"),
        ("en-GB", "en", "There is no such"),
        ("de, en;q=0.5, zh;q=0.1", "en", "There is no such"),
        ("", "zh", "没有"),
        ("en;q=0, zh", "zh", "没有"),
        ("en;q=nonsense", "en", "There is no such"),
    ):
        answer = doctor.get(f"{ROOT}/Patient/nobody", headers={"accept-language": accepted})
        assert answer.headers["content-language"] == lang
        assert word in answer.json()["issue"][0]["details"]["text"]


def test_without_a_name_nothing_is_read(ask: Ask, register: Register) -> None:
    wang = register(WANG)
    for client in (ask(), ask("han", "not the password"), ask("nobody")):
        answer = client.get(f"{ROOT}/Patient/{wang.id}")
        assert issue(answer)[:2] == (401, "login")
        assert answer.headers["www-authenticate"].startswith("Basic")
    for header in ("Basic", "Basic ####", "Basic aGFu", "Bearer abc", "Basic /////w=="):
        answer = ask().get(f"{ROOT}/Patient", headers={"authorization": header})
        assert issue(answer) == (401, "login", "fhir.sign_in")


def test_a_browser_that_is_signed_in_reads_until_its_page_locks(
    ask: Ask, register: Register, clock: VirtualClock
) -> None:
    wang, browser = register(WANG), ask()
    signed = browser.post(
        "/sign-in",
        data={"name": "han", "password": "a long and quiet sentence"},
        follow_redirects=False,
    )
    assert signed.status_code == 303
    assert browser.get(f"{ROOT}/Patient/{wang.id}").status_code == 200
    clock.advance(minutes=6)
    assert issue(browser.get(f"{ROOT}/Patient/{wang.id}"))[:2] == (401, "login")


def test_a_password_is_remembered_no_longer_than_it_holds(
    ask: Ask, clinic: Stage, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from consortium.members import accounts, people

    client, checked = ask("han"), []
    really = accounts.sign_in_apart

    def counted(*given: Any, **more: Any) -> Any:
        checked.append(more["now"])
        return really(*given, **more)

    monkeypatch.setattr(accounts, "sign_in_apart", counted)
    for _ in range(3):
        assert client.get(f"{ROOT}/Patient").status_code == 200
    assert len(checked) == 1
    clock.advance(minutes=6)
    assert client.get(f"{ROOT}/Patient").status_code == 200
    assert len(checked) == 2
    clock.advance(seconds=1)
    with clinic.node.database.write() as session:
        han = clinic.actor(session, "han")
        gao = clinic.actor(session, "gao")
        people.lock(session, actor=gao, user=han.user, keyring=clinic.node.keyring, now=clock.now())
    assert client.get(f"{ROOT}/Patient").status_code == 403


def test_who_has_no_business_with_patients_finds_none(ask: Ask, register: Register) -> None:
    wang = register(WANG)
    admin = ask("gao")
    assert issue(admin.get(f"{ROOT}/Patient/{wang.id}"))[:2] == (404, "not-found")
    assert "entry" not in admin.get(f"{ROOT}/Patient").json()


def test_absent_and_hidden_look_alike(ask: Ask, register: Register) -> None:
    wang = register(WANG)
    admin = ask("gao")
    hidden = admin.get(f"{ROOT}/Patient/{wang.id}")
    absent = admin.get(f"{ROOT}/Patient/nobody")
    assert (hidden.content, hidden.status_code) == (absent.content, absent.status_code)


def test_too_many_look_ups_are_throttled(
    doctor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from consortium.patients import looks

    monkeypatch.setattr(looks, "LOOKS_MAX", 3)
    for _ in range(3):
        assert doctor.get(f"{ROOT}/Patient").status_code == 200
    answer = doctor.get(f"{ROOT}/Patient")
    assert issue(answer) == (429, "throttled", "patients.too_many_looks")
    assert answer.headers["retry-after"] == "600"


def test_a_fault_of_the_program_tells_nothing_of_a_patient(
    doctor: TestClient, shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.fails = True
    answer = doctor.get(f"{ROOT}/Observation", headers={"accept-language": "en"})
    assert issue(answer)[:2] == (500, "exception")
    assert "王秀英" not in answer.text
    assert "Traceback" not in answer.text


def test_other_doors_keep_problem_details(doctor: TestClient) -> None:
    answer = doctor.get("/sync/nothing")
    assert answer.headers["content-type"].startswith("application/problem+json")


SPEC = REPOSITORY.parent / "shared" / "data" / "spec" / "r4-search-parameters.json.gz"


@pytest.mark.skipif(not SPEC.is_file(), reason="the shared search parameters are not here")
def test_parameters_are_those_of_r4() -> None:
    from consortium.fhir.codes import TYPES

    official = json.loads(gzip.decompress(SPEC.read_bytes()))
    known = {
        (base, one["resource"]["code"]): one["resource"]["type"]
        for one in official["entry"]
        for base in one["resource"]["base"]
    }
    served = TYPES - {"Bundle", "Parameters", "OperationOutcome", "CapabilityStatement"}
    wrong = [
        (name, parameter)
        for name in sorted(served)
        for parameter, kind in fhir_query.parameters(name).items()
        if parameter != "_id" and known.get((name, parameter)) != kind
    ]
    assert wrong == []


def test_time_goes_on_between_versions(doctor: TestClient, shelf: Shelf) -> None:
    shelf.kept = [observation(1, version=12, updated=START + timedelta(hours=1))]
    answer = doctor.get(f"{ROOT}/Observation/o-0001")
    assert answer.headers["etag"] == 'W/"12"'
    assert answer.headers["last-modified"] == "Tue, 24 Nov 2026 02:00:00 GMT"
