"""Nodes leave in order while prices pour in, and come back: everybody knows at once."""

from simulations.stage import Stage

NODES, MINUTES = 20, 5
UPDATE_EVERY_S = 0.5


async def play(stage: Stage) -> None:
    """One provider and some consumers at a time; the provider stays away for a while."""
    await stage.grow(providers=4, update_every_s=UPDATE_EVERY_S)
    await stage.wait_until(1)
    while stage.elapsed_s < (stage.minutes - 1) * 60:
        leaving = [stage.rng.choice(stage.providers), *stage.some(stage.consumers, 0.1)]
        await stage.leave(leaving)
        await stage.wait(stage.rng.choice((0.5, 5.0, 30.0, 60.0)))
        await stage.start(leaving)
        await stage.wait(stage.rng.uniform(10, 40))
    await stage.play_out()
