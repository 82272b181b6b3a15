"""Pubsub whose reading end survives whatever a peer sends, in the order in which it is read."""

from contextlib import suppress
from typing import Any

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.utils import maybe_consume_signed_record
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from meshnode.adapters.libp2p.control import bound_control
from meshnode.adapters.libp2p.gossip import Intake
from meshnode.adapters.libp2p.guards import misbehaved
from meshnode.adapters.libp2p.router import MeshRouter
from meshnode.adapters.libp2p.seen import SeenCache
from meshnode.adapters.libp2p.settings import (
    MESSAGES_PER_RPC_MAX,
    OUTBOUND_RPCS_PER_PEER_MAX,
    RPC_BYTES_MAX,
    RPC_DEADLINE_S,
    SUBSCRIPTIONS_PER_RPC_MAX,
)
from meshnode.core.verdicts import Accepted, Ignored, Reason, Rejected, Verdict
from meshnode.ports import Observer
from protocols.errors import FrameTooLarge, Malformed
from protocols.ids import key_from_id_bytes, peer_id_bytes

SEQNO_BYTES = 8
LENGTH_BYTES_MAX = 5
SIGNING_PREFIX = PUBSUB_SIGNING_PREFIX.encode()

# A copy that comes later cannot fare better: its author, its sequence number and its content are
# under the author's signature. The other reasons pass; and what is rejected is judged again with
# each peer that sends it, since each is to blame.
FINAL = frozenset(
    {
        Reason.KNOWN,
        Reason.TOO_OLD,
        Reason.EXPIRED,
        Reason.EQUIVOCATION,
        Reason.UNKNOWN_KIND,
        Reason.NOT_ALLOWED,
    }
)


class MeshPubsub(Pubsub):  # type: ignore[misc]  # the library is untyped to mypy
    """Messages are judged where they are read: no task, no cache and no second verdict each."""

    seen_messages: SeenCache

    def __init__(
        self, host: Any, router: MeshRouter, *, intake: Intake, first_seqno: int, observer: Observer
    ) -> None:
        super().__init__(
            host,
            router,
            strict_signing=True,
            max_subscriptions_per_rpc=SUBSCRIPTIONS_PER_RPC_MAX,
            max_inbound_rpc_size=RPC_BYTES_MAX,
            allowed_topics=frozenset(intake.topics),
        )
        cache: Any = self.seen_messages
        cache.stop()
        self.seen_messages = SeenCache()
        self.counter = first_seqno
        self._intake = intake
        self._departing = False
        self._writing: set[Any] = set()
        self._written = trio.Event()
        self._observer = observer

    # --- reading ----------------------------------------------------------------------------

    async def stream_handler(self, stream: Any) -> None:
        """Read a peer's stream until it ends; what the peer breaks ends its connection only."""
        peer = stream.muxed_conn.peer_id
        try:
            await self.continuously_read_stream(stream)
        except StreamEOF:
            await stream.close()
        except BaseLibp2pError:
            await stream.reset()
        except Exception as error:  # noqa: BLE001 - the edge: it would end the host
            self._observer.observe(misbehaved(peer, "gossip", error))
            # Not the stream alone: the peer would open the next, with a clean score.
            await self.host.get_network().close_connections(peer)

    async def continuously_read_stream(self, stream: Any) -> None:
        """Work off a peer's RPCs one by one, so that nobody reads faster than we judge."""
        peer = stream.muxed_conn.peer_id
        known_record = b""
        while self.manager.is_running:
            rpc = rpc_pb2.RPC.FromString(await read_frame(stream))
            if rpc.senderRecord and rpc.senderRecord != known_record:
                if not maybe_consume_signed_record(rpc, self.host, peer):
                    raise Malformed("a signed peer record that is not the peer's")
                known_record = rpc.senderRecord
            rpc.ClearField("senderRecord")  # the router would verify it again
            await self._work_off(peer, rpc)

    async def _work_off(self, peer: Any, rpc: Any) -> None:
        if len(rpc.publish) > MESSAGES_PER_RPC_MAX:
            raise Malformed(f"{len(rpc.publish)} messages in one RPC")
        if len(rpc.subscriptions) > SUBSCRIPTIONS_PER_RPC_MAX:
            raise Malformed(f"{len(rpc.subscriptions)} subscriptions in one RPC")
        for subscription in rpc.subscriptions:
            self.handle_subscription(peer, subscription)
        for message in rpc.publish:
            await self.push_msg(peer, message)
        if rpc.HasField("control"):
            bound_control(rpc.control, self.allowed_topics)
            await self.router.handle_rpc(rpc, peer)

    async def push_msg(self, msg_forwarder: Any, msg: Any) -> None:
        """Judge a peer's message, and pass it on where it is accepted."""
        await trio.lowlevel.checkpoint()  # a long RPC must not keep the others waiting
        verdict = self._admit(msg_forwarder, msg)
        if isinstance(verdict, Accepted):
            await self.router.publish(msg_forwarder, msg)
        elif isinstance(verdict, Rejected):
            self._blame(msg_forwarder)

    # --- judging ----------------------------------------------------------------------------

    def _admit(self, forwarder: Any, msg: Any) -> Verdict | None:
        """What becomes of a message; None where it was seen before."""
        message_id = msg.from_id + msg.seqno
        if self.seen_messages.has(message_id):
            return None
        try:
            key = self._check_shape(msg)
        except Malformed:
            return self._intake.count(Rejected(Reason.MALFORMED))
        if msg.from_id == self.my_id.to_bytes() and forwarder != self.my_id:
            # Ours, come back after it was forgotten: nobody's fault, and not news.
            return self._intake.count(Ignored(Reason.KNOWN))
        if self._intake.is_full():
            return self._intake.count(Ignored(Reason.BUSY))
        # Before the judge, who marks what he accepts: else anybody could wrap a true envelope in a
        # forged message, and have the original refused as known.
        if forwarder != self.my_id and not is_signed(msg, key):
            return self._intake.count(Rejected(Reason.BAD_SIGNATURE))
        verdict = self._intake.judge(msg.topicIDs[0], key, msg.data)
        if isinstance(verdict, Accepted) or (
            isinstance(verdict, Ignored) and verdict.reason in FINAL
        ):
            self.seen_messages.add(message_id)
        return verdict

    def _check_shape(self, msg: Any) -> bytes:
        """The author's key in a message that is formed as ours are. Raises Malformed."""
        key = key_from_id_bytes(msg.from_id)
        if len(msg.seqno) != SEQNO_BYTES:
            raise Malformed(f"a sequence number of {len(msg.seqno)} bytes")
        if len(msg.topicIDs) != 1 or msg.topicIDs[0] not in self._intake.topics:
            raise Malformed("not exactly one topic of ours")
        # Neither is under the signature, so anybody could make a message heavier on its way.
        if msg.key not in (b"", msg.from_id[2:]):
            raise Malformed("a key that is not the author's")
        msg.DiscardUnknownFields()
        return key

    def _blame(self, peer: Any) -> None:
        topic = min(self._intake.topics)
        self.router.scorer.on_invalid_message(peer, topic)
        if self.router.scorer.is_graylisted(peer, [topic]):
            raise Malformed("too many messages that nobody should pass on")

    # --- sending ----------------------------------------------------------------------------

    async def say(self, topic: str, data: bytes) -> Verdict | None:
        """Publish our own message where it is accepted, like any other; returns the verdict."""
        msg = rpc_pb2.Message(
            data=data, topicIDs=[topic], from_id=self.my_id.to_bytes(), seqno=self._next_seqno()
        )
        msg.signature = self.sign_key.sign(SIGNING_PREFIX + msg.SerializeToString())
        verdict = self._admit(self.my_id, msg)
        if isinstance(verdict, Accepted):
            await self.router.publish(self.my_id, msg)
        return verdict

    async def flush(self) -> None:
        """Wait until no peer's queue holds anything and nothing is being written."""
        for peer in tuple(self.peers):
            await self._drained(peer)

    async def depart(self) -> None:
        """Say nothing more, and wait until every peer has read what was said.

        When a connection closes, the library drops what its streams have not read yet. A peer that
        closes its side, too, has read all.
        """
        self._departing = True
        async with trio.open_nursery() as nursery:
            for peer, stream in tuple(self.peers.items()):
                nursery.start_soon(self._say_goodbye, peer, stream)

    async def _say_goodbye(self, peer: Any, stream: Any) -> None:
        await self._drained(peer)
        with suppress(BaseLibp2pError):
            await stream.close_write()
            while await stream.read(1):
                pass

    async def _drained(self, peer: Any) -> None:
        while peer in self._writing or len(self.peer_queues.get(peer, ())):
            if self._written.is_set():
                self._written = trio.Event()
            await self._written.wait()

    async def write_msg(self, stream: Any, rpc_msg: Any) -> bool:
        """Write one RPC; False where the stream has ended."""
        peer = stream.muxed_conn.peer_id
        self._writing.add(peer)
        try:
            return bool(await super().write_msg(stream, rpc_msg))
        finally:
            self._writing.discard(peer)
            self._written.set()

    def _schedule_peer_stream_retry(self, peer_id: Any) -> None:
        if not self._departing:
            super()._schedule_peer_stream_retry(peer_id)

    async def handle_sending_messages(self, peer_id: Any, stream: Any, queue: Any) -> None:
        """Write a peer's queue to its stream; the library's queue holds too few."""
        queue._queue.max_size = OUTBOUND_RPCS_PER_PEER_MAX
        await super().handle_sending_messages(peer_id, stream, queue)


def is_signed(msg: Any, key: bytes) -> bool:
    """Whether a gossip message bears the signature of its author's key (StrictSign)."""
    signed = rpc_pb2.Message(
        data=msg.data, topicIDs=msg.topicIDs, from_id=peer_id_bytes(key), seqno=msg.seqno
    )
    try:
        VerifyKey(key).verify(SIGNING_PREFIX + signed.SerializeToString(), msg.signature)
    except (BadSignatureError, ValueError):
        return False
    return True


async def read_frame(stream: Any) -> bytes:
    """One RPC's bytes; once its first byte is there, the rest has a deadline.

    Raises FrameTooLarge, TooSlowError, StreamEOF between frames, and the stream's own errors.
    """
    first = await _read_exactly(stream, 1)
    with trio.fail_after(RPC_DEADLINE_S):
        length, shift, byte = first[0] & 0x7F, 7, first[0]
        while byte & 0x80:
            if shift >= 7 * LENGTH_BYTES_MAX:
                raise FrameTooLarge("a length of more than five bytes")
            byte = (await _read_exactly(stream, 1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
        if length > RPC_BYTES_MAX:
            raise FrameTooLarge(f"an RPC of {length} bytes")
        return await _read_exactly(stream, length)


async def _read_exactly(stream: Any, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        received += await stream.read(size - len(received))
    return bytes(received)
