"""All providers are gone for most of the time (12 of 15 minutes), then they are back."""

from simulations.stage import Stage

NODES, MINUTES = 20, 15
GONE_MINUTES = 12.0


async def play(stage: Stage) -> None:
    """Kill some of the providers and let the others leave; bring all back one after the other."""
    await stage.grow(providers=3)
    last_minute = stage.minutes - 1.5
    await stage.wait_until(max(1.0, last_minute - GONE_MINUTES))
    killed = stage.some(stage.providers, stage.rng.random())
    await stage.kill(killed)
    await stage.leave(stage.providers)
    await stage.wait_until(last_minute)
    for provider in stage.providers:
        await stage.start([provider])
        await stage.wait(stage.rng.uniform(0, 5))
    await stage.play_out()
