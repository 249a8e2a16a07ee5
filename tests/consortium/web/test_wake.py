"""Waking: every waiting stream goes on, and nothing between is lost."""

import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from consortium.web.wake import Broadcaster


def test_a_change_from_another_thread_wakes_all() -> None:
    wake = Broadcaster()

    async def wait_for_it() -> list[int]:
        waiting = [asyncio.create_task(wake.wait(wake.count)) for _ in range(50)]
        await asyncio.sleep(0)
        threading.Thread(target=wake.notify).start()
        return await asyncio.wait_for(asyncio.gather(*waiting), 5)

    assert asyncio.run(wait_for_it()) == [1] * 50


def test_a_change_before_the_wait_is_not_lost() -> None:
    wake = Broadcaster()
    seen = wake.count
    wake.notify()
    assert asyncio.run(asyncio.wait_for(wake.wait(seen), 5)) == 1


def test_nobody_waits_without_a_change_and_who_gives_up_is_forgotten() -> None:
    wake = Broadcaster()

    async def give_up() -> None:
        try:
            await asyncio.wait_for(wake.wait(0), 0.01)
        except TimeoutError:
            return
        raise AssertionError("nothing changed")

    asyncio.run(give_up())
    assert wake._waiting == set()


def test_a_loop_that_is_gone_does_not_stop_the_others() -> None:
    wake = Broadcaster()
    gone = asyncio.new_event_loop()
    task = gone.create_task(wake.wait(0))
    gone.run_until_complete(asyncio.sleep(0))
    gone._ready.clear()  # type: ignore[attr-defined]
    gone.close()
    wake.notify()
    assert wake.count == 1
    del task


@given(st.lists(st.integers(0, 3), max_size=30))
def test_a_waiter_that_is_busy_sees_the_newest_count(steps: list[int]) -> None:
    wake = Broadcaster()

    async def follow() -> int:
        seen = 0
        for changes in steps:
            for _ in range(changes):
                wake.notify()
            if changes:
                seen = await asyncio.wait_for(wake.wait(seen), 5)
                assert seen == wake.count
        return seen

    assert asyncio.run(follow()) == sum(steps)
