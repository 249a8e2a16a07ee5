"""The table of rooms behind the FHIR door."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from consortium.api import fhir_rooms
from consortium.fhir import gate
from consortium.fhir.bindings import check
from consortium.fhir.codes import TYPES
from tests.consortium.api.conftest import ROOT
from tests.support.clock import START


@pytest.fixture
def all_rooms(doctor: TestClient, tmp_path: Path) -> TestClient:
    doctor.app.state.fhir_table = fhir_rooms.TABLE  # type: ignore[attr-defined]
    return doctor


def test_every_type_that_is_promised_is_there() -> None:
    promised = {"Patient", "ServiceRequest", "Task", "DocumentReference", "Appointment"}
    assert promised <= fhir_rooms.TABLE.keys() <= TYPES


def test_every_type_of_the_table_can_be_searched(all_rooms: TestClient) -> None:
    for name in fhir_rooms.TABLE:
        answer = all_rooms.get(f"{ROOT}/{name}")
        assert answer.status_code == 200, name
        bundle = gate.parse(answer.content)
        check(bundle, now=START)
        assert bundle["total"] == 0
        assert all_rooms.get(f"{ROOT}/{name}/nobody").status_code == 404
        if name != "Patient":
            params = {"patient": "nobody", "identifier": "urn:a|b"}
            assert all_rooms.get(f"{ROOT}/{name}", params=params).json()["total"] == 0


def test_the_statement_tells_the_table(all_rooms: TestClient) -> None:
    statement = gate.parse(all_rooms.get(f"{ROOT}/metadata").content)
    check(statement, now=START)
    told = [one["type"] for one in statement["rest"][0]["resource"]]
    assert told == sorted(fhir_rooms.TABLE)
