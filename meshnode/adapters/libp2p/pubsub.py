"""Pubsub whose reading end survives whatever a peer sends, in the order in which it is read."""

from contextlib import suppress
from typing import Any

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub

from meshnode.adapters.libp2p.budget import (
    COPY_COST,
    IGNORED_COST,
    MESSAGE_COST,
    REJECTED_BLAME,
    REPEATED_BLAME,
    USELESS_BLAME,
)
from meshnode.adapters.libp2p.conduct import CLOCKS_AGREE_S, Conduct, is_blameworthy
from meshnode.adapters.libp2p.control import bound_control, check_counts, cost_of
from meshnode.adapters.libp2p.frames import FrameReader
from meshnode.adapters.libp2p.gossip import Intake
from meshnode.adapters.libp2p.guards import StreamCap
from meshnode.adapters.libp2p.router import MeshRouter
from meshnode.adapters.libp2p.seen import SeenCache
from meshnode.adapters.libp2p.sending import PeerQueues
from meshnode.adapters.libp2p.settings import (
    GOSSIP_STREAMS_PER_PEER_MAX,
    RPC_BYTES_MAX,
    SUBSCRIPTIONS_PER_RPC_MAX,
)
from meshnode.adapters.libp2p.signature import SIGNING_PREFIX, IsSigned
from meshnode.adapters.libp2p.turn import Turn
from meshnode.core.verdicts import Accepted, Ignored, Reason, Rejected, Verdict
from protocols.errors import Malformed
from protocols.ids import key_from_id_bytes

SEQNO_BYTES = 8

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
        self,
        host: Any,
        router: MeshRouter,
        *,
        intake: Intake,
        first_seqno: int,
        is_signed: IsSigned,
        conduct: Conduct,
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
        self._is_signed = is_signed
        self._intake = intake
        self.duplicates = 0  # copies that came of what had been seen
        self._departing = False
        self._turn = Turn()
        self.peer_queues: PeerQueues = PeerQueues()
        self._conduct = conduct
        self._streams = StreamCap(GOSSIP_STREAMS_PER_PEER_MAX)
        self._agreed_at = float("-inf")  # when a peer's message was in time by our clock

    # --- reading ----------------------------------------------------------------------------

    async def stream_handler(self, stream: Any) -> None:
        """Read a peer's stream until it ends; what the peer breaks ends its connection only."""
        peer = stream.muxed_conn.peer_id
        network = self.host.get_network()
        if not self._streams.enter(peer):
            self._conduct.refused["streams"] += 1
            await stream.reset()
            return
        try:
            await self.continuously_read_stream(stream)
        except StreamEOF:
            await stream.close()
        except BaseLibp2pError:
            await stream.reset()
        except trio.TooSlowError as error:
            # Not its fault for certain: it, or we, may have been frozen for a while.
            self._conduct.misbehaved(peer, "gossip", error)
            await network.close_connections(peer)
        except Exception as error:  # noqa: BLE001 - the edge: it would end the host
            # Not the stream alone: the peer would open the next, with a clean score.
            self._conduct.condemn(peer, "gossip", error)
            await network.close_connections(peer)
        finally:
            self._streams.leave(peer)

    async def continuously_read_stream(self, stream: Any) -> None:
        """Work off a peer's RPCs one by one, so that nobody reads faster than we judge.

        What an RPC may cost us is paid before it is worked off: over its budget, a peer waits. Of
        one that is gone meanwhile nothing more is: half a minute's work was on its way.
        """
        muxed = stream.muxed_conn
        peer = muxed.peer_id
        budget = self._conduct.budget(peer)
        frames = FrameReader(stream.muxed_stream)
        while self.manager.is_running:
            frame = await frames.next()
            await _pause(muxed, budget.rpc_bytes.spend(len(frame), trio.current_time()))
            rpc = rpc_pb2.RPC.FromString(frame)
            check_counts(rpc)
            await _pause(muxed, budget.work.spend(cost_of(rpc), trio.current_time()))
            # The router would verify it, and take its addresses: as many as it has, for every RPC.
            rpc.ClearField("senderRecord")
            await self._work_off(peer, rpc)

    async def _work_off(self, peer: Any, rpc: Any) -> None:
        for subscription in rpc.subscriptions:
            await self._note_subscription(peer, subscription)
        for message in rpc.publish:
            await self.push_msg(peer, message)
        if rpc.HasField("control"):
            bound_control(rpc.control, self.allowed_topics)
            await self.router.handle_rpc(rpc, peer)

    async def _note_subscription(self, peer: Any, subscription: Any) -> None:
        """Note what a peer subscribes to, and bring a new subscriber up to date.

        The library starts three tasks for each, and looks at all tasks that wait for each of them:
        a burst of subscriptions that its sender had paid for stopped the loop for seconds.
        """
        if self._turn.is_over(0):
            await trio.lowlevel.checkpoint()
        topic = subscription.topicid
        if not subscription.subscribe:
            self._forget_subscription(peer, topic)
        elif topic in self.allowed_topics and peer not in self.peer_topics.get(topic, ()):
            if not self.host.get_network().get_connections(peer):
                return  # it is forgotten already, and nobody would forget it again
            self.peer_topics.setdefault(topic, set()).add(peer)
            self._peer_subscription_count[peer] = self._peer_subscription_count.get(peer, 0) + 1
            # Joins the mesh as well. Where we cannot write to it yet, this is made up for later.
            await self._replay_recent_messages(peer, topic)

    async def push_msg(self, msg_forwarder: Any, msg: Any) -> None:
        """Judge a peer's message, and pass it on where it is accepted."""
        if self._turn.is_over(len(msg.data)):
            await trio.lowlevel.checkpoint()  # a long RPC must not keep the others waiting
        if self._intake.is_full():
            await self._intake.wait_room()  # it does not read on, so its sender is held back
        verdict = self._admit(msg_forwarder, msg)
        if isinstance(verdict, Accepted):
            self._conduct.budget(msg_forwarder).useful += 1
            self._agreed_at = trio.current_time()
            await self.router.publish(msg_forwarder, msg)
        else:
            self._charge(msg_forwarder, msg, verdict)

    def _charge(self, peer: Any, msg: Any, verdict: Verdict | None) -> None:
        """Take what was of no use from its sender's budget, and blame it for what no relay sends.

        An honest relay sends copies of what others sent as well, and little that is ignored; never
        what is rejected, and hardly ever the same message twice.
        """
        budget, now, blame = self._conduct.budget(peer), trio.current_time(), 0.0
        match verdict:
            case None:
                self.duplicates += 1
                budget.work.spend(COPY_COST - MESSAGE_COST, now)
                # Identical, not equal: over a new connection it may well say it again.
                if self.seen_messages.sender(msg.from_id + msg.seqno) is peer:
                    blame = REPEATED_BLAME
            case Rejected():
                blame = REJECTED_BLAME
            case Ignored(reason=reason) if reason is not Reason.BUSY:
                budget.work.spend(IGNORED_COST - MESSAGE_COST, now)
                is_own = msg.from_id == peer.to_bytes()
                clocks_agree = now - self._agreed_at < CLOCKS_AGREE_S
                if is_blameworthy(reason, is_own=is_own, clocks_agree=clocks_agree):
                    blame = USELESS_BLAME if budget.work.in_debt(now) else 0.0
        if blame and self._conduct.blame(peer, blame):
            raise Malformed("too many messages that nobody should pass on")

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
        if forwarder != self.my_id and not self._is_signed(
            msg.data, msg.topicIDs[0], msg.seqno, key, msg.signature
        ):
            return self._intake.count(Rejected(Reason.BAD_SIGNATURE))
        verdict = self._intake.judge(msg.topicIDs[0], key, msg.data)
        if isinstance(verdict, Accepted) or (
            isinstance(verdict, Ignored) and verdict.reason in FINAL
        ):
            self.seen_messages.add(message_id, forwarder)
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

    # --- sending ----------------------------------------------------------------------------

    async def say(self, topic: str, data: bytes) -> Verdict | None:
        """Publish our own message where it is accepted, like any other; returns the verdict."""
        msg = rpc_pb2.Message(
            data=data, topicIDs=[topic], from_id=self.my_id.to_bytes(), seqno=self._next_seqno()
        )
        msg.signature = self.sign_key.sign(SIGNING_PREFIX + msg.SerializeToString())
        await self.router.wait_room(topic)
        verdict = self._admit(self.my_id, msg)
        if isinstance(verdict, Accepted):
            await self.router.publish(self.my_id, msg)
        return verdict

    async def flush(self) -> None:
        """Wait until no peer's queue holds anything and nothing is being written."""
        for queue in tuple(self.peer_queues.values()):
            await queue.wait_drained()

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
        if peer in self.peer_queues:
            await self.peer_queues[peer].wait_drained()
        with suppress(BaseLibp2pError):
            await stream.close_write()
            while await stream.read(1):
                pass

    def _schedule_peer_stream_retry(self, peer_id: Any) -> None:
        if not self._departing:
            super()._schedule_peer_stream_retry(peer_id)

    async def handle_sending_messages(self, peer_id: Any, stream: Any, queue: Any) -> None:
        """Write what waits for a peer to its stream, in our queue instead of the library's."""
        ours = self.peer_queues.get(peer_id)
        if ours is None or ours.replaces is not queue:
            return  # the peer is gone again
        ours.write_nowait = stream.muxed_stream.write_nowait
        try:
            while batch := await ours.take():
                await stream.muxed_stream.write(batch)
        except BaseLibp2pError:
            if self.peer_queues.get(peer_id) is ours:
                self._handle_dead_peer(peer_id)


async def _pause(muxed: Any, seconds: float) -> None:
    """Let a peer wait. Raises StreamEOF where its connection ends before."""
    if seconds:
        with trio.move_on_after(seconds):
            await muxed.event_closed.wait()
            raise StreamEOF
