"""GossipSub with a lean publish path and bounded state."""

from typing import Any

from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2

from meshnode.adapters.libp2p.settings import IDONTWANT_BYTES_MIN, router_options


class MeshRouter(GossipSub):  # type: ignore[misc]  # the library is untyped to mypy
    """The library's mesh maintenance, its own way of sending."""

    def __init__(self) -> None:
        super().__init__(**router_options())
        self.dropped_messages = 0  # outbound, a peer's queue being full

    async def publish(self, msg_forwarder: Any, pubsub_msg: Any) -> None:
        """Pass an accepted message on to the mesh.

        Without the library's copies for peers that have not subscribed yet (a hundred a peer, for
        good): who subscribes later is sent the last seconds anyway. Without our signed peer record
        in every RPC, which costs more than the message: it is in the first one.
        """
        self.mcache.put(pubsub_msg)
        message_id = pubsub_msg.from_id + pubsub_msg.seqno
        relayed = msg_forwarder != self.pubsub.my_id
        if relayed and len(pubsub_msg.data) >= IDONTWANT_BYTES_MIN:
            await self._emit_idontwant_for_message(message_id, pubsub_msg.topicIDs)
        rpc = rpc_pb2.RPC(publish=[pubsub_msg])
        origin = ID(pubsub_msg.from_id)
        for peer in self._get_peers_to_send(pubsub_msg.topicIDs, msg_forwarder, origin, message_id):
            self.send_rpc(peer, rpc)

    async def send_recent_messages(self, peer_id: Any, topic: str) -> None:
        """Bring a new subscriber up to date with the last heartbeats' messages.

        Through its queue: the library writes to the stream past the queue's own writer, and two
        long RPCs interleave.
        """
        messages = [self.mcache.get(mid) for mid in self.mcache.window(topic)]
        recent = [message for message in messages if message.from_id != peer_id.to_bytes()]
        if recent:
            self.send_rpc(peer_id, rpc_pb2.RPC(publish=recent))

    def remove_peer(self, peer_id: Any) -> None:
        """Forget a peer, its back-off included: one that restarts meshes at once."""
        super().remove_peer(peer_id)
        for backing_off in self.back_off.values():
            backing_off.pop(peer_id, None)

    def _handle_dropped_rpc(self, peer_id: Any, rpc: Any, reason: str) -> None:
        self.dropped_messages += len(rpc.publish)
        super()._handle_dropped_rpc(peer_id, rpc, reason)
