"""A member that holds only some subjects still folds those right, from the leaves' words."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from consortium.exchange import state
from consortium.exchange.facts import Value
from consortium.exchange.header import EVERYONE
from consortium.exchange.inbox import Inbox
from consortium.exchange.kinds import Registry, SubjectType
from consortium.exchange.tables import EntryRow
from tests.consortium.exchange.checks import feeds_agree, folds_agree
from tests.consortium.exchange.kinds import AllowAll
from tests.consortium.exchange.world import World

Make = Callable[..., World]


def withholding(world: World, member: str, hidden: Callable[[str], bool]) -> None:
    """From now on this member does not hold the hidden subjects."""

    def holds(name: str, who: str, read: Callable[[str], Value | None]) -> bool:
        return who == member and not hidden(name)

    families = [
        SubjectType(
            one.prefix, one.audience, one.step, holds if one.prefix == "case" else one.holds
        )
        for one in world.registry.families.values()
    ]
    kinds = Registry(world.registry.kinds.values(), families, AllowAll())
    part = world.members[member]
    part.inbox = Inbox(kinds, part.post, folds=True)
    assert part.courier is not None
    part.courier.inbox = part.inbox


@pytest.mark.parametrize("seed", range(3))
def test_who_holds_every_other_subject_folds_those_right(make_world: Make, seed: int) -> None:
    """From the leaf's words alone, where it cannot judge."""
    world = make_world()
    world.rng.seed(seed)

    def hidden(name: str) -> bool:
        return name.startswith("case:") and sum(name.encode()) % 2 == 0

    withholding(world, "b", hidden)
    for number in range(40):
        sender, other = world.rng.choice([("a", "b"), ("b", "a"), ("lead", "b")])
        case = f"c{world.rng.randrange(8)}"
        member = world.members[sender]
        act = world.rng.random()
        try:
            if act < 0.5:
                member.send("test.open/1", (other,), case=case, urgency="routine")
            elif act < 0.8:
                member.send("test.say/1", (other,), case=case, close=act < 0.55)
            elif sender != "lead":
                member.send("test.claim/1", ("lead",), case=f"{sender}{number}", thing=case)
        except Exception as refusal:
            assert "test." in str(refusal)  # noqa: PT017 - any other code is the failure
        world.members[sender].sync()
    world.settle()
    with world.hub_database.read() as session:
        names = {row.exchange for row in session.scalars(select(EntryRow))}
        truth = dict(state.scan(session, "case:"))
    with world.databases["b"].read() as session:
        mine = dict(state.scan(session, "case:"))
    audience = world.registry.audience
    wanted = {
        name: value for name, value in truth.items()
        if audience(name, value) & {"b", EVERYONE} and not hidden(name)
    }  # fmt: skip
    assert len(names) > 20
    assert 0 < len(wanted) < sum(bool(audience(n, v) & {"b"}) for n, v in truth.items())
    assert mine == wanted
    folds_agree(world, but=frozenset({"b"}))
    feeds_agree(world)
