"""The feed: everybody hears everything, and nobody waits for the slow."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from meshnode.core.modes import Mode
from meshnode.services.feed import (
    FEED_BUFFER_EVENTS_MAX,
    Feed,
    FeedEvent,
    ModeChanged,
    WarningsChanged,
)


def event(number: int) -> WarningsChanged:
    return WarningsChanged((str(number),))


async def test_every_subscription_hears_what_comes_while_it_lasts() -> None:
    feed = Feed()
    feed.publish(event(0))
    with feed.subscribe() as alice:
        feed.publish(event(1))
        with feed.subscribe() as bob:
            feed.publish(event(2))
            assert feed.watchers == 2
            assert await bob.wait_events() == ([event(2)], 0)
        feed.publish(event(3))
        assert await alice.wait_events() == ([event(1), event(2), event(3)], 0)
    assert feed.watchers == 0


async def test_who_waits_is_woken(autojump_clock: MockClock) -> None:
    feed = Feed()
    heard: list[FeedEvent] = []

    async def listen() -> None:
        with feed.subscribe() as subscription:
            while len(heard) < 2:
                events, _ = await subscription.wait_events()
                heard.extend(events)

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await wait_all_tasks_blocked()
            feed.publish(ModeChanged(Mode.DEGRADED))
            await wait_all_tasks_blocked()
            feed.publish(ModeChanged(Mode.NORMAL))
    assert heard == [ModeChanged(Mode.DEGRADED), ModeChanged(Mode.NORMAL)]


async def test_a_slow_watcher_loses_its_oldest_and_is_told_how_many() -> None:
    feed = Feed()
    with feed.subscribe() as slow, feed.subscribe() as quick:
        for number in range(FEED_BUFFER_EVENTS_MAX + 3):
            feed.publish(event(number))
            assert await quick.wait_events() == ([event(number)], 0)
        events, missed = await slow.wait_events()
        assert missed == 3
        assert events == [event(number) for number in range(3, FEED_BUFFER_EVENTS_MAX + 3)]
        feed.publish(event(-1))
        assert await slow.wait_events() == ([event(-1)], 0)  # told once


async def test_a_subscription_ends_with_an_exception_too() -> None:
    feed = Feed()
    with trio.CancelScope() as scope, feed.subscribe() as subscription:
        scope.cancel()
        await subscription.wait_events()
    assert feed.watchers == 0
