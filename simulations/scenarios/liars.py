"""A minority of providers lie, and mallory forges, alters, replays and pretends."""

from decimal import Decimal

from simulations.adversary import open_adversary
from simulations.stage import Stage

NODES, MINUTES = 20, 5


async def play(stage: Stage) -> None:
    """Honest providers, one that lies tenfold, one that drifts, and an attacker among the peers."""
    await stage.grow(providers=5)
    tenfold, drifting = stage.rng.sample(stage.providers, 2)
    stage.lie(tenfold, Decimal(10))
    victims = stage.some(stage.nodes, 0.5)
    async with open_adversary(stage, victims) as mallory:
        drift = Decimal(1)
        while stage.elapsed_s < (stage.minutes - 0.5) * 60:
            drift *= Decimal("1.01")
            stage.lie(drifting, drift)
            for _ in range(stage.rng.randint(1, 5)):
                await mallory.attack()
            await stage.wait(stage.rng.uniform(1, 5))
    await stage.play_out()
