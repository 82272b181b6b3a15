"""One of three providers is killed, leaves, or is cut off by its source; it comes back later."""

from simulations.stage import Stage

NODES, MINUTES = 20, 8


async def play(stage: Stage) -> None:
    """Lose one, and after a while another, in different ways."""
    await stage.grow(providers=3)
    await stage.wait_until(1 + stage.rng.random())
    killed, left, dried = stage.rng.sample(stage.providers, 3)
    await stage.kill([killed])
    await stage.wait(stage.rng.uniform(20, 90))
    await stage.leave([left])
    await stage.wait(stage.rng.uniform(5, 40))
    stage.trouble_source(dried, down=True)
    await stage.wait(stage.rng.uniform(5, 60))
    await stage.start([killed, left])
    await stage.wait(30)
    stage.trouble_source(dried)
    await stage.play_out()
