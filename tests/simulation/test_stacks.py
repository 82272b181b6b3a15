"""What both stacks keep: what a network tells of all its nodes."""

import pytest
import trio

from simulations.links import Links
from simulations.stacks import STACKS
from simulations.world import World

pytestmark = pytest.mark.seeded(1)


@pytest.mark.parametrize("stack", STACKS)
async def test_the_duplicates_of_who_has_ended_still_count(stack: str) -> None:
    links = Links(lambda sender, receiver: 0.02)
    async with STACKS[stack]()(links, 1) as network, trio.open_nursery() as nursery:
        world = World(network, nursery, seed=1)
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "1"})
        bob = await world.start("bob", connect=[alice])
        carol = await world.start("carol", connect=[alice, bob])
        await trio.sleep(30)
        counts = []
        for node in (alice, bob, carol):
            assert node.mesh is not None
            counts.append(node.mesh.gossip.statistics().duplicates)
        assert min(counts) > 0
        assert network.duplicates() == sum(counts)
        await world.kill(bob)
        assert network.duplicates() == sum(counts)
        await world.start_as(bob)
        assert bob.mesh is not None
        assert bob.mesh.gossip.statistics().duplicates < counts[1]  # its own begin anew
        await world.stop(bob)
        assert network.duplicates() >= sum(counts)
        nursery.cancel_scope.cancel()
