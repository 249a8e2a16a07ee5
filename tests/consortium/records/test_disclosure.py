"""What leaves the house: only types and days asked for, and nothing that tells of anything else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.fhir import bindings, gate
from consortium.records import disclosure
from consortium.records.model import RELEASABLE, Scope

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
START = datetime(2025, 11, 23, 16, 0, tzinfo=UTC)
END = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
SCOPE = Scope(frozenset({"Observation", "DiagnosticReport"}), START, END)


def an_observation(**changes: Any) -> dict[str, Any]:
    whole = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"text": "血钾"},
        "subject": {"reference": "Patient/h-77"},
        "effectiveDateTime": "2026-11-01T08:00:00+08:00",
        "valueQuantity": {"value": 4, "unit": "mmol/L"},
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "leaves"),
    [
        ({}, True),
        ({"effectiveDateTime": "2026-11"}, False),
        ({"effectiveDateTime": "2026-10"}, True),
        ({"effectiveDateTime": "2026-11-24"}, True),
        ({"effectiveDateTime": "2026"}, False),
        ({"effectiveDateTime": "2025-11-24"}, True),
        ({"effectiveDateTime": "2025-11-23"}, False),
        ({"effectiveDateTime": "2025-11-24T00:00:00+08:00"}, True),
        ({"effectiveDateTime": "2025-11-23T23:59:59+08:00"}, False),
        ({"effectiveDateTime": "2027-01-01T00:00:00+08:00"}, False),
        ({"effectiveDateTime": None}, False),
        ({"effectiveDateTime": "2026-11-01T08:00:00"}, False),
        ({"effectiveDateTime": None, "issued": "2026-11-01T08:00:00+08:00"}, True),
        (
            {
                "effectiveDateTime": None,
                "effectivePeriod": {"start": "2025-11-01", "end": "2025-12-01"},
            },
            False,
        ),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": "2026-01-01"}}, True),
        ({"effectiveDateTime": None, "effectivePeriod": {"end": "2026-01-01"}}, False),
        ({"status": "entered-in-error"}, False),
    ],
)
def test_a_result_leaves_only_when_wholly_in_the_days_asked_for(
    changes: dict[str, Any], leaves: bool
) -> None:
    assert disclosure.leaves(an_observation(**changes), SCOPE) is leaves


@pytest.mark.parametrize(
    ("resource", "leaves"),
    [
        ({"resourceType": "DiagnosticReport", "status": "final"}, True),
        ({"resourceType": "DiagnosticReport", "status": "preliminary"}, False),
        ({"resourceType": "DiagnosticReport", "status": "registered"}, False),
        ({"resourceType": "Procedure", "status": "completed"}, False),
    ],
)
def test_an_unsigned_report_and_another_type_stay(resource: dict[str, Any], leaves: bool) -> None:
    dated = {**resource, "id": "r1", "effectiveDateTime": "2026-11-01", "subject": {}}
    assert disclosure.leaves(dated, SCOPE) is leaves


def test_a_document_is_dated_by_what_it_is_about_and_stays_while_unsigned() -> None:
    document = {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "date": "2026-11-20T08:00:00+08:00",
        "context": {"period": {"start": "2020-01-01", "end": "2020-02-01"}},
    }
    scope = Scope(frozenset({"DocumentReference"}), START, END)
    assert not disclosure.leaves(document, scope)
    assert disclosure.leaves({**document, "context": {}}, scope)
    assert not disclosure.leaves({**document, "context": {}, "docStatus": "preliminary"}, scope)


def test_a_condition_entered_in_error_stays() -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c1",
        "recordedDate": "2026-11-20",
        "verificationStatus": {"coding": [{"code": "entered-in-error"}]},
    }
    assert not disclosure.leaves(condition, Scope(frozenset({"Condition"}), START, END))


def test_a_copy_names_the_askers_patient_and_nothing_else_of_ours() -> None:
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "meta": {"versionId": "7", "source": "urn:his:bed-12"},
        "text": {"status": "generated", "div": "<div>SECRET</div>"},
        "contained": [
            {"resourceType": "Practitioner", "id": "doc", "name": [{"text": "SECRET"}]},
            {"resourceType": "Observation", "id": "hiv", "code": {"text": "SECRET"}},
        ],
        "status": "final",
        "code": {"text": "心超"},
        "subject": {"reference": "Patient/h-77", "display": "SECRET"},
        "encounter": {"reference": "Encounter/SECRET", "display": "SECRET"},
        "performer": [
            {"reference": "Practitioner/u-SECRET", "display": "陆怀安"},
            {"reference": "#doc", "display": "陆怀安"},
        ],
        "result": [
            {"reference": "Observation/o1"},
            {"reference": "Observation/SECRET"},
            {"reference": "#hiv"},
        ],
        "effectiveDateTime": "2026-11-01",
    }
    first, _ = disclosure.copies([report, an_observation()], patient="p-9")
    text = gate.dump(first).decode()
    assert "SECRET" not in text
    assert "h-77" not in text
    assert first["subject"] == {"reference": "Patient/p-9"}
    assert first["result"][0] == {"reference": "Observation/o1"}
    assert first["performer"][0] == {"type": "Practitioner", "display": "陆怀安"}
    assert first["performer"][1] == {"type": "Practitioner", "display": "陆怀安"}
    bindings.check(first, now=NOW)


MARK = "XMARKX"
DAYS = ["2024", "2025-11", "2026-03", "2025-11-23", "2026-05-06", "2026-11-24", "2027-01-01"]
MOMENTS = ["2026-05-06T10:00:00+08:00", "2025-11-23T15:59:59Z", "2026-11-24T16:00:00Z"]
DATES = st.sampled_from([None, *DAYS, *MOMENTS])
WHEN = {kind: names[-1] for kind, names in disclosure._WHEN.items()}


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    """A resource of the house, with something in it that names itself."""
    kind = draw(st.sampled_from(RELEASABLE))
    number = draw(st.integers(0, 30))
    made: dict[str, Any] = {
        "resourceType": kind,
        "id": f"{MARK}-{number}",
        "subject": {"reference": f"Patient/{MARK}-patient"},
        "note": [{"text": f"about {MARK}-{number}."}],
        "encounter": {"reference": f"Encounter/{MARK}-encounter"},
        "basedOn": [{"reference": f"Observation/{MARK}-{draw(st.integers(0, 30))}"}],
        "text": {"div": f"{MARK}-narrative"},
        "contained": [{"resourceType": "Condition", "id": f"{MARK}-contained"}],
        "status": draw(st.sampled_from(["final", "preliminary", "entered-in-error", "completed"])),
    }
    if date := draw(DATES):
        name = WHEN[kind]
        made[name] = {"start": date} if name == "period" else date
    return made


@given(
    st.lists(resources(), max_size=12, unique_by=lambda one: (one["resourceType"], one["id"])),
    st.frozensets(st.sampled_from(RELEASABLE), min_size=1, max_size=4),
)
def test_nothing_leaves_but_what_was_asked_for(
    house: list[dict[str, Any]], types: frozenset[str]
) -> None:
    """The harm: a clinic asks for a year of blood results and learns of a stay elsewhere."""
    scope = Scope(types, START, END)
    found = disclosure.select(house, scope)
    copies = disclosure.copies(found, patient="p-9")
    went = {(one["resourceType"], one["id"]) for one in copies}
    for one in house:
        stretch = disclosure.when(one)
        inside = stretch is not None and stretch[0] >= START and stretch[1] <= END
        if one["resourceType"] not in types or not inside or one["status"] == "entered-in-error":
            assert (one["resourceType"], one["id"]) not in went
    text = gate.dump(copies).decode()
    ids = {one["id"] for one in copies}
    for part in text.split(MARK)[1:]:
        number = part[1:].split('"')[0].split(".")[0]
        assert f"{MARK}-{number}" in ids, "something else of the house is named"
    assert all(one["subject"] == {"reference": "Patient/p-9"} for one in copies)


@given(st.integers(1, 12), st.integers(1, 28), st.integers(2024, 2027))
def test_a_day_is_wide_as_a_day_in_the_charters_zone(month: int, day: int, year: int) -> None:
    found = disclosure.when(
        {"resourceType": "MedicationRequest", "authoredOn": f"{year}-{month:02}-{day:02}"}
    )
    assert found is not None
    assert found[1] - found[0] == timedelta(days=1)
    assert found[0].hour == 16
