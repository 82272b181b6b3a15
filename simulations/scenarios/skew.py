"""Wall clocks are off by half a second to five minutes, and jump."""

from simulations.stage import Stage

NODES, MINUTES = 20, 6
OFF_S = (-300.0, -5.0, -0.5, 0.5, 5.0, 300.0)


async def play(stage: Stage) -> None:
    """Set some clocks wrong from the beginning, and let others jump on the way."""
    await stage.grow(providers=4)
    await stage.wait_until(0.5)
    for node in stage.some(stage.nodes, 0.2):
        stage.set_clock(node, stage.rng.choice(OFF_S))
    while stage.elapsed_s < (stage.minutes - 2) * 60:
        await stage.wait(stage.rng.uniform(10, 40))
        node = stage.rng.choice(stage.nodes)
        stage.set_clock(node, stage.rng.choice((*OFF_S, 0.0)))
    for node in stage.nodes:
        if node.clock.step_ns:
            stage.set_clock(node, 0.0)
    await stage.play_out()
