"""The host: one identity, one set of connections, built from the library's parts."""

import logging
from collections import Counter
from typing import Any

import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.protocol_muxer.multiselect import DEFAULT_NEGOTIATE_TIMEOUT
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.transport.exceptions import SecurityUpgradeFailure
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from meshnode.adapters.libp2p.conduct import Conduct
from meshnode.adapters.libp2p.frame_guard import GuardedConnection
from meshnode.adapters.libp2p.guards import StreamCap, guarded
from meshnode.adapters.libp2p.half_open import HalfOpen, HandshakeBytes
from meshnode.adapters.libp2p.identify import MeshHost
from meshnode.adapters.libp2p.listener import MeshTCP
from meshnode.adapters.libp2p.negotiation import bound_selector
from meshnode.adapters.libp2p.noise_io import NoiseTransport
from meshnode.adapters.libp2p.settings import (
    CLOSE_CONNECTION_S,
    CONNECTIONS_PER_PEER_MAX,
    HANDSHAKE_TIMEOUT_S,
    INBOUND_STREAMS_PER_PEER_MAX,
    UNPROVEN_GRACE_S,
    MeshSettings,
    connection_config,
    retry_config,
)
from meshnode.adapters.libp2p.yamux_io import Yamux, YamuxMultistream
from meshnode.ports import Observer

STREAM_EVENTS = frozenset({"opened_stream", "closed_stream"})  # nobody here follows them

logger = logging.getLogger("libp2p.swarm")


class _NoAutoConnector(AutoConnector):  # type: ignore[misc]  # the library is untyped to mypy
    """The library dials whom its address book holds, which peers fill with what they like."""

    async def run_background_task(self, nursery: trio.Nursery) -> None:
        """Start nothing."""

    async def maybe_connect(self) -> None:
        """Dial nobody."""


class MeshUpgrader(TransportUpgrader):  # type: ignore[misc]  # untyped to mypy
    """Handshakes within bounds, and a muxer that sees only frames that were judged."""

    def __init__(self, security: Any, muxers: Any, conduct: Conduct) -> None:
        super().__init__(security, muxers)
        self.muxer_multistream = YamuxMultistream(muxers, DEFAULT_NEGOTIATE_TIMEOUT)
        bound_selector(self.security_multistream._selector)
        bound_selector(self.muxer_multistream._selector)
        self._conduct = conduct

    async def upgrade_security(
        self,
        raw_conn: Any,
        is_initiator: bool,  # noqa: FBT001 - the library's signature
        peer_id: Any = None,
    ) -> Any:
        """Encrypt, and learn who it is; who is kept out learns so here."""
        if is_initiator:
            raw_conn.stream = HandshakeBytes(raw_conn.stream)
        secured = await super().upgrade_security(raw_conn, is_initiator, peer_id)
        secured.raw_conn = raw_conn
        peer = secured.get_remote_peer()
        if self._conduct.kept_out_s(peer):
            self._conduct.refused["banned"] += 1
            await secured.close()
            raise SecurityUpgradeFailure(f"{peer} is kept out for a while")
        return secured

    async def upgrade_connection(self, conn: Any, peer_id: Any) -> Any:
        """Agree on Yamux; its frames are judged from the first on."""
        muxed = await super().upgrade_connection(conn, peer_id)
        conn.raw_conn.stream = conn.raw_conn.stream.wire  # what follows is no handshake
        muxed.secured_conn = GuardedConnection(conn, muxed, self._conduct)
        return muxed


class MeshSwarm(Swarm):  # type: ignore[misc]  # the library is untyped to mypy
    """A swarm that dials only addresses it was given, and has a place for whoever is useful."""

    def __init__(
        self, peer_id: Any, peerstore: Any, upgrader: Any, settings: MeshSettings, conduct: Conduct
    ) -> None:
        transports = [MeshTCP(conduct.refused)]
        if settings.transports is not None:
            transports = list(settings.transports)
        super().__init__(
            peer_id,
            peerstore,
            upgrader,
            transports=transports,
            retry_config=retry_config(),
            connection_config=connection_config(settings),
        )
        self.auto_connector = _NoAutoConnector(self)
        self.half_open = HalfOpen(HANDSHAKE_TIMEOUT_S)
        self._peers_max = settings.peers_max
        self._conduct = conduct
        self._joining: Counter[Any] = Counter()  # let in, and not in the table yet
        self.displaced: set[str] = set()  # whose connections end because others need their places
        self._inbound: dict[Any, float] = {}  # when each was accepted; the oldest first

    async def dial_peer(self, peer_id: Any) -> list[Any]:
        """The open connections to a peer.

        The library would dial the addresses that the peer, or others, told us of it; to dial is
        `dial_addr`'s, with an address that we chose.
        """
        connections = [conn for conn in self.get_connections(peer_id) if not conn.is_closed]
        if not connections:
            raise SwarmException(f"not connected to {peer_id}")
        return connections

    # --- inbound ----------------------------------------------------------------------------

    async def _handle_inbound_connection(self, read_write_closer: Any, maddr: Any) -> None:
        """Shake hands in a place for half-open connections, then hold a peer's place.

        In the library a place is held until the host closes: in the end it takes no more. Who is
        connected is known by its muxer having closed, and nothing is left of it then.
        """
        del maddr
        address = read_write_closer.get_remote_address()
        conn = None
        try:
            raw_conn = RawConnection(read_write_closer, initiator=False)
            raw_conn.stream = HandshakeBytes(raw_conn.stream)
            with self.half_open.place(address[0] if address else "", raw_conn.stream):
                conn = await self._let_in(raw_conn)
            if conn is not None:
                await self._hold(conn)
        except Exception:  # noqa: BLE001 - the edge: what a stranger's bytes can raise, nobody lists
            self._conduct.refused["handshake"] += 1
        finally:
            with trio.CancelScope(shield=True):
                await read_write_closer.close()

    async def _let_in(self, raw_conn: Any) -> Any:
        secured = await self.upgrader.upgrade_security(raw_conn, is_initiator=False)
        peer = secured.get_remote_peer()
        if not self._has_room(peer):
            self._conduct.refused["connections"] += 1
            raise SwarmException(f"no room for {peer}")
        self._joining[peer] += 1
        try:
            muxed = await self.upgrader.upgrade_connection(secured, peer)
            return await self.add_conn(muxed, direction="inbound")
        finally:
            self._joining[peer] -= 1
            self._joining += Counter()  # drops who is at zero

    async def _hold(self, conn: Any) -> None:
        muxed = conn.muxed_conn
        if conn.is_closed:
            # One that ended while it was being added stays in the library's table for good.
            await trio.sleep(CLOSE_CONNECTION_S)
            if conn in self.get_connections(muxed.peer_id):
                await conn._cleanup()
            return
        self._inbound[conn] = trio.current_time()
        try:
            await muxed.event_closed.wait()
        finally:
            del self._inbound[conn]
        if self._conduct.kept_out_s(muxed.peer_id):
            await self.close_connections(muxed.peer_id)  # it may have others

    def _has_room(self, peer: Any) -> bool:
        """Whether a peer may have one more connection; the useless make room for newcomers."""
        connections = [conn for conn in self.get_connections() if not conn.is_closed]
        same = [conn for conn in connections if conn.muxed_conn.peer_id == peer]
        if len(same) + self._joining[peer] >= CONNECTIONS_PER_PEER_MAX:
            return False
        if len(connections) + self._joining.total() < self._peers_max:
            return True
        before = trio.current_time() - UNPROVEN_GRACE_S
        for conn, accepted_at in self._inbound.items():
            if conn.is_closed or accepted_at > before:
                continue
            if not self._conduct.budget(conn.muxed_conn.peer_id).useful:
                self._conduct.refused["displaced"] += 1
                self.displaced.add(str(conn.muxed_conn.peer_id))
                self.manager.run_task(self.close_connection, conn)
                return True
        return False

    # --- telling ----------------------------------------------------------------------------

    async def _notify(self, method: str, *args: Any) -> None:
        """Tell whoever wants to know, one after the other; the library starts a task for each."""
        if method in STREAM_EVENTS:
            return
        for notifee in tuple(self.notifees):
            try:
                await getattr(notifee, method)(self, *args)
            except Exception:  # the edge: it would end the connection
                logger.exception("%s failed at %s", type(notifee).__name__, method)

    # --- closing ----------------------------------------------------------------------------

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


def build_host(settings: MeshSettings, key_seed: bytes, observer: Observer) -> MeshHost:
    """A host that neither runs nor listens yet. Noise and Yamux only, nothing in plain text."""
    conduct = Conduct(observer)
    key_pair = create_new_key_pair(key_seed)
    noise = NoiseTransport(key_pair, noise_privkey=create_new_x25519_key_pair().private_key)
    peer_id = ID.from_pubkey(key_pair.public_key)
    peerstore = PeerStore()
    peerstore.add_key_pair(peer_id, key_pair)
    upgrader = MeshUpgrader({TProtocol(NOISE): noise}, {TProtocol(YAMUX): Yamux}, conduct)
    swarm = MeshSwarm(peer_id, peerstore, upgrader, settings, conduct)
    host = MeshHost(
        swarm,
        conduct,
        announce_addrs=[Multiaddr(addr) for addr in settings.announce] or None,
        # Our address is what we listen on or were told to announce, not what peers claim to see.
        disable_identify_address_discovery=True,
    )
    # Around every inbound stream, from negotiation on: the library's own handlers raise as well.
    cap = StreamCap(INBOUND_STREAMS_PER_PEER_MAX)
    swarm.set_stream_handler(guarded(host._swarm_stream_handler, cap, conduct, swarm))
    return host
