"""Who looked at a patient's records, by whatever door, is written down and counted."""

import pytest

from consortium import audit
from consortium.exchange import timeline
from consortium.fhir.face import Query, Resource
from consortium.kernel.errors import Refusal
from consortium.patients import looks
from consortium.records import fhir, service
from consortium.records.model import RELEASABLE
from tests.consortium.records.asking import ask, house, person, release, review
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


def opened(world: Clinics, name: str, case: str) -> None:
    doing = world.doing(name)
    with world.writing(name) as session:
        service.opening(session, case, actor=doing.actor, post=doing.post, now=doing.now)


def told(world: Clinics, name: str, case: str) -> list[tuple[str, bool]]:
    """What a member sees in a case, the oldest first, and whether it is its own."""
    with world.reading(name) as session:
        found = timeline.of_case(session, member=world.actor(name).member, case=case)
    return [(one.kind, one.mine) for one in reversed(found)]


def test_opening_a_request_is_written_down_and_told_to_the_other_side_once(
    clinics: Clinics,
) -> None:
    here = person(clinics, "han", number="", no_number_reason="not_at_hand")
    there = person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    for _ in range(2):
        opened(clinics, "desk", case)
        review(clinics, case)
    clinics.settle()
    assert told(clinics, "han", case) == [("record.request/1", True), ("case.read/1", False)]
    assert {act for act, _, _ in acts(clinics, "desk", there)} == {"records.compare"}
    release(clinics, case, there)
    clinics.settle()
    for _ in range(2):
        opened(clinics, "han", case)
    opened(clinics, "desk", case)
    clinics.settle()
    assert told(clinics, "desk", case) == [
        ("record.request/1", False),
        ("case.read/1", True),
        ("record.release/1", True),
        ("case.read/1", False),
    ]
    subject = f"case:{case}"
    assert acts(clinics, "han", here)[:2] == [("records.request", subject, None)] * 2
    assert acts(clinics, "desk", there)[0] == ("records.request", subject, None)


def test_a_request_of_others_is_not_opened(clinics: Clinics) -> None:
    case = ask(clinics, person(clinics, "han"))
    clinics.settle()
    with pytest.raises(Refusal) as caught:
        opened(clinics, "tan", case)
    assert caught.value.code == "record.unknown"
