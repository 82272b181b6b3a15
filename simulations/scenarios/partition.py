"""The network splits, one side without a provider, often one node alone, for some minutes."""

from simulations.stage import Stage

NODES, MINUTES = 20, 10


async def play(stage: Stage) -> None:
    """Split for the better part of the time, and heal."""
    await stage.grow(providers=2)
    await stage.wait_until(1)
    split_off(stage)
    await stage.wait_until(max(2.0, stage.minutes * stage.rng.uniform(0.5, 0.8)))
    stage.heal()
    await stage.play_out()


def split_off(stage: Stage) -> None:
    """A part of the consumers, and of those sometimes one from all others."""
    far = stage.some(stage.consumers, stage.rng.uniform(0.1, 0.6))
    near = [node for node in stage.nodes if node not in far]
    alone = [far.pop()] if len(far) > 2 and stage.rng.random() < 0.7 else []
    stage.split([side for side in (near, far, alone) if side])
