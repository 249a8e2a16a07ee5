"""Acts and looks that tests of the walk share."""

from datetime import timedelta
from typing import Any

from consortium.desk import service as desk
from consortium.desk.model import Line
from consortium.referrals import viewing
from consortium.scheduling import publishing
from consortium.scheduling.model import SessionKind
from tests.consortium.referrals.world import Consortium

DAY = timedelta(days=1)


def line(world: Consortium, name: str, case: str) -> Line | None:
    with world.reading(name) as session:
        found = desk.row(session, member=world.actor(name).member, case=case)
    return found if found is not None and found.open else None


def need(world: Consortium, name: str, case: str) -> str:
    found = line(world, name, case)
    return (
        "" if found is None else f"{found.row.need.removeprefix('referral.need.')} {found.row.turn}"
    )


def view(world: Consortium, name: str, case: str) -> viewing.CaseView:
    with world.reading(name) as session:
        return viewing.view(session, case, actor=world.actor(name))


def slot(world: Consortium, *, days: int = 2) -> str:
    """A clinic slot of the specialist in two days, or in some."""
    start = (world.clock.now() + days * DAY).replace(minute=0, second=0, microsecond=0)
    week = publishing.Week("cardiology", SessionKind.CLINIC, (start,), 20)
    actor = world.actor("lu")
    doing = world.doing("lu")
    with world.writing("lu") as session:
        (made,) = publishing.publish(
            session, week, actor=actor, post=doing.post, exchange=doing.exchange, now=doing.now
        )
    world.settle()
    return f"slot:{made}/1"


def act(
    world: Consortium, name: str, case: str, use: Any, *, sign: bool = False, **what: Any
) -> None:
    """One act of a person, and then everything comes to rest."""
    if sign:
        what["signer"] = world.key(name)
    with world.writing(name) as session:
        use(session, case, world.doing(name), **what)
    world.settle()
