"""Nodes are killed or stopped and start again with their disk, some within two seconds."""

from simulations.stage import Stage

NODES, MINUTES = 20, 6


async def play(stage: Stage) -> None:
    """Restart providers and consumers again and again; a provider last so that its epoch counts."""
    await stage.grow(providers=3)
    await stage.wait_until(1)
    while stage.elapsed_s < (stage.minutes - 1) * 60:
        down = stage.some(stage.nodes, stage.rng.uniform(0.05, 0.2))
        await (stage.kill if stage.rng.random() < 0.7 else stage.leave)(down)
        await stage.wait(stage.rng.choice((0.1, 1.9, 10.0, 40.0)))
        await stage.start(down)
        await stage.wait(stage.rng.uniform(5, 20))
    await stage.play_out()
