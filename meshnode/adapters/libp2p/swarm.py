"""The host: one identity, one set of connections, built from the library's parts."""

from typing import Any

import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from meshnode.adapters.libp2p.guards import StreamCap, guarded
from meshnode.adapters.libp2p.settings import (
    CLOSE_CONNECTION_S,
    INBOUND_STREAMS_PER_PEER_MAX,
    MeshSettings,
    connection_config,
    retry_config,
)
from meshnode.ports import Observer


class _NoAutoConnector(AutoConnector):  # type: ignore[misc]  # the library is untyped to mypy
    """The library dials whom its address book holds, which peers fill with what they like."""

    async def run_background_task(self, nursery: trio.Nursery) -> None:
        """Start nothing."""

    async def maybe_connect(self) -> None:
        """Dial nobody."""


class MeshSwarm(Swarm):  # type: ignore[misc]  # the library is untyped to mypy
    """A swarm that dials only addresses it was given, and whose inbound slots come back."""

    def __init__(self, peer_id: Any, peerstore: Any, upgrader: Any, settings: MeshSettings) -> None:
        transports = [TCP()] if settings.transports is None else list(settings.transports)
        super().__init__(
            peer_id,
            peerstore,
            upgrader,
            transports=transports,
            retry_config=retry_config(),
            connection_config=connection_config(settings),
        )
        self.auto_connector = _NoAutoConnector(self)
        # Twice the connections: what is still shaking hands must not keep an honest peer out.
        self._inbound_limiter = trio.CapacityLimiter(2 * settings.peers_max)

    async def dial_peer(self, peer_id: Any) -> list[Any]:
        """The open connections to a peer.

        The library would dial the addresses that the peer, or others, told us of it; to dial is
        `dial_addr`'s, with an address that we chose.
        """
        connections = [conn for conn in self.get_connections(peer_id) if not conn.is_closed]
        if not connections:
            raise SwarmException(f"not connected to {peer_id}")
        return connections

    async def upgrade_inbound_raw_conn(self, raw_conn: Any, maddr: Any) -> Any:
        """Accept a connection, and return only by raising, when it has closed.

        The caller holds a slot until this raises; the library's returns, and the slot is held
        until the host closes: in the end it takes no more connections.
        """
        muxed_conn = await super().upgrade_inbound_raw_conn(raw_conn, maddr)
        await muxed_conn.event_closed.wait()
        raise SwarmException("the connection has closed")

    async def close_connection(self, conn: Any) -> None:
        """Say goodbye, and close the socket even where the peer does not read any more."""
        with trio.move_on_after(CLOSE_CONNECTION_S) as scope:
            await conn.close()
        if scope.cancelled_caught:
            await conn.muxed_conn.secured_conn.close()
            await conn._cleanup()  # closing was cut short, and is not begun twice

    async def close_connections(self, peer_id: Any = None) -> None:
        """Close all connections, or those to one peer, side by side."""
        async with trio.open_nursery() as nursery:
            for conn in self.get_connections(peer_id):
                nursery.start_soon(self.close_connection, conn)


def build_host(settings: MeshSettings, key_seed: bytes, observer: Observer) -> BasicHost:
    """A host that neither runs nor listens yet. Noise and Yamux only, nothing in plain text."""
    key_pair = create_new_key_pair(key_seed)
    noise = NoiseTransport(key_pair, noise_privkey=create_new_x25519_key_pair().private_key)
    peer_id = ID.from_pubkey(key_pair.public_key)
    peerstore = PeerStore()
    peerstore.add_key_pair(peer_id, key_pair)
    upgrader = TransportUpgrader({TProtocol(NOISE): noise}, {TProtocol(YAMUX): Yamux})
    swarm = MeshSwarm(peer_id, peerstore, upgrader, settings)
    host = BasicHost(
        swarm,
        announce_addrs=[Multiaddr(addr) for addr in settings.announce] or None,
        # Our address is what we listen on or were told to announce, not what peers claim to see.
        disable_identify_address_discovery=True,
    )
    # Around every inbound stream, from negotiation on: the library's own handlers raise as well.
    cap = StreamCap(INBOUND_STREAMS_PER_PEER_MAX)
    swarm.set_stream_handler(guarded(host._swarm_stream_handler, cap, observer))
    return host
