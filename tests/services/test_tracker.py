"""Bob's tracker as others feed it: who is in touch, and what a pause of bob's own means."""

import random

import trio
from trio.testing import MockClock

from meshnode.core.facts import (
    IsolationEnded,
    IsolationStarted,
    OutageExplained,
    OutageStarted,
    ProcessPaused,
    ProviderLost,
    ProviderSuspected,
    ProviderUnreachable,
)
from meshnode.core.outage import OutageCause
from meshnode.services.beat import QUIET_BEAT_S, Beat
from meshnode.services.feed import ModeChanged, WarningsChanged
from meshnode.services.monitor import Monitor
from protocols.messages import Presence, Role
from simulations.clock import START_NS
from tests.cast import ALICE, BOB, CAROL, NS_PER_S, key_of, presence, said
from tests.services.bench import Bench, open_bench

HERE = presence()
CONSUMES = presence(Role.CONSUMER, interval_s=60)


def hears(bob: Bench, by: bytes = key_of(ALICE), *, late_s: int = 0) -> None:
    payload = CONSUMES if by == key_of(CAROL) else HERE
    bob.presence.heard(by, payload, bob.clock.now_ns() - late_s * NS_PER_S)


def hears_consumer(bob: Bench, number: int) -> None:
    bob.presence.heard(number.to_bytes(32, "big"), CONSUMES, bob.clock.now_ns())


async def sweep_for(bob: Bench, seconds: int) -> None:
    for _ in range(seconds):
        await trio.sleep(1)
        bob.presence.sweep()


async def test_who_hears_nobody_is_isolated_and_says_why_there_is_an_outage(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        hears(bob)
        await sweep_for(bob, 16)
        kinds = [type(fact) for fact in bob.witness.facts[1:]]
        assert kinds == [IsolationStarted, ProviderUnreachable, OutageStarted]
        (started,) = bob.witness.of(OutageStarted)
        assert started == OutageStarted(START_NS, "local_isolation")
        codes = {warning.code for warning in bob.status.warnings()}
        assert "ISOLATED" in codes
        hears(bob, key_of(CAROL))
        assert len(bob.witness.of(IsolationEnded)) == 1
        bob.presence.sweep()
        (explained,) = bob.witness.of(OutageExplained)
        assert explained == OutageExplained(START_NS, "unknown")  # until alice is decided


async def test_whom_we_first_hear_after_a_split_does_not_hide_it(autojump_clock: MockClock) -> None:
    far, near = range(1, 5), range(11, 17)
    async with open_bench() as bob:
        hears(bob)
        for number in far:
            hears_consumer(bob, number)
        for _ in range(7):  # as one of a side that has only just got to know it
            await sweep_for(bob, 10)
            for number in near:
                hears_consumer(bob, number)
            await sweep_for(bob, 10)
        assert bob.presence.outage.cause is OutageCause.PARTITION


async def test_where_those_speak_whom_we_knew_nothing_is_split(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        for number in range(1, 5):
            hears_consumer(bob, number)
        hears(bob)
        for _ in range(7):
            await sweep_for(bob, 10)
            for number in (*range(1, 5), *range(11, 17)):  # newcomers are no part of those either
                hears_consumer(bob, number)
            await sweep_for(bob, 10)
        assert bob.presence.outage.cause is not OutageCause.PARTITION


async def test_words_that_were_held_up_do_not_end_isolation(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        await sweep_for(bob, 20)
        hears(bob, late_s=15)
        assert bob.presence.isolation.is_isolated


async def test_our_own_words_do_not_end_isolation(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        await sweep_for(bob, 20)
        hears(bob, key_of(BOB))
        assert bob.presence.isolation.is_isolated
        assert bob.presence.outage.since_ns is None  # we provide, if only to ourselves


async def test_our_own_words_count_whatever_our_clock_is_corrected_by(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        hears(bob, key_of(BOB), late_s=300)
        assert key_of(BOB) in bob.providers.active()


async def test_a_node_that_stood_still_accuses_nobody(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, trio.open_nursery() as nursery:
        monitor = Monitor(bob.presence, bob.status, bob.feed, tuple, bob.witness)
        await nursery.start(Beat([monitor.look], bob.presence.paused, random.Random(1)).run)
        hears(bob)
        hears(bob, key_of(CAROL))
        await trio.sleep(1.5)
        autojump_clock.jump(120)  # nothing ran meanwhile
        await trio.sleep(9)
        (paused,) = bob.witness.of(ProcessPaused)
        assert isinstance(paused, ProcessPaused)
        assert 120 - QUIET_BEAT_S <= paused.late_s <= 121
        assert not bob.presence.isolation.is_isolated
        assert not bob.witness.of(ProviderSuspected)
        hears(bob)
        await trio.sleep(14)
        assert not bob.witness.of(ProviderSuspected)
        assert not bob.witness.of(ProviderUnreachable)
        assert not bob.witness.of(ProviderLost)
        nursery.cancel_scope.cancel()


async def test_who_begins_to_watch_is_told_what_changes_from_then_on(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        monitor = Monitor(bob.presence, bob.status, bob.feed, tuple, bob.witness)
        bob.hears(said())
        bob.hears(said(payload=HERE))
        monitor.look()
        with bob.feed.subscribe() as alone:
            with bob.feed.subscribe() as other:
                monitor.look()
                bob.hears(said(seq=2, payload=presence(state=Presence.LEAVING)))
                monitor.look()
                (_, _, *heard), _ = await other.wait_events()
            assert [type(event) for event in heard] == [ModeChanged, WarningsChanged]
            assert (await alone.wait_events())[0][2:] == heard


async def test_that_we_are_back_is_not_missed_by_who_is_busy_just_then(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        bob.presence.paused(90.0)
        with trio.fail_after(1):
            await bob.presence.wait_back_in_touch()
        with trio.move_on_after(60) as patience:
            await bob.presence.wait_back_in_touch()
        assert patience.cancelled_caught  # once is once
