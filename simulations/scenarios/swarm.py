"""Faults of every kind at random rates: the scenario that finds what nobody thought of."""

from collections.abc import Awaitable, Callable

from simulations.adversary import open_adversary
from simulations.stage import Stage

NODES, MINUTES = 20, 8


async def play(stage: Stage) -> None:
    """Draw which faults this seed has and how often; then one after the other."""
    await stage.grow(providers=stage.rng.randint(1, 4), over_s=stage.rng.uniform(1, 20))
    await stage.wait_until(0.5)
    kinds = stage.rng.sample(FAULTS, stage.rng.randint(1, len(FAULTS)))
    pause_s = stage.rng.uniform(3, 30)
    async with open_adversary(stage, stage.some(stage.nodes, 0.3)) as mallory:
        while stage.elapsed_s < (stage.minutes - 1) * 60:
            await stage.rng.choice(kinds)(stage)
            chance = stage.rng.random()
            if chance < 0.3:
                await mallory.attack()
            elif chance < 0.6:
                await mallory.poison()
            await stage.wait(stage.rng.expovariate(1 / pause_s))
    await stage.start(stage.nodes)
    await stage.play_out()


async def kill(stage: Stage) -> None:
    """Some die."""
    await stage.kill(stage.some(stage.nodes, stage.rng.uniform(0.02, 0.2)))


async def start(stage: Stage) -> None:
    """Whoever is down starts."""
    await stage.start(stage.some([n for n in stage.nodes if not n.is_running], 0.7))


async def leave(stage: Stage) -> None:
    """One leaves in order."""
    await stage.leave(stage.some(stage.world.running()[1:], 0.05))


async def freeze(stage: Stage) -> None:
    """One or two stand still for a while."""
    frozen = stage.some(stage.world.running(), 0.05)
    stage.freeze(frozen)
    await stage.wait(stage.rng.uniform(1, 100))
    stage.thaw(frozen)


async def cut(stage: Stage) -> None:
    """A link is cut for a while."""
    one, other = stage.rng.sample(stage.nodes, 2)
    stage.cut(one, other, one_way=stage.rng.random() < 0.5)
    await stage.wait(stage.rng.uniform(1, 60))
    stage.mend(one, other)


async def split(stage: Stage) -> None:
    """The network splits for a while."""
    far = stage.some(stage.nodes, stage.rng.uniform(0.1, 0.5))
    stage.split([[node for node in stage.nodes if node not in far], far])
    await stage.wait(stage.rng.uniform(1, 120))
    stage.heal()


async def clock(stage: Stage) -> None:
    """A clock jumps, and is set right later."""
    node = stage.rng.choice(stage.nodes)
    stage.set_clock(node, stage.rng.uniform(-400, 400))
    await stage.wait(stage.rng.uniform(1, 60))
    stage.set_clock(node, 0.0)


async def disk(stage: Stage) -> None:
    """A disk fails, and works again, perhaps empty."""
    running = stage.world.running()
    if not running:
        return
    node = stage.rng.choice(running)
    stage.break_disk(node, stage.rng.choice(("full", "gone", "slow")))
    await stage.wait(stage.rng.uniform(1, 30))
    stage.mend_disk(node, empty=stage.rng.random() < 0.3)


async def source(stage: Stage) -> None:
    """An upstream fails or freezes, and is well again."""
    node = stage.rng.choice(stage.providers)
    stage.trouble_source(node, down=stage.rng.random() < 0.5, frozen=True)
    await stage.wait(stage.rng.uniform(1, 60))
    stage.trouble_source(node)


FAULTS: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    kill,
    start,
    leave,
    freeze,
    cut,
    split,
    clock,
    disk,
    source,
)
