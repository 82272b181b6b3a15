"""The cache of message ids, in virtual time."""

import threading

import trio
from trio.testing import MockClock

from meshnode.adapters.libp2p.seen import SeenCache


async def test_an_id_is_known_until_its_time_is_over(autojump_clock: MockClock) -> None:
    cache = SeenCache(ttl_s=120)
    assert cache.add(b"a")
    await trio.sleep(60)
    assert not cache.add(b"a")
    assert cache.has(b"a")
    await trio.sleep(60)
    assert not cache.has(b"a")
    assert cache.add(b"a")


async def test_what_is_over_makes_room(autojump_clock: MockClock) -> None:
    cache = SeenCache(ttl_s=120)
    for number in range(10):
        cache.add(bytes([number]))
    await trio.sleep(121)
    cache.add(b"new")
    assert len(cache) == 1


async def test_beyond_the_bound_the_oldest_goes(autojump_clock: MockClock) -> None:
    threads = threading.active_count()
    cache = SeenCache(ids_max=2)
    for message_id in (b"a", b"b", b"c"):
        cache.add(message_id)
    assert [cache.has(i) for i in (b"a", b"b", b"c")] == [False, True, True]
    assert threading.active_count() == threads
