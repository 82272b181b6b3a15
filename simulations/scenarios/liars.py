"""A minority of providers lie, and mallory forges, alters, replays and pretends."""

from decimal import Decimal

from simulations.adversary import open_adversary
from simulations.stage import Stage

NODES, MINUTES = 20, 5


async def play(stage: Stage) -> None:
    """Honest providers, one that lies tenfold, one that drifts, and an attacker among the peers.

    Some nodes, and some that come later, have the providers as their allowlist: nothing else keeps
    out the prices that mallory says in her own name.
    """
    wary = stage.rng.sample(range(stage.size), stage.size // 3)
    await stage.grow(providers=5, wary=wary)
    trusted = [node.peer_id for node in stage.providers]
    tenfold, drifting = stage.rng.sample(stage.providers, 2)
    stage.lie(tenfold, Decimal(10))
    victims = stage.some(stage.nodes, 0.5)
    async with open_adversary(stage, victims) as mallory:
        drift = Decimal(1)
        newcomers = 0
        while stage.elapsed_s < (stage.minutes - 0.5) * 60:
            drift *= Decimal("1.01")
            stage.lie(drifting, drift)
            for _ in range(stage.rng.randint(1, 5)):
                await mallory.attack()
            for _ in range(stage.rng.randint(0, 2)):
                await mallory.attack_openly()
            if stage.elapsed_s > 90 * (newcomers + 1):
                # Who has heard nothing yet, or has just come back, is the easiest to deceive.
                newcomers += 1
                honest = stage.rng.choice(stage.consumers)
                await stage.kill([honest])
                await stage.start([honest])
                allow = trusted if newcomers % 2 == 0 else ()
                await stage.add(f"late{newcomers}", [mallory, honest], allow=allow)
                for _ in range(10):
                    await mallory.attack()
                    await mallory.attack_openly()
                    await stage.wait(0.3)
            await stage.wait(stage.rng.uniform(1, 5))
    await stage.play_out()
