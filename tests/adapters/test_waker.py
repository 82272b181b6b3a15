"""A place where one task sleeps until it is woken."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from meshnode.adapters.waker import Waker


async def test_who_sleeps_goes_on_when_woken() -> None:
    waker, woken = Waker(), trio.Event()

    async def sleep() -> None:
        await waker.wait()
        woken.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleep)
        await wait_all_tasks_blocked()
        assert not woken.is_set()
        waker.wake()
        waker.wake()  # nobody sleeps there any more
        await woken.wait()


async def test_a_call_that_finds_nobody_asleep_wakes_nobody_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    waker = Waker()
    waker.wake()
    with trio.move_on_after(1) as patience:
        await waker.wait()
    assert patience.cancelled_caught


async def test_who_is_cancelled_leaves_the_place_to_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    waker = Waker()
    with trio.move_on_after(1):
        await waker.wait()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waker.wait)
        await wait_all_tasks_blocked()
        waker.wake()


async def test_there_is_one_place(autojump_clock: trio.testing.MockClock) -> None:
    waker = Waker()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waker.wait)
        await wait_all_tasks_blocked()
        with trio.fail_after(1), pytest.raises(trio.BusyResourceError, match="another task"):
            await waker.wait()
        waker.wake()
