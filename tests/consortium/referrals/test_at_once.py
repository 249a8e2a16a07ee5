"""Two people decide on one case at the same moment, or one of them on what is no longer so."""

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace
from datetime import timedelta

import pytest

from consortium.kernel.errors import Refusal
from consortium.referrals import answering, service
from tests.consortium.referrals.acts import act, view
from tests.consortium.referrals.world import Consortium, consortium

__all__ = ["consortium"]
_AFTER_S = 0.5


def accept(world: Consortium, name: str, case: str, *, days: int) -> None:
    with world.writing(name) as session:
        answering.accept(
            session, case, world.doing(name), signer=world.key(name),
            date=world.clock.now() + timedelta(days=days),
        )  # fmt: skip


def test_of_two_accepts_at_once_the_second_learns_of_the_first(consortium: Consortium) -> None:
    world = consortium
    case = world.refer(world.patient())
    world.settle()
    with ThreadPoolExecutor(1) as pool:
        with world.writing("lu") as session:
            answering.accept(
                session, case, world.doing("lu"), signer=world.key("lu"),
                date=world.clock.now() + timedelta(days=3),
            )  # fmt: skip
            second: Future[None] = pool.submit(accept, world, "desk", case, days=9)
            with pytest.raises(NotYet):
                second.result(timeout=_AFTER_S)
        with pytest.raises(Refusal, match=r"referral\.under_way"):
            second.result(timeout=30)
    world.settle()
    start = view(world, "han", case).facts.start
    assert start is not None
    assert start - world.clock.now() <= timedelta(days=3)


def test_an_act_stands_on_what_its_page_showed(consortium: Consortium) -> None:
    world = consortium
    case = world.refer(world.patient())
    world.settle()
    before = view(world, "desk", case).moved_by
    act(world, "lu", case, answering.claim)
    assert view(world, "desk", case).moved_by not in ("", before)
    stale = replace(world.doing("desk"), drawn=before)
    with world.writing("desk") as session, pytest.raises(Refusal, match=r"referral\.moved_on"):
        answering.send_back(session, case, stale, absent=["labs"])
    # what moves nothing leaves the page right: a correction, a look
    fresh = replace(world.doing("desk"), drawn=view(world, "desk", case).moved_by)
    (request,) = (one for one in view(world, "han", case).happened if one.action == "request")
    act(world, "han", case, service.correct, sign=True,
        of=request.entry.id, what="time", text="改")  # fmt: skip
    with world.writing("desk") as session:
        answering.send_back(session, case, fresh, absent=["labs"])
    world.settle()
    assert view(world, "han", case).state == "returned"
