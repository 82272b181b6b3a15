"""Streams in memory with what makes real ones hard: latency, bounded buffers, resets."""

from collections.abc import Callable
from typing import Any, TypeAlias

import trio

from meshnode.adapters.waker import Waker
from meshnode.errors import StreamBroken

PIPE_BYTES_MAX = 256 * 1024  # a yamux window: who writes more waits until the peer has read

# Has something happen at the other end, when what is sent now arrives there.
Carry: TypeAlias = Callable[..., None]


def at_once(arrive: Callable[..., None], *args: Any) -> None:
    """The way between two ends that are in one place."""
    arrive(*args)


def _nothing() -> None:
    """Called once, and no more."""


class _Pipe:
    """Bytes one way. `there` carries from the writer's end to the reader's, `back` the reverse.

    One task at a time reads, and one writes.
    """

    __slots__ = (
        "_back",
        "_buffer",
        "_ended",
        "_on_over",
        "_reader",
        "_refused",
        "_there",
        "_under_way_bytes",
        "_writer",
        "is_broken",
        "is_closed",
    )

    def __init__(self, there: Carry, back: Carry) -> None:
        self._there = there
        self._back = back
        self._buffer = bytearray()
        self._under_way_bytes = 0
        self._reader = Waker()  # waits for something to read, or the end
        self._writer = Waker()  # waits for room
        self.is_closed = False  # the writer has said that nothing more comes
        self._ended = False  # and the reader has been told
        self._refused = False  # the writer knows that nobody reads
        self.is_broken = False  # the reader knows that something was lost
        self._on_over: Callable[[], None] | None = None  # set where nobody reads any more

    @property
    def is_drained(self) -> bool:
        return self._ended and not self._buffer

    async def put(self, data: bytes) -> bool:
        """Whether all of it went in, before the pipe broke or was closed."""
        await trio.lowlevel.checkpoint_if_cancelled()
        rest = data
        while not (self._refused or self.is_closed):
            if not rest:
                return True
            room = PIPE_BYTES_MAX - len(self._buffer) - self._under_way_bytes
            if room <= 0:
                await self._writer.wait()
                continue
            chunk, rest = rest[:room], rest[room:]
            self._under_way_bytes += len(chunk)
            self._there(self._arrive, chunk)
        return False

    async def get(self, max_bytes: int) -> bytes:
        """What is there, at most so much; nothing once the pipe has ended or broken."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not (self._buffer or self._ended or self.is_broken):
            await self._reader.wait()
        data = bytes(self._buffer[:max_bytes])
        del self._buffer[:max_bytes]
        self._writer.wake()
        return data

    def close(self) -> None:
        """The writer is done."""
        if not self.is_closed:
            self.is_closed = True
            self._there(self._end)
            self._writer.wake()

    def drain(self, then: Callable[[], None]) -> None:
        """The reader has read enough: what still comes is dropped, and `then` called at the end."""
        self._buffer.clear()
        self._on_over = then
        self._look_whether_over()
        self._writer.wake()

    def abandon(self) -> None:
        """The writer resets: what is under way is lost."""
        self._refuse()
        self._there(self._break)

    def refuse(self) -> None:
        """The reader resets."""
        self._break()
        self._back(self._refuse)

    def _arrive(self, chunk: bytes) -> None:
        self._under_way_bytes -= len(chunk)
        if not self.is_broken and self._on_over is None:
            self._buffer += chunk
            self._reader.wake()
        else:
            self._writer.wake()

    def _end(self) -> None:
        self._ended = True
        self._look_whether_over()
        self._reader.wake()

    def _break(self) -> None:
        if not self.is_drained:
            self.is_broken = True
            self._buffer.clear()
        self._look_whether_over()
        self._reader.wake()

    def _look_whether_over(self) -> None:
        if self._on_over is not None and (self._ended or self.is_broken):
            then, self._on_over = self._on_over, _nothing
            then()

    def _refuse(self) -> None:
        self._refused = True
        self._writer.wake()


class ModelStream:
    """One end of a stream in memory."""

    __slots__ = ("_inbound", "_outbound", "_peer", "_was_reset")

    def __init__(self, peer: str, inbound: _Pipe, outbound: _Pipe) -> None:
        self._peer = peer
        self._inbound = inbound
        self._outbound = outbound
        self._was_reset = False

    @property
    def peer_id(self) -> str:
        """Who is at the other end."""
        return self._peer

    @property
    def is_over(self) -> bool:
        """Whether it was reset, or both ends have closed it and nothing is left to read."""
        return self._was_reset or (self._outbound.is_closed and self._inbound.is_drained)

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
        await trio.lowlevel.checkpoint_if_cancelled()
        self._outbound.close()

    async def reset(self) -> None:
        """See `Stream.reset`."""
        self.break_off()
        await trio.lowlevel.checkpoint()

    def break_off(self) -> None:
        """End both directions, as when the connection breaks."""
        if self.is_over:
            return
        self._was_reset = True
        if not self._inbound.is_drained:
            self._inbound.refuse()
        self._outbound.abandon()

    def finish(self, then: Callable[[], None]) -> None:
        """Close; when the peer has done so too, nothing is left of the stream: call `then`."""
        self._outbound.close()
        self._inbound.drain(then)


def stream_pair(
    opener: str, server: str, there: Carry = at_once, back: Carry = at_once
) -> tuple[ModelStream, ModelStream]:
    """The opener's end and the server's, each knowing its peer's id.

    `there` and `back` carry what the opener and the server send.
    """
    question, reply = _Pipe(there, back), _Pipe(back, there)
    return ModelStream(server, reply, question), ModelStream(opener, question, reply)
