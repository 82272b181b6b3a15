"""Announcing: what is said keeps its pace, and consumers of a large network their budget."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from meshnode.core.providers import Providers
from meshnode.core.publication import Publication
from meshnode.errors import PublishRefused
from meshnode.services.announce import BUDGET_WORDS, Announcer
from meshnode.services.publish import Publisher
from protocols.envelope import open_envelope
from protocols.ids import Topic
from protocols.messages import Presence as PresenceState
from protocols.messages import PresenceUpdate, PriceUpdate, Role
from simulations.clock import START_NS, VirtualClock
from simulations.model_gossip import ModelGossip
from tests.cast import ALICE, EPOCH, presence, quote

PRICES = PriceUpdate((quote(),))


class Ear:
    """A Gossip in which somebody notes when what was said; it may refuse."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, Topic, PresenceUpdate | PriceUpdate]] = []
        self.refuses = False
        self.asked = 0

    async def publish(self, topic: Topic, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.refuses:
            raise PublishRefused("busy")
        payload = open_envelope(data).message.payload
        assert isinstance(payload, PresenceUpdate | PriceUpdate)
        self.heard.append((trio.current_time(), topic, payload))

    receive = ModelGossip.receive
    deliver = ModelGossip.deliver
    flush = ModelGossip.flush
    statistics = ModelGossip.statistics

    def presences(self) -> list[tuple[float, PresenceUpdate]]:
        return [(at, said) for at, _, said in self.heard if isinstance(said, PresenceUpdate)]


class Alice:
    """Alice's voice."""

    def __init__(self, role: Role, seed: int = 1) -> None:
        self.ear = Ear()
        self.back_in_touch = trio.Event()
        self.providers = Providers()
        self.told = 1
        self.publisher = Publisher(
            Publication(),
            self.ear,
            VirtualClock(),
            key=ALICE,
            network="main",
            epoch=EPOCH,
            vouch=lambda _: None,
        )
        self.announcer = Announcer(
            self.publisher,
            lambda: 1 + self.providers.present_count,
            random.Random(seed),
            role=role,
            agent="meshnode/0",
            told=lambda: self.told,
            heard_since=self.providers.consumers_heard_since,
            addrs=lambda: ("/ip4/192.0.2.1/tcp/4001",),
            assets=lambda: 3,
            wait_back_in_touch=self._wait_back_in_touch,
        )

    async def _wait_back_in_touch(self) -> None:
        await self.back_in_touch.wait()
        self.back_in_touch = trio.Event()


@asynccontextmanager
async def announcing(role: Role, *, seed: int = 1) -> AsyncIterator[Alice]:
    alice = Alice(role, seed)
    async with trio.open_nursery() as nursery:
        await nursery.start(alice.announcer.run)
        yield alice
        nursery.cancel_scope.cancel()


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


async def test_a_provider_speaks_every_five_seconds(autojump_clock: MockClock) -> None:
    async with announcing(Role.PROVIDER) as alice:
        await trio.sleep(300)
    said = alice.ear.presences()
    assert said[0][1] == PresenceUpdate(
        Role.PROVIDER,
        PresenceState.ACTIVE,
        5000,
        60_000,
        ("/ip4/192.0.2.1/tcp/4001",),
        "meshnode/0",
        3,
    )
    steady = gaps([at for at, _ in said if at >= 10])
    assert len(steady) > 50
    assert 4.5 <= min(steady) <= max(steady) <= 5.5
    assert max(steady) - min(steady) > 0.3  # nodes must not speak in step
    assert max(gaps([at for at, _ in said])) <= 5.5  # from the start
    assert all(topic is Topic.PRESENCE for _, topic, _ in alice.ear.heard)


async def test_prices_say_that_a_provider_is_there_and_once_a_minute_it_says_where(
    autojump_clock: MockClock,
) -> None:
    async with announcing(Role.PROVIDER) as alice:
        for _ in range(300):
            await trio.sleep(1)
            await alice.publisher.say(PRICES)
    steady = gaps([at for at, _ in alice.ear.presences() if at >= 10])
    assert len(steady) >= 3
    assert 55 <= min(steady) <= max(steady) <= 66


async def test_a_provider_whose_prices_pause_is_never_silent_for_long(
    autojump_clock: MockClock,
) -> None:
    async with announcing(Role.PROVIDER) as alice:
        for _ in range(60):
            await trio.sleep(4.6)
            await alice.publisher.say(PRICES)
    assert max(gaps([at for at, _, _ in alice.ear.heard])) <= 5.5


async def test_a_consumer_speaks_once_a_minute_or_less_in_a_large_network(
    autojump_clock: MockClock,
) -> None:
    async with announcing(Role.CONSUMER) as alice:
        await trio.sleep(600)
        steady = gaps([at for at, _ in alice.ear.presences() if at >= 10])
        assert 54 <= min(steady) <= max(steady) <= 66
        for number in range(1000):
            author = number.to_bytes(32, "big")
            alice.providers.heard(
                author, presence(Role.CONSUMER, interval_s=3600), START_NS, trio.current_time(), 0
            )
        await trio.sleep(70)  # what is under way
        before = len(alice.ear.heard)
        await trio.sleep(10 * 2002)
        later = alice.ear.presences()[before:]
    assert 9 <= len(later) <= 12
    assert {said.interval_ms for _, said in later} == {2_002_000}
    assert {said.role for _, said in later} == {Role.CONSUMER}


@pytest.mark.parametrize(
    ("role", "said"), [(Role.CONSUMER, [2, 10]), (Role.PROVIDER, [0, 2, 6, 10])]
)
async def test_a_start_is_said_again_before_the_pace_begins(
    autojump_clock: MockClock, role: Role, said: list[float]
) -> None:
    async with announcing(role) as alice:
        await trio.sleep(14)
    assert [at for at, _ in alice.ear.presences()] == said


async def test_a_neighbour_s_word_is_waited_for_a_little(autojump_clock: MockClock) -> None:
    async with announcing(Role.CONSUMER) as alice:
        alice.told = 0
        await trio.sleep(14)
    assert [at for at, _ in alice.ear.presences()] == [3, 12]


async def test_in_a_large_network_a_consumer_waits_its_turn_from_the_start(
    autojump_clock: MockClock,
) -> None:
    firsts = []
    for seed in range(20):
        began_at = trio.current_time()
        async with announcing(Role.CONSUMER, seed=seed) as alice:
            for number in range(1000):
                author = number.to_bytes(32, "big")
                alice.providers.heard(
                    author,
                    presence(Role.CONSUMER, interval_s=3600),
                    START_NS,
                    trio.current_time(),
                    0,
                )
            await trio.sleep(2300)
        firsts.append(alice.ear.presences()[0][0] - began_at)
    assert sum(at < 60 for at in firsts) <= 3
    assert max(firsts) - min(firsts) > 1000


async def test_that_a_network_is_large_a_neighbour_s_word_is_enough(
    autojump_clock: MockClock,
) -> None:
    async with announcing(Role.CONSUMER, seed=3) as alice:
        alice.told = BUDGET_WORDS + 1
        await trio.sleep(70)
    firsts = [at for at, _ in alice.ear.presences()]
    assert firsts[0] not in (2, 10)
    assert len(firsts) <= 2


async def test_who_has_spoken_is_not_kept_from_it_by_a_neighbour_s_word(
    autojump_clock: MockClock,
) -> None:
    async with announcing(Role.CONSUMER) as alice:
        await trio.sleep(35)
        alice.told = 1_000
        alice.back_in_touch.set()
        await trio.sleep(14)
    assert [at for at, _ in alice.ear.presences()] == [2, 10, 37, 45]


@pytest.mark.parametrize(("used_up_s", "first_s"), [(100, (130, 213)), (600, (246, 331))])
async def test_while_others_use_up_the_budget_a_consumer_waits_three_intervals_at_most(
    autojump_clock: MockClock, used_up_s: int, first_s: tuple[float, float]
) -> None:
    async with announcing(Role.CONSUMER) as alice:
        for number in range(40 + used_up_s):  # forty others, so her interval is 82 s
            author = (number % 40).to_bytes(32, "big")
            word = presence(Role.CONSUMER, interval_s=60)
            alice.providers.heard(author, word, START_NS, trio.current_time(), 0)
            if number >= 40:
                await trio.sleep(1)
        await trio.sleep(700 - used_up_s)
    at, _ = alice.ear.presences()[0]
    assert first_s[0] <= at <= first_s[1]


async def test_prices_of_the_start_are_said_again_when_there_may_be_peers(
    autojump_clock: MockClock,
) -> None:
    async with announcing(Role.PROVIDER) as alice, trio.open_nursery() as nursery:
        alice.publisher.offer(quote())
        await nursery.start(alice.publisher.run)
        await trio.sleep(50)
        nursery.cancel_scope.cancel()
    prices = [at for at, topic, _ in alice.ear.heard if topic is Topic.PRICES]
    assert prices == pytest.approx([0.1, 2.1])


async def test_who_is_back_in_touch_speaks_soon_and_again(
    autojump_clock: MockClock,
) -> None:
    async with announcing(Role.CONSUMER) as alice:
        await trio.sleep(35)
        alice.back_in_touch.set()
        await trio.sleep(30)
    assert [at for at, _ in alice.ear.presences()] == [2, 10, 37, 45]


async def test_a_gossip_that_refuses_is_not_pestered(autojump_clock: MockClock) -> None:
    async with announcing(Role.PROVIDER) as alice:
        alice.ear.refuses = True
        await trio.sleep(100)
        assert 15 <= alice.ear.asked <= 30
        alice.ear.refuses = False
        await trio.sleep(6)
        assert alice.ear.heard


async def test_nothing_is_said_after_the_farewell(autojump_clock: MockClock) -> None:
    """Two prices behind it would bring alice back; then her connections break as if she died."""
    async with announcing(Role.PROVIDER) as alice, trio.open_nursery() as nursery:
        await nursery.start(alice.publisher.run)
        await trio.sleep(5)
        await alice.announcer.leave()
        alice.publisher.offer(quote())
        await trio.sleep(70)
        nursery.cancel_scope.cancel()
    _, _, last = alice.ear.heard[-1]
    assert isinstance(last, PresenceUpdate)
    assert last.state is PresenceState.LEAVING


async def test_leaving_is_said(autojump_clock: MockClock) -> None:
    alice = Alice(Role.PROVIDER)
    await alice.announcer.leave()
    ((_, said),) = alice.ear.presences()
    assert (said.state, said.role) == (PresenceState.LEAVING, Role.PROVIDER)
