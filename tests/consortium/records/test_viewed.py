"""Who looked at a patient's records, by whatever door, is written down and counted."""

import pytest

from consortium import audit
from consortium.fhir.face import Query, Resource
from consortium.kernel.errors import Refusal
from consortium.patients import looks
from consortium.records import fhir
from consortium.records.model import RELEASABLE
from tests.consortium.records.asking import house, person
from tests.consortium.teleconsult.world import Clinics, clinics

__all__ = ["clinics"]


def acts(world: Clinics, name: str, patient: str) -> list[tuple[str, str, object]]:
    """Who did what to a patient at a member: act, on what, and how many; the newest first."""
    with world.reading(name) as session:
        found = audit.viewed_by(session, patient)
    user = world.actor(name).user
    return [(one.action, one.subject, one.facts.get("count")) for one in found if one.user == user]


def read(world: Clinics, name: str, query: Query) -> list[Resource]:
    with world.writing(name) as session:
        return fhir.resources(session, actor=world.actor(name), query=query, now=world.clock.now())


def test_reading_through_fhir_is_written_down_for_every_patient(clinics: Clinics) -> None:
    there, other = person(clinics, "lu"), clinics.patient("lu", name="李四")
    house(clinics, there)
    before = acts(clinics, "lu", there)
    assert len(read(clinics, "lu", Query("Observation", patient=there))) == 3
    assert len(read(clinics, "lu", Query("Observation", id="pulse-0"))) == 1
    assert len(read(clinics, "lu", Query("Condition"))) == 1
    assert read(clinics, "lu", Query("Observation", patient=other)) == []
    new = acts(clinics, "lu", there)[: -len(before) or None]
    assert new == [
        ("records.read", "Condition:search", 1),
        ("records.read", "Observation:pulse-0", 1),
        ("records.read", "Observation:search", 3),
    ]
    assert acts(clinics, "lu", other)[0][0] != "records.read"


def test_reading_any_kind_through_fhir_counts_as_a_look(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "LOOKS_MAX", 2 * len(RELEASABLE))
    for kind in RELEASABLE:
        read(clinics, "lu", Query(kind))
        read(clinics, "lu", Query(kind, id="p"))
    with pytest.raises(Refusal) as caught:
        read(clinics, "lu", Query("Observation"))
    assert caught.value.code == "patients.too_many_looks"
