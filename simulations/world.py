"""A world of nodes in one process: the real `run_node` over a model of the network.

    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "100"})
        bob = await world.start("bob", connect=[alice])

Everything happens in trio's time, so under an autojump clock minutes pass in milliseconds.
"""

import hashlib
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio
from nacl.signing import SigningKey

from meshnode.adapters.storage.memory import MemoryStore
from meshnode.config import NodeConfig
from meshnode.core.facts import Fact
from meshnode.errors import SourceUnavailable
from meshnode.node import run_node
from meshnode.platform import Home, Platform
from meshnode.ports import Judge, Mesh, Observation, Observer, Source, Store, TaskStatus, WallClock
from protocols.ids import peer_id
from simulations.clock import VirtualClock
from simulations.model_mesh import ModelNetwork, open_model_mesh, open_network

F = TypeVar("F")


class SetPrices:
    """A source whose prices the scenario sets; it may be made to fail."""

    def __init__(self, prices: Mapping[str, str], clock: WallClock) -> None:
        self.name = "set"
        self._clock = clock
        self._sender, self._receiver = trio.open_memory_channel[Sequence[Observation] | None](1000)
        self.set(prices)

    def set(self, prices: Mapping[str, str]) -> None:
        """New prices, from now on."""
        now_ns = self._clock.now_ns()
        self._sender.send_nowait(
            [Observation(asset, Decimal(price), now_ns) for asset, price in prices.items()]
        )

    def fail(self) -> None:
        """Break: whoever reads gets SourceUnavailable, once."""
        self._sender.send_nowait(None)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sequence[Observation]]]:
        """See `Source.open`."""
        yield self._observations()

    async def _observations(self) -> AsyncIterator[Sequence[Observation]]:
        while (batch := await self._receiver.receive()) is not None:
            yield batch
        raise SourceUnavailable(f"{self.name}: told to fail")


@dataclass
class WorldNode:
    """A node of a world: what it is, what it keeps over a restart, and what it observed."""

    name: str
    config: NodeConfig
    seed: bytes
    store: MemoryStore
    source: SetPrices
    facts: list[Fact] = field(default_factory=list)
    clock: VirtualClock = field(default_factory=VirtualClock)
    mesh: Mesh | None = None
    stop: trio.Event = field(default_factory=trio.Event)
    ended: trio.Event = field(default_factory=trio.Event)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def peer_id(self) -> str:
        """The node's id."""
        return peer_id(bytes(SigningKey(self.seed).verify_key))

    @property
    def addr(self) -> str:
        """Where it is reached."""
        assert self.mesh is not None, f"{self.name} was never started"
        return self.mesh.addrs()[0]

    def observe(self, fact: Fact) -> None:
        """See `Observer.observe`."""
        self.facts.append(fact)

    def observed(self, kind: type[F]) -> list[F]:
        """The facts of one kind, in their order."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


class World:
    """Nodes by name, on one network."""

    def __init__(self, network: ModelNetwork, nursery: trio.Nursery) -> None:
        self.network = network
        self.clock = VirtualClock()
        self._nursery = nursery
        self.nodes: dict[str, WorldNode] = {}

    async def start(
        self,
        name: str,
        *,
        role: str = "consumer",
        prices: Mapping[str, str] | None = None,
        connect: Iterable[WorldNode] = (),
        allow: Iterable[str] = (),
    ) -> WorldNode:
        """Start a node, or start one again that was stopped or killed, with what it kept."""
        before = self.nodes.get(name)
        config = NodeConfig(
            role=role,  # type: ignore[arg-type]  # checked by the configuration itself
            sources=("set:",) if role == "provider" else (),
            connect=tuple(node.addr for node in connect),
            allow=tuple(allow),
            data_dir=Path("/nowhere"),
        )
        node = WorldNode(
            name,
            config,
            seed=hashlib.sha256(name.encode()).digest(),
            store=before.store if before else MemoryStore(),
            source=SetPrices(prices or {}, self.clock),
            facts=before.facts if before else [],
            clock=before.clock if before else VirtualClock(),
        )
        self.nodes[name] = node
        await self._nursery.start(self._run, node)
        return node

    async def stop(self, node: WorldNode) -> None:
        """Let a node leave in order."""
        node.stop.set()
        await node.ended.wait()

    async def kill(self, node: WorldNode) -> None:
        """End a node at once: it says nothing and writes nothing more."""
        node.scope.cancel()
        await node.ended.wait()

    async def _run(
        self, node: WorldNode, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        platform = Platform(
            wall_clock=node.clock,
            rng=random.Random(node.name),
            open_home=lambda _config: _home(node),
            open_store=lambda _config, _home, _observer: _store(node),
            open_mesh=partial(self._mesh, node),
            make_sources=lambda config: _sources(config, node),
        )
        with node.scope:
            await run_node(
                node.config,
                observer=node,
                stop=node.stop,
                platform=platform,
                task_status=task_status,
            )
        node.ended.set()

    @asynccontextmanager
    async def _mesh(
        self,
        node: WorldNode,
        _config: NodeConfig,
        *,
        key_seed: bytes,
        judge: Judge,
        observer: Observer,
    ) -> AsyncIterator[Mesh]:
        async with open_model_mesh(
            self.network, key_seed=key_seed, judge=judge, observer=observer
        ) as mesh:
            node.mesh = mesh
            yield mesh


@asynccontextmanager
async def open_world(*, delay_s: float = 0.01) -> AsyncIterator[World]:
    """A world without nodes; those that still run when it is left end with it."""
    async with open_network(delay_s=delay_s) as network, trio.open_nursery() as nursery:
        yield World(network, nursery)
        nursery.cancel_scope.cancel()


def _announce_nowhere(*, addrs: Sequence[str], started_ns: int) -> None:
    """No other program looks at a node of a world."""


@asynccontextmanager
async def _home(node: WorldNode) -> AsyncIterator[Home]:
    yield Home(node.seed, None, _announce_nowhere)


@asynccontextmanager
async def _store(node: WorldNode) -> AsyncIterator[Store]:
    yield node.store


def _sources(config: NodeConfig, node: WorldNode) -> Sequence[Source]:
    return [node.source] if config.sources else []
