"""The network splits into two halves, each with providers of its own, and heals."""

from simulations.stage import Stage

NODES, MINUTES = 20, 8


async def play(stage: Stage) -> None:
    """Both halves have all the company and prices they want, so that nothing urges them to meet."""
    # Prices that are said again only after a minute have to be asked for once the halves have met.
    await stage.grow(providers=4, update_every_s=stage.rng.choice((5.0, 55.0)))
    await stage.wait_until(1)
    one, other = stage.providers[:2], stage.providers[2:]
    for node in stage.consumers:
        stage.rng.choice((one, other)).append(node)
    stage.split([one, other])
    await stage.wait_until(max(2.0, stage.minutes * stage.rng.uniform(0.5, 0.8)))
    stage.heal()
    await stage.play_out()
