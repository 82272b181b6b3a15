"""Nothing happens: nodes in eight regions of the world, three providers, an update each 5 s."""

from simulations.stage import Stage

NODES, MINUTES = 20, 5


async def play(stage: Stage) -> None:
    """Grow, and go on."""
    await stage.grow(providers=3)
    await stage.play_out()
