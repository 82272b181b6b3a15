"""GossipSub with a lean publish path and bounded state."""

from collections import defaultdict, deque
from typing import Any

import trio
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2

from meshnode.adapters.libp2p.frames import framed
from meshnode.adapters.libp2p.settings import (
    GOSSIP_WINDOW_HEARTBEATS,
    IDONTWANT_BYTES_MIN,
    MESHSUB_PROTOCOLS,
    SERVED_PER_RPC_MAX,
    SERVED_RPC_BYTES_MAX,
    router_options,
)


class MeshRouter(GossipSub):  # type: ignore[misc]  # the library is untyped to mypy
    """The library's mesh maintenance, its own way of sending."""

    def __init__(self) -> None:
        super().__init__(**router_options())
        # Its scores are zero, whatever a peer does: at every heartbeat, and for every message,
        # it would add them up all the same.
        self.scorer = None
        self.dropped_messages = 0  # outbound, a peer's queue being full
        # Whom we told of which messages; what is older than the window is not told again anyway.
        self._told: deque[dict[Any, set[Any]]] = deque(maxlen=GOSSIP_WINDOW_HEARTBEATS)

    async def publish(self, msg_forwarder: Any, pubsub_msg: Any) -> None:
        """Pass an accepted message on to the mesh.

        Without the library's copies for peers that have not subscribed yet (a hundred a peer, for
        good): who subscribes later is sent the last seconds anyway. Without our signed peer record
        in every RPC, which costs more than the message: it is in the first one.
        """
        self.mcache.put(pubsub_msg)
        [topic] = pubsub_msg.topicIDs
        message_id = pubsub_msg.from_id + pubsub_msg.seqno
        receivers = [
            peer
            for peer in self.mesh.get(topic, ())
            if peer != msg_forwarder
            and peer.to_bytes() != pubsub_msg.from_id
            and message_id not in self.dont_send_message_ids.get(peer, ())
        ]
        if not receivers:
            return
        if msg_forwarder != self.pubsub.my_id and len(pubsub_msg.data) >= IDONTWANT_BYTES_MIN:
            self._decline(message_id, receivers)
        frame = framed(rpc_pb2.RPC(publish=[pubsub_msg]))
        for peer in receivers:
            queue = self.pubsub.peer_queues.get(peer)
            if queue is not None and not queue.push_frame(frame):
                self.dropped_messages += 1

    def _decline(self, message_id: bytes, peers: list[Any]) -> None:
        """Say that we have a message, before it has been sent to those who may send it, too."""
        idontwant = rpc_pb2.ControlIDontWant(messageIDs=[message_id])
        frame = framed(rpc_pb2.RPC(control=rpc_pb2.ControlMessage(idontwant=[idontwant])))
        for peer in peers:
            queue = self.pubsub.peer_queues.get(peer)
            if queue is not None and self.peer_protocol.get(peer) == MESHSUB_PROTOCOLS[0]:
                queue.push_frame(frame, urgent=True)

    async def emit_control_message(self, control_msg: Any, to_peer: Any) -> None:
        """Send GRAFT, PRUNE, IHAVE and IWANT, without our signed peer record."""
        self.send_rpc(to_peer, rpc_pb2.RPC(control=control_msg), priority=True)

    def gossip_heartbeat(self) -> Any:
        """Whom to tell of which messages (IHAVE): a peer of each only once.

        The library tells it at three heartbeats, in case that one gets lost; over a stream it does
        not, and each costs as much as a message.
        """
        fresh: defaultdict[Any, dict[str, list[Any]]] = defaultdict(dict)
        telling: defaultdict[Any, set[Any]] = defaultdict(set)
        for peer, topics in super().gossip_heartbeat().items():
            known = set[Any]().union(*(told.get(peer, ()) for told in self._told))
            for topic, ids in topics.items():
                new = [i for i in ids if i not in known]
                if new:
                    fresh[peer][topic] = new
                    telling[peer].update(new)
        self._told.append(telling)
        return fresh

    async def wait_room(self, topic: str) -> None:
        """Wait until the neighbours on a topic can take a message of ours, or have had their time.

        Who publishes faster than the network takes it is held back; what is relayed is not.
        """
        await trio.lowlevel.checkpoint()
        for peer in tuple(self.mesh.get(topic, ())):
            queue = self.pubsub.peer_queues.get(peer)
            if queue is not None and not queue.has_room():
                await queue.wait_room()

    async def send_recent_messages(self, peer_id: Any, topic: str) -> None:
        """Bring a new subscriber up to date with the last heartbeats' messages.

        Through its queue: the library writes to the stream past the queue's own writer, and two
        long RPCs interleave. It joins the mesh first: what is said between the two would be too
        new for the one and too early for the other, and lost.
        """
        await self.on_peer_subscribed(peer_id, topic)
        messages = [self.mcache.get(mid) for mid in self.mcache.window(topic)]
        self._serve(peer_id, [m for m in messages if m.from_id != peer_id.to_bytes()])

    async def handle_iwant(self, iwant_msg: Any, sender_peer_id: Any) -> None:
        """Send what a peer asks for, in RPCs that it will take, within its budget."""
        found = [self.mcache.get(message_id) for message_id in iwant_msg.messageIDs]
        self._serve(sender_peer_id, [message for message in found if message is not None])

    def _serve(self, peer_id: Any, messages: list[Any]) -> None:
        """Send again; beyond the budget nothing, or sixty bytes would make us send megabytes."""
        conduct, rpc, size = self.pubsub.host.conduct, rpc_pb2.RPC(), 0
        served = conduct.budget(peer_id).served_bytes
        for message in messages:
            length = message.ByteSize()
            if not served.try_spend(length, trio.current_time()):
                conduct.refused["served"] += 1
                break
            if size + length > SERVED_RPC_BYTES_MAX or len(rpc.publish) == SERVED_PER_RPC_MAX:
                self.send_rpc(peer_id, rpc)
                rpc, size = rpc_pb2.RPC(), 0
            rpc.publish.append(message)
            size += length
        if rpc.publish:
            self.send_rpc(peer_id, rpc)

    def remove_peer(self, peer_id: Any) -> None:
        """Forget a peer, its back-off included: one that restarts meshes at once."""
        super().remove_peer(peer_id)
        for backing_off in self.back_off.values():
            backing_off.pop(peer_id, None)

    def _handle_dropped_rpc(self, peer_id: Any, rpc: Any, reason: str) -> None:
        self.dropped_messages += len(rpc.publish)
        super()._handle_dropped_rpc(peer_id, rpc, reason)
