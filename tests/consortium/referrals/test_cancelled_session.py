"""A clinic session is cancelled: the referrals booked in it are to be moved, at both members."""

from datetime import datetime
from typing import Any

import pytest

from consortium.desk import service as desk
from consortium.fhir import gate
from consortium.fhir.bindings import check
from consortium.fhir.face import Query
from consortium.kernel.errors import Refusal
from consortium.referrals import answering, following, service, serving
from consortium.referrals.model import Action
from consortium.scheduling import publishing
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.referrals.acts import act, line, need, slot, view
from tests.consortium.referrals.world import Consortium, consortium

__all__ = ["consortium"]


def cancel(world: Consortium, place: str) -> None:
    """The consult desk cancels the session of a slot."""
    doing = world.doing("desk")
    with world.writing("desk") as session:
        publishing.cancel(
            session, place.removeprefix("slot:").partition("/")[0], actor=doing.actor,
            post=doing.post, exchange=doing.exchange, reason="leave", now=doing.now,
        )  # fmt: skip
    world.settle()


def follow(world: Consortium) -> dict[str, int]:
    """Both nodes run the job that follows sessions."""
    changed = {}
    for name in ("han", "lu"):
        with world.writing(name) as session:
            changed[name] = following.follow(session, now=world.clock.now(), limit=1)
    return changed


def booked(world: Consortium, place: str) -> str:
    case = world.refer(world.patient())
    world.settle()
    act(world, "lu", case, answering.accept, sign=True, slot=place, place="门诊楼 3 诊室")
    return case


def told(world: Consortium, name: str) -> list[str]:
    with world.reading(name) as session:
        return [one.word for one in desk.notices(session, actor=world.actor(name))]


def appointment(world: Consortium, name: str) -> dict[str, Any]:
    now = world.clock.now()
    with world.writing(name) as session:
        (one,) = serving.appointments(
            session, actor=world.actor(name), query=Query("Appointment"), now=now
        )
    made = gate.parse(one.raw)
    check(made, now=now)
    return dict(made)


def test_both_sides_see_that_a_patient_is_to_be_moved(consortium: Consortium) -> None:
    world = consortium
    place = slot(world)
    case = booked(world, place)
    assert follow(world) == {"han": 0, "lu": 0}
    cancel(world, place)
    # what a page and a program read is right before the job has run
    for name in ("han", "lu"):
        assert view(world, name, case).state == "to_move"
        assert appointment(world, name)["status"] == "pending"
    assert follow(world) == {"han": 1, "lu": 1}
    assert follow(world) == {"han": 0, "lu": 0}
    assert need(world, "han", case) == "taker.to_move theirs"
    assert need(world, "lu", case) == "provider.to_move mine"
    waits = line(world, "lu", case)
    assert waits is not None
    assert (waits.row.act, waits.row.due_at) == ("referral.act.schedule", None)
    assert told(world, "han").count("referral.notice.to_move") == 1
    assert "referral.notice.to_move" not in told(world, "lu")


def test_nobody_is_missing_from_a_cancelled_time(consortium: Consortium) -> None:
    world = consortium
    place = slot(world)
    case = booked(world, place)
    cancel(world, place)
    world.clock.advance(seconds=3 * 86400)
    follow(world)
    assert view(world, "desk", case).can == {Action.ACCEPT, Action.ARRIVE, Action.CORRECT}
    with pytest.raises(Refusal, match=r"referral\.to_move"):
        act(world, "desk", case, answering.no_show)
    act(world, "desk", case, answering.arrive)
    assert need(world, "han", case) == "taker.arrived theirs"


def test_the_hospital_sets_another_time(consortium: Consortium) -> None:
    world = consortium
    place = slot(world)
    case = booked(world, place)
    cancel(world, place)
    follow(world)
    with pytest.raises(Refusal, match=r"slot\.cancelled"):
        act(world, "desk", case, answering.accept, sign=True, slot=place)
    other = slot(world)
    act(world, "desk", case, answering.accept, sign=True, slot=other)
    assert follow(world) == {"han": 0, "lu": 0}
    for name in ("han", "lu"):
        seen = view(world, name, case)
        assert (seen.state, seen.slot) == ("booked", other)
        one = appointment(world, name)
        assert one["status"] == "booked"
        assert datetime.fromisoformat(one["start"]) == seen.facts.start
    assert need(world, "han", case) == "taker.booked theirs"
    # the second session goes the same way
    cancel(world, other)
    assert follow(world) == {"han": 1, "lu": 1}
    assert told(world, "han").count("referral.notice.to_move") == 2
    folds_agree(world)


def test_the_clinic_may_withdraw_what_is_to_be_moved(consortium: Consortium) -> None:
    world = consortium
    place = slot(world)
    case = booked(world, place)
    cancel(world, place)
    follow(world)
    act(world, "han", case, service.cancel, reason="went_elsewhere")
    assert line(world, "lu", case) is None
    assert follow(world) == {"han": 0, "lu": 0}


def test_other_sessions_and_cases_stay_as_they_are(consortium: Consortium) -> None:
    world = consortium
    places = [slot(world, days=one) for one in (2, 3)]
    cases = [booked(world, place) for place in places]
    cancel(world, places[1])
    assert follow(world) == {"han": 1, "lu": 1}
    assert [view(world, "han", one).state for one in cases] == ["booked", "to_move"]
