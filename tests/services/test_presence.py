"""Presence: what is heard becomes facts and events."""

import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.facts import (
    Fact,
    IsolationEnded,
    IsolationStarted,
    OutageEnded,
    OutageExtended,
    OutageStarted,
    ProviderDiscovered,
    ProviderLost,
    ProviderReturned,
    ProviderSuspected,
)
from meshnode.core.outage import OutageClock
from meshnode.core.providers import Providers
from meshnode.core.suspicion import Verdict
from meshnode.services.feed import Feed, OutageChanged, ProviderChanged, Subscription
from meshnode.services.presence import Presence
from protocols.messages import Presence as PresenceState
from protocols.messages import PresenceUpdate, PriceUpdate
from simulations.clock import START_NS, VirtualClock
from tests.cast import ALICE, BOB, CAROL, Witness, id_of, key_of, presence, quote

PRICES = PriceUpdate((quote(),))


IsolationFact = IsolationStarted | IsolationEnded


class Tracker:
    """Bob's tracker, and who watches it."""

    def __init__(self) -> None:
        self.witness = Witness()
        self.feed = Feed()
        self.clock = VirtualClock()
        now, now_ns = trio.current_time(), self.clock.now_ns()
        self.presence = Presence(
            Providers(),
            OutageClock(now_ns, now, now_ns),
            self.witness,
            self.feed,
            self.clock,
            own_id=id_of(BOB),
            skewed=lambda _: {},
            any_skewed=lambda: False,
        )

    def hears(
        self, payload: PriceUpdate | PresenceUpdate = PRICES, *, by: SigningKey = ALICE
    ) -> None:
        self.presence.heard(key_of(by), payload, self.clock.now_ns())


async def told(subscription: Subscription) -> list[Fact]:
    events, _ = await subscription.wait_events()
    return [e.fact for e in events if isinstance(e, ProviderChanged | OutageChanged)]


async def test_facts_are_observed_and_fed_in_their_order(autojump_clock: MockClock) -> None:
    bob = Tracker()
    with bob.feed.subscribe() as subscription:
        bob.hears()
        await trio.sleep(10)
        bob.presence.connection_lost(id_of(ALICE))
        bob.presence.dial_refused(id_of(ALICE))
        bob.presence.asked(id_of(CAROL), id_of(ALICE), Verdict.GONE)
        await trio.sleep(600 - 10)
        bob.presence.sweep()
        await trio.sleep(5)
        bob.hears()
        await trio.sleep(1)
        bob.hears()
        expected = [
            ProviderDiscovered(id_of(ALICE)),
            ProviderSuspected(id_of(ALICE), "connection", 10),
            ProviderLost(id_of(ALICE), "connection", 10),
            OutageStarted(START_NS, "providers_down"),
            OutageExtended(START_NS, 600, "providers_down"),
            ProviderReturned(id_of(ALICE), 606),
            OutageEnded(606),
        ]
        assert [f for f in bob.witness.facts if not isinstance(f, IsolationFact)] == expected
        assert await told(subscription) == expected


async def test_that_we_are_there_ourselves_is_no_news_but_ends_an_outage(
    autojump_clock: MockClock,
) -> None:
    bob = Tracker()
    await trio.sleep(600)
    bob.presence.sweep()
    with bob.feed.subscribe() as subscription:
        bob.hears(by=BOB)
        assert await told(subscription) == [OutageEnded(600)]
    assert bob.witness.facts[-1] == OutageEnded(600)


async def test_leaving_begins_the_outage_when_it_was_said(autojump_clock: MockClock) -> None:
    bob = Tracker()
    bob.hears()
    await trio.sleep(4)
    bob.hears(presence(state=PresenceState.LEAVING))
    assert bob.witness.facts[1:] == [
        ProviderLost(id_of(ALICE), "leaving", 0),
        OutageStarted(START_NS + 4 * 10**9, "providers_down"),
    ]


async def test_a_clock_set_wrong_neither_hastens_nor_hides_an_outage(
    autojump_clock: MockClock,
) -> None:
    bob = Tracker()
    bob.hears()
    bob.clock.step_ns = 3600 * 10**9  # an hour ahead, before the silence is noticed
    for _ in range(599):
        await trio.sleep(1)
        bob.presence.sweep()
    assert bob.witness.of(OutageStarted)
    assert not bob.witness.of(OutageExtended)
    bob.clock.step_ns = -3600 * 10**9
    await trio.sleep(1)
    bob.presence.sweep()
    assert bob.witness.of(OutageExtended)
