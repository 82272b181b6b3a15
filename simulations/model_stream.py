"""Streams in memory, with what makes real ones hard: bounded buffers, half-closing, resets."""

import trio

from meshnode.errors import StreamBroken

PIPE_BYTES_MAX = 256 * 1024  # a yamux window: who writes more waits until the peer has read
LINGER_S = 1.0  # how long an answered stream waits for its peer to close, before it is reset


class _Pipe:
    """Bytes one way."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._changed = trio.lowlevel.ParkingLot()
        self._ended = False
        self.is_broken = False

    @property
    def is_drained(self) -> bool:
        return self._ended and not self._buffer

    async def put(self, data: bytes) -> bool:
        """Whether all of it went in, before the pipe broke or ended."""
        await trio.lowlevel.checkpoint()
        rest = memoryview(data)
        while rest and not (self.is_broken or self._ended):
            room = PIPE_BYTES_MAX - len(self._buffer)
            if room <= 0:
                await self._changed.park()
                continue
            self._buffer += rest[:room]
            rest = rest[room:]
            self._changed.unpark_all()
        return not (rest or self.is_broken)

    async def get(self, max_bytes: int) -> bytes:
        """What is there, at most so much; nothing once the pipe has ended or broken."""
        await trio.lowlevel.checkpoint()
        while not (self._buffer or self._ended or self.is_broken):
            await self._changed.park()
        data = bytes(self._buffer[:max_bytes])
        del self._buffer[:max_bytes]
        self._changed.unpark_all()
        return data

    def end(self) -> None:
        self._ended = True
        self._changed.unpark_all()

    def break_off(self) -> None:
        """What is under way is lost."""
        if not self.is_drained:
            self.is_broken = True
            self._buffer.clear()
        self._changed.unpark_all()


class ModelStream:
    """One end of a stream in memory."""

    def __init__(self, peer: str, inbound: _Pipe, outbound: _Pipe) -> None:
        self._peer = peer
        self._inbound = inbound
        self._outbound = outbound

    @property
    def peer_id(self) -> str:
        """Who is at the other end."""
        return self._peer

    async def read(self, max_bytes: int) -> bytes:
        """See `Stream.read`."""
        data = await self._inbound.get(max_bytes)
        if self._inbound.is_broken:
            raise StreamBroken(f"the stream with {self._peer} was reset")
        return data

    async def write(self, data: bytes) -> None:
        """See `Stream.write`."""
        if not await self._outbound.put(data):
            raise StreamBroken(f"the stream with {self._peer} takes no more")

    async def close(self) -> None:
        """See `Stream.close`."""
        await trio.lowlevel.checkpoint()
        self._outbound.end()

    async def reset(self) -> None:
        """See `Stream.reset`."""
        self.break_off()
        await trio.lowlevel.checkpoint()

    def break_off(self) -> None:
        """End both directions, as when the connection breaks."""
        self._inbound.break_off()
        self._outbound.break_off()

    async def finish(self) -> None:
        """Close, and wait a little for the peer to do so; then nothing is left of the stream."""
        await self.close()
        with trio.move_on_after(LINGER_S) as patience:
            while await self.read(PIPE_BYTES_MAX):
                pass
        if patience.cancelled_caught:
            await self.reset()


def stream_pair(opener: str, server: str) -> tuple[ModelStream, ModelStream]:
    """The opener's end and the server's, each knowing its peer's id."""
    there, back = _Pipe(), _Pipe()
    return ModelStream(server, back, there), ModelStream(opener, there, back)
