"""The query streams, the library's own protocols, and connections by the thousand."""

from contextlib import suppress
from random import Random

import trio

from protocols.framing import encode_frame
from protocols.ids import PRICES_PROTOCOL, STATUS_PROTOCOL, WATCH_PROTOCOL
from tests.hostile.hostile_peer import (
    BROKEN,
    FIN,
    WINDOW_UPDATE,
    HostilePeer,
    Target,
    muxed,
    tcp,
    wait_end,
)
from tests.hostile.wire_attacks import GIB_4, Attack

QUERIES = (STATUS_PROTOCOL, PRICES_PROTOCOL, WATCH_PROTOCOL)
PING_PROTOCOL = "/ipfs/ping/1.0.0"
IDENTIFY = "/ipfs/id/1.0.0"
IDENTIFY_PUSH = "/ipfs/id/push/1.0.0"
STREAM_DEADLINE_S = 10.0
CONNECTIONS = 2000
CONNECTIONS_AT_ONCE = 200
IDENTITIES = 80


async def slow_requests(target: Target, rng: Random) -> None:
    """A byte now and then, on every protocol at once."""
    async with muxed(target) as peer, trio.open_nursery() as nursery:
        for protocol in (*QUERIES, PING_PROTOCOL):
            nursery.start_soon(drip, peer, await peer.open(protocol))


async def drip(peer: HostilePeer, stream_id: int) -> None:
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            with suppress(*BROKEN):
                for byte in encode_frame(bytes(200))[:30]:
                    await peer.data(stream_id, bytes([byte]))
                    await trio.sleep(0.3)
                await trio.sleep(STREAM_DEADLINE_S)

        nursery.start_soon(send)
        await peer.wait_stream_ended(stream_id, within_s=STREAM_DEADLINE_S)
        nursery.cancel_scope.cancel()


async def slow_choices(target: Target, rng: Random) -> None:
    """Streams on which nothing is ever agreed."""
    async with muxed(target) as peer:
        streams = [await peer.open() for _ in range(40)]
        for stream_id in streams:
            await peer.data(stream_id, b"\x13/multi")
        for stream_id in streams:
            await peer.wait_stream_ended(stream_id, within_s=STREAM_DEADLINE_S)


async def oversize_requests(target: Target, rng: Random) -> None:
    for protocol in QUERIES:
        with suppress(*BROKEN):
            async with muxed(target) as peer:
                for length in (GIB_4, b"\xff" * 10, encode_frame(bytes(5000))):
                    await peer.data(await peer.open(protocol), length)
                stream_id = await peer.open(protocol)
                await peer.data(stream_id, GIB_4)
                with trio.move_on_after(3):
                    await peer.data(stream_id, bytes(2**20))


async def requests_of_garbage(target: Target, rng: Random) -> None:
    for protocol in QUERIES:
        with suppress(*BROKEN):
            async with muxed(target) as peer:
                for _ in range(10):
                    stream_id = await peer.open(protocol)
                    await peer.data(stream_id, encode_frame(rng.randbytes(rng.randint(0, 300))))
                    await peer.frame(WINDOW_UPDATE, FIN, stream_id, 0)


async def replies_that_nobody_reads(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        with suppress(*BROKEN), trio.move_on_after(5):
            for _ in range(20):
                await peer.data(await peer.open(PRICES_PROTOCOL), encode_frame(b"\x80"))


async def streams_that_nobody_closes(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        with suppress(*BROKEN), trio.move_on_after(5):
            for _ in range(150):
                await peer.open(IDENTIFY)


async def pings_without_pause(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        with suppress(*BROKEN), trio.move_on_after(4):
            stream_id = await peer.open(PING_PROTOCOL)
            await peer.data(stream_id, bytes(32 * 100_000))


async def pushed_identities(target: Target, rng: Random) -> None:
    async with muxed(target) as peer:
        with suppress(*BROKEN, trio.TooSlowError, AssertionError), trio.move_on_after(4):
            stream_id = await peer.open(IDENTIFY_PUSH)
            await peer.data(stream_id, encode_frame(b"\x12\x08\x04\x7f\0\0\1\x06\x0f\xa1" * 20_000))


async def thousands_of_connections(target: Target, rng: Random) -> None:
    """Opened as fast as can be, some after a few bytes; none ever says who it is."""
    limit = trio.CapacityLimiter(CONNECTIONS_AT_ONCE)

    async def one() -> None:
        async with limit:
            with suppress(*BROKEN, trio.TooSlowError):
                async with tcp(target) as stream:
                    if rng.random() < 0.5:
                        await stream.send_all(b"\x13/multistream/1.0.0\n")
                    await wait_end(stream, within_s=2)

    async with trio.open_nursery() as nursery:
        for _ in range(CONNECTIONS):
            nursery.start_soon(one)


async def many_identities(target: Target, rng: Random) -> None:
    """More than the victim has places for, each with a handshake, each idle then."""

    async def one(number: int) -> None:
        await trio.sleep(0.03 * number)
        with suppress(*BROKEN, trio.TooSlowError, AssertionError):
            async with muxed(target):
                await trio.sleep(6)

    async with trio.open_nursery() as nursery:
        for number in range(IDENTITIES):
            nursery.start_soon(one, number)


STREAM_ATTACKS: tuple[Attack, ...] = (
    slow_requests,
    slow_choices,
    oversize_requests,
    requests_of_garbage,
    replies_that_nobody_reads,
    streams_that_nobody_closes,
    pings_without_pause,
    pushed_identities,
    thousands_of_connections,
    many_identities,
)
