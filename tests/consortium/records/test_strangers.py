"""A copy names no third person, wherever in a resource somebody could be named."""

from collections.abc import Iterator
from typing import Any

import pytest

from consortium.fhir import gate
from consortium.fhir.shape import shape_of
from consortium.records import disclosure
from consortium.records.model import RELEASABLE

MARK = "110101199001011237"
NUMBER = {"system": "urn:id", "value": MARK}
STRANGERS: tuple[dict[str, Any], ...] = (
    {"type": "Patient", "identifier": NUMBER, "display": f"李四 {MARK}"},
    {"type": "RelatedPerson", "identifier": NUMBER},
    {"type": "Person", "display": MARK},
    {"identifier": NUMBER, "display": "李四"},
    {"identifier": NUMBER},
    {"type": "Practitioner", "identifier": NUMBER},
    {"reference": f"RelatedPerson/{MARK}", "display": MARK},
    {"reference": f"Practitioner/{MARK}", "type": "RelatedPerson", "display": MARK},
    {"reference": f"https://his.example/Patient/{MARK}", "display": MARK},
)
WORDY = {"display": MARK}
"""Words alone: they stay where nobody but staff, a place or a drug can be meant."""
DEEP = 4


def places(kind: str, *, depth: int = 0) -> Iterator[tuple[tuple[tuple[str, bool], ...], set[str]]]:
    """Every way through a type to a reference: (name, many) of each step, and what it may name."""
    for element in shape_of(kind).elements.values():
        step = (element.name, element.many)
        if element.kind == "Reference":
            yield (step,), set(element.targets)
        elif not element.primitive and element.kind != "Resource" and depth < DEEP:
            # an extension holds extensions without end
            deeper = DEEP if element.kind == "Extension" else depth + 1
            for path, targets in places(element.kind, depth=deeper):
                yield (step, *path), targets


def built(path: tuple[tuple[str, bool], ...], leaf: dict[str, Any]) -> dict[str, Any]:
    value: Any = leaf
    for name, many in reversed(path):
        value = {name: [value] if many else value}
    made: dict[str, Any] = value
    return made


@pytest.mark.parametrize("kind", RELEASABLE)
def test_no_third_person_leaves_in_any_reference(kind: str) -> None:
    found = list(places(kind))
    assert len(found) > 5
    for path, targets in found:
        for leaf in (*STRANGERS, WORDY):
            if leaf is WORDY and targets and targets <= disclosure._NAMED:
                continue
            whole = {"resourceType": kind, "id": "r1", **built(path, leaf)}
            (copy,) = disclosure.copies([whole], patient="p-9")
            assert MARK not in gate.dump(copy).decode(), (kind, path, leaf)


@pytest.mark.parametrize("leaf", STRANGERS)
def test_nor_in_a_place_that_no_model_knows(leaf: dict[str, Any]) -> None:
    whole = {"resourceType": "Observation", "id": "r1", "odd": [{"deeper": {"who": leaf}}]}
    (copy,) = disclosure.copies([whole], patient="p-9")
    assert MARK not in gate.dump(copy).decode()


def test_staff_places_and_codes_keep_their_words() -> None:
    whole = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "urn:c", "code": "K", "display": "血钾"}], "text": "血钾"},
        "identifier": [{"system": "urn:lab", "value": "L-7", "assigner": {"display": "检验科"}}],
        "performer": [{"type": "Practitioner", "identifier": NUMBER, "display": "陆怀安"}],
        "hasMember": [{"reference": "Observation/o2"}],
        "component": [{"code": {"text": "钾"}, "valueQuantity": {"value": 4, "unit": "mmol/L"}}],
    }
    two = {"resourceType": "Observation", "id": "o2", "status": "final", "code": {"text": "钠"}}
    copy, _ = disclosure.copies([whole, two], patient="p-9")
    staff = [{"type": "Practitioner", "display": "陆怀安"}]
    assert copy == {**whole, "performer": staff}
