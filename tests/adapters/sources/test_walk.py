"""Invented prices wander within bounds and never pretend to be real."""

import random
from decimal import Decimal
from itertools import pairwise

import trio
from trio.testing import MockClock

from meshnode.adapters.sources.walk import Walk
from meshnode.ports import Observation
from simulations.clock import START_NS, VirtualClock


def walk(*assets: str, seed: int = 7, interval_s: float = 1.0) -> Walk:
    return Walk("w", assets, VirtualClock(), random.Random(seed), interval_s=interval_s)


async def steps(source: Walk, count: int) -> list[tuple[float, list[Observation]]]:
    taken: list[tuple[float, list[Observation]]] = []
    async with source.open() as batches:
        async for batch in batches:
            taken.append((trio.current_time(), list(batch)))
            if len(taken) == count:
                break
    return taken


async def test_every_asset_takes_a_step_every_interval(autojump_clock: MockClock) -> None:
    taken = await steps(walk("BTC-USD", "XYZ", interval_s=0.5), 3)
    assert [at for at, _ in taken] == [0, 0.5, 1.0]
    assert [one.asset for one in taken[0][1]] == ["BTC-USD", "XYZ"]
    assert [one.price for one in taken[0][1]] == [Decimal("60000.00"), Decimal("100.00")]
    assert [one.observed_ns for one in taken[1][1]] == [START_NS + 5 * 10**8] * 2
    assert all(one.tags == (("synthetic", "walk"),) for _, batch in taken for one in batch)


async def test_a_step_is_at_most_one_per_mille(autojump_clock: MockClock) -> None:
    prices = [batch[0].price for _, batch in await steps(walk("XYZ"), 500)]
    assert len(set(prices)) > 50
    for price, following in pairwise(prices):
        assert abs(following - price) <= price / 1000


async def test_a_price_is_never_zero(autojump_clock: MockClock) -> None:
    class Falling(random.Random):
        def randint(self, a: int, b: int) -> int:
            return a

    source = Walk("w", ["EUR-USD"], VirtualClock(), Falling())
    prices = [batch[0].price for _, batch in await steps(source, 200)]
    assert min(prices) == prices[-1] == Decimal("0.01")


async def test_the_same_seed_walks_the_same_way(autojump_clock: MockClock) -> None:
    def prices(taken: list[tuple[float, list[Observation]]]) -> list[Decimal]:
        return [one.price for _, batch in taken for one in batch]

    alice = prices(await steps(walk("A", "B", seed=7), 20))
    bob = prices(await steps(walk("A", "B", seed=7), 20))
    carol = prices(await steps(walk("A", "B", seed=8), 20))
    assert alice == bob != carol


async def test_opened_again_it_goes_on_from_where_it_was(autojump_clock: MockClock) -> None:
    source = walk("A")
    before = (await steps(source, 50))[-1][1][0].price
    after = (await steps(source, 1))[0][1][0].price
    assert before == after != Decimal("100.00")
