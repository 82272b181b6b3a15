"""Who is connected, as events."""

from typing import Any

import trio
from libp2p.abc import INotifee

from meshnode.adapters.libp2p.settings import CONNECTION_EVENTS_MAX
from meshnode.ports import ConnectionEvent, PeerConnected, PeerDisconnected


class ConnectionEvents(INotifee):  # type: ignore[misc]  # the library is untyped to mypy
    """The coming and going of peers; of one that came and went unread, its latest state.

    At most CONNECTION_EVENTS_MAX peers wait to be told of; beyond, the oldest is dropped and
    counted. `displaced` holds the peers whose places the swarm needed; they are taken out.
    """

    def __init__(
        self, displaced: set[str] | None = None, events_max: int = CONNECTION_EVENTS_MAX
    ) -> None:
        self._displaced = set() if displaced is None else displaced
        self._events_max = events_max
        self._open: set[str] = set()
        self._pending: dict[str, ConnectionEvent] = {}
        self._arrived = trio.Event()
        self.dropped = 0

    async def next(self) -> ConnectionEvent:
        """Wait for a peer to come or go."""
        while not self._pending:
            if self._arrived.is_set():
                self._arrived = trio.Event()
            await self._arrived.wait()
        return self._pending.pop(next(iter(self._pending)))

    async def connected(self, network: Any, conn: Any) -> None:
        """A connection opened; only a peer's first is an event."""
        del network
        peer = str(conn.muxed_conn.peer_id)
        if peer not in self._open:
            self._open.add(peer)
            self._tell(peer, PeerConnected(peer))

    async def disconnected(self, network: Any, conn: Any) -> None:
        """A connection closed; only a peer's last is an event."""
        peer = str(conn.muxed_conn.peer_id)
        if peer in self._open and not network.get_connections(conn.muxed_conn.peer_id):
            self._open.discard(peer)
            self._tell(peer, PeerDisconnected(peer, displaced=peer in self._displaced))
            self._displaced.discard(peer)

    async def opened_stream(self, network: Any, stream: Any) -> None:
        """Of no interest."""

    async def closed_stream(self, network: Any, stream: Any) -> None:
        """Of no interest."""

    async def listen(self, network: Any, multiaddr: Any) -> None:
        """Of no interest."""

    async def listen_close(self, network: Any, multiaddr: Any) -> None:
        """Of no interest."""

    def _tell(self, peer: str, event: ConnectionEvent) -> None:
        if peer not in self._pending and len(self._pending) >= self._events_max:
            del self._pending[next(iter(self._pending))]
            self.dropped += 1
        self._pending[peer] = event
        self._arrived.set()
