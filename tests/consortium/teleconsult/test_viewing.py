"""Who looked at a booking: kept by the audit, and told once to whoever sent it."""

import pytest

from consortium import audit
from consortium.exchange import timeline
from consortium.kernel.errors import Refusal
from consortium.patients import service as patients
from consortium.teleconsult import viewing
from tests.consortium.teleconsult.stage import Stage
from tests.consortium.teleconsult.test_pages import form, publish, slots_of, stage
from tests.consortium.teleconsult.test_walk import book, booking
from tests.consortium.teleconsult.test_walk import publish as publish_slots
from tests.consortium.teleconsult.world import Clinics, clinics

__all__ = ["clinics", "stage"]


def reads(world: Clinics, name: str, case: str) -> list[str]:
    """What the hospital has told the clinic that it read, as the clinic has it."""
    member = world.actor(name).member
    with world.reading(name) as session:
        found = timeline.of_case(session, member=member, case=case)
    return [one.kind for one in found if one.kind == "case.read/1" and not one.mine]


def open_(world: Clinics, name: str, case: str) -> None:
    doing = world.doing(name)
    with world.writing(name) as session:
        viewing.opening(session, case, actor=doing.actor, post=doing.post, now=doing.now)
    world.settle()


def test_a_booking_that_is_opened_is_told_once_and_audited_each_time(clinics: Clinics) -> None:
    world = clinics
    slot, *_ = publish_slots(world)
    patient = world.patient("han")
    case = book(world, "han", slot, patient)
    world.settle()
    assert reads(world, "han", case) == []
    open_(world, "lu", case)
    open_(world, "desk", case)
    assert reads(world, "han", case) == ["case.read/1"]
    with world.reading("lu") as session:
        theirs = booking(world, "lu", case).patient
        seen = audit.viewed_by(session, theirs, limit=5)
    assert [one.action for one in seen].count("booking.view") == 2
    # what is one's own is audited, and there is nobody to tell
    open_(world, "han", case)
    with world.reading("han") as session:
        assert audit.viewed_by(session, patient, limit=1)[0].action == "booking.view"
    assert reads(world, "lu", case) == []
    with pytest.raises(Refusal, match=r"booking\.unknown"):
        open_(world, "tan", case)


def test_the_page_of_a_booking_says_who_looked(stage: Stage) -> None:
    publish(stage, "08:30")
    patient = stage.world.patient("han")
    page = stage.get("han", f"/bookings/new?about={patient}")
    (slot,) = slots_of(page)
    href = stage.post("han", "/bookings/new", form(patient, page, slot))
    stage.settle()
    case = href.rpartition("/")[2]
    assert "血压控制不好" in stage.words("lu", href)
    stage.settle()
    assert reads(stage.world, "han", case) == ["case.read/1"]
    theirs = booking(stage.world, "lu", case).patient
    with stage.world.reading("lu") as session:
        assert patients.find(session, member="lead", patient=theirs) is not None
    assert "看了会诊预约" in stage.words("lu", f"/patients/{theirs}")
    stage.settle()
    assert "对方已读" in stage.words("han", href)
