"""Every way is long, and one link in twenty stalls and breaks, again and again."""

from itertools import combinations

import trio

from simulations.stage import Stage
from simulations.world_node import WorldNode

NODES, MINUTES = 20, 10
SHARE = 0.05
WAY_S = (0.1, 0.3)
STALL_S = (0.5, 20.0)
PAUSE_S = 20.0  # on average, between two troubles of one link


async def play(stage: Stage) -> None:
    """See `suffer`."""
    await suffer(stage, SHARE)


async def suffer(stage: Stage, share: float) -> None:
    """So large a share of all links is bad, whether there is a connection over it or not."""
    stage.lengthen_ways(*WAY_S)
    await stage.grow(providers=3)
    pairs = list(combinations(stage.nodes, 2))
    bad = stage.rng.sample(pairs, max(1, round(share * len(pairs))))
    stage.faults.tell(f"{len(bad)} of {len(pairs)} links are bad")
    async with trio.open_nursery() as nursery:
        for one, other in bad:
            nursery.start_soon(_trouble, stage, one, other)
        await stage.play_out()
        nursery.cancel_scope.cancel()


async def _trouble(stage: Stage, one: WorldNode, other: WorldNode) -> None:
    while True:
        await stage.wait(stage.rng.expovariate(1 / PAUSE_S))
        if stage.rng.random() < 0.5:
            stage.reset(one, other)
        else:
            await stage.stall(one, other, stage.rng.uniform(*STALL_S))
