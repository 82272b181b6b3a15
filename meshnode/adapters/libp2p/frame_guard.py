"""Yamux frames, judged before the muxer acts on them.

The library ignores what it does not know, takes any version, and stores more than it granted: a
peer that ignores its window fills our memory, and one that floods control frames our time.
"""

import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any

import trio
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    FLAG_ACK,
    FLAG_FIN,
    FLAG_RST,
    FLAG_SYN,
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_GO_AWAY,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
)

from meshnode.adapters.libp2p.budget import TokenBucket
from meshnode.adapters.libp2p.conduct import Conduct
from protocols.errors import Malformed

TYPES = frozenset({TYPE_DATA, TYPE_WINDOW_UPDATE, TYPE_PING, TYPE_GO_AWAY})
FLAGS = FLAG_SYN | FLAG_ACK | FLAG_FIN | FLAG_RST

FRAME_DEADLINE_S = 10.0  # from a frame's first byte to its last
WINDOW_MAX = 2**31  # nobody holds two gigabytes for us
STREAMS_PER_CONNECTION_MAX = 256
UNREAD_BYTES_MAX = 1024 * 1024  # of all streams of a connection; more than four full windows
UNREAD_CHECK_BYTES = 64 * 1024

# A peer opens a stream for each query and each ping; a catch-up is at most 64 pages.
STREAMS_PER_S, STREAMS_BURST = 20.0, 200.0
PINGS_PER_S, PINGS_BURST = 10.0, 100.0
# One update for each read at the other end: more than its messages, and never more than we send.
UPDATES_PER_S, UPDATES_BURST = 10_000.0, 20_000.0
# What was on its way when we reset a stream, and no more.
STRAY_BYTES_PER_S, STRAY_BYTES_BURST = 256 * 1024, 16 * 1024 * 1024


class FrameGuard:
    """Follows one connection's inbound bytes, header by header. Raises Malformed."""

    def __init__(self, streams: Mapping[int, Any], unread: Mapping[int, Any], parity: int) -> None:
        """`parity` is that of the stream ids that the peer gives: 1 where it dialled us."""
        self._streams = streams
        self._unread = unread
        self._parity = parity
        self._header = bytearray()
        self._body_left = 0
        self._unchecked_bytes = 0
        # Of each stream since the muxer last took note; it does so after each `feed`.
        self._fed: Counter[int] = Counter()
        self._began_at: float | None = None
        self._opened = TokenBucket(STREAMS_PER_S, STREAMS_BURST)
        self._pings = TokenBucket(PINGS_PER_S, PINGS_BURST)
        self._updates = TokenBucket(UPDATES_PER_S, UPDATES_BURST)
        self._stray_bytes = TokenBucket(STRAY_BYTES_PER_S, STRAY_BYTES_BURST)

    @property
    def is_between_frames(self) -> bool:
        """Whether no frame has begun that has not ended."""
        return self._began_at is None

    @property
    def deadline(self) -> float:
        """When the frame that has begun must have ended; infinite between frames."""
        return float("inf") if self._began_at is None else self._began_at + FRAME_DEADLINE_S

    def feed(self, data: bytes, now: float) -> float:
        """Judge the frames that begin in `data`; returns for how long to pause, in seconds."""
        pause_s, position = 0.0, 0
        self._fed.clear()
        while position < len(data):
            if self._body_left:
                step = min(self._body_left, len(data) - position)
                self._body_left -= step
            else:
                step = min(HEADER_SIZE - len(self._header), len(data) - position)
                self._header += data[position : position + step]
                if len(self._header) == HEADER_SIZE:
                    pause_s = max(pause_s, self._judge(now))
                    self._header.clear()
            position += step
        if not self._body_left and not self._header:
            self._began_at = None
        elif self._began_at is None:
            self._began_at = now
        return pause_s

    def _judge(self, now: float) -> float:
        version, kind, flags, stream_id, length = struct.unpack(YAMUX_HEADER_FORMAT, self._header)
        if version != 0 or kind not in TYPES or flags & ~FLAGS:
            raise Malformed(f"a frame of version {version}, type {kind}, flags {flags:#x}")
        if (kind in (TYPE_PING, TYPE_GO_AWAY)) != (stream_id == 0):
            raise Malformed(f"a frame of type {kind} on stream {stream_id}")
        if kind == TYPE_GO_AWAY:
            return 0.0
        if kind == TYPE_PING:
            if not self._pings.try_spend(1, now):
                raise Malformed("a flood of pings")
            return 0.0
        stream = self._streams.get(stream_id)
        if flags & FLAG_SYN:
            self._check_opening(stream_id, stream, now)
        if kind == TYPE_WINDOW_UPDATE:
            window = DEFAULT_WINDOW_SIZE if stream is None else stream.send_window
            if window + length > WINDOW_MAX:
                raise Malformed("a window beyond all bounds")
            return self._updates.spend(1, now)
        self._check_data(stream_id, length, now)
        self._body_left = length
        return 0.0 if length else self._updates.spend(1, now)

    def _check_opening(self, stream_id: int, stream: Any, now: float) -> None:
        if stream_id % 2 != self._parity or stream is not None or stream_id in self._fed:
            raise Malformed(f"stream {stream_id} is not the peer's to open")
        if len(self._streams) >= STREAMS_PER_CONNECTION_MAX:
            raise Malformed(f"more than {STREAMS_PER_CONNECTION_MAX} streams that nobody closed")
        if not self._opened.try_spend(1, now):
            raise Malformed("a flood of streams")
        self._fed[stream_id] = 0

    def _check_data(self, stream_id: int, length: int, now: float) -> None:
        stream = self._streams.get(stream_id)
        window = DEFAULT_WINDOW_SIZE if stream is None else stream.recv_window
        is_stray = stream is None and stream_id not in self._fed
        if is_stray and not self._stray_bytes.try_spend(length, now):
            raise Malformed("data on streams that do not exist")
        if not is_stray:
            window -= self._fed[stream_id]
            self._fed[stream_id] += length
        if length > window:
            raise Malformed(f"{length} bytes where {window} were granted")
        self._unchecked_bytes += length
        if self._unchecked_bytes >= UNREAD_CHECK_BYTES:
            self._unchecked_bytes = 0
            # Each window holds, and all of them together would still be eight megabytes a peer.
            if sum(map(len, self._unread.values())) > UNREAD_BYTES_MAX:
                raise Malformed("more unread than one connection may leave")


class GuardedConnection:
    """A secured connection whose inbound bytes pass a FrameGuard on their way to the muxer."""

    def __init__(self, secured: Any, muxed: Any, conduct: Conduct) -> None:
        self._secured = secured
        self._peer = muxed.peer_id
        self._conduct = conduct
        self._guard = FrameGuard(
            muxed.streams, muxed.stream_buffers, parity=0 if muxed.is_initiator else 1
        )

    async def read(self, n: int | None = None) -> bytes:
        """What the peer sent; for what it must not send, the connection ends."""
        if self._guard.is_between_frames:
            data = bytes(await self._secured.read(n))
        else:
            with trio.CancelScope(deadline=self._guard.deadline) as scope:
                data = bytes(await self._secured.read(n))
            if scope.cancelled_caught:
                raise trio.TooSlowError("a frame that was begun and not ended")
        try:
            pause_s = self._guard.feed(data, trio.current_time())
        except Malformed as error:
            self._conduct.condemn(self._peer, "yamux", error)
            raise OSError(str(error)) from error
        if pause_s:
            await trio.sleep(pause_s)
        return data

    async def write(self, data: bytes) -> None:
        """Unchanged."""
        await self._secured.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._secured, name)
