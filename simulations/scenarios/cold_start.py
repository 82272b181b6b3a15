"""Every node starts at once, knowing a few others that are not there yet either."""

from simulations.stage import Stage

NODES, MINUTES = 20, 2


async def play(stage: Stage) -> None:
    """Grow within two seconds, and go on."""
    await stage.grow(providers=stage.rng.randint(1, 3), over_s=2.0)
    await stage.play_out()
