"""The files of a body are those that its header commits to."""

from collections.abc import Callable

import pytest

from consortium.exchange.commitment import Part, commit_parts
from tests.consortium.exchange.files import attached
from tests.consortium.exchange.test_inbox import case_of, pen_of, push, rows, sealed
from tests.consortium.exchange.world import World


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


ONE, TWO = Part(1234, "ab" * 32), Part(5, "cd" * 32)


@pytest.mark.parametrize(
    ("named", "committed"),
    [
        ((ONE, TWO), (TWO, ONE)),
        ((ONE,), (ONE, TWO)),
        ((ONE,), ()),
        ((), (ONE,)),
        ((ONE,), (Part(1235, ONE.sha256),)),
        (tuple(Part(n, f"{n:064x}") for n in range(33)),) * 2,
    ],
)
def test_a_body_that_names_other_files_than_were_signed_for_is_refused(
    world: World, named: tuple[Part, ...], committed: tuple[Part, ...]
) -> None:
    pen = pen_of(world, "a")
    raw = sealed(
        world, pen, "test.open/1", "b", case="c1", files=[attached(one) for one in named],
        parts=commit_parts(committed), urgency="routine",
    )  # fmt: skip
    assert push(world, raw) == "ok"
    world.settle()
    [row] = [row for row in rows(world, "b").values() if row.case == "c1" and row.sender == "a"]
    assert (row.state, row.alarm) == ("kept", "exchange.parts")
    assert case_of(world, "c1")["body_refused"]["code"] == "exchange.parts"


def test_a_file_named_twice_is_one_part_where_it_is_named_first(world: World) -> None:
    pen = pen_of(world, "a")
    raw = sealed(
        world, pen, "test.open/1", "b", case="c1", parts=commit_parts((TWO, ONE)),
        files=[attached(one) for one in (TWO, ONE, TWO)], urgency="routine",
    )  # fmt: skip
    assert push(world, raw) == "ok"
    world.settle()
    [row] = [row for row in rows(world, "b").values() if row.case == "c1" and row.sender == "a"]
    assert (row.state, row.alarm) == ("applied", "")
