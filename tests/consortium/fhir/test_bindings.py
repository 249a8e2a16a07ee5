"""Checks of single resources: every row of bad input that the models alone would let through."""

import copy
import inspect
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.fhir import clinical, gate, types
from consortium.fhir.bindings import check
from consortium.fhir.codes import CODES, CONCEPTS, TYPES
from consortium.fhir.shape import model_of, shape_of
from consortium.kernel.errors import Refusal, RefusalKind
from tests.consortium.fhir import samples
from tests.consortium.fhir.bad_resources import (
    PATIENT_ROWS,
    REQUEST_ROWS,
    RULE_ROWS,
    Change,
    div,
    narrative,
    setting,
)
from tests.support.clock import START
from tests.support.source import ROOT


@pytest.mark.parametrize(("change", "code", "path"), PATIENT_ROWS.values(), ids=list(PATIENT_ROWS))
def test_a_patient_is_refused(change: Change, code: str, path: str) -> None:
    resource = samples.patient()
    change(resource)
    with pytest.raises(Refusal) as refused:
        check(resource, now=START)
    assert (refused.value.code, refused.value.facts["path"]) == (code, path)


@pytest.mark.parametrize(("change", "code", "path"), REQUEST_ROWS.values(), ids=list(REQUEST_ROWS))
def test_a_request_is_refused(change: Change, code: str, path: str) -> None:
    resource = samples.request(START)
    change(resource)
    with pytest.raises(Refusal) as refused:
        check(resource, now=START)
    assert (refused.value.code, refused.value.facts["path"]) == (code, path)


@pytest.mark.parametrize(("resource", "rule"), RULE_ROWS.values(), ids=list(RULE_ROWS))
def test_rules_between_elements(resource: dict[str, Any], rule: str) -> None:
    with pytest.raises(Refusal) as refused:
        check(resource, now=START)
    assert (refused.value.code, refused.value.facts["rule"]) == ("fhir.rule", rule)


GOOD: dict[str, Change] = {
    "a narrative": narrative(div("<p style='color:red'>a&nbsp;b &lt; c</p><a href='#x'>d</a>")),
    "no number": lambda p: p["identifier"].pop(0),
    "today": setting("birthDate", START.date().isoformat()),
    "1880": setting("birthDate", "1880"),
    "a month": setting("birthDate", "1949-12"),
    "urn": setting(
        "managingOrganization.reference", "urn:uuid:0198f000-0000-7000-8000-000000000009"
    ),
    "a version": setting("managingOrganization.reference", "Organization/a/_history/2"),
    "a display alone": setting("managingOrganization", {"display": "青石县医院"}),
    "a missing value that says why": lambda p: (
        p.pop("gender"),
        p.update(_gender={"extension": [{"url": "http://a.test", "valueCode": "asked"}]}),
    ),
    "nulls beside extensions": lambda p: p["name"][0].update(
        given=["a", None], _given=[None, {"id": "x"}]
    ),
    "a leap second": setting("deceasedDateTime", "2016-12-31T23:59:60Z"),
}


@pytest.mark.parametrize("change", GOOD.values(), ids=list(GOOD))
def test_a_patient_passes(change: Change) -> None:
    resource = samples.patient()
    change(resource)
    check(resource, now=START)


@pytest.mark.parametrize(
    "name", ["Citation", "Evidence", "SubscriptionTopic", "Patients", "", "id"]
)
def test_types_that_are_not_in_use_are_refused(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        check({"resourceType": name, "id": "a"}, now=START)
    assert refused.value.kind is RefusalKind.UNSUPPORTED


def test_what_is_refused_is_never_told() -> None:
    secret = "sk-very-private"
    for name in ("id", "gender", "birthDate", secret):
        with pytest.raises(Refusal) as refused:
            check(samples.patient() | {name: f"{secret} {secret}\n"}, now=START)
        assert secret not in str(refused.value.facts)


def test_every_builder_makes_what_passes() -> None:
    made = samples.all_kinds(START)
    for resource in made:
        check(resource, now=START)
        again = gate.parse(gate.dump(resource))
        check(again, now=START)
        assert gate.dump(again) == gate.dump(resource)
    builders = {
        name
        for room in (types, clinical)
        for name, what in inspect.getmembers(room, inspect.isfunction)
        if what.__module__ == room.__name__ and not name.startswith("_")
    }
    kinds = {"".join(part.capitalize() for part in name.split("_")) for name in builders}
    others = {"Vital", "BloodPressure", "Allergy", "NoKnownAllergy", "Attachment"}
    assert kinds - others <= {one["resourceType"] for one in made}


def test_partial_periods_are_given_the_benefit_of_the_doubt() -> None:
    resource = samples.request(START) | {"occurrencePeriod": {"start": "2026-03-15", "end": "2026"}}
    check(resource, now=START)


def test_decimals_keep_their_digits_through_the_models() -> None:
    vital = clinical.vital(
        id_="v",
        patient="Patient/a",
        name="temperature",
        value=Decimal("36.50"),
        taken=START,
    )
    before = copy.deepcopy(vital)
    check(vital, now=START)
    assert vital == before
    assert b'"value":36.50' in gate.dump(vital)


def test_the_table_of_codes_fits_the_models() -> None:
    for where in (*CODES, *CONCEPTS):
        owner, _, element = where.partition(".")
        assert element in shape_of(owner).elements, where
    for name in TYPES:
        assert "id" in shape_of(name).elements


def test_the_table_of_codes_holds_what_the_models_tell() -> None:
    """Where the models list words for an element, ours are the same or more ("+" in the models)."""
    open_ended = {"CapabilityStatement.fhirVersion"}
    for where, codes in CODES.items():
        owner, _, element = where.partition(".")
        field = next(
            one
            for name, one in model_of(owner).model_fields.items()
            if (one.alias or name) == element
        )
        told = (field.json_schema_extra or {}).get("enum_values")
        if told and where not in open_ended:
            assert set(told) - {"+"} <= codes, where
            assert codes <= set(told) or "+" in told, where


SYNTHEA = ROOT.parent / "shared" / "data" / "synthea"


@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="the shared sample bundles are not here")
def test_twenty_foreign_bundles_pass() -> None:
    count = 0
    for file in sorted(SYNTHEA.glob("*.json")):
        bundle = gate.parse(file.read_bytes(), limit_bytes=8 << 20)
        for entry in bundle["entry"]:
            check(entry["resource"], now=START)
            count += 1
    assert count == 6998


def assert_answers(resource: dict[str, Any]) -> None:
    """The check passes or refuses with a path; nothing else leaves it."""
    refusal = None
    try:
        check(resource, now=START)
    except Refusal as refused:
        refusal = refused
    assert refusal is None or refusal.facts["path"]


words = st.sampled_from(["id", "name", "text", "status", "subject", "reference", "x", "_id", "0"])
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("Patient/1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(TYPES)), st.dictionaries(words, junk, max_size=6))
def test_junk_is_refused_and_never_breaks_the_check(kind: str, content: dict[str, Any]) -> None:
    assert_answers({**content, "resourceType": kind})


@given(st.data())
def test_one_changed_place_is_refused_or_still_sound(data: st.DataObject) -> None:
    resource = data.draw(st.sampled_from(samples.all_kinds(START)))
    text = json.loads(gate.dump(resource))
    place: Any = text
    for _ in range(data.draw(st.integers(0, 4))):
        inner = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(inner))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place = place[key]
    key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(junk)
    assert_answers(text)
