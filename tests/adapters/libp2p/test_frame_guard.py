"""Yamux frames that are let through, and those that end a connection."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    FLAG_FIN,
    FLAG_SYN,
    TYPE_DATA,
    TYPE_GO_AWAY,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
)
from trio.testing import MockClock

from meshnode.adapters.libp2p.conduct import Conduct
from meshnode.adapters.libp2p.frame_guard import (
    FRAME_DEADLINE_S,
    PINGS_BURST,
    STRAY_BYTES_BURST,
    STREAMS_BURST,
    STREAMS_PER_CONNECTION_MAX,
    UNREAD_BYTES_MAX,
    UPDATES_BURST,
    UPDATES_PER_S,
    WINDOW_MAX,
    FrameGuard,
    GuardedConnection,
)
from meshnode.adapters.libp2p.yamux_frames import HEADER, header
from protocols.errors import Malformed
from tests.adapters.libp2p.world import Facts

OPEN = SimpleNamespace(recv_window=1000, send_window=1000)


def guard(**streams: Any) -> FrameGuard:
    """That of a connection which the peer dialled, with stream 1 open."""
    return FrameGuard({1: OPEN}, {}, parity=1)


def data(stream_id: int, size: int, flags: int = 0) -> bytes:
    return header(TYPE_DATA, flags, stream_id, size) + bytes(size)


SOUND = {
    "data": data(1, 1000),
    "a new stream": header(TYPE_WINDOW_UPDATE, FLAG_SYN, 3, 0) + data(3, 100),
    "a new stream with data": data(3, DEFAULT_WINDOW_SIZE, FLAG_SYN),
    "a stream's end": header(TYPE_WINDOW_UPDATE, FLAG_FIN, 1, 0) + data(1, 0, FLAG_FIN),
    "a wider window": header(TYPE_WINDOW_UPDATE, 0, 1, 16 * 1024 * 1024),
    "a ping": header(TYPE_PING, FLAG_SYN, 0, 2**32 - 1),
    "a goodbye": header(TYPE_GO_AWAY, 0, 0, 2),
    "what was on its way to a stream that is gone": data(7, 1000),
}


@pytest.mark.parametrize("size", [1, 5, 12, 13, 100_000_000])
@pytest.mark.parametrize("kind", SOUND)
def test_what_honest_peers_send_passes_in_any_pieces(kind: str, size: int) -> None:
    frames, sound = SOUND[kind] * 1, guard()
    for start in range(0, len(frames), size):
        assert sound.feed(frames[start : start + size], now=0) == 0
    assert sound.deadline == float("inf")


UNSOUND = {
    "another version": HEADER.pack(1, TYPE_DATA, 0, 1, 0),
    "another type": header(4, 0, 1, 0),
    "another flag": header(TYPE_DATA, 16, 1, 0),
    "a ping on a stream": header(TYPE_PING, FLAG_SYN, 1, 0),
    "data on no stream": data(0, 1),
    "beyond the window": data(1, 1001),
    "beyond the window in two frames": data(1, 600) + data(1, 600),
    "beyond a new stream's window": header(TYPE_DATA, FLAG_SYN, 3, DEFAULT_WINDOW_SIZE + 1),
    "a length of 4 GiB": header(TYPE_DATA, 0, 7, 2**32 - 1),
    "a window without bounds": header(TYPE_WINDOW_UPDATE, 0, 1, WINDOW_MAX),
    "a stream of ours": header(TYPE_WINDOW_UPDATE, FLAG_SYN, 2, 0),
    "a stream that is open": header(TYPE_WINDOW_UPDATE, FLAG_SYN, 1, 0),
    "a stream opened twice": header(TYPE_WINDOW_UPDATE, FLAG_SYN, 3, 0) * 2,
    "a flood of pings": header(TYPE_PING, FLAG_SYN, 0, 1) * (int(PINGS_BURST) + 1),
    "a flood of streams": b"".join(
        header(TYPE_WINDOW_UPDATE, FLAG_SYN, 3 + 2 * n, 0) for n in range(int(STREAMS_BURST) + 1)
    ),
    "a flood to nobody": data(7, DEFAULT_WINDOW_SIZE)
    * (STRAY_BYTES_BURST // DEFAULT_WINDOW_SIZE + 1),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_what_nobody_sends_does_not(kind: str) -> None:
    with pytest.raises(Malformed):
        guard().feed(UNSOUND[kind], now=0)


def test_too_many_streams_that_nobody_closed() -> None:
    streams = {2 * n: OPEN for n in range(1, STREAMS_PER_CONNECTION_MAX + 1)}
    with pytest.raises(Malformed, match="nobody closed"):
        FrameGuard(streams, {}, parity=1).feed(header(TYPE_WINDOW_UPDATE, FLAG_SYN, 1, 0), now=0)


def test_too_much_that_nobody_reads() -> None:
    streams = {n: SimpleNamespace(recv_window=2**20, send_window=0) for n in (1, 3)}
    unread = {3: bytearray(UNREAD_BYTES_MAX + 1)}
    with pytest.raises(Malformed, match="unread"):
        FrameGuard(streams, unread, parity=1).feed(data(1, 2**16), now=0)


def test_a_flood_of_updates_is_held_back_not_punished() -> None:
    updates = header(TYPE_WINDOW_UPDATE, 0, 1, 0)
    flooded = guard()
    assert flooded.feed(updates * int(UPDATES_BURST), now=0) == 0
    assert flooded.feed(updates * int(UPDATES_PER_S), now=0) == pytest.approx(1)


class Session:
    """A secured connection that gives what it was given, and then nothing."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)

    async def read(self, n: int | None = None) -> bytes:
        if not self._parts:
            await trio.sleep_forever()
        return self._parts.pop(0)


def connection(session: Session, conduct: Conduct) -> GuardedConnection:
    muxed = SimpleNamespace(peer_id="mallory", streams={}, stream_buffers={}, is_initiator=False)
    return GuardedConnection(session, muxed, conduct)


async def test_a_frame_once_begun_has_a_deadline(autojump_clock: MockClock) -> None:
    guarded = connection(Session(header(TYPE_PING, 0, 0, 0)[:5]), Conduct(Facts()))
    await guarded.read()
    with trio.fail_after(2 * FRAME_DEADLINE_S), pytest.raises(trio.TooSlowError):
        await guarded.read()
    assert trio.current_time() == FRAME_DEADLINE_S


async def test_between_frames_there_is_none(autojump_clock: MockClock) -> None:
    guarded = connection(Session(header(TYPE_PING, 0, 0, 0)), Conduct(Facts()))
    await guarded.read()
    with trio.move_on_after(100 * FRAME_DEADLINE_S) as waited:
        await guarded.read()
    assert waited.cancelled_caught


async def test_who_sends_what_nobody_sends_is_kept_out(autojump_clock: MockClock) -> None:
    conduct = Conduct(Facts())
    with pytest.raises(OSError, match="type 9"):
        await connection(Session(header(9, 0, 1, 0)), conduct).read()
    assert conduct.kept_out_s("mallory") > 0
    assert conduct.refused["yamux"] == 1
