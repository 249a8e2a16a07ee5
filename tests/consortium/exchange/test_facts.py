"""Facts: codes, numbers and truths by rule; never free text, never a placeholder."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.exchange import facts as rules
from consortium.exchange.facts import FactRule, check
from consortium.exchange.kinds import HERE, placed

RULES: dict[str, FactRule] = {
    "urgency": rules.code("routine", "urgent"),
    "service": rules.code(),
    "types": rules.codes("Patient", "Condition", optional=True),
    "count": rules.number(optional=True),
    "close": rules.flag(optional=True),
    "terms": rules.tree(optional=True),
}
GOOD: dict[str, Any] = {"urgency": "urgent", "service": "cardiology"}


def field(facts: object) -> str | None:
    refusal = check(facts, RULES)
    return None if refusal is None else str(refusal.facts["field"])


def test_what_fits_is_let_through() -> None:
    whole = {
        **GOOD, "types": ["Patient"], "count": 2**53 - 1, "close": False,
        "terms": {"a": [1, {"b": None}, "code", True]},
    }  # fmt: skip
    assert field(whole) is None
    assert field(GOOD) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("urgency", "soon"), ("urgency", ""), ("urgency", 1), ("service", "two words"),
        ("service", "心内科"), ("service", "x" * 201), ("service", None), ("service", "a\n"),
        ("types", "Patient"), ("types", ["Device"]), ("types", ["Patient"] * 65), ("types", [1]),
        ("count", 2**53), ("count", -(2**53)), ("count", 1.0), ("count", True), ("count", "1"),
        ("close", 1), ("close", "true"), ("close", None), ("terms", 1.5), ("terms", "free text"),
        ("terms", {"a b": 1}), ("terms", [[[[[[[[1]]]]]]]]), ("terms", {"": 1}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(name: str, value: object) -> None:
    assert field({**GOOD, name: value}) == name


def test_unknown_and_missing_facts_are_named() -> None:
    assert field({**GOOD, "note": "x"}) == "note"
    assert field({"urgency": "urgent"}) == "service"
    assert field({**GOOD, "n" * 99: 1}) == "n" * 40
    assert field([]) == field(None) == ""


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_no_value_breaks_the_check(value: object) -> None:
    for name in RULES:
        check({**GOOD, name: value}, RULES)
    check(value, RULES)


@given(st.integers())
def test_no_fact_is_the_placeholder_of_an_index(number: int) -> None:
    """Else a sender could have the fold write an index where it sent a number."""
    for value in (number, HERE):
        if check({**GOOD, "count": value}, RULES) is None:
            assert placed({"kept": value}, 41) == {"kept": value}
        if check({**GOOD, "terms": [value]}, RULES) is None:
            assert placed({"kept": [value]}, 41) == {"kept": [value]}


def test_the_index_stands_where_a_step_left_its_place() -> None:
    value = {"from": HERE, "list": [HERE, {"at": HERE}], "same": -1, "text": "x", "true": True}
    assert placed(value, 7) == {
        "from": 7, "list": [7, {"at": 7}], "same": -1, "text": "x", "true": True
    }  # fmt: skip
