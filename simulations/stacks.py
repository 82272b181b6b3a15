"""The two stacks: real libp2p hosts, or the model of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import TypeAlias

from simulations.links import Links
from simulations.model_mesh import open_network
from simulations.world import Network

OpenNetwork: TypeAlias = Callable[[Links, int], AbstractAsyncContextManager[Network]]


@asynccontextmanager
async def _model(links: Links, seed: int) -> AsyncIterator[Network]:
    async with open_network(links=links, seed=seed) as network:
        yield network


@asynccontextmanager
async def _libp2p(links: Links, _seed: int) -> AsyncIterator[Network]:
    from simulations.libp2p_stack import open_libp2p_network

    async with open_libp2p_network(links) as network:
        yield network


STACKS: MappingProxyType[str, OpenNetwork] = MappingProxyType({"model": _model, "libp2p": _libp2p})
