"""The network is split for a quarter of an hour: the far side flags an outage, then it heals."""

from simulations.scenarios.partition import split_off
from simulations.stage import Stage

NODES, MINUTES = 20, 20
SPLIT_MINUTES = 15.0


async def play(stage: Stage) -> None:
    """Let all nodes hear of each other first, so that they can tell who fell silent."""
    await stage.grow(providers=2)
    healed_at = stage.minutes - 1.5
    await stage.wait_until(max(1.0, healed_at - SPLIT_MINUTES))
    split_off(stage)
    await stage.wait_until(healed_at)
    stage.heal()
    await stage.play_out()
