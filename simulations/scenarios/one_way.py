"""Single links are cut, both ways or one way, while every node is still reached over others."""

from simulations.stage import Stage

NODES, MINUTES = 20, 6


async def play(stage: Stage) -> None:
    """Cut a few links at a time, for a while each."""
    await stage.grow(providers=2)
    await stage.wait_until(1)
    while stage.elapsed_s < (stage.minutes - 1) * 60:
        pairs = [stage.rng.sample(stage.nodes, 2) for _ in range(max(1, stage.size // 10))]
        for one, other in pairs:
            stage.cut(one, other, one_way=stage.rng.random() < 0.5)
        await stage.wait(stage.rng.uniform(5, 60))
        for one, other in pairs:
            stage.mend(one, other)
        await stage.wait(stage.rng.uniform(1, 20))
    await stage.play_out()
