"""Two muxed connections, wired back to back without a network; either may be the library's."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux import yamux as library
from trio.testing import memory_stream_pair

from meshnode.adapters.libp2p.yamux_frames import HEADER
from meshnode.adapters.libp2p.yamux_io import Yamux
from protocols.ids import peer_id_bytes

PEER = ID(peer_id_bytes(bytes(32)))
CHUNK_BYTES_MAX = 3000


class Wire:
    """One end of a secured connection; unless a size is asked for, bytes come in odd pieces."""

    def __init__(self, stream: Any, *, is_initiator: bool, seed: int = 0) -> None:
        self.is_initiator = is_initiator
        self._stream = stream
        self._chance = random.Random(seed)

    async def read(self, n: int | None = None) -> bytes:
        """Exactly `n` bytes, or any number without."""
        size = self._chance.randint(1, CHUNK_BYTES_MAX) if n is None else n
        data = bytearray(await self._receive(size))
        while n is not None and len(data) < n:
            data += await self._receive(n - len(data))
        return bytes(data)

    async def write(self, data: bytes) -> None:
        """All of it."""
        await self._stream.send_all(data)

    async def close(self) -> None:
        """Both ways."""
        await self._stream.aclose()

    def get_remote_address(self) -> tuple[str, int] | None:
        """None: there is no network."""
        return None

    async def _receive(self, size: int) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(size))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionClosedError("broken") from error
        if not data:
            raise ConnectionClosedError("closed")
        return data


@asynccontextmanager
async def muxed(
    alice_kind: Any = Yamux, bob_kind: Any = Yamux, *, seed: int = 0, streams: Any = None
) -> AsyncIterator[tuple[Any, Any]]:
    """Alice, who dialled, and bob; `streams` replaces the pair of streams between them."""
    left, right = streams or memory_stream_pair()
    alice = alice_kind(Wire(left, is_initiator=True, seed=seed), PEER)
    bob = bob_kind(Wire(right, is_initiator=False, seed=seed + 1), PEER)
    async with trio.open_nursery() as nursery:
        for conn in (alice, bob):
            nursery.start_soon(conn.start)
            await conn.event_started.wait()
        yield alice, bob
        for conn in (alice, bob):
            await conn.close()
        nursery.cancel_scope.cancel()


class RawPeer:
    """The far end of a connection of ours: writes frames by hand, and reads what comes back."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def send(
        self,
        kind: int,
        flags: int,
        stream_id: int,
        length: int,
        body: bytes = b"",
        version: int = 0,
    ) -> None:
        """One frame, whatever it says."""
        await self._wire.write(HEADER.pack(version, kind, flags, stream_id, length) + body)

    async def flood(
        self, kind: int, flags: int, stream_id: int, length: int, *, times: int
    ) -> None:
        """The same frame over and over, as long as somebody is there."""
        with suppress(trio.BrokenResourceError):
            await self._wire.write(HEADER.pack(0, kind, flags, stream_id, length) * times)

    async def frame(self) -> tuple[int, int, int, int]:
        """Type, flags, stream id and length of the next frame; its data is skipped."""
        _, kind, flags, stream_id, length = HEADER.unpack(await self._wire.read(HEADER.size))
        if kind == library.TYPE_DATA and length:
            await self._wire.read(length)
        return kind, flags, stream_id, length

    async def until_closed(self) -> list[tuple[int, int, int, int]]:
        """Every frame that comes before the connection ends."""
        frames = []
        with trio.fail_after(5):
            while True:
                try:
                    frames.append(await self.frame())
                except ConnectionClosedError:
                    return frames


@asynccontextmanager
async def attacked(streams: Any = None) -> AsyncIterator[tuple[RawPeer, Yamux]]:
    """Mallory, who dialled, and bob's connection."""
    left, right = streams or memory_stream_pair()
    bob = Yamux(Wire(right, is_initiator=False), PEER)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bob.start)
        await bob.event_started.wait()
        yield RawPeer(Wire(left, is_initiator=True)), bob
        nursery.cancel_scope.cancel()
        await left.aclose()
