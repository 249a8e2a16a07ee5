"""Bookings over a hub and two workstations: signed, sequenced, folded and applied for real."""

from datetime import datetime, timedelta

import pytest

from consortium.exchange import state, timeline
from consortium.kernel.ids import new_id
from consortium.scheduling import model as slots
from consortium.scheduling import publishing
from consortium.scheduling.model import SessionKind
from consortium.teleconsult import service
from consortium.teleconsult.model import Shown
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.teleconsult.world import Clinics, clinics

__all__ = ["clinics"]


def publish(world: Clinics, *, count: int = 4) -> list[str]:
    """Slots of the specialist in two days; their names."""
    noon = (world.clock.now() + timedelta(days=2)).replace(
        hour=1, minute=0, second=0, microsecond=0
    )
    starts = tuple(noon + n * timedelta(minutes=30) for n in range(count))
    week = publishing.Week("cardiology", SessionKind.TELECONSULT, starts, 30)
    doing = world.doing("lu")
    with world.writing("lu") as session:
        ids = publishing.publish(
            session,
            week,
            actor=doing.actor,
            post=doing.post,
            exchange=doing.exchange,
            now=doing.now,
        )
    world.settle()
    assert len(ids) == 1
    return [slots.slot_name(ids[0], number) for number in range(1, count + 1)]


def book(world: Clinics, name: str, slot: str, patient: str, *, exchange: str = "") -> str:
    doing = world.doing(name, exchange)
    form = service.Form(slot, "routine", "血压控制不好，请指导用药", "explicit")
    with world.writing(name) as session:
        return service.request(
            session,
            form,
            patient=patient,
            actor=doing.actor,
            post=doing.post,
            signer=world.key(name),
            exchange=doing.exchange,
            now=doing.now,
        )


def booking(world: Clinics, name: str, case: str) -> service.Booking:
    with world.reading(name) as session:
        return service.booking(session, case, actor=world.actor(name))


def test_one_slot_two_clinics_one_booking_with_a_receipt_on_both_sides(clinics: Clinics) -> None:
    slot, *others = publish(clinics)
    people = {name: clinics.patient(name) for name in ("han", "tan")}
    cases = {name: book(clinics, name, slot, people[name]) for name in ("han", "tan")}
    assert booking(clinics, "han", cases["han"]).shown is Shown.PENDING
    clinics.settle()
    shown = {name: booking(clinics, name, cases[name]) for name in cases}
    won, lost = sorted(shown, key=lambda name: shown[name].shown is not Shown.BOOKED)
    assert shown[won].shown is Shown.BOOKED
    assert (shown[lost].shown, shown[lost].code) == (Shown.REFUSED, "slot.taken")
    with clinics.reading("lu") as session:
        value = state.read(session, slot)
        assert value is not None
        assert value["case"] == cases[won]
        assert booking(clinics, "lu", cases[won]).question == "血压控制不好，请指导用药"
        (entry,) = timeline.of_case(session, member="lead", case=cases[won])
        assert entry.kind == "booking.request/1"
        assert entry.words[0] == "v1"
        assert entry.receipt
    clinics.settle()
    folds_agree(clinics)

    again = book(clinics, lost, others[0], people[lost])
    clinics.settle()
    assert booking(clinics, lost, again).shown is Shown.BOOKED


def test_quota_is_taken_by_the_booking_and_given_back_by_the_cancelling(clinics: Clinics) -> None:
    slot, _, _, _ = publish(clinics)
    case = book(clinics, "han", slot, clinics.patient("han"))
    clinics.settle()

    def used() -> int:
        with clinics.reading("han") as session:
            ((_, value),) = state.scan(session, "quota:ct-shiqiao/")
            return int(value["used"])

    assert used() == 1
    doing = clinics.doing("desk")
    with clinics.writing("desk") as session:
        service.cancel(
            session,
            case,
            reason="staff",
            actor=doing.actor,
            post=doing.post,
            exchange=doing.exchange,
            now=doing.now,
        )
    clinics.settle()
    assert used() == 0
    assert booking(clinics, "han", case).shown is Shown.CANCELLED
    with clinics.reading("lu") as session:
        assert slots.is_free(state.read(session, slot))
    folds_agree(clinics)


def test_a_booking_without_a_link_waits_and_is_answered_when_the_link_is_back(
    clinics: Clinics,
) -> None:
    slot, _, _, _ = publish(clinics)
    patient = clinics.patient("han")
    clinics.members["shiqiao"].link.cut = True
    case = book(clinics, "han", slot, patient)
    clinics.settle()
    assert booking(clinics, "han", case).shown is Shown.PENDING
    clinics.heal()
    clinics.settle()
    assert booking(clinics, "han", case).shown is Shown.BOOKED


def test_a_booking_that_the_hospital_cannot_take_gives_slot_and_quota_back(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, _, _, _ = publish(clinics)
    patient = clinics.patient("han")
    # a node without the check sends a question that no page would let through
    monkeypatch.setattr(service, "QUESTION_MAX", 10_000)
    doing = clinics.doing("han")
    with clinics.writing("han") as session:
        case = service.request(
            session,
            service.Form(slot, "routine", "问" * 5000, "explicit"),
            patient=patient,
            actor=doing.actor,
            post=doing.post,
            signer=clinics.key("han"),
            exchange=doing.exchange,
            now=doing.now,
        )
    clinics.settle()
    found = booking(clinics, "han", case)
    assert (found.shown, found.code) == (Shown.REFUSED, "booking.question")
    with clinics.reading("lu") as session:
        assert slots.is_free(state.read(session, slot))
        value = state.read(session, f"case:{case}")
        assert value is not None
        assert value["state"] == "cancelled"
    folds_agree(clinics)


def test_a_move_over_the_ledger_swaps_both_slots_at_once(clinics: Clinics) -> None:
    first, second, _, _ = publish(clinics)
    case = book(clinics, "han", first, clinics.patient("han"))
    clinics.settle()
    doing = clinics.doing("han", new_id(clinics.clock.now()))
    with clinics.writing("han") as session:
        service.move(
            session,
            case,
            slot=second,
            actor=doing.actor,
            post=doing.post,
            exchange=doing.exchange,
            now=doing.now,
        )
    clinics.settle()
    with clinics.reading("lu") as session:
        assert slots.is_free(state.read(session, first))
        taken = state.read(session, second)
    assert taken is not None
    assert taken["case"] == case
    started: datetime = booking(clinics, "lu", case).start
    assert started == booking(clinics, "han", case).start
    folds_agree(clinics)


def test_a_booking_signed_by_a_heads_key_is_sent_back(clinics: Clinics) -> None:
    slot = publish(clinics)[0]
    with clinics.reading("han") as session:
        record = state.read(session, "key:k-han")
    assert record is not None
    clinics.put({"key:k-han": {**record, "roles": ["head"]}})
    case = book(clinics, "han", slot, clinics.patient("han"))
    clinics.settle()
    with clinics.reading("lu") as session:
        entries = timeline.of_case(session, member="lead", case=case)
    assert "signature.role" in {one.alarm for one in entries}
