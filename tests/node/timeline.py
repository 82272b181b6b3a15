"""`python -m tests.node.timeline`: a loss and a return, as four nodes of a simulated run see them.

Alice provides; bob and carol are connected to her, dave cannot reach her and hears her through
them.
"""

import trio
from trio.testing import MockClock

from meshnode.core.facts import Fact, OutageFact, ProviderFact
from simulations.world import open_world

NAMES = ("bob", "carol", "dave")
LOST_FOR_S = 40


async def tell() -> list[str]:
    """One line for each change, in seconds from the kill."""
    heard: list[tuple[float, str, Fact]] = []
    async with open_world() as world:
        bob = await world.start("bob")
        carol = await world.start("carol", connect=[bob])
        prices = {"BTC-USD": "7"}
        alice = await world.start("alice", role="provider", prices=prices, connect=[bob, carol])
        world.network.links.cut(alice.peer_id, world.node("dave").peer_id)
        await world.start("dave", connect=[carol])
        await trio.sleep(61)
        killed_at = trio.current_time()
        seen = {name: len(world.by_name[name].facts) for name in NAMES}

        def note(what: Fact | None, name: str) -> None:
            if isinstance(what, ProviderFact | OutageFact):
                heard.append((trio.current_time() - killed_at, name, what))

        async def follow(seconds: float) -> None:
            until = trio.current_time() + seconds
            while trio.current_time() < until:
                await trio.sleep(0.05)
                for name in NAMES:
                    facts = world.by_name[name].facts
                    for fact in facts[seen[name] :]:
                        note(fact, name)
                    seen[name] = len(facts)

        await world.kill(alice)
        await follow(LOST_FOR_S)
        await world.start("alice", role="provider", prices=prices, connect=[bob, carol])
        await follow(10)
    return [f"{at:6.2f} s  {name:6} {_words(fact)}" for at, name, fact in heard]


def _words(fact: Fact) -> str:
    fields = {
        name: round(value, 1) if isinstance(value, float) else value
        for name in fact.__slots__
        if (value := getattr(fact, name)) is not None and name not in ("provider_id", "since_ns")
    }
    details = ", ".join(f"{name} {value}" for name, value in fields.items())
    return f"{type(fact).__name__:18} {details}".rstrip()


if __name__ == "__main__":
    print("\n".join(trio.run(tell, clock=MockClock(autojump_threshold=0))))
