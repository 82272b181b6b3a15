"""One stream of a Yamux connection: a buffer, two windows, and how each side ended."""

from typing import TYPE_CHECKING, Any, Self

import trio
from libp2p.abc import IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamEOF, MuxedStreamError, MuxedStreamReset
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    FLAG_FIN,
    FLAG_RST,
    TYPE_DATA,
    TYPE_WINDOW_UPDATE,
)

from meshnode.adapters.libp2p.yamux_frames import FRAME_BYTES_MAX, header
from meshnode.adapters.waker import Waker

if TYPE_CHECKING:
    from meshnode.adapters.libp2p.yamux_io import Yamux

# What the peer may have on its way to us. It does not grow with the connection's speed, as the
# library's does: what strangers may leave unread here is bounded.
WINDOW_BYTES = DEFAULT_WINDOW_SIZE
GRANT_BYTES_MIN = WINDOW_BYTES // 2  # read before we say so: no update for every message


class YamuxStream(IMuxedStream):  # type: ignore[misc]  # the library is untyped to mypy
    """A stream; made by its connection, which feeds it."""

    def __init__(self, stream_id: int, conn: "Yamux") -> None:
        self.stream_id = stream_id
        self.conn = conn
        self.muxed_conn = conn
        self.buffer = bytearray()
        self.send_window = DEFAULT_WINDOW_SIZE
        self.recv_window = WINDOW_BYTES
        self.send_closed = False
        self.recv_closed = False
        self.reset_received = False  # by either side
        self._read_bytes = 0  # since the last grant
        self._reader = Waker()
        self._writers = trio.lowlevel.ParkingLot()
        self._write_lock = trio.Lock()

    @property
    def closed(self) -> bool:
        """Whether both sides have ended."""
        return self.send_closed and self.recv_closed

    # --- what its users do ------------------------------------------------------------------

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte, at most `n`; all that is there without `n`.

        One task reads at a time. Raises MuxedStreamEOF at the end, MuxedStreamReset.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self.buffer:
            if self.reset_received:
                raise MuxedStreamReset("the stream was reset")
            if self.recv_closed:
                raise MuxedStreamEOF("the stream has ended")
            await self._reader.wait()
        if n is None or n < 0 or n >= len(self.buffer):
            data = bytes(self.buffer)
            self.buffer.clear()
        else:
            data = bytes(self.buffer[:n])
            del self.buffer[:n]
        self._grant(len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Hand all of it to the connection, as the peer's window allows.

        There is no time-out but the caller's: a peer that is busy for seconds is no reason to lose
        the stream. Raises MuxedStreamError when the stream ends.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self.write_nowait(data):
            await self._write_in_turn(data)
        if self.send_closed and not data:
            raise MuxedStreamError("the stream is closed for writing")

    def write_nowait(self, data: bytes) -> bool:
        """Hand all of it to the connection where nothing has to be waited for; else nothing."""
        fits = (
            0 < len(data) <= min(self.send_window, FRAME_BYTES_MAX)
            and not self._write_lock.locked()
            and not self.send_closed
            and self.conn.has_room()
        )
        if fits:
            self._put(data)
        return fits

    def _put(self, data: bytes) -> None:
        self.send_window -= len(data)
        self.conn.put(header(TYPE_DATA, 0, self.stream_id, len(data)) + data)

    async def _write_in_turn(self, data: bytes) -> None:
        async with self._write_lock:
            start = 0
            while start < len(data):
                if self.send_closed:
                    raise MuxedStreamError("the stream is closed for writing")
                if not self.send_window:
                    await self._writers.park()
                elif not self.conn.has_room():
                    await self.conn.wait_room()
                else:
                    size = min(self.send_window, FRAME_BYTES_MAX, len(data) - start)
                    self._put(data if size == len(data) else data[start : start + size])
                    start += size

    async def close(self) -> None:
        """Say that nothing more will be written; reading goes on."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self.send_closed:
            self.send_closed = True
            self._writers.unpark_all()
            self.conn.put(header(TYPE_WINDOW_UPDATE, FLAG_FIN, self.stream_id, 0))
            self.conn.forget_if_closed(self)

    async def reset(self) -> None:
        """End both directions at once."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self.closed:
            self.conn.put(header(TYPE_WINDOW_UPDATE, FLAG_RST, self.stream_id, 0))
            self.end(reset=True)
            self.conn.forget_if_closed(self)

    def set_deadline(self, ttl: int) -> None:
        """Not offered: deadlines are cancel scopes. Raises NotImplementedError."""
        raise NotImplementedError("use a cancel scope")

    def get_remote_address(self) -> tuple[str, int] | None:
        """The peer's socket address."""
        return self.conn.get_remote_address()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    # --- what its connection does -----------------------------------------------------------

    def feed(self, data: Any) -> None:
        """Take in bytes that the window allowed."""
        self.buffer += data
        self._reader.wake()

    def widen(self, increment: int) -> None:
        """The peer takes so many bytes more."""
        self.send_window += increment
        self._writers.unpark_all()

    def end(self, *, reset: bool = False, sending: bool = True) -> None:
        """The peer has ended its side, or, where we may not send either, everything is over.

        What has arrived can still be read, unless it was a reset.
        """
        self.recv_closed = True
        if reset:
            self.reset_received = True
            self.buffer.clear()
        if sending:
            self.send_closed = True
            self._writers.unpark_all()
        self._reader.wake()

    def _grant(self, size: int) -> None:
        self._read_bytes += size
        if self._read_bytes >= GRANT_BYTES_MIN and not self.recv_closed:
            self.recv_window += self._read_bytes
            self.conn.put(header(TYPE_WINDOW_UPDATE, 0, self.stream_id, self._read_bytes))
            self._read_bytes = 0
