"""The worlds in which every implementation of the ports Mesh, Gossip and Stream is tried."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Protocol, TypeAlias

import trio

from meshnode.core.verdicts import Accepted, Verdict
from meshnode.ports import Judge, Mesh, Stream
from protocols.envelope import Envelope
from protocols.ids import Topic
from protocols.messages import Message, Reserved
from simulations.model_mesh import open_model_mesh
from simulations.model_network import ModelNetwork, open_network
from tests.adapters.libp2p.world import Facts, LibP2PWorld, seed_of

ECHO = "/test/echo/1.0.0"
DEADLINE_S = 8.0


class World(Protocol):
    """Nodes that can reach each other. A name stands for a key: the same one, the same id."""

    def node(self, name: str, judge: Judge = ...) -> AbstractAsyncContextManager[Mesh]: ...


def accept(topic: Topic, key: bytes, data: bytes) -> Verdict:
    message = Message("test", key, 1, 1, 0, Reserved(31, ()))
    return Accepted(Envelope(data, b"", b"", message))


OpenWorld: TypeAlias = Callable[[], AbstractAsyncContextManager[World]]


@asynccontextmanager
async def libp2p() -> AsyncIterator[World]:
    yield LibP2PWorld()


class ModelWorld:
    """Nodes of the simulations' network, in real time here."""

    def __init__(self, network: ModelNetwork) -> None:
        self._network = network

    @asynccontextmanager
    async def node(self, name: str, judge: Judge = accept) -> AsyncIterator[Mesh]:
        async with open_model_mesh(
            self._network, key_seed=seed_of(name), judge=judge, observer=Facts()
        ) as mesh:
            await mesh.listen()
            yield mesh


@asynccontextmanager
async def model() -> AsyncIterator[World]:
    async with open_network(delay_s=0.002) as network:
        yield ModelWorld(network)


def unless(word: bytes, verdict: Verdict) -> Judge:
    def judge(topic: Topic, key: bytes, data: bytes) -> Verdict:
        return verdict if data.startswith(word) else accept(topic, key, data)

    return judge


async def heard(mesh: Mesh) -> bytes:
    with trio.fail_after(DEADLINE_S):
        return (await mesh.gossip.receive()).envelope.raw


async def echo(stream: Stream) -> None:
    while data := await stream.read(1000):
        await stream.write(data)


async def read_all(stream: Stream) -> bytes:
    received = b""
    with trio.fail_after(DEADLINE_S):
        while data := await stream.read(1000):
            received += data
    return received


async def connected(stack: AsyncExitStack, world: World, *names: str) -> list[Mesh]:
    """Nodes in a line, each connected to the next."""
    meshes = [await stack.enter_async_context(world.node(name, accept)) for name in names]
    for left, right in pairwise(meshes):
        assert await left.connect(right.addrs()[0]) == right.peer_id
    return meshes
