"""The network splits in two, one side without a provider, and heals after minutes."""

from simulations.stage import Stage

NODES, MINUTES = 20, 10


async def play(stage: Stage) -> None:
    """Split, for longer than ten minutes where there is time for it, and heal."""
    await stage.grow(providers=2)
    await stage.wait_until(1)
    far = stage.some(stage.consumers, stage.rng.uniform(0.1, 0.6))
    near = [node for node in stage.nodes if node not in far]
    stage.split([near, far])
    await stage.wait_until(max(2.0, stage.minutes * stage.rng.uniform(0.5, 0.8)))
    stage.heal()
    await stage.play_out()
