"""Bad inputs at the doors for programs: who asks (reliability, rows 65 and 66)."""

import base64

import pytest

from consortium.cli.demo_people import person
from tests.consortium.api.test_bad_inputs import outcome, problem
from tests.support.real_world import World
from tests.support.wire import BYTES

DOORS = ("/sync/join", "/sync/keys")
"""What is read as JSON before anybody has proved who they are."""
DEEP = b'{"ask":' + b"[" * 200 + b"]" * 200 + b"}"
XXE = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
    b'<Patient xmlns="http://hl7.org/fhir"><id value="&b;"/></Patient>'
)


def basic(name: str, password: str) -> dict[str, str]:
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"authorization": f"Basic {token}"}


def test_row_65_the_sixth_wrong_password_of_a_program_waits(own_world: World) -> None:
    client = own_world.client("yunling")
    for _ in range(5):
        answer = client.get("/fhir/R4/Patient", headers=basic("bai", "not this one"))
        assert outcome(answer) == (401, "login", "members.sign_in_wrong")
    answer = client.get("/fhir/R4/Patient", headers=basic("bai", person("bai").password))
    assert outcome(answer) == (429, "throttled", "members.throttled")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize(
    "header", ["Basic", "Basic \xb2", "Basic AAA", "Bearer x", "Basic " + "A" * 20_000, "\xff"]
)
def test_row_65_a_header_that_says_nobody_is_nobody(common_world: World, header: str) -> None:
    answer = common_world.client("shiqiao").get(
        "/fhir/R4/Patient", headers={b"authorization": header.encode("latin-1")}
    )
    assert outcome(answer) == (401, "login", "fhir.sign_in")


def test_row_65_a_name_with_a_nul_is_nobodys(common_world: World) -> None:
    answer = common_world.client("shiqiao").get("/fhir/R4/Patient", headers=basic("a\0", "b" * 200))
    assert answer.status_code == 401


def test_row_66_a_foreign_host_reaches_no_door(common_world: World) -> None:
    for path in ("/fhir/R4/metadata", "/ledger/checkpoint", "/metrics", "/healthz", "/readyz"):
        answer = common_world.client("hub").get(path, headers={"host": "evil.test"})
        assert answer.status_code == 403
        assert "web.host" in answer.text
    answer = common_world.client("hub").get("/fhir/R4/Patient", headers={"host": "evil.test"})
    assert outcome(answer) == (403, "security", "web.host")
    foreign = common_world.client("hub").post(
        "/sync/hello", content=b"x", headers=BYTES | {"origin": "http://["}
    )
    assert problem(foreign) == (403, "web.origin")
