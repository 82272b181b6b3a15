"""A mesh at the level of messages: the ports of gossip and streams without a network beneath.

Every node floods what it accepts to those it is connected to, over links with a delay. There are
no sockets and no threads, so it runs in virtual time. It passes the contract tests of the real
mesh, and is what tests of everything above the ports use.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
from nacl.signing import SigningKey

from meshnode.core.facts import PeerMisbehaved
from meshnode.core.verdicts import Accepted, Ignored, Rejected
from meshnode.errors import DialRefused, PeerUnreachable, PublishRefused, StreamBroken
from meshnode.ports import (
    ConnectedPeer,
    ConnectionEvent,
    GossipStatistics,
    Judge,
    Observer,
    PeerConnected,
    PeerDisconnected,
    Stream,
    StreamHandler,
)
from protocols.ids import Topic, key_from_peer_id, peer_id
from protocols.limits import STREAMS_PER_PEER_MAX
from simulations.model_stream import ModelStream, stream_pair

SEEN_MAX = 10_000


@dataclass(slots=True)
class ModelNetwork:
    """Who is there, who is connected to whom, and how long a message takes (seconds)."""

    nursery: trio.Nursery
    delay_s: float = 0.01
    nodes: dict[str, "ModelMesh"] = field(default_factory=dict)
    cut: set[frozenset[str]] = field(default_factory=set)
    muted: set[str] = field(default_factory=set)  # whose gossip goes nowhere
    frozen: set[str] = field(default_factory=set)  # who answers nothing, its connections open
    _next_addr: int = 0

    def new_addr(self) -> str:
        """An address nobody has had yet."""
        self._next_addr += 1
        return f"/ip4/127.0.0.1/tcp/{self._next_addr}"

    def cut_link(self, one: str, other: str) -> None:
        """Break the connection of two peers, and let them dial in vain until it is mended."""
        self.cut.add(frozenset((one, other)))
        if one in self.nodes:
            self.nodes[one].drop(other)

    def is_cut(self, one: str, other: str) -> bool:
        """Whether two peers cannot reach each other."""
        return frozenset((one, other)) in self.cut

    def mend_link(self, one: str, other: str) -> None:
        """Let two peers reach each other again."""
        self.cut.discard(frozenset((one, other)))


@asynccontextmanager
async def open_network(*, delay_s: float = 0.01) -> AsyncIterator[ModelNetwork]:
    """A network for nodes to join; whatever is under way in it ends with it."""
    async with trio.open_nursery() as nursery:
        yield ModelNetwork(nursery, delay_s)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_model_mesh(
    network: ModelNetwork, *, key_seed: bytes, judge: Judge | None, observer: Observer
) -> AsyncIterator["ModelMesh"]:
    """Join a network; leaving it breaks every connection.

    A client, who only asks, judges nothing and hears nothing.
    """
    mesh = ModelMesh(network, bytes(SigningKey(key_seed).verify_key), judge, observer)
    try:
        yield mesh
    finally:
        mesh.close()


class ModelGossip:
    """Floods accepted messages over the connections of its mesh."""

    def __init__(
        self, mesh: "ModelMesh", network: ModelNetwork, key: bytes, judge: Judge | None
    ) -> None:
        self._mesh = mesh
        self._network = network
        self._key = key
        self._judge = judge
        self._seqno = round(trio.current_time() * 10**9)  # after a restart, ids are new
        self._seen: OrderedDict[tuple[bytes, int], None] = OrderedDict()
        self._accepted: deque[Accepted] = deque()
        self._arrived = trio.Event()
        self._accepted_count = 0
        self._ignored: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()

    async def publish(self, topic: Topic, data: bytes) -> None:
        """See `Gossip.publish`."""
        await trio.lowlevel.checkpoint()
        self._seqno += 1
        refusal = self.hear(topic, self._key, self._seqno, data, forwarder=None)
        if refusal is not None:
            raise PublishRefused(refusal)

    async def receive(self) -> Accepted:
        """See `Gossip.receive`."""
        await trio.lowlevel.checkpoint()
        while not self._accepted:
            self._arrived = trio.Event()
            await self._arrived.wait()
        return self._accepted.popleft()

    async def flush(self) -> None:
        """See `Gossip.flush`."""
        await trio.sleep(self._network.delay_s)

    def statistics(self) -> GossipStatistics:
        """See `Gossip.statistics`."""
        return GossipStatistics(
            accepted=self._accepted_count,
            ignored=dict(self._ignored),
            rejected=dict(self._rejected),
            dropped_inbound=0,
            dropped_outbound=0,
            queued=len(self._accepted),
        )

    def hear(
        self, topic: Topic, sender: bytes, seqno: int, data: bytes, forwarder: str | None
    ) -> str | None:
        """A message arrived from a peer, or from ourselves; why it was refused, if it was."""
        if (sender, seqno) in self._seen or self._judge is None:
            return None
        match self._judge(topic, sender, data):
            case Accepted() as accepted:
                self._accepted_count += 1
            case Ignored(reason=reason):
                self._ignored[reason.value] += 1
                return reason.value
            case Rejected(reason=reason):
                self._rejected[reason.value] += 1
                return reason.value
        self._seen[sender, seqno] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        self._accepted.append(accepted)
        self._arrived.set()
        for peer in self._mesh.connected:
            if peer != forwarder:
                self._network.nursery.start_soon(self._send, peer, topic, sender, seqno, data)
        return None

    async def _send(self, peer: str, topic: Topic, sender: bytes, seqno: int, data: bytes) -> None:
        network, other = self._network, self._network.nodes.get(peer)
        if other is None or self._mesh.peer_id in network.muted:
            return
        await trio.sleep(network.delay_s)
        # What was sent arrives, though its sender has left meanwhile.
        if network.nodes.get(peer) is other and not network.is_cut(self._mesh.peer_id, peer):
            other.gossip.hear(topic, sender, seqno, data, self._mesh.peer_id)


class ModelMesh:
    """One node's place in a `ModelNetwork`."""

    def __init__(
        self, network: ModelNetwork, key: bytes, judge: Judge | None, observer: Observer
    ) -> None:
        self._network = network
        self._peer_id = peer_id(key)
        self._observer = observer
        self._gossip = ModelGossip(self, network, key, judge)
        self._handlers: dict[str, StreamHandler] = {}
        self._addr: str | None = None
        self.connected: dict[str, int | None] = {}  # peer id → round-trip time in ms
        self._streams: dict[ModelStream, None] = {}  # those we serve
        self._served: Counter[str] = Counter()
        self._events: deque[ConnectionEvent] = deque()
        self._happened = trio.Event()

    @property
    def peer_id(self) -> str:
        """See `Mesh.peer_id`."""
        return self._peer_id

    @property
    def gossip(self) -> ModelGossip:
        """See `Mesh.gossip`."""
        return self._gossip

    def addrs(self) -> tuple[str, ...]:
        """See `Mesh.addrs`."""
        return () if self._addr is None else (f"{self._addr}/p2p/{self._peer_id}",)

    def refused(self) -> dict[str, int]:
        """See `Mesh.refused`; the model has no guards."""
        return {}

    def peers(self) -> tuple[ConnectedPeer, ...]:
        """See `Mesh.peers`."""
        return tuple(
            ConnectedPeer(peer, self._addrs_of(peer), rtt_ms)
            for peer, rtt_ms in self.connected.items()
        )

    def serve(self, protocol: str, handler: StreamHandler) -> None:
        """See `Mesh.serve`."""
        self._handlers[protocol] = handler

    async def listen(self) -> None:
        """See `Mesh.listen`."""
        await trio.lowlevel.checkpoint()
        self._addr = self._network.new_addr()
        self._network.nodes[self._peer_id] = self

    async def connect(self, addr: str) -> str:
        """See `Mesh.connect`."""
        await trio.sleep(self._network.delay_s)
        place, _, peer = addr.rpartition("/p2p/")
        if peer == self._peer_id:
            raise PeerUnreachable(f"{addr} is our own address: give another node's")
        other = self._network.nodes.get(peer)
        if self._network.is_cut(self._peer_id, peer):
            raise PeerUnreachable(f"{addr} does not answer")
        if other is None or other._addr != place:
            raise DialRefused(f"{addr} refuses connections: is the node running?")
        if peer not in self.connected:
            self._came(peer)
            other._came(self._peer_id)
            self._network.nodes.setdefault(self._peer_id, self)
        return peer

    async def disconnect(self, peer_id: str) -> None:
        """See `Mesh.disconnect`."""
        await trio.lowlevel.checkpoint()
        self.drop(peer_id)

    async def open_stream(self, peer_id: str, protocol: str) -> Stream:
        """See `Mesh.open_stream`."""
        await trio.sleep(self._network.delay_s)
        other = self._network.nodes.get(peer_id)
        handler = other._handlers.get(protocol) if other else None
        if other is None or handler is None or peer_id not in self.connected:
            raise PeerUnreachable(f"{peer_id} does not speak {protocol}")
        ours, theirs = stream_pair(self._peer_id, peer_id)
        other._streams[theirs] = None
        self._network.nursery.start_soon(other._handle, protocol, handler, theirs)
        return ours

    async def ping(self, peer_id: str) -> float:
        """See `Mesh.ping`."""
        if peer_id not in self.connected:
            raise PeerUnreachable(f"not connected to {peer_id}")
        if peer_id in self._network.frozen:
            await trio.sleep_forever()  # the caller's patience decides
        await trio.sleep(2 * self._network.delay_s)
        self.connected[peer_id] = round(2000 * self._network.delay_s)
        return 2 * self._network.delay_s

    async def next_connection_event(self) -> ConnectionEvent:
        """See `Mesh.next_connection_event`."""
        await trio.lowlevel.checkpoint()
        while not self._events:
            self._happened = trio.Event()
            await self._happened.wait()
        return self._events.popleft()

    def drop(self, peer: str) -> None:
        """Break the connection to a peer, on both sides."""
        other = self._network.nodes.get(peer)
        if peer in self.connected:
            self._went(peer)
            if other is not None:
                other._went(self._peer_id)

    def close(self) -> None:
        """Leave the network."""
        for peer in list(self.connected):
            self.drop(peer)
        if self._network.nodes.get(self._peer_id) is self:
            del self._network.nodes[self._peer_id]

    def _addrs_of(self, peer: str) -> tuple[str, ...]:
        other = self._network.nodes.get(peer)
        return () if other is None or other._addr is None else (other._addr,)

    def _came(self, peer: str) -> None:
        key_from_peer_id(peer)  # an address with a made-up id is a mistake of the test's
        self.connected[peer] = None
        self._tell(PeerConnected(peer))

    def _went(self, peer: str) -> None:
        self.connected.pop(peer, None)
        for stream in [stream for stream in self._streams if stream.peer_id == peer]:
            del self._streams[stream]
            stream.break_off()
        self._tell(PeerDisconnected(peer))

    def _tell(self, event: ConnectionEvent) -> None:
        self._events.append(event)
        self._happened.set()

    async def _handle(self, protocol: str, handler: StreamHandler, stream: ModelStream) -> None:
        peer = stream.peer_id
        if self._peer_id in self._network.frozen:
            return
        if self._served[peer] >= STREAMS_PER_PEER_MAX:
            await stream.reset()
            return
        self._served[peer] += 1
        try:
            await handler(stream)
            await stream.finish()
        except StreamBroken:
            await stream.reset()
        except Exception as error:  # noqa: BLE001 - the edge: a handler's bug ends its stream only
            self._observer.observe(PeerMisbehaved(peer, protocol, repr(error)))
            await stream.reset()
        finally:
            self._served[peer] -= 1
            self._streams.pop(stream, None)
