"""Yamux by its specification, in the place of the library's.

The library's takes a lock, a task switch or a system call at each of a dozen steps of a message,
gives a stream up when its peer was busy for five seconds, writes from its reading loop (two peers
that flood each other wait for each other), and stores more than it granted. The bytes on the wire
are those of the specification.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p.abc import IMuxedConn
from libp2p.exceptions import BaseLibp2pError
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamError
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_ACK,
    FLAG_FIN,
    FLAG_RST,
    FLAG_SYN,
    GO_AWAY_NORMAL,
    GO_AWAY_PROTOCOL_ERROR,
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_GO_AWAY,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
)

from meshnode.adapters.libp2p.yamux_frames import HEADER, VERSION, header
from meshnode.adapters.libp2p.yamux_stream import YamuxStream
from meshnode.adapters.waker import Waker
from protocols.errors import Malformed

STREAMS_MAX = 256  # of one connection, the peer's and ours; more of the peer's end the connection
ACCEPT_MAX = 64  # streams the peer opened and nobody took yet; more are reset
WRITE_BYTES_MAX = 128 * 1024  # waiting for the socket; then writers wait
# Answers to the peer wait for nobody; one that asks and does not read them ends its connection.
WAITING_BYTES_MAX = 2 * WRITE_BYTES_MAX
PING_BYTES = 4  # of what an answer repeats
LAST_WORDS_S = 0.5  # for what was written before a close

# The wire breaks, or the guard before us ends it.
ENDINGS = (BaseLibp2pError, OSError, trio.ClosedResourceError, trio.TooSlowError)

logger = logging.getLogger("libp2p.yamux")


class Yamux(IMuxedConn):  # type: ignore[misc]  # the library is untyped to mypy
    """Streams over one secured connection."""

    def __init__(self, secured_conn: Any, peer_id: Any) -> None:
        self.secured_conn = secured_conn
        self.peer_id = peer_id
        self.streams: dict[int, YamuxStream] = {}
        self.stream_buffers: dict[int, bytearray] = {}
        self.event_started = trio.Event()
        self.event_shutting_down = trio.Event()
        self.event_closed = trio.Event()
        self._next_id = 1 if self.is_initiator else 2
        self._accepting, self._accepted = trio.open_memory_channel[YamuxStream](ACCEPT_MAX)
        self._partial = b""  # of a header
        self._body_left = 0
        self._body: YamuxStream | None = None  # whose data is on its way; None: nobody's
        self._body_flags = 0
        self._outbound: list[bytes] = []
        self._outbound_bytes = 0
        self._writer = Waker()
        self._waiting = trio.lowlevel.ParkingLot()
        self._pinged: dict[int, trio.Event] = {}  # by what the answer will repeat

    # --- the connection ---------------------------------------------------------------------

    @property
    def is_initiator(self) -> bool:
        """Whether we dialled."""
        return bool(self.secured_conn.is_initiator)

    @property
    def is_established(self) -> bool:
        """Whether streams can be opened."""
        return self.event_started.is_set() and not self.event_shutting_down.is_set()

    @property
    def is_closed(self) -> bool:
        """Whether the connection is no more."""
        return self.event_closed.is_set()

    async def start(self) -> None:
        """Read and write until the connection ends; never raises, or the host would end."""
        async with trio.open_nursery() as nursery:

            async def until_it_ends(work: Callable[[], Awaitable[None]]) -> None:
                try:
                    await work()
                except Malformed:
                    self.put(header(TYPE_GO_AWAY, 0, 0, GO_AWAY_PROTOCOL_ERROR))
                except ENDINGS:
                    self._give_up()
                except Exception:  # the edge: it would end the host
                    logger.exception("a connection with %s ended by a defect", self.peer_id)
                    self._give_up()
                await self._end()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_it_ends, self._write_all)
            nursery.start_soon(until_it_ends, self._read_all)
            self.event_started.set()

    async def close(self, error_code: int = GO_AWAY_NORMAL) -> None:
        """Say goodbye and close; what was written before goes out first, if the peer takes it."""
        if not self.event_shutting_down.is_set():
            self.put(header(TYPE_GO_AWAY, 0, 0, error_code))
        await self._end()

    async def _end(self) -> None:
        self.event_shutting_down.set()
        self._accepting.close()
        for stream in self.streams.values():
            stream.end()
        self.streams.clear()
        self.stream_buffers.clear()
        try:
            with trio.move_on_after(LAST_WORDS_S):
                while self._outbound_bytes and not self.event_closed.is_set():
                    await self._waiting.park()
        finally:
            self.event_closed.set()
            self._waiting.unpark_all()
            for answered in self._pinged.values():
                answered.set()
            await self.secured_conn.close()

    async def ping(self) -> None:
        """Wait for the peer to answer; the caller's deadline.

        A frame each way, where the protocol of that name opens a stream, which takes a dozen.
        Raises MuxedConnUnavailable when the connection ends.
        """
        # Nobody can answer before he was asked.
        asked = secrets.randbits(8 * PING_BYTES)
        self._pinged[asked] = trio.Event()
        try:
            self.put(header(TYPE_PING, FLAG_SYN, 0, asked))
            if not self.event_closed.is_set():
                await self._pinged[asked].wait()
        finally:
            del self._pinged[asked]
        if self.event_closed.is_set():
            raise MuxedConnUnavailable("the connection has closed")

    def _give_up(self) -> None:
        """Nobody is left who could be told anything."""
        self._outbound.clear()
        self._outbound_bytes = 0

    def get_remote_address(self) -> tuple[str, int] | None:
        """The peer's socket address."""
        address: tuple[str, int] | None = self.secured_conn.get_remote_address()
        return address

    def get_transport_addresses(self) -> list[Any]:
        """The peer's address as the transport knows it."""
        return list(self.secured_conn.get_transport_addresses())

    def get_connection_type(self) -> Any:
        """Direct or relayed."""
        return self.secured_conn.get_connection_type()

    # --- streams ----------------------------------------------------------------------------

    async def open_stream(self) -> YamuxStream:
        """A new stream to the peer. Raises MuxedStreamError when the connection is ending."""
        await trio.lowlevel.checkpoint()
        if self.event_shutting_down.is_set():
            raise MuxedStreamError("the connection is shutting down")
        if len(self.streams) >= STREAMS_MAX:
            raise MuxedStreamError(f"{STREAMS_MAX} streams are open on this connection")
        stream = self._add(self._next_id)
        self._next_id += 2
        self.put(header(TYPE_WINDOW_UPDATE, FLAG_SYN, stream.stream_id, 0))
        return stream

    async def accept_stream(self) -> YamuxStream:
        """The next stream of the peer's. Raises MuxedConnUnavailable at the connection's end."""
        try:
            return await self._accepted.receive()
        except trio.EndOfChannel:
            raise MuxedConnUnavailable("the connection has closed") from None

    def forget_if_closed(self, stream: YamuxStream) -> None:
        """Drop a stream that is over; who holds it can still read what it has."""
        if stream.closed:
            self.streams.pop(stream.stream_id, None)
            self.stream_buffers.pop(stream.stream_id, None)

    def _add(self, stream_id: int) -> YamuxStream:
        stream = YamuxStream(stream_id, self)
        self.streams[stream_id] = stream
        self.stream_buffers[stream_id] = stream.buffer
        return stream

    # --- writing ----------------------------------------------------------------------------

    def has_room(self) -> bool:
        """Whether a writer may go on."""
        return self._outbound_bytes < WRITE_BYTES_MAX

    async def wait_room(self) -> None:
        """Wait until a writer may go on, or the connection ends."""
        while not self.has_room() and not self.event_closed.is_set():
            await self._waiting.park()

    def put(self, frame: bytes) -> None:
        """Have a frame written; all that is put before the writer's turn is one message."""
        if self.event_closed.is_set():
            return
        self._outbound.append(frame)
        self._outbound_bytes += len(frame)
        self._writer.wake()

    async def _write_all(self) -> None:
        while True:
            while not self._outbound:
                await self._writer.wait()
            data = b"".join(self._outbound)
            self._outbound.clear()
            await self.secured_conn.write(data)
            self._outbound_bytes -= len(data)
            if self._waiting:
                self._waiting.unpark_all()

    # --- reading ----------------------------------------------------------------------------

    async def _read_all(self) -> None:
        while True:
            data = await self.secured_conn.read(None)
            if self.event_shutting_down.is_set():
                return
            self._feed(data)
            if self.event_shutting_down.is_set():
                return
            if self._outbound_bytes > WAITING_BYTES_MAX:
                raise Malformed("a peer that asks and does not read")

    def _feed(self, data: bytes) -> None:
        """Act on what has arrived. Raises Malformed."""
        position = 0
        if self._partial:
            data = self._partial + data
        while position < len(data) and not self.event_shutting_down.is_set():
            if self._body_left:
                step = min(self._body_left, len(data) - position)
                if self._body is not None:
                    self._body.feed(data[position : position + step])
                self._body_left -= step
                position += step
                if not self._body_left and self._body is not None:
                    self._act_on_flags(self._body, self._body_flags)
            elif len(data) - position < HEADER_SIZE:
                break
            else:
                self._on_header(*HEADER.unpack_from(data, position))
                position += HEADER_SIZE
        self._partial = data[position:]

    def _on_header(self, version: int, kind: int, flags: int, stream_id: int, length: int) -> None:
        if version != VERSION:
            raise Malformed(f"a frame of version {version}")
        if kind == TYPE_DATA:
            stream = self._stream_of(stream_id, flags)
            if stream is not None:
                if length > stream.recv_window:
                    raise Malformed(f"{length} bytes where {stream.recv_window} were granted")
                stream.recv_window -= length
            self._body, self._body_left, self._body_flags = stream, length, flags
            if not length and stream is not None:
                self._act_on_flags(stream, flags)
        elif kind == TYPE_WINDOW_UPDATE:
            stream = self._stream_of(stream_id, flags)
            if stream is not None:
                stream.widen(length)
                self._act_on_flags(stream, flags)
        elif kind == TYPE_PING:
            if flags & FLAG_SYN:
                self.put(header(TYPE_PING, FLAG_ACK, 0, length))
            elif length in self._pinged:
                self._pinged[length].set()
        elif kind == TYPE_GO_AWAY:
            self.event_shutting_down.set()
        else:
            raise Malformed(f"a frame of type {kind}")

    def _stream_of(self, stream_id: int, flags: int) -> YamuxStream | None:
        """The stream of a frame, a new one where it begins one; None of one that is gone."""
        stream = self.streams.get(stream_id)
        if not flags & FLAG_SYN:
            return stream
        if stream is not None or stream_id % 2 == self._next_id % 2 or not stream_id:
            raise Malformed(f"stream {stream_id} is not the peer's to open")
        if len(self.streams) >= STREAMS_MAX:
            raise Malformed(f"more than {STREAMS_MAX} streams that nobody closed")
        stream = self._add(stream_id)
        try:
            self._accepting.send_nowait(stream)
        except trio.WouldBlock:
            self.put(header(TYPE_WINDOW_UPDATE, FLAG_RST, stream_id, 0))
            stream.end(reset=True)
            self.forget_if_closed(stream)
        else:
            self.put(header(TYPE_WINDOW_UPDATE, FLAG_ACK, stream_id, 0))
        return stream

    def _act_on_flags(self, stream: YamuxStream, flags: int) -> None:
        if flags & FLAG_RST:
            stream.end(reset=True)
        elif flags & FLAG_FIN:
            stream.end(sending=False)
        self.forget_if_closed(stream)


class YamuxMultistream(MuxerMultistream):  # type: ignore[misc]  # the library is untyped to mypy
    """The library's negotiation of a muxer, our Yamux: the library makes its own by name."""

    async def new_conn(self, conn: Any, peer_id: Any) -> Yamux:
        """A muxed connection. Raises what the library raises."""
        protocol, _ = await self._selector.select(conn, conn.is_initiator, self.negotiate_timeout)
        muxed: Yamux = self._annotate_connection(Yamux(conn, peer_id), conn, protocol)
        return muxed
