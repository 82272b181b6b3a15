"""What a run measures, on small worlds."""

import pytest
import trio
from trio.testing import MockClock

from simulations.metrics import Metrics
from simulations.world import open_world


async def test_what_nodes_make_known_is_counted_from_sample_to_sample(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        metrics = Metrics()
        world.add_witnesses((metrics,))
        metrics.sample(world)
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "1"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(20)
        begun = len(alice.facts) + len(bob.facts)
        metrics.sample(world)
        metrics.observed(alice, alice.facts[-1])
        metrics.sample(world)  # one of two told something
        await world.kill(alice)
        await trio.sleep(60)
        ended = len(alice.facts) + len(bob.facts)
        await world.kill(bob)
        metrics.sample(world)  # nobody runs: of those that did, until now
        metrics.sample(world)
    told = [sample.facts_per_node for sample in metrics.samples]
    assert ended > begun > 0
    assert told == pytest.approx([0, begun / 2, 1 / 2, (ended - begun) / 2, 0])
