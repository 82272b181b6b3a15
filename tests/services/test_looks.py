"""From when on those who look at every beat want to look again."""

import math
from contextlib import AsyncExitStack

import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.isolation import ISOLATED_AFTER_S
from meshnode.core.outage import EXTENDED_AFTER_S
from meshnode.core.suspicion import INTERVAL_S, REARMED_INTERVALS, SUSPECT_AFTER_INTERVALS
from meshnode.services.clock_check import RETRY_S, ClockCheck
from meshnode.services.monitor import Monitor
from meshnode.services.presence import EXPLAIN_EVERY_S
from meshnode.services.topology import ASKED_MAX
from protocols.messages import Role
from tests.cast import ALICE, BOB, NS_PER_S, id_of, key_of, presence, said
from tests.services.bench import open_bench
from tests.services.test_connections import node
from tests.services.test_tracker import hears


async def test_a_sweep_tells_when_time_alone_may_change_something(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        began_at = trio.current_time()
        # Nobody answers, and nobody provides: why, may be explained otherwise before that.
        assert bob.presence.sweep() == began_at + ISOLATED_AFTER_S
        hears(bob)
        # By then alice will have been silent for long, or bob without an answer.
        silent_at = began_at + SUSPECT_AFTER_INTERVALS * INTERVAL_S
        assert silent_at - 1 <= bob.presence.sweep() < silent_at
        hears(bob, key_of(BOB))
        bob.presence.connection_lost(id_of(ALICE))
        assert bob.presence.sweep() < trio.current_time()  # it depends on what others say


async def test_while_nobody_falls_silent_isolation_is_what_may_begin(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        began_at = trio.current_time()
        hears(bob, key_of(BOB))  # which is no answer of anybody's
        bob.presence.sweep()
        await trio.sleep(5)
        hears(bob, key_of(BOB))
        await trio.sleep(ISOLATED_AFTER_S - 5.2)
        assert bob.presence.sweep() == began_at + ISOLATED_AFTER_S
        await trio.sleep(0.2)
        assert bob.presence.sweep() > began_at + ISOLATED_AFTER_S  # it has begun


async def test_a_sweep_in_vain_sees_what_has_happened_since_the_last(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        slow = presence(interval_s=10)  # so she may be silent for longer than he may be alone
        bob.presence.heard(key_of(ALICE), slow, bob.clock.now_ns())
        await trio.sleep(ISOLATED_AFTER_S)
        bob.presence.sweep()
        assert bob.presence.isolation.is_isolated
        bob.presence.node_answered()
        bob.presence.sweep()
        # So long, nothing is held against her.
        await trio.sleep(REARMED_INTERVALS * INTERVAL_S + 0.1)
        bob.presence.connection_lost(id_of(ALICE))
        assert set(bob.presence.suspects()) == {id_of(ALICE)}  # who is alone suspects nobody


async def test_that_an_outage_becomes_a_long_one_is_not_to_wait(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        began_at = trio.current_time()
        since = bob.presence.outage.since
        assert since is not None
        await trio.sleep(EXTENDED_AFTER_S - EXPLAIN_EVERY_S / 2)
        bob.presence.node_answered()
        assert bob.presence.sweep() == began_at + EXTENDED_AFTER_S - (began_at - since)
        await trio.sleep(EXPLAIN_EVERY_S / 2)
        bob.presence.node_answered()
        assert bob.presence.sweep() > trio.current_time()
        assert bob.presence.outage.is_extended


async def test_a_consumer_that_says_no_more_is_forgotten_in_time(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        there = bob.presence.providers.is_present
        bob.presence.heard(key_of(ALICE), presence(Role.CONSUMER), bob.clock.now_ns())
        until = bob.presence.providers.expires_at
        assert trio.current_time() < until < math.inf
        while trio.current_time() < until:
            assert there(id_of(ALICE))
            hears(bob, key_of(BOB))  # who provides, and speaks on
            bob.presence.sweep()
            await trio.sleep(1)
        bob.presence.sweep()
        assert not there(id_of(ALICE))


async def test_while_somebody_is_refused_for_its_time_time_may_change_it(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        hears(bob)
        bob.presence.sweep()
        late = said(issued_ns=bob.clock.now_ns() - 300 * NS_PER_S)
        bob.hears(late)
        assert bob.admission.skewed(bob.clock.now_ns())
        assert bob.presence.sweep() == trio.current_time()


async def test_while_somebody_watches_the_monitor_wants_to_look_again(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        monitor = Monitor(bob.presence, bob.status, bob.feed, tuple, bob.witness)
        assert monitor.look() > trio.current_time()
        with bob.feed.subscribe():
            assert monitor.look() == trio.current_time()


async def test_while_neighbours_wait_for_others_to_be_asked_topology_wants_to_look_again(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, AsyncExitStack() as stack, trio.open_nursery() as nursery:
        for number in range(ASKED_MAX + 1):
            mesh = await stack.enter_async_context(
                node(bob, SigningKey(bytes([100 + number]) * 32))
            )
            await mesh.connect(bob.mesh.addrs()[0])
        await nursery.start(bob.topology.run)
        assert bob.topology.look() <= trio.current_time()
        await trio.sleep(1)
        bob.topology.look()
        assert bob.topology.look() == math.inf  # a turn is no appointment
        nursery.cancel_scope.cancel()


async def test_no_check_of_the_clock_is_an_appointment(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        check = ClockCheck(
            bob.mesh, bob.own_clock, bob.witness, bob.clock, is_node=lambda _peer: True
        )
        for _ in range(2):
            assert check.look() == math.inf
            await trio.sleep(RETRY_S)  # nobody is there to tell
