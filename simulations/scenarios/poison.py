"""Mallory names addresses where nobody should knock, to nodes that look for company."""

from simulations.adversary import open_adversary
from simulations.stage import Stage

NODES, MINUTES = 20, 3


async def play(stage: Stage) -> None:
    """Many are reached through her alone, others lose whom they had; all the while she speaks."""
    await stage.grow()
    victims = stage.some(stage.nodes, stage.rng.uniform(0.3, 1))
    pause_s = stage.rng.uniform(0.5, 4)
    async with open_adversary(stage, victims) as mallory:
        newcomers = 0
        while stage.elapsed_s < (stage.minutes - 1) * 60:
            for _ in range(stage.rng.randint(1, 3)):
                await mallory.poison()
            if stage.elapsed_s > 40 * (newcomers + 1):
                newcomers += 1
                known = stage.rng.choice(stage.nodes[3:])
                await stage.add(f"late{newcomers}", [mallory, known])
                killed = stage.some(stage.nodes, 0.2)
                await stage.kill(killed)
                await stage.wait(stage.rng.uniform(1, 10))
                await stage.start(killed)
            await stage.wait(pause_s)
    await stage.play_out()
