"""Garbage and half-steps below gossip: TCP, stream negotiation, Noise, Yamux."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection

from tests.hostile.hostile_peer import (
    ACK,
    BROKEN,
    DATA,
    FIN,
    GO_AWAY,
    MULTISTREAM,
    PING,
    RST,
    SYN,
    WINDOW_BYTES,
    WINDOW_UPDATE,
    HostilePeer,
    Target,
    gossiping,
    header,
    line,
    muxed,
    negotiated,
    secured,
    tcp,
    wait_end,
)

Attack = Callable[[Target, Random], Awaitable[None]]

GIB_4 = b"\xff\xff\xff\xff\x0f"  # as a varint: one less than 4 GiB


async def flood(send: Callable[[bytes], Awaitable[None]], chunk: bytes, count: int) -> None:
    """Send until the victim has enough of it; to be cut off is what we came for."""
    with suppress(*BROKEN), trio.move_on_after(5):
        for _ in range(count):
            await send(chunk)


# --- TCP ------------------------------------------------------------------------------------


async def garbage(target: Target, rng: Random) -> None:
    async with tcp(target) as stream:
        await flood(stream.send_all, rng.randbytes(rng.randint(1, 5000)), 1)
        await wait_end(stream)


async def another_protocol(target: Target, rng: Random) -> None:
    async with tcp(target) as stream:
        await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: alice\r\n\r\n")
        await wait_end(stream)


async def silence(target: Target, rng: Random) -> None:
    async with tcp(target) as stream:
        await wait_end(stream)


async def slow_negotiation(target: Target, rng: Random) -> None:
    async with tcp(target) as stream, trio.open_nursery() as nursery:

        async def drip() -> None:
            with suppress(*BROKEN):
                for byte in line(MULTISTREAM) * 10:
                    await stream.send_all(bytes([byte]))
                    await trio.sleep(0.4)

        nursery.start_soon(drip)
        await wait_end(stream)
        nursery.cancel_scope.cancel()


# --- negotiation ----------------------------------------------------------------------------


async def endless_line(target: Target, rng: Random) -> None:
    async with tcp(target) as stream:
        await flood(stream.send_all, GIB_4, 1)
        await flood(stream.send_all, bytes(65536), 1000)
        await wait_end(stream)


async def line_that_is_no_text(target: Target, rng: Random) -> None:
    async with tcp(target) as stream:
        await stream.send_all(line(MULTISTREAM) + b"\x05\xff\xfe\xfd\xfc\n" + b"\x01x" + b"\x00")
        await wait_end(stream)


async def endless_choice(target: Target, rng: Random) -> None:
    async with tcp(target) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(wait_end, stream)
        await flood(stream.send_all, line(MULTISTREAM) + (line("ls") + line("/tls")) * 500, 20)


# --- Noise ----------------------------------------------------------------------------------


async def noise(target: Target, messages: bytes) -> None:
    async with tcp(target) as stream:
        await negotiated(RawConnection(TrioTCPStream(stream), initiator=True))
        await flood(stream.send_all, messages, 1)
        await wait_end(stream)


async def noise_garbage(target: Target, rng: Random) -> None:
    await noise(target, b"\x01\x00" + rng.randbytes(256))


async def noise_empty(target: Target, rng: Random) -> None:
    await noise(target, b"\0\0" * 1000)


async def noise_half_step(target: Target, rng: Random) -> None:
    await noise(target, b"\x00\x20" + rng.randbytes(32))  # a first message, and never a third


async def noise_longest(target: Target, rng: Random) -> None:
    await noise(target, (b"\xff\xff" + rng.randbytes(65535)) * 4)


async def noise_then_garbage(target: Target, rng: Random) -> None:
    async with secured(target) as session:
        raw = session.conn.read_writer.read_write_closer
        await flood(raw.write, b"\x01\x00" + rng.randbytes(256), 1)
        await wait_end(raw.stream.stream)


async def noise_then_silence(target: Target, rng: Random) -> None:
    async with secured(target) as session:
        await wait_end(session.conn.read_writer.read_write_closer.stream.stream)


# --- Yamux ----------------------------------------------------------------------------------


async def ends(target: Target, frames: bytes) -> None:
    """Frames after which the victim closes the connection."""
    async with muxed(target) as peer:
        await flood(peer.raw, frames, 1)
        await peer.wait_ended()


async def yamux_bad_version(target: Target, rng: Random) -> None:
    await ends(target, header(DATA, SYN, 1, 0, version=rng.randint(1, 255)))


async def yamux_bad_type(target: Target, rng: Random) -> None:
    await ends(target, header(rng.randint(4, 255), 0, 1, 0))


async def yamux_bad_flags(target: Target, rng: Random) -> None:
    await ends(target, header(DATA, 1 << rng.randint(4, 15), 1, 0))


async def yamux_huge_length(target: Target, rng: Random) -> None:
    await ends(target, header(DATA, SYN, 1, rng.randint(WINDOW_BYTES + 1, 2**32 - 1)))


async def yamux_beyond_window(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        stream_id = await peer.open("/meshprice/watch/1.0.0")
        await flood(peer.raw, header(DATA, 0, stream_id, 65536) + bytes(65536), 100)
        await peer.wait_ended()


async def yamux_window_overflow(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        stream_id = await peer.open("/meshprice/watch/1.0.0")
        await flood(peer.raw, header(WINDOW_UPDATE, 0, stream_id, 2**32 - 1), 3)
        await peer.wait_ended()


async def yamux_our_stream_ids(target: Target, rng: Random) -> None:
    await ends(target, header(WINDOW_UPDATE, SYN, 2 * rng.randint(0, 1000), 0))


async def yamux_same_stream_twice(target: Target, rng: Random) -> None:
    await ends(target, header(WINDOW_UPDATE, SYN, 1, 0) * 2)


async def yamux_ping_flood(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        await flood(peer.raw, header(PING, SYN, 0, 7) * 100, 100)
        await peer.wait_ended()


async def yamux_stream_flood(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        for first in range(1, 2000, 100):
            ids = range(first, first + 100, 2)
            await flood(peer.raw, b"".join(header(WINDOW_UPDATE, SYN, i, 0) for i in ids), 1)
        await peer.wait_ended()


async def yamux_update_flood(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        await flood(peer.raw, header(WINDOW_UPDATE, 0, 1, 0) * 1000, 100)


async def yamux_unread_streams(target: Target, rng: Random) -> None:
    """As much as every stream's window holds."""
    async with muxed(target) as peer:
        for _ in range(30):
            stream_id = await peer.open()
            await flood(peer.raw, header(DATA, 0, stream_id, 32768) + bytes(32768), 8)


async def yamux_stray_data(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        await flood(peer.raw, header(DATA, 0, 99, 65536) + bytes(65536), 1000)
        await peer.wait_ended()


async def yamux_go_away_and_on(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        await flood(peer.raw, header(GO_AWAY, 0, 0, rng.randint(0, 2**32 - 1)), 3)
        await peer.wait_ended()


async def yamux_gone_while_welcomed(target: Target, rng: Random) -> None:
    """Leave in the moment of being let in: no place may be lost by it."""
    for _ in range(60):
        async with secured(target) as session:
            await session.write(line(MULTISTREAM) + line("/yamux/1.0.0") + header(GO_AWAY, 0, 0, 0))


async def yamux_half_a_frame(target: Target, rng: Random) -> None:
    await ends(target, header(DATA, SYN, 1, 5000)[: rng.randint(1, 12)])


async def yamux_keep_alives_only(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        with trio.fail_after(25), suppress(*BROKEN):
            while not peer.ended.is_set():
                await peer.frame(PING, SYN, 0, 1)
                await trio.sleep(0.5)


async def yamux_any_frames(target: Target, rng: Random) -> None:
    """Frames of the right form and no sense."""

    async def any_frame(peer: HostilePeer) -> None:
        kind = rng.choice((DATA, WINDOW_UPDATE, PING, GO_AWAY, DATA, WINDOW_UPDATE))
        flags = rng.choice((0, SYN, ACK, FIN, RST, SYN | FIN, SYN | RST, SYN | ACK, FIN | RST))
        body = rng.randbytes(rng.choice((0, 1, 100, 5000))) if kind == DATA else b""
        stream_id = rng.choice((0, 1, 2, 3, 5, 7, 2**31, 2**32 - 1))
        await peer.frame(kind, flags, stream_id, len(body), body)

    for _ in range(5):
        async with gossiping(target) as (peer, _):
            with suppress(*BROKEN):
                for _ in range(50):
                    await any_frame(peer)


WIRE_ATTACKS: tuple[Attack, ...] = (
    garbage,
    another_protocol,
    silence,
    slow_negotiation,
    endless_line,
    line_that_is_no_text,
    endless_choice,
    noise_garbage,
    noise_empty,
    noise_half_step,
    noise_longest,
    noise_then_garbage,
    noise_then_silence,
    yamux_bad_version,
    yamux_bad_type,
    yamux_bad_flags,
    yamux_huge_length,
    yamux_beyond_window,
    yamux_window_overflow,
    yamux_our_stream_ids,
    yamux_same_stream_twice,
    yamux_ping_flood,
    yamux_stream_flood,
    yamux_update_flood,
    yamux_unread_streams,
    yamux_stray_data,
    yamux_go_away_and_on,
    yamux_gone_while_welcomed,
    yamux_half_a_frame,
    yamux_keep_alives_only,
    yamux_any_frames,
)
