"""Worlds on trial: checkers that look on, and checkers that only hear what a test tells them."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import trio
from nacl.signing import SigningKey

from meshnode.core.facts import Fact, ProviderDiscovered
from protocols.envelope import Envelope, seal
from protocols.messages import Message, Presence, PresenceUpdate, PriceUpdate, Role
from simulations.checkers.beliefs import Beliefs
from simulations.checkers.court import Checker, Court
from simulations.checkers.jury import Jury
from simulations.checkers.reach import Reach
from simulations.clock import START_NS
from simulations.faults import Faults
from simulations.links import Links
from simulations.stage import Stage
from simulations.world import World, open_world
from simulations.world_node import WorldNode
from tests.cast import quote

NS_PER_S = 10**9


@asynccontextmanager
async def on_trial(links: Links | None = None) -> AsyncIterator[tuple[World, Jury]]:
    async with open_world(links=links) as world, trio.open_nursery() as nursery:
        jury = Jury(world, Faults())
        world.add_witnesses(jury.witnesses())
        nursery.start_soon(jury.watch)
        yield world, jury
        nursery.cancel_scope.cancel()


def saw(jury: Jury) -> list[str]:
    return [violation.saw for violation in jury.court.violations]


def said_by(node: WorldNode, seq: int, *, age_s: int = 0, price: str = "100") -> Envelope:
    """A price update of a node's, as its key signs it."""
    now_ns = START_NS + round(trio.current_time() * NS_PER_S)
    issued_ns = now_ns - age_s * NS_PER_S
    payload = PriceUpdate((quote(price=price),))
    message = Message("main", node.key, START_NS // NS_PER_S, seq, issued_ns, payload)
    return seal(message, SigningKey(node.seed))


def presence_by(node: WorldNode, state: Presence, *, later_life: bool = False) -> Envelope:
    """A provider's word that it is there, or leaves, as its key signs it."""
    now_ns = START_NS + round(trio.current_time() * NS_PER_S)
    payload = PresenceUpdate(Role.PROVIDER, state, 5_000, 60_000, (), "test", 1)
    epoch = START_NS // NS_PER_S + later_life
    return seal(Message("main", node.key, epoch, 1, now_ns, payload), SigningKey(node.seed))


def hear(jury: Jury, node: WorldNode, envelope: Envelope) -> None:
    for witness in jury.witnesses():
        witness.accepted(node, envelope)


C = TypeVar("C", bound=Checker)


class Trial(Generic[C]):
    """One checker of a world that it does not hear: it is told what nodes are to have said."""

    def __init__(self, world: World, make: Callable[..., C], *, knows_beliefs: bool) -> None:
        self.world = world
        self.court = Court()
        faults = Faults()
        self.stage = Stage(world, faults, random.Random(0), size=0, minutes=60)
        self.reach = Reach(world, faults)
        self.beliefs = Beliefs()
        accounts = (self.reach, self.beliefs) if knows_beliefs else (self.reach,)
        self.checker = make(world, faults, self.court, *accounts)

    def tell(self, node: WorldNode, *facts: Fact) -> None:
        """A node is to have made these known."""
        for fact in facts:
            self.beliefs.observed(node, fact)
            self.checker.observed(node, fact)

    def knows(self, provider: WorldNode, *nodes: WorldNode) -> None:
        """These are to have discovered a provider."""
        for node in nodes:
            self.tell(node, ProviderDiscovered(provider.peer_id))

    async def wait(self, seconds: int) -> None:
        """Let time pass, and the checker see it."""
        for _ in range(seconds):
            await trio.sleep(1)
            self.reach.tick()
            self.checker.tick()

    @property
    def saw(self) -> list[str]:
        """What it found, in its order."""
        return [violation.saw for violation in self.court.violations]


@asynccontextmanager
async def open_trial(
    make: Callable[..., C], *names: str, knows_beliefs: bool = True
) -> AsyncIterator[tuple[Trial[C], tuple[WorldNode, ...]]]:
    """A trial in a world of nodes; the first of them provides, the others know it."""
    async with open_world() as world:
        trial = Trial(world, make, knows_beliefs=knows_beliefs)
        nodes: list[WorldNode] = []
        for name in names:
            role = "consumer" if nodes else "provider"
            prices = {} if nodes else {"BTC-USD": "7"}
            node = await world.start(name, role=role, prices=prices, connect=nodes[:3])
            trial.stage.nodes.append(node)
            nodes.append(node)
        trial.knows(nodes[0], *nodes[1:])
        yield trial, tuple(nodes)
