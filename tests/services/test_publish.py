"""Alice publishes: in order, in batches, under names that are never used twice."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import pytest
import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.publication import Publication
from meshnode.core.verdicts import Accepted
from meshnode.errors import PublishRefused
from meshnode.ports import GossipStatistics
from meshnode.services.publish import Publisher
from protocols.envelope import Envelope, open_envelope
from protocols.errors import ProtocolError
from protocols.ids import Topic
from protocols.messages import Payload, Presence, PresenceUpdate, PriceUpdate, Role
from protocols.quotes import Quote, quote_of
from simulations.clock import START_NS, VirtualClock

KEY = SigningKey(bytes(32))
EPOCH = START_NS // 10**9


class NoteBook:
    """A Gossip that writes down what is said, and when; sending takes `takes_s`."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, Topic, Envelope]] = []
        self.vouched: list[Envelope] = []
        self.takes_s = 0.0
        self.error: Exception | None = None

    async def publish(self, topic: Topic, data: bytes) -> None:
        await trio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        self.heard.append((trio.current_time(), topic, open_envelope(data)))

    async def receive(self) -> Accepted:
        raise AssertionError("nobody listens here")

    async def deliver(self, take: Callable[[Accepted], None]) -> None:
        raise AssertionError("nobody listens here")

    async def flush(self) -> None:
        await trio.lowlevel.checkpoint()

    def statistics(self) -> GossipStatistics:
        return GossipStatistics(0, {}, {}, 0, 0, 0, 0)

    def names(self) -> list[tuple[Topic, int]]:
        return [(topic, envelope.message.seq) for _, topic, envelope in self.heard]


def publisher(gossip: NoteBook) -> Publisher:
    return Publisher(
        Publication(),
        gossip,
        VirtualClock(),
        key=KEY,
        network="main",
        epoch=EPOCH,
        vouch=gossip.vouched.append,
    )


@asynccontextmanager
async def running(alice: Publisher) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(alice.run)
        yield
        nursery.cancel_scope.cancel()


def prices(payload: Payload) -> dict[str, Decimal]:
    assert isinstance(payload, PriceUpdate)
    return {one.asset: one.price for one in payload.quotes}


def quote(asset: str = "BTC-USD", price: int = 100, observed_ns: int = 1) -> Quote:
    return quote_of(asset, Decimal(price), observed_ns=observed_ns)


def here() -> PresenceUpdate:
    return PresenceUpdate(Role.PROVIDER, Presence.ACTIVE, 5000, 60_000, (), "meshnode/0", 1)


async def test_what_is_said_is_signed_named_and_dated(autojump_clock: MockClock) -> None:
    gossip = NoteBook()
    alice = publisher(gossip)
    assert alice.spoke_at is None
    await trio.sleep(5)
    envelope = await alice.say(PriceUpdate((quote(),)))
    ((at, topic, heard),) = gossip.heard
    assert heard == envelope
    assert heard.is_authentic()
    assert topic is Topic.PRICES
    assert heard.message.author == bytes(KEY.verify_key)
    assert (heard.message.network, heard.message.epoch) == ("main", EPOCH)
    assert heard.message.issued_ns == START_NS + 5 * 10**9
    assert alice.spoke_at == at == 5.0


async def test_each_topic_counts_for_itself_from_one(autojump_clock: MockClock) -> None:
    gossip = NoteBook()
    alice = publisher(gossip)
    for payload in (here(), PriceUpdate((quote(),)), here(), PriceUpdate((quote(),))):
        await alice.say(payload)
    assert gossip.names() == [
        (Topic.PRESENCE, 1),
        (Topic.PRICES, 1),
        (Topic.PRESENCE, 2),
        (Topic.PRICES, 2),
    ]


async def test_numbers_are_in_the_order_of_sending_whoever_speaks(
    autojump_clock: MockClock,
) -> None:
    gossip = NoteBook()
    alice = publisher(gossip)

    async def speak(takes_s: float) -> None:
        gossip.takes_s = takes_s  # the later ones would overtake the earlier ones
        await alice.say(PriceUpdate((quote(),)))

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(speak, 1.0 - number / 10)
            await trio.sleep(0.001)
    assert gossip.names() == [(Topic.PRICES, number) for number in range(1, 11)]


async def test_offers_within_the_window_are_one_update(autojump_clock: MockClock) -> None:
    gossip = NoteBook()
    alice = publisher(gossip)
    async with running(alice):
        await trio.sleep(7)
        alice.offer(quote(price=1))
        await trio.sleep(0.05)
        alice.offer(quote(price=2, observed_ns=2))
        alice.offer(quote("ETH-USD", price=3))
        await trio.sleep(1)
    ((at, _, envelope),) = gossip.heard
    assert at == pytest.approx(7.1)
    assert prices(envelope.message.payload) == {"BTC-USD": 2, "ETH-USD": 3}
    assert alice.assets == 2
    assert alice.newest("BTC-USD") == quote(price=2, observed_ns=2)


async def test_everything_is_said_again_within_a_minute(autojump_clock: MockClock) -> None:
    gossip = NoteBook()
    alice = publisher(gossip)
    async with running(alice):
        alice.offer(quote())
        await trio.sleep(600)
    times = [at for at, _, _ in gossip.heard]
    assert 10 <= len(times) <= 12
    assert max(later - earlier for earlier, later in pairwise(times)) <= 60


async def test_an_offer_while_an_update_is_being_sent_is_not_forgotten(
    autojump_clock: MockClock,
) -> None:
    gossip = NoteBook()
    gossip.takes_s = 1.0
    alice = publisher(gossip)
    async with running(alice):
        alice.offer(quote(price=1))
        await trio.sleep(0.5)  # the update of 0.1 is on its way
        alice.offer(quote(price=2, observed_ns=2))
        await trio.sleep(5)
    assert [prices(one.message.payload) for _, _, one in gossip.heard] == [
        {"BTC-USD": 1},
        {"BTC-USD": 2},
    ]


async def test_what_gossip_cannot_take_is_counted_and_its_number_never_reused(
    autojump_clock: MockClock,
) -> None:
    gossip = NoteBook()
    alice = publisher(gossip)
    async with running(alice):
        gossip.error = PublishRefused("busy")
        alice.offer(quote(price=1))
        await trio.sleep(1)
        assert alice.spoke_at is None
        gossip.error = None
        alice.offer(quote(price=2, observed_ns=2))
        await trio.sleep(1)
    assert gossip.names() == [(Topic.PRICES, 2)]
    statistics = alice.statistics()
    assert (statistics.said, statistics.failed) == (1, 1)


async def test_a_bug_in_gossip_is_not_hidden(autojump_clock: MockClock) -> None:
    gossip = NoteBook()
    gossip.error = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        await publisher(gossip).say(here())


async def test_what_no_receiver_would_take_is_not_sent(autojump_clock: MockClock) -> None:
    gossip = NoteBook()
    with pytest.raises(ProtocolError):
        await publisher(gossip).say(PriceUpdate((quote(asset="btc"),)))
    assert gossip.heard == []


async def test_ten_thousand_assets_go_out_in_full_updates(autojump_clock: MockClock) -> None:
    gossip = NoteBook()
    alice = publisher(gossip)
    async with running(alice):
        offered = [alice.offer(quote(f"A{number}")) for number in range(10_001)]
        await trio.sleep(1)
    assert offered.count(False) == 1
    assert alice.statistics().assets_refused == 1
    said = [prices(one.message.payload) for _, _, one in gossip.heard]
    assert [len(update) for update in said] == [1000] * 10
