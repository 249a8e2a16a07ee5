"""A release that would be cut is not made: somebody is told that there is too much."""

import pytest

from consortium.kernel.errors import Refusal
from consortium.records import store
from tests.consortium.records.asking import ask, at, house, kept, need, person, refuse, release
from tests.consortium.teleconsult.world import Clinics, clinics

__all__ = ["clinics"]


def test_more_records_than_a_release_holds_are_not_cut_but_told(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RELEASE_MOST", 4)
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there, results=5)
    case = ask(clinics, here)
    clinics.settle()
    assert kept(clinics, here) == []
    held = at(clinics, "desk", case)
    assert (held.state, held.why) == ("requested", "too_many")
    assert need(clinics, "desk", case) == "record.need.decide"
    with pytest.raises(Refusal) as caught:
        release(clinics, case, there)
    assert (caught.value.code, caught.value.facts["most"]) == ("record.too_many", 4)
    refuse(clinics, case, "scope")
    clinics.settle()
    assert at(clinics, "han", case).reason == "scope"


def test_exactly_as_many_as_it_holds_go(clinics: Clinics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RELEASE_MOST", 5)
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there, results=5)
    ask(clinics, here)
    clinics.settle()
    assert len(kept(clinics, here)) == 5
