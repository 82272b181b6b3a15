"""A world of nodes in one process: the real `run_node` over a network of its own.

    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "100"})
        bob = await world.start("bob", connect=[alice])

Everything happens in trio's time, so under an autojump clock minutes pass in milliseconds.
"""

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Generic, Protocol, Self

import trio
from typing_extensions import TypeVar

from meshnode.config import NodeConfig
from meshnode.core.facts import Fact
from meshnode.core.verdicts import Accepted, Verdict
from meshnode.node import run_node
from meshnode.platform import Home, Platform
from meshnode.ports import Batch, Judge, Mesh, Observer, Store, TaskStatus
from protocols.envelope import Envelope
from protocols.ids import Topic
from protocols.messages import PresenceUpdate, Role
from simulations.clock import VirtualClock
from simulations.freezer import Freezer, running_node
from simulations.links import Links
from simulations.model_network import ModelNetwork, open_network
from simulations.opening import Opening
from simulations.stores import FaultyStore
from simulations.witness import Witness
from simulations.world_node import MakeSource, Part, WorldNode, key_seed


class Network(Protocol):
    """What nodes are connected by: one of the stacks."""

    @property
    def links(self) -> Links:
        """What lies between the nodes."""
        ...

    def watch_dials(self, tell: Callable[[str, str], None], /) -> None:
        """Have somebody told of every dial: by whom (a peer id), and the multiaddr."""
        ...

    def duplicates(self) -> int:
        """How many copies anybody got of what it had, whoever has ended since included."""
        ...

    def addr_of(self, node: str) -> str:
        """Where a node (by its peer id) listens, now or once it runs; without `/p2p`."""
        ...

    def open_mesh(
        self, config: NodeConfig, *, key_seed: bytes, judge: Judge, observer: Observer
    ) -> AbstractAsyncContextManager[Mesh]:
        """See `OpenMesh`."""
        ...

    def crash(self, node: str, /) -> None:
        """A node's process ends at once: its connections are reset."""
        ...

    def reset(self, one: str, other: str, /) -> None:
        """The connection between two nodes breaks, if there is one; both may dial again."""
        ...


N_co = TypeVar("N_co", bound=Network, default=ModelNetwork, covariant=True)


class World(Generic[N_co]):
    """Nodes by name, on one network; `seed` decides their keys and every chance of theirs."""

    def __init__(
        self,
        network: N_co,
        nursery: trio.Nursery,
        *,
        seed: int = 0,
    ) -> None:
        self.network = network
        network.watch_dials(self._dialled)
        self.clock = VirtualClock()
        self.by_name: dict[str, WorldNode] = {}
        self._by_id: dict[str, WorldNode] = {}
        self._running: tuple[WorldNode, ...] | None = ()  # None: some began or ended
        self._nursery = nursery
        self._seed = seed
        self._witnesses: tuple[Witness, ...] = ()
        self._accepting: tuple[Callable[[WorldNode, Envelope], None], ...] = ()
        self._hearing_consumers: tuple[Callable[[WorldNode, Envelope], None], ...] = ()
        self._observing: tuple[Callable[[WorldNode, Fact], None], ...] = ()
        self._committing: tuple[Callable[[WorldNode, Batch], None], ...] = ()
        self._freezer = Freezer()
        self._opening = Opening()

    def add_witnesses(self, witnesses: Sequence[Witness]) -> None:
        """Let others look on; before any node starts."""
        self._witnesses = tuple(witnesses)
        # Most of them do not listen to everything, of which there are millions.
        accepting = [one for one in witnesses if type(one).accepted is not Witness.accepted]
        self._accepting = tuple(one.accepted for one in accepting)
        self._hearing_consumers = tuple(one.accepted for one in accepting if one.hears_consumers)
        self._observing = tuple(
            one.observed for one in witnesses if type(one).observed is not Witness.observed
        )
        self._committing = tuple(
            one.committed for one in witnesses if type(one).committed is not Witness.committed
        )

    # --- nodes ------------------------------------------------------------------------------

    def node(self, name: str) -> WorldNode:
        """A node by its name, whether it was ever started or not."""
        if name not in self.by_name:
            node = WorldNode(name, key_seed(self._seed, name), "", _deaf, FaultyStore())
            node.place = self.network.addr_of(node.peer_id)
            node.observe = partial(self._observed, node)
            node.store = FaultyStore(partial(self._committed, node))
            self.by_name[name] = self._by_id[node.peer_id] = node
        return self.by_name[name]

    async def start(
        self,
        name: str,
        *,
        role: str = "consumer",
        prices: Mapping[str, str] | None = None,
        connect: Iterable[WorldNode] = (),
        allow: Iterable[str] = (),
        make_source: MakeSource | None = None,
    ) -> WorldNode:
        """Start a node, or start one again that was stopped or killed, with what it kept."""
        part = Part(role, prices or {}, tuple(n.addr for n in connect), tuple(allow), make_source)
        return await self.start_as(self.node(name), part)

    async def start_as(self, node: WorldNode, part: Part | None = None) -> WorldNode:
        """Start a node with a part of its own, or with the one that it had."""
        assert not node.is_running, f"{node.name} runs already"
        node.begin(part or node.part)
        await self._nursery.start(self._run, node)
        return node

    async def stop(self, node: WorldNode) -> None:
        """Let a node leave in order."""
        node.stop.set()
        await node.ended.wait()

    async def kill(self, node: WorldNode) -> None:
        """End a node at once: it says nothing and writes nothing more."""
        self.thaw(node)
        self.network.crash(node.peer_id)
        node.scope.cancel()
        await node.ended.wait()

    def freeze(self, node: WorldNode) -> None:
        """Let a node's process stand still; its connections stay, and nothing comes or goes."""
        self.network.links.freeze(node.peer_id)
        self._freezer.freeze(node.name)

    def thaw(self, node: WorldNode) -> None:
        """Let it go on; what it missed comes now."""
        self._freezer.thaw(node.name)
        self.network.links.thaw(node.peer_id)

    def thaw_all(self) -> None:
        """Let every node go on: nothing ends while it is frozen."""
        for node in self.by_name.values():
            self.thaw(node)

    async def settle(self) -> None:
        """Nothing to wait for: whoever was started is ready."""

    def source_changed(self, node: WorldNode) -> None:
        """Nothing to do: its source looks at `node.trouble` itself."""

    def simulated(self, what: str) -> Self:
        """Itself, whatever it is needed for."""
        del what
        return self

    @asynccontextmanager
    async def nodes(self, *names: str) -> AsyncIterator[tuple[WorldNode, ...]]:
        """Consumers by these names, each connected to those before it; they end with this."""
        started: list[WorldNode] = []
        async with AsyncExitStack() as stack:
            for name in names:
                started.append(await self.start(name, connect=started))
                stack.push_async_callback(self._kill_if_running, started[-1])
            yield tuple(started)

    def running(self) -> tuple[WorldNode, ...]:
        """The nodes that run now, in the order in which they were first named."""
        if self._running is None:
            self._running = tuple([node for node in self.by_name.values() if node.is_running])
        return self._running

    # --- their lives ------------------------------------------------------------------------

    async def _kill_if_running(self, node: WorldNode) -> None:
        if node.is_running:
            await self.kill(node)

    async def _run(
        self, node: WorldNode, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        running_node.set(node.name)
        platform = Platform(
            wall_clock=node.clock,
            rng=random.Random(f"{self._seed} {node.name} {node.starts}"),
            open_home=lambda _config: _home(node),
            open_store=lambda _config, _home, _observer: _store(node),
            open_mesh=partial(self._mesh, node),
            make_sources=lambda _config: tuple(node.sources()),
            open_envelope=self._opening,
        )
        try:
            with node.scope:
                async with trio.open_nursery() as nursery:
                    await nursery.start(
                        partial(
                            run_node,
                            node.part.config(),
                            observer=node,
                            stop=node.stop,
                            platform=platform,
                        )
                    )
                    node.started_at, node.ended_at = trio.current_time(), None
                    self._running = None
                    for witness in self._witnesses:
                        witness.started(node)
                    task_status.started()
        finally:
            node.started_at, node.ended_at = None, trio.current_time()
            self._running = None
            for witness in self._witnesses:
                witness.ended(node)
            node.ended.set()

    @asynccontextmanager
    async def _mesh(
        self,
        node: WorldNode,
        config: NodeConfig,
        *,
        key_seed: bytes,
        judge: Judge,
        observer: Observer,
    ) -> AsyncIterator[Mesh]:
        async with self.network.open_mesh(
            config, key_seed=key_seed, judge=self._watched(node, judge), observer=observer
        ) as mesh:
            node.mesh = mesh
            yield mesh

    # --- who looks on -----------------------------------------------------------------------

    def _watched(self, node: WorldNode, judge: Judge) -> Judge:
        tell, tell_of_consumers = self._accepting, self._hearing_consumers
        if not tell:
            return judge

        def judge_and_tell(topic: Topic, sender: bytes, data: bytes) -> Verdict:
            verdict = judge(topic, sender, data)
            if isinstance(verdict, Accepted):
                message = verdict.envelope.message
                if message.author != sender:
                    self._misattributed(node, verdict.envelope)
                payload = message.payload
                consumes = isinstance(payload, PresenceUpdate) and payload.role is Role.CONSUMER
                for accepted in tell_of_consumers if consumes else tell:
                    accepted(node, verdict.envelope)
            return verdict

        return judge_and_tell

    def _misattributed(self, node: WorldNode, envelope: Envelope) -> None:
        for witness in self._witnesses:
            witness.misattributed(node, envelope)

    def _observed(self, node: WorldNode, fact: Fact) -> None:
        node.remember(fact)
        for observed in self._observing:
            observed(node, fact)

    def _dialled(self, peer_id: str, addr: str) -> None:
        node = self._by_id.get(peer_id)
        if node is None:
            return  # an attacker may dial whom it likes
        for witness in self._witnesses:
            witness.dialled(node, addr)

    def _committed(self, node: WorldNode, batch: Batch) -> None:
        for committed in self._committing:
            committed(node, batch)


@asynccontextmanager
async def open_world(
    *, delay_s: float = 0.01, links: Links | None = None, seed: int = 0
) -> AsyncIterator[World]:
    """A world on the model stack, without nodes; those that still run when it is left end.

    Without `links`, all are alike and take `delay_s`.
    """
    async with (
        open_network(delay_s=delay_s, links=links, seed=seed) as network,
        trio.open_nursery() as nursery,
    ):
        world = World(network, nursery, seed=seed)
        try:
            yield world
        finally:
            world.thaw_all()
            nursery.cancel_scope.cancel()


def _deaf(_fact: Fact) -> None:
    """Replaced as soon as the node belongs to its world."""


def _announce_nowhere(*, addrs: Sequence[str], started_ns: int) -> None:
    """No other program looks at a node of a world."""


@asynccontextmanager
async def _home(node: WorldNode) -> AsyncIterator[Home]:
    yield Home(node.seed, None, _announce_nowhere)


@asynccontextmanager
async def _store(node: WorldNode) -> AsyncIterator[Store]:
    yield node.store
