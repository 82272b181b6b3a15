"""Reading an RPC off a stream, in virtual time."""

import pytest
import trio
from libp2p.network.stream.exceptions import StreamEOF
from trio.testing import MockClock, memory_stream_one_way_pair

from meshnode.adapters.libp2p.frames import FrameReader
from meshnode.adapters.libp2p.settings import RPC_BYTES_MAX, RPC_DEADLINE_S
from protocols.errors import FrameTooLarge
from tests.adapters.libp2p.attacker import framed, varint


class Wire:
    """A stream with the library's manners: its end is an exception."""

    def __init__(self) -> None:
        self._sender, self._receiver = memory_stream_one_way_pair()

    async def send(self, data: bytes) -> None:
        await self._sender.send_all(data)

    async def close(self) -> None:
        await self._sender.aclose()

    async def read(self, max_bytes: int) -> bytes:
        data = await self._receiver.receive_some(max_bytes)
        if not data:
            raise StreamEOF
        return bytes(data)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 70_000, RPC_BYTES_MAX])
async def test_frames_arrive_in_order_and_whole(size: int) -> None:
    wire = Wire()
    await wire.send(framed(bytes(size)) + framed(b"next"))
    await wire.close()
    frames = FrameReader(wire)
    assert await frames.next() == bytes(size)
    assert await frames.next() == b"next"
    with pytest.raises(StreamEOF):
        await frames.next()


async def test_a_frame_in_many_pieces(autojump_clock: MockClock) -> None:
    wire = Wire()

    async def drip() -> None:
        for byte in framed(b"drop by drop" * 20):
            await trio.sleep(0.01)
            await wire.send(bytes([byte]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        assert await FrameReader(wire).next() == b"drop by drop" * 20


@pytest.mark.parametrize("begun", [b"\x80", varint(100), varint(100) + b"half"])
async def test_a_frame_once_begun_has_a_deadline(autojump_clock: MockClock, begun: bytes) -> None:
    wire = Wire()
    await wire.send(begun)
    started_at = trio.current_time()
    with trio.fail_after(2 * RPC_DEADLINE_S), pytest.raises(trio.TooSlowError):
        await FrameReader(wire).next()
    assert trio.current_time() - started_at == RPC_DEADLINE_S


async def test_silence_between_frames_has_none(autojump_clock: MockClock) -> None:
    wire = Wire()
    with trio.move_on_after(100 * RPC_DEADLINE_S) as waited:
        await FrameReader(wire).next()
    assert waited.cancelled_caught


@pytest.mark.parametrize(
    "length", [varint(RPC_BYTES_MAX + 1), varint(2**32), b"\xff" * 12, b"\x80" * 12]
)
async def test_a_length_beyond_the_limit_is_refused_unread(length: bytes) -> None:
    wire = Wire()
    await wire.send(length)
    with pytest.raises(FrameTooLarge):
        await FrameReader(wire).next()


async def test_thousands_of_frames_let_others_in() -> None:
    wire = Wire()
    await wire.send(framed(b"") * 10_000)
    frames = FrameReader(wire)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        for _ in range(10_000):
            await frames.next()
        nursery.cancel_scope.cancel()
    assert turns > 100
