"""Frames over a stream: whole ones, however the bytes come."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from meshnode.errors import StreamBroken
from meshnode.services.frames import READ_BYTES_MAX, Frames, refuse
from protocols.errors import FrameTooLarge, ProtocolError
from protocols.framing import encode_frame
from protocols.queries import ErrorReply
from simulations.model_stream import PIPE_BYTES_MAX, ModelStream, stream_pair


@asynccontextmanager
async def exchange(bytes_max: int = 1000) -> AsyncIterator[tuple[ModelStream, Frames]]:
    """Alice's raw end, and bob's frames."""
    ours, theirs = stream_pair("alice", "bob")
    with trio.fail_after(60):
        yield ours, Frames(theirs, bytes_max)


async def test_frames_come_whole_though_their_bytes_drip(autojump_clock: MockClock) -> None:
    async with exchange() as (alice, frames), trio.open_nursery() as nursery:
        sent = [b"", b"one", bytes(300)]

        async def drip() -> None:
            for byte in b"".join(map(encode_frame, sent)):
                await alice.write(bytes([byte]))
                await trio.sleep(0.01)
            await alice.close()

        nursery.start_soon(drip)
        assert [await frames.receive() for _ in sent] == sent
        assert await frames.receive() is None


async def test_frames_that_come_together_are_told_apart(autojump_clock: MockClock) -> None:
    async with exchange() as (alice, frames):
        await alice.write(b"".join(map(encode_frame, [b"one", b"two"])))
        assert [await frames.receive(), await frames.receive()] == [b"one", b"two"]


async def test_an_end_inside_of_a_frame_is_a_break(autojump_clock: MockClock) -> None:
    async with exchange() as (alice, frames):
        await alice.write(encode_frame(b"whole") + encode_frame(b"half")[:3])
        await alice.close()
        assert await frames.receive() == b"whole"
        with pytest.raises(StreamBroken, match="alice ended the stream inside of a frame"):
            await frames.receive()


async def test_a_frame_over_the_limit_is_refused_by_its_length(autojump_clock: MockClock) -> None:
    async with exchange(10) as (alice, frames):
        await alice.write(encode_frame(bytes(11))[:1])  # not one byte of it has come
        with pytest.raises(FrameTooLarge):
            await frames.receive()


async def test_the_limit_may_change_between_two_frames(autojump_clock: MockClock) -> None:
    async with exchange(10) as (alice, frames):
        await alice.write(encode_frame(bytes(10)) + encode_frame(bytes(READ_BYTES_MAX)))
        await frames.receive()
        frames.limit = READ_BYTES_MAX
        assert await frames.receive() == bytes(READ_BYTES_MAX)
        assert frames.limit == READ_BYTES_MAX


async def test_what_has_no_length_breaks_the_protocol(autojump_clock: MockClock) -> None:
    async with exchange() as (alice, frames):
        await alice.write(b"\xff" * 10)
        with pytest.raises(ProtocolError):
            await frames.receive()


async def test_what_is_sent_is_counted_with_its_length(autojump_clock: MockClock) -> None:
    async with exchange() as (alice, frames):
        await frames.send(bytes(200))
        assert frames.bytes_sent == 202
        assert await alice.read(1000) == encode_frame(bytes(200))


async def test_who_does_not_read_is_waited_for(autojump_clock: MockClock) -> None:
    async with exchange() as (alice, frames):
        with trio.move_on_after(5) as patience:
            await frames.send(bytes(PIPE_BYTES_MAX))
        assert patience.cancelled_caught
        assert await alice.read(100)


async def test_a_refusal_is_an_error_reply_or_nothing(autojump_clock: MockClock) -> None:
    async with exchange() as (alice, frames):
        assert await refuse(frames, "too_large", "make it smaller") == "too_large"
        reply = ErrorReply.from_bytes((await alice.read(1000))[1:])
        assert reply == ErrorReply("too_large", "make it smaller")
        await alice.reset()
        assert await refuse(frames, "too_large", "make it smaller") == "broken"
