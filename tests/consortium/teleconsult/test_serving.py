"""Bookings at the FHIR door."""

from datetime import datetime, timedelta
from typing import Any

from consortium.fhir import gate, systems
from consortium.fhir.bindings import check
from consortium.fhir.face import Query
from consortium.kernel.actor import Actor, Role
from consortium.kernel.ids import MemberId, UserId, new_id
from consortium.teleconsult import service, serving
from consortium.teleconsult.model import CancelReason, Shown
from tests.consortium.scheduling.mini import Mini
from tests.consortium.teleconsult.test_service import HAN, LU, PAN, at, book, free, mini

__all__ = ["mini"]


def asked(mini: Mini, actor: Actor, **query: Any) -> list[dict[str, Any]]:
    with mini.databases[actor.member].write() as session:
        found = serving.resources(
            session, actor=actor, query=Query("Appointment", **query), now=mini.now
        )
    resources = [gate.parse(one.raw) for one in found]
    for one in resources:
        check(one, now=mini.now)
    assert [one["id"] for one in resources] == [one.id for one in found]
    return resources


def version(mini: Mini) -> int:
    with mini.databases["shiqiao"].write() as session:
        (one,) = serving.resources(session, actor=HAN, query=Query("Appointment"), now=mini.now)
    return one.version


def test_a_booking_is_an_appointment_on_both_sides(mini: Mini) -> None:
    slot = free(mini, "shiqiao").slots[0].name
    case = book(mini, HAN, slot)
    assert [one["status"] for one in asked(mini, HAN)] == ["pending"]
    mini.deliver()
    for actor in (HAN, LU):
        (one,) = asked(mini, actor, id=case)
        assert (one["status"], one["id"]) == ("booked", case)
        assert datetime.fromisoformat(one["start"]) == at("08:30")
        assert [who["status"] for who in one["participant"]] == ["accepted", "accepted"]
        assert asked(mini, actor, identifier=(systems.CASE, case)) == [one]
        assert asked(mini, actor, identifier=("", case)) == [one]
        assert asked(mini, actor, identifier=("urn:other", case)) == []
        assert asked(mini, actor, patient="nobody") == []
    assert [one["id"] for one in asked(mini, HAN, patient=mini.people["shiqiao"])] == [case]
    assert asked(mini, PAN) == []


def test_a_booking_given_up_is_cancelled(mini: Mini) -> None:
    case = book(mini, HAN, free(mini, "shiqiao").slots[0].name)
    mini.deliver()
    before = version(mini)
    mini.now += timedelta(minutes=1)
    with mini.databases["shiqiao"].write() as session:
        service.cancel(
            session,
            case,
            reason=CancelReason.SOLVED,
            actor=HAN,
            post=mini.post("shiqiao"),
            exchange=new_id(mini.now),
            now=mini.now,
        )
    mini.deliver()
    (one,) = asked(mini, HAN)
    assert one["status"] == "cancelled"
    assert version(mini) > before


def test_pages_go_on_by_case(mini: Mini) -> None:
    slots = [slot.name for slot in free(mini, "shiqiao").slots]
    cases = sorted(book(mini, HAN, slot) for slot in slots[:3])
    assert [one["id"] for one in asked(mini, HAN, limit=2)] == cases[:2]
    assert [one["id"] for one in asked(mini, HAN, limit=2, after=cases[1])] == cases[2:]


def test_who_treats_nobody_sees_none(mini: Mini) -> None:
    book(mini, HAN, free(mini, "shiqiao").slots[0].name)
    head = Actor(UserId("u-head"), "院长", MemberId("shiqiao"), frozenset({Role.HEAD}))
    assert asked(mini, head) == []


def test_every_state_has_a_status() -> None:
    assert set(serving.STATUS) == set(Shown)
