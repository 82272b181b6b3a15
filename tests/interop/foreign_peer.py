"""A peer that knows SPEC.md and the libp2p specifications, and shares no code with the node.

Of py-libp2p it uses TCP, Noise, Yamux and stream negotiation, and the protobuf definition of
pubsub's RPCs; meshsub itself is spoken by hand, in raw frames.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgpack
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.pb import rpc_pb2
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from tests.interop.spec_verifier import Opened, sealed, verify

PRICES = "/meshprice/main/prices/1"
PRESENCE = "/meshprice/main/presence/1"
TOPIC_NAMES = {PRICES: "prices", PRESENCE: "presence"}
STATUS_QUERY = "/meshprice/status/1.0.0"
PRICES_QUERY = "/meshprice/prices/1.0.0"
WATCH_QUERY = "/meshprice/watch/1.0.0"
STRICT_SIGN_PREFIX = b"libp2p-pubsub:"
KEY_PREFIX = bytes.fromhex("08011220")  # protobuf: Ed25519, 32 bytes
ID_PREFIX = bytes.fromhex("0024") + KEY_PREFIX  # multihash: identity, 36 bytes
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Heard:
    """A gossip message whose StrictSign signature and whose envelope hold."""

    topic: str
    opened: Opened


def framed(payload: bytes) -> bytes:
    """A payload behind its length as an unsigned varint."""
    length, digits = len(payload), bytearray()
    while length > 0x7F:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*digits, length]) + payload


async def read_frame(stream: Any) -> bytes:
    """The next frame's payload."""
    length = shift = 0
    while True:
        byte = (await _read_exactly(stream, 1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return await _read_exactly(stream, length)


async def _read_exactly(stream: Any, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = await stream.read(size - len(received))
        assert part, "the stream ended within a frame"
        received += part
    return received


def strict_signed(key: SigningKey, topic: str, data: bytes, seqno: int, *, with_key: bool) -> Any:
    """A gossip message as GossipSub's StrictSign has it, its `key` named or left out."""
    public_key = bytes(key.verify_key)
    message = rpc_pb2.Message(
        from_id=ID_PREFIX + public_key,
        data=data,
        seqno=seqno.to_bytes(8, "big"),
        topicIDs=[topic],
    )
    message.signature = key.sign(STRICT_SIGN_PREFIX + message.SerializeToString()).signature
    if with_key:
        message.key = KEY_PREFIX + public_key
    return message


def opened_strictly(message: Any) -> Heard:
    """What a gossip message brings, its two signatures verified."""
    assert message.from_id.startswith(ID_PREFIX)
    assert len(message.seqno) == 8
    (topic,) = message.topicIDs
    sender = message.from_id[len(ID_PREFIX) :]
    unsigned = rpc_pb2.Message()
    unsigned.CopyFrom(message)
    unsigned.ClearField("signature")
    unsigned.ClearField("key")
    signed = STRICT_SIGN_PREFIX + unsigned.SerializeToString()
    try:
        VerifyKey(sender).verify(signed, message.signature)
    except BadSignatureError as error:
        raise AssertionError("StrictSign does not hold") from error
    return Heard(topic, verify(message.data, topic=TOPIC_NAMES[topic], sender=sender))


class Watching:
    """A watch stream: frames from the node until somebody closes it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._passed_over: list[dict[str, Any]] = []

    async def until(self, event: str) -> dict[str, Any]:
        """The first frame, not yet asked for, that tells of such an event."""
        with trio.fail_after(PATIENCE_S):
            while True:
                for frame in self._passed_over:
                    if frame["event"] == event:
                        self._passed_over.remove(frame)
                        return frame
                frame = msgpack.unpackb(await read_frame(self._stream))
                assert frame["time"].endswith("Z")
                self._passed_over.append(frame)


class ForeignPeer:
    """Connected to one node, over one version of meshsub."""

    def __init__(self, host: Any, key: SigningKey, node: Any, meshsub: str) -> None:
        self.key = key
        self._host = host
        self._node = node
        self._meshsub = TProtocol(meshsub)
        self._sender, self._heard = trio.open_memory_channel[Heard](math.inf)
        self._out: Any = None
        self._rpc_read = trio.Event()
        self.node_subscriptions: set[str] = set()
        self.node_grafts: set[str] = set()
        self.negotiated = ""
        host.set_stream_handler(self._meshsub, self._read_rpcs)

    # --- gossip -----------------------------------------------------------------------------

    async def subscribe(self, *topics: str) -> None:
        """Say hello, and then that we belong to the mesh of each topic."""
        self._out = await self._host.new_stream(self._node, [self._meshsub])
        self.negotiated = str(self._out.get_protocol())
        hello = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=topic) for topic in topics]
        await self._send(rpc_pb2.RPC(subscriptions=hello))
        grafts = [rpc_pb2.ControlGraft(topicID=topic) for topic in topics]
        await self._send(rpc_pb2.RPC(control=rpc_pb2.ControlMessage(graft=grafts)))

    async def publish(self, topic: str, data: bytes, seqno: int, *, with_key: bool = False) -> None:
        """Gossip an envelope of our own."""
        message = strict_signed(self.key, topic, data, seqno, with_key=with_key)
        await self._send(rpc_pb2.RPC(publish=[message]))

    async def say_price(
        self,
        asset: str,
        mantissa: int,
        exponent: int,
        *,
        now_ns: int,
        seq: int = 1,
        with_key: bool = False,
    ) -> bytes:
        """Publish a price; returns its envelope."""
        quote = [asset, mantissa, exponent, now_ns, 0, 1, None]
        epoch = now_ns // 10**9
        raw = sealed(self.key, 1, [[quote]], epoch=epoch, seq=seq, issued_ns=now_ns)
        await self.publish(PRICES, raw, now_ns, with_key=with_key)
        return raw

    async def next_heard(self, topic: str) -> Heard:
        """The next message on a topic, verified; those on others are passed over."""
        with trio.fail_after(PATIENCE_S):
            while (heard := await self._heard.receive()).topic != topic:
                pass
        return heard

    async def wait_grafted(self, topic: str) -> None:
        """Until the node has counted us among its mesh of a topic."""
        with trio.fail_after(PATIENCE_S):
            while topic not in self.node_grafts:
                self._rpc_read = trio.Event()
                await self._rpc_read.wait()

    async def _send(self, rpc: Any) -> None:
        await self._out.write(framed(rpc.SerializeToString()))

    async def _read_rpcs(self, stream: Any) -> None:
        try:
            while True:
                rpc = rpc_pb2.RPC.FromString(await read_frame(stream))
                for subscription in rpc.subscriptions:
                    assert subscription.subscribe
                    self.node_subscriptions.add(subscription.topicid)
                self.node_grafts |= {graft.topicID for graft in rpc.control.graft}
                for message in rpc.publish:
                    self._sender.send_nowait(opened_strictly(message))
                self._rpc_read.set()
        except BaseLibp2pError:
            return  # the stream ended, or broke

    # --- queries ----------------------------------------------------------------------------

    async def ask(self, protocol: str, request: Any) -> dict[str, Any]:
        """The reply of one frame to a request."""
        return (await self.exchange(protocol, framed(msgpack.packb(request))))[0]

    async def exchange(self, protocol: str, request: bytes) -> tuple[dict[str, Any], list[bytes]]:
        """The map in the first frame, and the `envelopes` that it announces."""
        with trio.fail_after(PATIENCE_S):
            stream = await self._host.new_stream(self._node, [TProtocol(protocol)])
            await stream.write(request)
            reply: dict[str, Any] = msgpack.unpackb(await read_frame(stream))
            envelopes = [await read_frame(stream) for _ in range(reply.get("envelopes", 0))]
            await stream.close()
        return reply, envelopes

    async def watch(self, request: Any) -> Watching:
        """Events, until the peer goes."""
        with trio.fail_after(PATIENCE_S):
            stream = await self._host.new_stream(self._node, [TProtocol(WATCH_QUERY)])
            await stream.write(framed(msgpack.packb(request)))
        return Watching(stream)


@asynccontextmanager
async def foreign_peer(addr: str, *, meshsub: str = "/meshsub/1.1.0") -> AsyncIterator[ForeignPeer]:
    """A peer under a key of its own, connected to the node at `addr`."""
    key = SigningKey.generate()
    key_pair = create_new_key_pair(bytes(key))
    noise = NoiseTransport(key_pair, noise_privkey=create_new_x25519_key_pair().private_key)
    host = new_host(
        key_pair=key_pair,
        sec_opt={TProtocol(NOISE): noise},
        muxer_opt={TProtocol(YAMUX): Yamux},
    )
    async with host.run(listen_addrs=[]):
        target = info_from_p2p_addr(Multiaddr(addr))
        peer = ForeignPeer(host, key, target.peer_id, meshsub)
        try:
            await host.connect(target)
            yield peer
        finally:
            with trio.CancelScope(shield=True):
                await host.close()
