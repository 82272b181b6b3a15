"""Sources fail, recover, lie and end; the node goes on, and nothing bad gets through."""

import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from decimal import Decimal
from typing import TypeAlias

import pytest
import trio
from trio.testing import MockClock

from meshnode.core.facts import (
    Fact,
    ObservationRefused,
    SourceExhausted,
    SourceFailed,
    SourceRecovered,
)
from meshnode.core.links import LinkState
from meshnode.errors import SourceUnavailable
from meshnode.ports import Observation
from meshnode.services.poll import NO_ROOM, Poll
from protocols.quotes import Quote
from simulations.clock import START_NS, VirtualClock

Act: TypeAlias = Callable[[], AsyncGenerator[Sequence[Observation], None]]


class Witness:
    """An Observer that remembers what it was told, and when."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, Fact]] = []

    def observe(self, fact: Fact) -> None:
        self.seen.append((trio.current_time(), fact))

    def of(self, kind: type) -> list[tuple[float, Fact]]:
        return [(at, fact) for at, fact in self.seen if isinstance(fact, kind)]


class Shelf:
    """A Sink with room for so many assets."""

    def __init__(self, room: int = 100) -> None:
        self._room = room
        self.quotes: dict[str, Quote] = {}
        self.times: list[float] = []

    def newest(self, asset: str) -> Quote | None:
        return self.quotes.get(asset)

    def offer(self, quote: Quote) -> bool:
        if quote.asset not in self.quotes and len(self.quotes) == self._room:
            return False
        self.quotes[quote.asset] = quote
        self.times.append(trio.current_time())
        return True


class Told:
    """A Source that plays a script: each opening takes the next act, the last for ever."""

    def __init__(self, name: str, *acts: Act) -> None:
        self._name = name
        self._acts = list(acts)
        self.opened = 0

    @property
    def name(self) -> str:
        return self._name

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Observation]]]:
        act = self._acts[min(self.opened, len(self._acts) - 1)]
        self.opened += 1
        return aclosing(act())


def raises(kind: type[Exception], text: str) -> Act:
    async def act() -> AsyncGenerator[Sequence[Observation], None]:
        nothing: list[Sequence[Observation]] = []
        for batch in nothing:
            yield batch
        raise kind(text)

    return act


refuses = raises(SourceUnavailable, "connection refused")


async def delivers() -> AsyncGenerator[Sequence[Observation], None]:
    while True:
        yield [price()]
        await trio.sleep(1)


async def ends() -> AsyncGenerator[Sequence[Observation], None]:
    yield [price()]


def delivers_for(seconds: int) -> Act:
    async def act() -> AsyncGenerator[Sequence[Observation], None]:
        for _ in range(seconds):
            yield [price()]
            await trio.sleep(1)
        raise SourceUnavailable("gone")

    return act


def says(*observations: Observation) -> Act:
    async def act() -> AsyncGenerator[Sequence[Observation], None]:
        yield observations
        await trio.sleep_forever()

    return act


def price(asset: str = "BTC-USD", value: str = "100", at_ns: int | None = None) -> Observation:
    observed_ns = START_NS + int(trio.current_time() * 10**9) if at_ns is None else at_ns
    return Observation(asset, Decimal(value), observed_ns)


def polling(*sources: Told, sink: Shelf, witness: Witness) -> Poll:
    return Poll(sources, sink, witness, VirtualClock(), random.Random(1))


async def watch(poll: Poll, seconds: float) -> None:
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            await nursery.start(poll.run)


async def test_a_source_that_fails_is_tried_for_ever_at_growing_intervals(
    autojump_clock: MockClock,
) -> None:
    witness = Witness()
    await watch(polling(Told("dead", refuses), sink=Shelf(), witness=witness), 3600)
    failures = [fact for _, fact in witness.of(SourceFailed) if isinstance(fact, SourceFailed)]
    assert [fact.attempt for fact in failures] == list(range(1, len(failures) + 1))
    for fact, expected_s in zip(failures, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300], strict=False):
        assert 0.8 * expected_s <= fact.retry_in_s <= expected_s
    assert len(failures) > 15
    assert failures[0].error == "connection refused"


async def test_a_source_that_delivers_again_has_recovered(autojump_clock: MockClock) -> None:
    witness, sink = Witness(), Shelf()
    source = Told("shaky", refuses, refuses, delivers)
    poll = polling(source, sink=sink, witness=witness)
    async with trio.open_nursery() as nursery:
        await nursery.start(poll.run)
        await trio.sleep(1)
        (link,) = poll.links()
        assert (link.state, link.attempts) == (LinkState.ERROR, 1)
        assert (link.last_error, link.last_success_ns) == ("connection refused", None)
        await trio.sleep(20)
        assert (link.state, link.attempts) == (LinkState.CONNECTED, 0)
        assert link.last_success_ns is not None
        assert link.last_success_ns >= START_NS + 19 * 10**9
        nursery.cancel_scope.cancel()
    ((at, recovered),) = witness.of(SourceRecovered)
    assert isinstance(recovered, SourceRecovered)
    assert recovered.down_s == at, "down since it failed at the very start"
    assert 4.8 <= at <= 6
    assert sink.times[0] == at
    assert link.state is LinkState.STOPPED


async def test_what_was_stable_is_retried_soon_and_what_flaps_later(
    autojump_clock: MockClock,
) -> None:
    witness = Witness()
    source = Told(
        "flapping", refuses, refuses, delivers_for(5), delivers_for(90), refuses, delivers
    )
    await watch(polling(source, sink=Shelf(), witness=witness), 600)
    attempts = [fact.attempt for _, fact in witness.seen if isinstance(fact, SourceFailed)]
    assert attempts == [1, 2, 3, 1, 2]


async def test_one_source_failing_does_not_touch_another(autojump_clock: MockClock) -> None:
    witness, sink = Witness(), Shelf()
    await watch(
        polling(Told("dead", refuses), Told("good", delivers), sink=sink, witness=witness), 59.5
    )
    assert sink.times == [float(second) for second in range(60)]


async def test_an_exhausted_source_is_not_opened_again(autojump_clock: MockClock) -> None:
    witness = Witness()
    source = Told("file", ends)
    poll = polling(source, sink=Shelf(), witness=witness)
    await poll.run()
    assert source.opened == 1
    assert [fact for _, fact in witness.seen] == [SourceExhausted("file")]
    assert poll.links()[0].state is LinkState.STOPPED


async def test_a_bug_in_a_source_is_not_taken_for_a_failure(autojump_clock: MockClock) -> None:
    buggy = raises(ZeroDivisionError, "a bug")
    with pytest.RaisesGroup(ZeroDivisionError):
        await polling(Told("buggy", buggy), sink=Shelf(), witness=Witness()).run()


async def test_a_source_that_is_always_ready_leaves_the_others_their_turn(
    autojump_clock: MockClock,
) -> None:
    sink, turns = Shelf(), 0

    async def hasty() -> AsyncGenerator[Sequence[Observation], None]:
        nonlocal turns
        while len(sink.times) < 5 and turns < 10_000:
            turns += 1
            yield []

    async def modest() -> AsyncGenerator[Sequence[Observation], None]:
        for _ in range(5):
            await trio.lowlevel.checkpoint()
            yield [price()]

    await polling(Told("hasty", hasty), Told("modest", modest), sink=sink, witness=Witness()).run()
    assert turns < 100


@pytest.mark.parametrize(
    ("asset", "value"),
    [
        ("BTC-USD", "NaN"),
        ("BTC-USD", "0"),
        ("BTC-USD", "-1"),
        ("BTC-USD", "1e308"),
        ("BTC-USD", "0.123456789012345678901234567891"),
        ("btc", "1"),
        ("BTC\n", "1"),
        ("", "1"),
    ],
)
async def test_what_is_invalid_goes_no_further(
    autojump_clock: MockClock, asset: str, value: str
) -> None:
    witness, sink = Witness(), Shelf()
    bad = price(asset, value, START_NS)
    poll = polling(Told("liar", says(bad, price("ETH-USD"))), sink=sink, witness=witness)
    await watch(poll, 1)
    assert list(sink.quotes) == ["ETH-USD"], "and the good one beside it does"
    assert poll.refused == 1
    ((_, fact),) = witness.of(ObservationRefused)
    assert isinstance(fact, ObservationRefused)
    assert (fact.source, fact.count) == ("liar", 1)
    assert fact.asset.isprintable()


async def test_refusals_are_told_at_most_every_ten_seconds_for_each_reason(
    autojump_clock: MockClock,
) -> None:
    async def lies() -> AsyncGenerator[Sequence[Observation], None]:
        while True:
            yield [price(value="0"), price(value="NaN"), price(asset="btc")]
            await trio.sleep(1)

    witness = Witness()
    poll = polling(Told("liar", lies), sink=Shelf(), witness=witness)
    await watch(poll, 20.5)
    told = [
        (at, fact.reason, fact.count)
        for at, fact in witness.seen
        if isinstance(fact, ObservationRefused)
    ]
    assert told == [
        (0.0, "not_positive", 1),
        (0.0, "bad_asset", 1),
        (10.0, "not_positive", 20),
        (10.0, "bad_asset", 10),
        (20.0, "not_positive", 20),
        (20.0, "bad_asset", 10),
    ]
    assert poll.refused == 63


async def test_an_asset_without_room_is_refused_by_that_name(autojump_clock: MockClock) -> None:
    witness = Witness()
    source = Told("wide", says(price("A", at_ns=START_NS), price("B", at_ns=START_NS)))
    await watch(polling(source, sink=Shelf(room=1), witness=witness), 1)
    assert [fact for _, fact in witness.seen] == [ObservationRefused("wide", "B", NO_ROOM, 1)]


async def test_an_older_observation_does_not_replace_a_newer_one(
    autojump_clock: MockClock,
) -> None:
    sink = Shelf()
    late = says(price(value="2", at_ns=START_NS), price(value="1", at_ns=START_NS - 1))
    await watch(polling(Told("late", late), sink=sink, witness=Witness()), 1)
    assert sink.quotes["BTC-USD"].price == 2
