"""A mesh at the level of messages: the ports of gossip and streams without a network beneath.

There are no sockets and no threads, so it runs in virtual time, a thousand nodes in one process.
It passes the contract tests of the real mesh, and is what tests of everything above the ports use.
"""

from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import trio
from nacl.signing import SigningKey

from meshnode.core.facts import PeerMisbehaved
from meshnode.errors import DialRefused, PeerUnreachable, StreamBroken
from meshnode.ports import (
    PING_TIMEOUT_S,
    Answered,
    ConnectedPeer,
    ConnectionEvent,
    Judge,
    Observer,
    PeerConnected,
    PeerDisconnected,
    Stream,
    StreamHandler,
)
from protocols.ids import peer_id
from protocols.limits import STREAMS_PER_PEER_MAX
from simulations.freezer import running_node
from simulations.model_gossip import ModelGossip
from simulations.model_stream import ModelStream, stream_pair
from simulations.model_wire import Connection, Wire

if TYPE_CHECKING:
    from simulations.model_network import ModelNetwork

DIAL_TIMEOUT_S = 5.0
DIAL_ROUND_TRIPS = 4  # TCP, Noise, and agreeing on a multiplexer
STREAM_ROUND_TRIPS = 1  # agreeing on a protocol
EVENTS_MAX = 1_024  # of connections, not asked for yet; the oldest goes


@asynccontextmanager
async def open_model_mesh(
    network: "ModelNetwork",
    *,
    key_seed: bytes,
    judge: Judge | None,
    observer: Observer,
) -> AsyncIterator["ModelMesh"]:
    """Join a network; leaving it breaks every connection.

    A client, who only asks, judges nothing and hears nothing.
    """
    mesh = ModelMesh(network, bytes(SigningKey(key_seed).verify_key), judge, observer)
    try:
        yield mesh
    finally:
        mesh.close()


class ModelMesh:
    """One node's place in a `ModelNetwork`."""

    def __init__(
        self,
        network: "ModelNetwork",
        key: bytes,
        judge: Judge | None,
        observer: Observer,
    ) -> None:
        self._network = network
        self._peer_id = peer_id(key)
        self._observer = observer
        self.gossip = ModelGossip(self, network, key, judge)
        self._handlers: dict[str, StreamHandler] = {}
        self._addr = network.addr_of(self._peer_id)
        self.places: tuple[str, ...] = ()  # where it listens, without `/p2p`
        self._is_closed = False
        self._process = running_node.get("")
        self.connections: dict[str, Connection] = {}
        self._peer_ids: tuple[str, ...] | None = ()  # of these; None where they changed
        self._peers: tuple[ConnectedPeer, ...] | None = ()  # or where anything of them did
        self._served: Counter[str] = Counter()
        self._events: deque[ConnectionEvent] = deque(maxlen=EVENTS_MAX)
        self._happened = trio.lowlevel.ParkingLot()

    @property
    def peer_id(self) -> str:
        """See `Mesh.peer_id`."""
        return self._peer_id

    def addrs(self) -> tuple[str, ...]:
        """See `Mesh.addrs`."""
        return tuple(f"{place}/p2p/{self._peer_id}" for place in self.places)

    def refused(self) -> dict[str, int]:
        """See `Mesh.refused`; the model has no guards."""
        return {}

    def peers(self) -> tuple[ConnectedPeer, ...]:
        """See `Mesh.peers`."""
        if self._peers is None:
            self._peers = tuple([connection.seen() for connection in self.connections.values()])
        return self._peers

    def peer_ids(self) -> tuple[str, ...]:
        """See `Mesh.peer_ids`."""
        if self._peer_ids is None:
            self._peer_ids = tuple(self.connections)
        return self._peer_ids

    def serve(self, protocol: str, handler: StreamHandler) -> None:
        """See `Mesh.serve`."""
        self._handlers[protocol] = handler

    async def listen(self) -> None:
        """See `Mesh.listen`."""
        await trio.lowlevel.checkpoint()
        self._set_listening(listens=True)
        self._network.nodes[self._peer_id] = self

    async def connect(self, addr: str) -> str:
        """See `Mesh.connect`."""
        place, _, peer = addr.rpartition("/p2p/")
        if peer == self._peer_id:
            raise PeerUnreachable(f"{addr} is our own address: give another node's")
        self._network.dialled(self._peer_id, addr)
        with trio.move_on_after(DIAL_TIMEOUT_S):
            await self._travel(peer, DIAL_ROUND_TRIPS)
            if not self._network.is_inhabited(place):
                await trio.sleep_forever()
            other = self._network.nodes.get(peer)
            if self._is_cut(peer):
                raise PeerUnreachable(f"{addr} does not answer")
            refuses = self._network.links.refuses(self._peer_id, peer)
            if other is None or place not in other.places or refuses:
                raise DialRefused(f"{addr} refuses connections: is the node running?")
            if peer not in self.connections:
                self._network.nodes.setdefault(self._peer_id, self)
                self._connect(other)
            return peer
        raise PeerUnreachable(f"{addr} does not answer: is it reachable from here?")

    async def disconnect(self, peer_id: str) -> None:
        """See `Mesh.disconnect`."""
        await trio.lowlevel.checkpoint()
        self.drop(peer_id)

    async def open_stream(self, peer_id: str, protocol: str) -> Stream:
        """See `Mesh.open_stream`."""
        connection = self.connections.get(peer_id)
        if connection is None:
            raise PeerUnreachable(f"not connected to {peer_id}")
        await self._travel(peer_id, STREAM_ROUND_TRIPS)
        other, partner = connection.peer, connection.partner
        handler = other._handlers.get(protocol)
        if handler is None or not connection.is_open or partner is None or not partner.is_open:
            raise PeerUnreachable(f"{peer_id} does not speak {protocol}")
        ours, theirs = stream_pair(self._peer_id, peer_id, connection.wire.send, partner.wire.send)
        connection.add(ours)
        partner.add(theirs)
        # Behind it comes at once what we ask: then there is something to read.
        connection.wire.send(other._begin, partner, protocol, handler, theirs)
        return ours

    def ping(self, peer_id: str, answered: Answered) -> None:
        """See `Mesh.ping`."""
        here, connection, now = self._peer_id, self.connections.get(peer_id), trio.current_time()
        network, delay_s = self._network, self._network.links.delay_s
        due = now + (delay_s(here, peer_id) + delay_s(peer_id, here))
        network.timeline.call_at(due, self._pinged, peer_id, connection, now, answered)

    async def next_connection_event(self) -> ConnectionEvent:
        """See `Mesh.next_connection_event`."""
        await trio.lowlevel.checkpoint()
        while not self._events:
            await self._happened.park()
        return self._events.popleft()

    def drop(self, peer: str) -> None:
        """Break the connection to a peer; it learns of it as soon as word gets there."""
        connection = self.connections.get(peer)
        if connection is not None:
            self._close(connection)
            partner = connection.partner
            connection.wire.send(connection.peer._close, partner)

    def close(self) -> None:
        """Leave the network."""
        self._is_closed = True
        for peer in list(self.connections):
            self.drop(peer)
        self._set_listening(listens=False)
        if self._network.nodes.get(self._peer_id) is self:
            del self._network.nodes[self._peer_id]

    # --- inside -----------------------------------------------------------------------------

    def _pinged(
        self, peer: str, connection: Connection | None, began_at: float, answered: Answered
    ) -> None:
        if self._is_closed:
            return
        # In virtual time most of what is done is pings: a task is begun only where one has to wait.
        network = self._network
        if peer not in network.frozen and (network.links.is_whole or self._reaches(peer)):
            answered(self._rtt_s(connection, began_at))
        else:
            network.nursery.start_soon(self._wait_pinged, peer, connection, began_at, answered)

    async def _wait_pinged(
        self, peer: str, connection: Connection | None, began_at: float, answered: Answered
    ) -> None:
        running_node.set(self._process)
        with trio.move_on_at(began_at + PING_TIMEOUT_S) as patience:
            if peer in self._network.frozen:
                await trio.sleep_forever()
            await self._wait_reached(peer)
        if not self._is_closed:
            answered(None if patience.cancelled_caught else self._rtt_s(connection, began_at))

    def _rtt_s(self, connection: Connection | None, began_at: float) -> float | None:
        """How long a ping took that comes back now, if both ends are open still."""
        if connection is None or not connection.is_open:
            return None
        if connection.partner is None or not connection.partner.is_open:
            return None
        rtt_s = trio.current_time() - began_at
        if connection.rtt_ms != (rtt_ms := round(1000 * rtt_s)):
            connection.rtt_ms, self._peers = rtt_ms, None
        return rtt_s

    def _set_listening(self, *, listens: bool) -> None:
        self.places = (self._addr,) if listens else ()
        for connection in self.connections.values():
            connection.peer._peers = None

    def _is_cut(self, peer: str) -> bool:
        return self._network.is_cut(self._peer_id, peer)

    async def _travel(self, peer: str, round_trips: int) -> None:
        """Take the time for so many round trips, and until both ways are open."""
        await trio.sleep(self._round_trips_s(peer, round_trips))
        if not self._reaches(peer):
            await self._wait_reached(peer)

    def _round_trips_s(self, peer: str, count: int) -> float:
        links = self._network.links
        there_s = links.delay_s(self._peer_id, peer)
        return count * (there_s + links.delay_s(peer, self._peer_id))

    def _reaches(self, peer: str) -> bool:
        links = self._network.links
        return links.is_whole or (
            links.is_open(self._peer_id, peer) and links.is_open(peer, self._peer_id)
        )

    async def _wait_reached(self, peer: str) -> None:
        links = self._network.links
        while not self._reaches(peer):
            await links.wait_open(self._peer_id, peer)
            await links.wait_open(peer, self._peer_id)

    def _connect(self, other: "ModelMesh") -> None:
        ours, theirs = self._end_towards(other), other._end_towards(self)
        ours.partner, theirs.partner = theirs, ours
        self._came(ours)
        other._came(theirs)
        self.gossip.joined(ours)

    def _end_towards(self, other: "ModelMesh") -> Connection:
        network = self._network
        wire = Wire(network.links, network.timeline, network.nursery, self._peer_id, other._peer_id)
        return Connection(wire, other)

    def _came(self, connection: Connection) -> None:
        peer = connection.peer._peer_id
        stale = self.connections.pop(peer, None)
        if stale is not None:  # the peer was cut off, crashed and came back before we noticed
            stale.is_open = False
            self.gossip.left(peer)
            self._break_streams(stale)
        self.connections[peer] = connection
        self._peer_ids = self._peers = None
        if stale is None:
            self._tell(PeerConnected(peer))

    def _close(self, connection: Connection) -> None:
        peer = connection.peer._peer_id
        if not connection.is_open:
            return
        connection.is_open = False
        del self.connections[peer]
        self._peer_ids = self._peers = None
        self.gossip.left(peer)
        self._break_streams(connection)
        self._tell(PeerDisconnected(peer))

    @staticmethod
    def _break_streams(connection: Connection) -> None:
        for stream in connection.streams:
            stream.break_off()

    def _tell(self, event: ConnectionEvent) -> None:
        self._events.append(event)
        self._happened.unpark()

    def _begin(
        self, connection: Connection, protocol: str, handler: StreamHandler, stream: ModelStream
    ) -> None:
        if connection.is_open:
            self._network.nursery.start_soon(self._handle, protocol, handler, stream)

    async def _handle(self, protocol: str, handler: StreamHandler, stream: ModelStream) -> None:
        running_node.set(self._process)  # the task was begun by the peer, and is ours from here on
        peer = stream.peer_id
        if self._peer_id in self._network.frozen:
            return
        if self._served[peer] >= STREAMS_PER_PEER_MAX:
            await stream.reset()
            return
        self._served[peer] += 1
        try:
            await handler(stream)
        except StreamBroken:
            stream.break_off()
        except Exception as error:  # noqa: BLE001 - the edge: a handler's bug ends its stream only
            self._observer.observe(PeerMisbehaved(peer, protocol, repr(error)))
            stream.break_off()
        finally:
            stream.finish(partial(self._let_go, peer))
            self._network.linger(stream)

    def _let_go(self, peer: str) -> None:
        self._served[peer] -= 1
