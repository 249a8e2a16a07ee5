"""Garbage against every route of the real app: never a fault, a trace, a hang, or a leak."""

import json
import random
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from consortium.patients.tables import PatientTable
from tests.support import abuse
from tests.support.abuse import JUNK, LEAVING, SECRETS, Watch
from tests.support.real_world import Browser, World, logged, open_copy

PEOPLE = ("gaoyuan", "gu", "chen", "han")
HUB_ROUTES, FORM = 100, "application/x-www-form-urlencoded"
KINDS = (FORM, "multipart/form-data; boundary=x", "application/json", "application/octet-stream",
         "text/plain", "application/fhir+json", "")  # fmt: skip
HEADERS = {
    "last-event-id": "\xb2", "accept-language": "zh;q=\xb2", "if-none-match": '\xb2, "',
    "if-modified-since": "x", "authorization": "Basic \xb2", "referer": "http://[",
    "hx-request": "true", "accept": "application/json",
    "content-encoding": "gzip", "x-csrf-token": "\xff",
}  # fmt: skip
NAMES = (
    "name", "number", "birth", "sex", "phone", "address", "version", "exchange", "patient", "about",
    "question", "target", "urgency", "consent", "paper", "files", "do", "slot", "start", "minutes",
    "service", "kind", "week", "reason", "note", "text", "missing", "date", "when", "of", "types",
    "months", "basis", "to", "after", "q", "act", "users", "passphrase", "title", "parties", "from",
    "until", "notice", "s1.no", "s1.quota", "s999.what", "roles", "login", "member", "ids", "back",
)  # fmt: skip


@pytest.fixture(scope="module")
def log() -> Iterator[StringIO]:
    """What the product logs while this file runs."""
    with logged() as stream:
        yield stream


@pytest.fixture(scope="module")
def world(
    founded_home: Path, tmp_path_factory: pytest.TempPathFactory, log: StringIO
) -> Iterator[World]:
    with open_copy(founded_home, tmp_path_factory.mktemp("abuse") / "home") as made:
        yield made


def known(world: World) -> dict[str, str]:
    """Names, numbers and telephones of the patients of every node."""
    found: dict[str, str] = {}
    for folder, node in world.nodes.items():
        with node.database.read() as session:
            for row in session.scalars(select(PatientTable)):
                for name in ("name", "number", "phone", "address"):
                    found[f"{folder}/{row.id}/{name}"] = getattr(row, name)
    return found


def ids(world: World) -> list[str]:
    told = world.told
    return [told["case"], told["declined"], told["contract"], *told["patients"].values()]


def test_every_route_is_reached_and_none_breaks(world: World) -> None:
    chance, watch = random.Random(7), Watch()
    reached = set()
    for login in PEOPLE:
        app = world.app(world.folder_of(login))
        browser = abuse.back(world, login)
        for route in abuse.routes(app):
            pieces = iter(lambda: chance.choice((*JUNK, *ids(world))), None)
            for method in sorted(route.methods or ()):
                if route.path == "/events" or route.path.startswith(LEAVING):
                    continue
                fields = {chance.choice(NAMES): chance.choice(JUNK) for _ in range(5)}
                sent: dict[str, Any] = {"params": {chance.choice(NAMES): chance.choice(JUNK)}}
                if method != "GET":
                    sent["data"] = {**fields, "csrf": browser.csrf}
                watch.send(browser, method, abuse.filled(route, pieces), **sent)
                reached.add((method, route.path))
        browser = abuse.back(world, login)
    assert watch.wrong == []
    assert len(reached) > HUB_ROUTES


def test_forms_of_leaving_and_of_nobody_do_not_break(world: World) -> None:
    watch = Watch()
    for folder in ("hub", "shiqiao"):
        nobody = Browser(world.client(folder))
        for route in abuse.routes(world.app(folder)):
            for method in sorted(route.methods or ()):
                pieces = iter(lambda: "王秘密", None)
                watch.send(nobody, method, abuse.filled(route, pieces), params={"back": "//["})
        for path in LEAVING:
            watch.send(nobody, "POST", path, data={"name": SECRETS[0], "password": SECRETS[1]})
    assert watch.wrong == []


@pytest.mark.parametrize("login", PEOPLE)
@settings(
    max_examples=60, deadline=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(data=st.data())
def test_any_bytes_forms_and_headers_are_answered(
    world: World, login: str, data: st.DataObject
) -> None:
    watch = Watch()
    folder = world.folder_of(login)
    route = data.draw(st.sampled_from(abuse.routes(world.app(folder))))
    if route.path == "/events" or route.path.startswith(LEAVING):
        return
    browser = abuse.back(world, login)
    text = st.one_of(st.sampled_from([*JUNK, *ids(world)]), st.text(max_size=80))
    pieces = iter(lambda: data.draw(text), None)
    method = data.draw(st.sampled_from(sorted(route.methods or ())))
    sent: dict[str, Any] = {
        "params": data.draw(st.dictionaries(st.sampled_from(NAMES), text, max_size=4)),
        "headers": {
            name.encode(): HEADERS[name].encode("latin-1")
            for name in data.draw(st.sets(st.sampled_from(sorted(HEADERS)), max_size=3))
        },
    }
    if method != "GET" and data.draw(st.booleans()):
        sent["data"] = {
            **data.draw(st.dictionaries(st.sampled_from(NAMES), text, max_size=12)),
            "csrf": browser.csrf,
        }
    elif method != "GET":
        json_value = st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
            ),
        )
        raw = st.binary(max_size=400) | json_value.map(lambda one: json.dumps(one).encode())
        sent["content"] = data.draw(raw)
        kind = data.draw(st.sampled_from(KINDS))
        sent["headers"] |= {b"x-csrf-token": browser.csrf.encode(), b"content-type": kind.encode()}
    watch.send(browser, method, abuse.filled(route, pieces), **sent)
    assert watch.wrong == []


@pytest.mark.parametrize("login", ["gaoyuan", "lin", "gu", "han"])
def test_each_real_form_with_one_field_spoilt_is_answered(world: World, login: str) -> None:
    chance, watch = random.Random(login), Watch()
    browser = abuse.back(world, login)
    found = abuse.forms(browser)
    assert len(found) > 5
    for form, button, action in found:
        names = [name for name in form.names if name != "csrf"]
        for spoilt in chance.sample(names, min(2, len(names))):
            told = abuse.as_shown(form, button)
            told[spoilt] = [chance.choice(JUNK)] * chance.choice((1, 1, 2))
            told["csrf"] = [browser.csrf]
            where = "params" if form.method == "get" else "data"
            watch.send(browser, form.method.upper(), action, **{where: told})
    abuse.back(world, login)
    assert watch.wrong == []


def test_nothing_of_a_patient_is_in_logs_and_figures_after_all_this(
    world: World, log: StringIO
) -> None:
    browser = abuse.back(world, "han")
    for secret in SECRETS:
        quoted = secret
        for path in (f"/patients/{quoted}", f"/fhir/R4/Patient/{quoted}", f"/{quoted}",
                     f"/fhir/R4/Patient?{quoted}=1", f"/patients?q={quoted}"):  # fmt: skip
            browser.get(path)
        browser.post("/patients/new", {"name": secret, "number": secret, "phone": secret})
        browser.post("/referrals/new", {"patient": secret}, [("files", (secret, b"MZ", "x/y"))])
        browser.client.post("/sign-in", data={"name": secret, "password": secret})
        world.client("hub").post(
            "/sync/join", content=json.dumps({"ask": secret}).encode(),
            headers={"content-type": "application/json"},
        )  # fmt: skip
    text = log.getvalue()
    assert text.count('"event": "refused"') > 20
    assert all(json.loads(line) for line in text.splitlines())
    assert "withheld" not in SECRETS
    assert abuse.leaked(text, known(world)) == []
    for folder in world.nodes:
        figures = world.client(folder).get("/metrics")
        assert figures.status_code == 200
        assert abuse.leaked(figures.text, known(world)) == []
        assert "consortium_outbox_waiting" in figures.text


def test_a_refusal_for_programs_tells_nothing_of_what_was_sent(world: World) -> None:
    hub = world.client("hub")
    for secret in SECRETS:
        told = json.dumps({"ask": "offer", "handle": secret, secret: secret}).encode()
        for path in ("/sync/join", "/sync/keys", "/sync/hello"):
            answer = hub.post(path, content=told, headers={"content-type": "application/json"})
            assert secret not in answer.text
        for path in (f"/fhir/R4/Patient?identifier={secret}", f"/fhir/R4/Patient/{secret}",
                     f"/ledger/receipts/{secret}", f"/fhir/R4/{secret}"):  # fmt: skip
            answer = abuse.back(world, "han").get(path)
            if answer.status_code >= 400:
                assert secret not in answer.text
