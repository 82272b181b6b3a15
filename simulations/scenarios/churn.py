"""Nearly a third of the consumers go and come every minute, some with a farewell, most without."""

from simulations.stage import Stage

NODES, MINUTES = 20, 6
SHARE_PER_MINUTE = 0.3


async def play(stage: Stage) -> None:
    """One goes every few seconds and comes back a little later."""
    await stage.grow(providers=3)
    await stage.wait_until(1)
    pause_s = 60 / max(1.0, SHARE_PER_MINUTE * len(stage.consumers))
    while stage.elapsed_s < (stage.minutes - 1) * 60:
        (one,) = stage.rng.sample(stage.consumers, 1)
        if not one.is_running:
            await stage.start([one])
        elif stage.rng.random() < 0.3:
            await stage.leave([one])
        else:
            await stage.kill([one])
        await stage.wait(stage.rng.uniform(0.5, 1.5) * pause_s / 2)
    await stage.start(stage.nodes)
    await stage.play_out()
