"""New providers and consumers join a mesh that runs, each knowing one address."""

from simulations.stage import Stage

NODES, MINUTES = 20, 5


async def play(stage: Stage) -> None:
    """One every few seconds, until there are half as many again."""
    # Newcomers find prices that are said again only after a minute, if they ask for them.
    every_s = stage.rng.choice((5.0, 55.0))
    await stage.grow(providers=2, update_every_s=every_s)
    await stage.wait_until(0.75)
    for number in range(max(2, stage.size // 2)):
        if stage.elapsed_s > (stage.minutes - 0.5) * 60:
            break
        role = "provider" if stage.rng.random() < 0.4 else "consumer"
        contact = stage.rng.choice(stage.world.running())
        await stage.add(f"new{number}", [contact], role=role, update_every_s=every_s)
        await stage.wait(stage.rng.uniform(2, 20))
    await stage.play_out()
