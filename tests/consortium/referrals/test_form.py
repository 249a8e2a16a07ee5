"""The form: what is typed is read, what is wrong is said beside its field."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium import words
from consortium.referrals import form, model
from consortium.referrals.content import VITALS, Content, Vital, timed
from tests.consortium.referrals.factory import CONTENT, NOW

FIELDS = form.fields_of(CONTENT, provider="lead")


def read(**changes: Any) -> form.Typed:
    return form.read({**FIELDS, **changes}, now=NOW)


def test_what_was_sent_comes_back_into_the_form_and_out_of_it() -> None:
    typed = read()
    assert typed.errors == {}
    assert (typed.provider, typed.papers) == ("lead", ("ab" * 32,))
    sent = {**CONTENT.json(), "papers": ()}
    assert typed.content.json() == sent


def test_an_empty_form_is_no_error_but_incomplete() -> None:
    typed = form.read({}, now=NOW)
    assert typed.errors == {}
    assert typed.content == Content()


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("question", "长" * 501, "long"),
        ("question", "看\u200b不见\x07", "characters"),
        ("diagnosis_code", "胸痛", "icd"),
        ("diagnosis_code", "I2", "icd"),
        ("systolic", "高", "number"),
        ("systolic", "168.5", "number"),
        ("systolic", "3000", "range_systolic"),
        ("systolic", "NaN", "range_systolic"),
        ("systolic", "80", "pressure_order"),
        ("diastolic", "", "pressure_pair"),
        ("temperature", "365", "range_temperature"),
        ("oxygen", "-1", "range_oxygen"),
        ("vitals_at", "昨天", "time"),
        ("vitals_at", (NOW + timedelta(hours=1)).isoformat(), "time"),
        ("vitals_at", "1990-01-01T00:00", "time"),
        ("medication", "\n".join(["药"] * 21), "long"),
        ("allergies", "青" * 301, "long"),
        ("consent", "emergency", "consent_emergency"),
        ("paper", [f"{n:064}" for n in range(17)], "papers"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(field: str, value: Any, error: str) -> None:
    errors = read(**{field: value}).errors
    assert errors.get("systolic" if error.startswith("pressure") else field) == (
        f"referral.error.{error}"
    )


@pytest.mark.parametrize("value", ["36,5", "36，5", " 36.5 "])
def test_a_decimal_comma_is_understood(value: str) -> None:
    (vital,) = [one for one in read(temperature=value).content.vitals if one.code == "temperature"]
    assert vital.value == "36.5"


def test_a_time_without_zone_is_the_clocks_own() -> None:
    vitals = read(vitals_at="2026-11-24T09:46").content.vitals
    assert {one.at for one in vitals} == {"2026-11-24T09:46:00+08:00"}


BEFORE = (
    Vital("systolic", "168", "t1"),
    Vital("diastolic", "94", "t1"),
    Vital("pulse", "80", "t2"),
)


@pytest.mark.parametrize(
    ("typed", "times"),
    [
        ((("systolic", "168", ""), ("diastolic", "94", ""), ("pulse", "80", "")), "t1 t1 t2"),
        ((("systolic", "168", "t2"), ("diastolic", "94", "t2"), ("pulse", "80", "t2")), "t1 t1 t2"),
        ((("systolic", "150", "t2"), ("diastolic", "94", "t2"), ("pulse", "80", "t2")), "n n t2"),
        ((("pulse", "80", "t3"), ("oxygen", "97", "t3")), "t3 t3"),
        ((("pulse", "80", ""), ("oxygen", "97", "")), "t2 n"),
    ],
)
def test_a_value_left_as_it_was_keeps_its_time(
    typed: tuple[tuple[str, str, str], ...], times: str
) -> None:
    found = timed([Vital(*one) for one in typed], before=BEFORE, at="n")
    assert [one.at for one in found] == times.split()
    assert [(one.code, one.value) for one in found] == [one[:2] for one in typed]
    assert {one.at for one in timed(found, before=(), at="n")} == set(times.split())


@pytest.mark.parametrize(
    "target", ["", "lead", "lead/astrology", "/cardiology", "lead/cardiology/x"]
)
def test_a_target_that_is_none_is_missing(target: str) -> None:
    content = read(target=target).content
    assert "service" in content.missing(patient=True) or target == "/cardiology"


@given(
    st.dictionaries(
        st.sampled_from([*FIELDS, *VITALS, "x"]),
        st.one_of(st.text(max_size=40), st.lists(st.text(max_size=70), max_size=3)),
    )
)
def test_any_fields_are_read_without_a_fault(fields: dict[str, Any]) -> None:
    typed = form.read(fields, now=NOW)
    assert all(words.known(key) for key in typed.errors.values())
    again = form.read(form.fields_of(typed.content, provider=typed.provider), now=NOW)
    if not typed.errors:
        assert again.content == typed.content


def test_every_choice_of_the_form_has_its_words() -> None:
    keys = [f"referral.field.{one}" for one in ("patient", "service", "urgency", "signature")]
    keys += [f"referral.consent.{one}{end}" for one in model.CONSENTS for end in ("", "_note")]
    keys += [f"referral.vital.{one}" for one in VITALS]
    keys += [f"referral.unit.{one}" for one in VITALS]
    keys += [f"referral.error.range_{one}" for one in VITALS]
    keys += [f"referral.missing.{one}" for one in model.MISSING]
    keys += [f"referral.decline.{one}" for one in model.DECLINE_REASONS]
    keys += [f"referral.cancel.{one}" for one in model.CANCEL_REASONS]
    keys += [f"referral.adoption.{one}" for one in model.ADOPTIONS]
    keys += [f"referral.corrected.{one}" for one in model.CORRECTED]
    keys += [f"kind.referral.{one.value}" for one in model.Action]
    assert [key for key in keys if not words.known(key)] == []
