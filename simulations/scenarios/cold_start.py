"""Every node starts at once, knowing a few others that are not there yet either."""

from simulations.stage import Stage

NODES, MINUTES = 20, 2


async def play(stage: Stage) -> None:
    """Grow within two seconds, and go on."""
    providers = stage.rng.randint(1, 3)
    # Prices that are said again only after a minute have to be asked for.
    every_s = stage.rng.choice((5.0, 55.0))
    await stage.grow(providers=providers, over_s=2.0, update_every_s=every_s)
    await stage.play_out()
