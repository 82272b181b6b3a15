"""The product's own mesh on py-libp2p hosts, whose connections lead through memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache

import trio
from nacl.signing import SigningKey

from meshnode.adapters.libp2p.host import open_mesh
from meshnode.adapters.libp2p.settings import MeshSettings
from meshnode.adapters.libp2p.signature import is_signed
from meshnode.config import NodeConfig
from meshnode.ports import Gossip, Judge, Mesh, Observer
from protocols.ids import peer_id
from simulations.links import Links
from simulations.memory_transport import MemoryNetwork
from simulations.timeline import Timeline

REMEMBERED_MAX = 4_096  # signatures; a message has passed all nodes within seconds


@asynccontextmanager
async def open_libp2p_network(links: Links) -> AsyncIterator["Libp2pNetwork"]:
    """A network for nodes to join; what is under way in it ends with it."""
    timeline = Timeline()
    async with trio.open_nursery() as nursery:
        await nursery.start(timeline.run)
        yield Libp2pNetwork(links, timeline)
        nursery.cancel_scope.cancel()


class Libp2pNetwork:
    """Real hosts that reach each other over `links`, each at an address of its own."""

    def __init__(self, links: Links, timeline: Timeline) -> None:
        self.links = links
        # Whether a signature fits is a fact about bytes, which nodes need not each find out anew.
        self._is_signed = lru_cache(REMEMBERED_MAX)(is_signed)
        self._memory = MemoryNetwork(links, timeline)
        self._gossips: dict[str, Gossip] = {}  # by peer id, of those that run
        self._duplicates_of_ended = 0

    def duplicates(self) -> int:
        """See `Network.duplicates`."""
        running = sum(gossip.statistics().duplicates for gossip in self._gossips.values())
        return self._duplicates_of_ended + running

    def watch_dials(self, tell: Callable[[str, str], None]) -> None:
        """See `Network.watch_dials`."""
        self._memory.dialled = tell

    def addr_of(self, node: str) -> str:
        """Where a node (by its peer id) listens, now or once it runs; without `/p2p`."""
        return self._memory.addr_of(node)

    @asynccontextmanager
    async def open_mesh(
        self, config: NodeConfig, *, key_seed: bytes, judge: Judge, observer: Observer
    ) -> AsyncIterator[Mesh]:
        """See `OpenMesh`; it listens on the node's address here, whatever is configured."""
        node = peer_id(bytes(SigningKey(key_seed).verify_key))
        transport = self._memory.transport(node)
        settings = MeshSettings(
            network=config.network,
            listen=(self._memory.addr_of(node),),
            announce=config.announce,
            peers_max=config.peers_max,
            transports=(transport,),
            first_seqno=_now_ns,
            is_signed=self._is_signed,
        )
        try:
            async with open_mesh(
                settings, key_seed=key_seed, judge=judge, observer=observer
            ) as mesh:
                self._gossips[node] = mesh.gossip
                yield mesh
        finally:
            transport.die()
            if (gossip := self._gossips.pop(node, None)) is not None:  # else it never ran
                self._duplicates_of_ended += gossip.statistics().duplicates

    def crash(self, node: str) -> None:
        """Reset a node's connections at once, and refuse it any more, until it is opened anew."""
        self._memory.crash(node)

    def reset(self, one: str, other: str) -> None:
        """The connections between two nodes break, as a router that forgot them breaks them."""
        self._memory.reset(one, other)


def _now_ns() -> int:
    """Grows over restarts, as the wall clock does."""
    return round(trio.current_time() * 10**9)
