"""The two stacks: real libp2p hosts, or the model of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import TypeAlias

from simulations.links import Links
from simulations.model_network import open_network
from simulations.world import Network

OpenNetwork: TypeAlias = Callable[[Links, int], AbstractAsyncContextManager[Network]]


@asynccontextmanager
async def _model(links: Links, seed: int) -> AsyncIterator[Network]:
    async with open_network(links=links, seed=seed) as network:
        yield network


def _load_libp2p() -> OpenNetwork:
    from simulations.libp2p_stack import open_libp2p_network

    @asynccontextmanager
    async def open_hosts(links: Links, _seed: int) -> AsyncIterator[Network]:
        async with open_libp2p_network(links) as network:
            yield network

    return open_hosts


# Loaded before a run and not within: what modules draw and keep as they are imported would come
# from its seed and its clock. And only where asked for: the library takes seconds.
STACKS: MappingProxyType[str, Callable[[], OpenNetwork]] = MappingProxyType(
    {"model": lambda: _model, "libp2p": _load_libp2p}
)
