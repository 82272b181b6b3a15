"""A peer that does what it likes: raw TCP, Noise, Yamux frames and meshsub RPCs, by hand.

The library shakes hands where that is only the way to what is attacked; every other byte is ours.
Everything goes to one node on loopback, bounded in count and in time.
"""

import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
from libp2p.exceptions import BaseLibp2pError
from libp2p.io.trio import TrioTCPStream
from libp2p.io.utils import read_exactly
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.noise.transport import Transport as NoiseTransport
from nacl.signing import SigningKey

from protocols.framing import encode_frame

BROKEN = (OSError, BaseLibp2pError, trio.BrokenResourceError, trio.ClosedResourceError)

DATA, WINDOW_UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
MULTISTREAM = "/multistream/1.0.0"
MESHSUB = "/meshsub/1.1.0"
FRAME_BODY_BYTES = 32 * 1024
WINDOW_BYTES = 256 * 1024
PATIENCE_S = 12.0


@dataclass(frozen=True)
class Target:
    """Where the victim listens, and who it is."""

    host: str
    port: int
    peer_id: str

    @classmethod
    def at(cls, addr: str) -> "Target":
        """From a multiaddr `/ip4/…/tcp/…/p2p/…`."""
        _, _, host, _, port, _, peer_id = addr.split("/")
        assert host == "127.0.0.1"
        return cls(host, int(port), peer_id)


def line(text: str) -> bytes:
    """One line of a multistream negotiation."""
    return encode_frame(text.encode() + b"\n")


def header(kind: int, flags: int, stream_id: int, length: int, *, version: int = 0) -> bytes:
    """A Yamux frame's twelve bytes, whatever they say."""
    return struct.pack("!BBHII", version, kind, flags, stream_id, length)


@asynccontextmanager
async def tcp(target: Target) -> AsyncIterator[trio.SocketStream]:
    """A connection on which nothing has been said."""
    with trio.fail_after(PATIENCE_S):
        stream = await trio.open_tcp_stream(target.host, target.port)
    async with stream:
        yield stream


async def expect_lines(reader: Any, *texts: str) -> None:
    """Read the lines of a negotiation that goes as it should."""
    for text in texts:
        expected = line(text)
        assert await read_exactly(reader, len(expected)) == expected


async def negotiated(raw: RawConnection) -> None:
    """Agree on Noise."""
    await raw.write(line(MULTISTREAM) + line("/noise"))
    await expect_lines(raw, MULTISTREAM, "/noise")


async def wait_end(stream: trio.SocketStream, within_s: float = PATIENCE_S) -> None:
    """Until the victim has closed a connection; fails where it does not."""
    with trio.fail_after(within_s):
        try:
            while await stream.receive_some(65536):
                pass
        except trio.BrokenResourceError:
            pass


@asynccontextmanager
async def secured(target: Target, key: SigningKey | None = None) -> AsyncIterator[Any]:
    """A connection after its Noise handshake, as somebody new or as the owner of a key."""
    async with tcp(target) as stream:
        raw = RawConnection(TrioTCPStream(stream), initiator=True)
        with trio.fail_after(PATIENCE_S):
            await negotiated(raw)
            pair = create_new_key_pair(bytes(key or SigningKey.generate()))
            noise = NoiseTransport(pair, create_new_x25519_key_pair().private_key)
            session = await noise.secure_outbound(raw, ID.from_string(target.peer_id))
        yield session


class HostilePeer:
    """An authenticated connection on which any frame can be sent."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._next_id = 1
        self._received: dict[int, bytearray] = defaultdict(bytearray)
        self._arrived = trio.Event()
        self._window: defaultdict[int, int] = defaultdict(lambda: WINDOW_BYTES)
        self._over: set[int] = set()
        self.ended = trio.Event()

    async def raw(self, data: bytes) -> None:
        """Bytes to the muxer."""
        await self._session.write(data)

    async def frame(
        self, kind: int, flags: int, stream_id: int, length: int, body: bytes = b""
    ) -> None:
        """One frame, whose length may be a lie."""
        await self.raw(header(kind, flags, stream_id, length) + body)

    async def data(self, stream_id: int, data: bytes) -> None:
        """Data in frames, as the victim's window allows: below gossip we behave. Raises OSError."""
        start = 0
        while start < len(data):
            while not self._window[stream_id]:
                await self._wait_news()
            part = data[start : start + min(FRAME_BODY_BYTES, self._window[stream_id])]
            self._window[stream_id] -= len(part)
            await self.frame(DATA, 0, stream_id, len(part), part)
            start += len(part)

    async def open(self, protocol: str | None = None) -> int:
        """Open a stream, and agree on a protocol where one is named."""
        stream_id, self._next_id = self._next_id, self._next_id + 2
        await self.frame(WINDOW_UPDATE, SYN, stream_id, 0)
        if protocol is not None:
            await self.data(stream_id, line(MULTISTREAM) + line(protocol))
            expected = line(MULTISTREAM) + line(protocol)
            with trio.fail_after(PATIENCE_S):
                while (received := bytes(self._received[stream_id])) != expected:
                    if not expected.startswith(received):
                        raise OSError(f"the victim does not serve {protocol}")
                    await self._wait_news()
            del self._received[stream_id][: len(expected)]
        return stream_id

    async def rpcs(self, stream_id: int, rpcs: Iterable[Any]) -> None:
        """Send RPCs, messages of protobuf or bytes, each behind its length."""
        for rpc in rpcs:
            raw = rpc if isinstance(rpc, bytes) else rpc.SerializeToString()
            await self.data(stream_id, encode_frame(raw))

    async def wait_stream_ended(self, stream_id: int, within_s: float) -> None:
        """Until the victim has ended a stream, or the connection; fails where it does not."""
        with trio.fail_after(within_s), suppress(OSError):
            while stream_id not in self._over:
                await self._wait_news()

    async def _wait_news(self) -> None:
        if self.ended.is_set():
            raise OSError("the victim closed the connection")
        if self._arrived.is_set():
            self._arrived = trio.Event()
        await self._arrived.wait()

    async def wait_ended(self, within_s: float = PATIENCE_S) -> None:
        """Until the victim has closed the connection; fails where it does not."""
        with trio.fail_after(within_s):
            await self.ended.wait()

    async def read_frames(self) -> None:
        """Take in what the victim sends, and answer nothing."""
        try:
            while True:
                raw = await read_exactly(self._session, 12)
                _, kind, flags, stream_id, length = struct.unpack("!BBHII", raw)
                if kind == DATA and length:
                    self._received[stream_id] += await read_exactly(self._session, length)
                elif kind == WINDOW_UPDATE:
                    self._window[stream_id] += length
                if flags & (FIN | RST):
                    self._over.add(stream_id)
                self._arrived.set()
        except BROKEN:
            self.ended.set()
            self._arrived.set()


@asynccontextmanager
async def muxed(target: Target, key: SigningKey | None = None) -> AsyncIterator[HostilePeer]:
    """A connection after the handshake, with Yamux agreed on."""
    async with secured(target, key) as session:
        await session.write(line(MULTISTREAM) + line("/yamux/1.0.0"))
        with trio.fail_after(PATIENCE_S):
            await expect_lines(session, MULTISTREAM, "/yamux/1.0.0")
        peer = HostilePeer(session)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(peer.read_frames)
                yield peer
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # The nursery is no business of the attack's, which expects its own exceptions.
            raise group.exceptions[0] from None


@asynccontextmanager
async def gossiping(
    target: Target, key: SigningKey | None = None
) -> AsyncIterator[tuple[HostilePeer, int]]:
    """A peer with an open meshsub stream, and the stream's id."""
    async with muxed(target, key) as peer:
        yield peer, await peer.open(MESHSUB)
