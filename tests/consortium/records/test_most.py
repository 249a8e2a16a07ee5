"""A release that would be cut is not made: somebody is told that there is too much."""

from typing import Any

import pytest

from consortium.kernel.errors import Refusal, invalid
from consortium.records import library, service, store
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


def test_a_part_that_the_asker_cannot_take_is_told_to_the_holder(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there, results=100)
    real = library.fits

    def choosy(session: Any, resource: Any, raw: bytes, **more: Any) -> Refusal | None:
        if resource["id"] == "pulse-99":
            return invalid("record.type", type="Observation")
        return real(session, resource, raw, **more)

    monkeypatch.setattr(library, "fits", choosy)
    case = ask(clinics, here)
    for _ in range(2):
        clinics.settle()
    assert at(clinics, "han", case).count == 52
    held = at(clinics, "desk", case)
    assert (held.state, held.code) == ("released", "record.type")
    assert need(clinics, "desk", case) == "record.need.part_lost"
    with clinics.writing("desk") as session:
        service.seen(session, case, actor=clinics.actor("desk"), now=clinics.clock.now())
    assert need(clinics, "desk", case) == ""


def test_a_release_that_arrived_whole_leaves_nothing_to_see_at_the_holder(
    clinics: Clinics,
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    for _ in range(2):
        clinics.settle()
    assert (at(clinics, "desk", case).state, need(clinics, "desk", case)) == ("released", "")
    with clinics.writing("desk") as session, pytest.raises(Refusal) as caught:
        service.seen(session, case, actor=clinics.actor("desk"), now=clinics.clock.now())
    assert caught.value.code == "record.state"
