"""Disks are full, gone or slow for a while, and work again, some of them as new files."""

from simulations.stage import Stage

NODES, MINUTES = 20, 5


async def play(stage: Stage) -> None:
    """A third of the disks at a time, those of providers too."""
    await stage.grow(providers=3)
    while stage.elapsed_s < (stage.minutes - 1) * 60:
        broken = stage.some(stage.nodes, 0.3)
        for node in broken:
            stage.break_disk(node, stage.rng.choice(("full", "gone", "slow")))
        await stage.wait(stage.rng.uniform(5, 60))
        for node in broken:
            stage.mend_disk(node, empty=stage.rng.random() < 0.3)
        await stage.wait(stage.rng.uniform(1, 20))
    await stage.play_out()
