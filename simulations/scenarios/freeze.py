"""Processes stand still for 5 to 120 s, providers and consumers, as by SIGSTOP."""

from simulations.stage import Stage

NODES, MINUTES = 20, 6
FROZEN_S = (5.0, 20.0, 90.0, 120.0)


async def play(stage: Stage) -> None:
    """Freeze a provider and a consumer, for a while of each length in some order."""
    await stage.grow(providers=3)
    await stage.wait_until(1)
    for frozen_s in stage.rng.sample(FROZEN_S, len(FROZEN_S)):
        if stage.elapsed_s + frozen_s > (stage.minutes - 0.5) * 60:
            continue
        frozen = [stage.rng.choice(stage.providers), stage.rng.choice(stage.consumers)]
        stage.freeze(frozen)
        await stage.wait(frozen_s)
        stage.thaw(frozen)
        await stage.wait(stage.rng.uniform(15, 30))
    await stage.play_out()
