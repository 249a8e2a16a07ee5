"""Guards of several web processes: the union counts, gaps are known, trimming loses no writer."""

from pathlib import Path

import pytest

from consortium.exchange.hub_guard import HubGuard, hub_kept

NAME = "hub-n1"


def leaves(first: int, end: int) -> list[tuple[bytes, bytes]]:
    return [(f"{index} ok\nx".encode(), b"f") for index in range(first, end)]


@pytest.fixture
def guards(tmp_path: Path) -> tuple[HubGuard, HubGuard]:
    """Two processes that took turns; a third has died after its commit of 6 and 7."""
    first, second = (HubGuard(tmp_path, name=NAME, process=n) for n in (0, 1))
    first.leaves(0, leaves(0, 3))
    second.leaves(3, leaves(3, 6))
    first.leaves(8, leaves(8, 10))
    return first, second


def indices(guard: HubGuard) -> list[int]:
    return sorted(int(str(one["index"])) for one in guard.records() if "index" in one)


def test_what_they_hold_together_counts(tmp_path: Path, guards: tuple[HubGuard, HubGuard]) -> None:
    first, second = guards
    second.checkpoint(12, bytes(32))
    assert (first.covered(), first.size(), second.size()) == (10, 12, 12)
    assert sorted(hub_kept(tmp_path).leaves) == indices(first) == indices(second)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{NAME}.1.guardlog", f"{NAME}.guardlog",
    ]  # fmt: skip


def test_another_hubs_guard_is_not_of_them(
    tmp_path: Path, guards: tuple[HubGuard, HubGuard]
) -> None:
    for name in ("hub-n12", "hub-n1.x", "hub"):
        HubGuard(tmp_path, name=name).leaves(0, leaves(0, 40))
    assert guards[0].covered() == 10


def test_a_gap_is_what_nobody_keeps(guards: tuple[HubGuard, HubGuard]) -> None:
    first, second = guards
    assert [one for one in range(12) if second.keeps(one)] == [3, 4, 5]
    assert second.gaps(12) == [(6, 8), (10, 12)]
    assert [one for one in range(12) if second.keeps(one)] == [0, 1, 2, 3, 4, 5, 8, 9]
    second.leaves(6, leaves(6, 8))
    assert first.gaps(10) == []
    assert first.keeps(9)
    assert not first.keeps(10)


def test_trimming_is_of_all_and_a_process_writes_on(
    tmp_path: Path, guards: tuple[HubGuard, HubGuard]
) -> None:
    first, second = guards
    second.checkpoint(9, bytes(32))
    first.trim(5)
    assert indices(second) == [5, 8, 9]
    # it was trimmed behind its back, and nothing that it keeps afterwards is lost
    second.leaves(10, leaves(10, 11))
    assert indices(first) == [5, 8, 9, 10]
    assert second.gaps(11) == [(6, 8)]
    assert HubGuard(tmp_path, name=NAME).size() == 11
