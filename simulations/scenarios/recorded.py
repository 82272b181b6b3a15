"""Providers tell recorded trades, with outliers and values that stand still."""

from decimal import Decimal

from meshnode.adapters.sources.spec import builtin_recording
from simulations.stage import Stage

NODES, MINUTES = 20, 4
OUTLIERS = tuple(map(Decimal, ("0.0001", "0.9", "1.5", "10000")))


async def play(stage: Stage) -> None:
    """One provider at a time tells nonsense once, or the same for a while."""
    await stage.grow(
        providers=3, update_every_s=stage.rng.choice((1.0, 5.0)), recording=builtin_recording()
    )
    while stage.elapsed_s < (stage.minutes - 0.5) * 60:
        provider = stage.rng.choice(stage.providers)
        if stage.rng.random() < 0.7:
            stage.outlier(provider, stage.rng.choice(OUTLIERS))
        else:
            stage.trouble_source(provider, frozen=True)
            await stage.wait(stage.rng.uniform(5, 40))
            stage.trouble_source(provider)
        await stage.wait(stage.rng.uniform(1, 15))
    await stage.play_out()
