"""The booked time of a referral at the FHIR door."""

from datetime import datetime, timedelta
from typing import Any

from consortium.fhir import gate, systems
from consortium.fhir.bindings import check
from consortium.fhir.face import Query
from consortium.referrals import answering, serving
from consortium.scheduling import service as slots
from tests.consortium.referrals.acts import act, slot
from tests.consortium.referrals.world import Consortium, consortium

__all__ = ["consortium"]


def asked(world: Consortium, name: str, **query: Any) -> list[dict[str, Any]]:
    now = world.clock.now()
    with world.writing(name) as session:
        found = serving.appointments(
            session, actor=world.actor(name), query=Query("Appointment", **query), now=now
        )
    made = [gate.parse(one.raw) for one in found]
    for one in made:
        check(one, now=now)
    return made


def test_an_accepted_referral_has_an_appointment_that_follows_the_case(
    consortium: Consortium,
) -> None:
    world = consortium
    place = slot(world)
    patient = world.patient()
    case = world.refer(patient)
    world.settle()
    assert asked(world, "han") == []
    act(world, "lu", case, answering.claim)
    act(world, "lu", case, answering.accept, sign=True, slot=place, place="门诊楼 3 诊室")

    (here,), (there,) = asked(world, "han"), asked(world, "lu")
    with world.reading("lu") as session:
        start = slots.slot_at(session, place).start
    for one in (here, there):
        assert (one["id"], one["status"]) == (case, "booked")
        assert datetime.fromisoformat(one["start"]) == start
        assert one["basedOn"] == [{"reference": f"ServiceRequest/{case}"}]
    assert asked(world, "han", identifier=(systems.CASE, case)) == [here]
    assert asked(world, "han", patient=patient) == [here]
    assert asked(world, "han", id="nobody") == []
    assert asked(world, "han", identifier=("urn:other", case)) == []
    assert asked(world, "han", after=case) == []

    world.clock.advance(seconds=2 * 86400)
    act(world, "desk", case, answering.arrive)
    assert [one["status"] for one in asked(world, "lu")] == ["fulfilled"]


def test_cases_without_a_time_do_not_end_a_page(consortium: Consortium) -> None:
    world = consortium
    place = slot(world)
    cases = []
    for _ in range(2):
        cases.append(world.refer(world.patient()))
        world.settle()
    last = max(cases)
    soon = world.clock.now() + timedelta(days=1)
    for case in cases:
        act(world, "lu", case, answering.claim)
        when: dict[str, Any] = {"slot": place} if case == last else {"date": soon}
        act(world, "lu", case, answering.accept, sign=True, **when)
    world.clock.advance(seconds=2 * 86400)
    for case in cases:
        act(world, "desk", case, answering.arrive)
    assert [one["id"] for one in asked(world, "lu", limit=1)] == [last]
