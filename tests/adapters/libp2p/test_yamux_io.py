"""Yamux: our own against our own and against the library's; and against who keeps no rules."""

import random
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.stream_muxer.exceptions import (
    MuxedConnUnavailable,
    MuxedStreamEOF,
    MuxedStreamError,
    MuxedStreamReset,
)
from libp2p.stream_muxer.yamux import yamux as library
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_ACK,
    FLAG_FIN,
    FLAG_RST,
    FLAG_SYN,
    GO_AWAY_PROTOCOL_ERROR,
    TYPE_DATA,
    TYPE_GO_AWAY,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from meshnode.adapters.libp2p.yamux_io import ACCEPT_MAX, STREAMS_MAX, Yamux
from meshnode.adapters.libp2p.yamux_stream import WINDOW_BYTES
from tests.adapters.libp2p.muxing import attacked, muxed

PAIRS = [(Yamux, Yamux), (Yamux, library.Yamux), (library.Yamux, Yamux)]
each_pair = pytest.mark.parametrize("kinds", PAIRS)
PROTOCOL_ERROR = (TYPE_GO_AWAY, 0, 0, GO_AWAY_PROTOCOL_ERROR)


async def write_all(stream: Any, data: bytes, chance: random.Random) -> None:
    while data:
        size = chance.choice((1, 100, 5000, 100_000))
        await stream.write(data[:size])
        data = data[size:]
    await stream.close()


async def read_all(stream: Any, chance: random.Random) -> bytes:
    received = bytearray()
    try:
        while True:
            received += await stream.read(chance.choice((1000, 50_000, 1_000_000)))
    except MuxedStreamEOF:
        return bytes(received)


def noise(size: int, chance: random.Random) -> bytes:
    return chance.randbytes(size)


# --- what is written is read ------------------------------------------------------------------


@each_pair
@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.sampled_from((0, 1, 70_000, 300_000)), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
async def test_streams_carry_everything_both_ways(
    kinds: tuple[Any, Any], sizes: list[int], seed: int
) -> None:
    """Interleaved, in odd pieces, and more than a window in each direction."""
    chance = random.Random(seed)
    said = [(noise(size, chance), noise(size // 2, chance)) for size in sizes]
    heard: dict[int, tuple[bytes, bytes]] = {}

    async def converse(number: int, ours: Any, theirs: Any) -> None:
        question, answer = said[number]
        results = {}
        async with trio.open_nursery() as nursery:

            async def collect(name: str, stream: Any) -> None:
                results[name] = await read_all(stream, random.Random(seed))

            nursery.start_soon(write_all, ours, question, random.Random(seed))
            nursery.start_soon(write_all, theirs, answer, random.Random(seed + 1))
            nursery.start_soon(collect, "question", theirs)
            nursery.start_soon(collect, "answer", ours)
        heard[number] = (results["question"], results["answer"])

    async with muxed(*kinds, seed=seed) as (alice, bob), trio.open_nursery() as nursery:
        with trio.fail_after(20):
            for number in range(len(said)):
                dials, takes = (alice, bob) if number % 2 else (bob, alice)
                ours = await dials.open_stream()
                nursery.start_soon(converse, number, ours, await takes.accept_stream())
    assert heard == dict(enumerate(said))


async def test_two_who_flood_each_other_both_get_through() -> None:
    """Over sockets that hold little: whoever answers from its reading loop would hang here."""
    async with muxed(streams=sockets()) as (alice, bob):
        data = noise(2_000_000, random.Random(1))
        heard = []

        async def hear(stream: Any) -> None:
            heard.append(await read_all(stream, random.Random(2)))

        async with trio.open_nursery() as nursery:
            with trio.fail_after(20):
                for _ in range(2):
                    ours = await alice.open_stream()
                    theirs = await bob.accept_stream()
                    for stream in (ours, theirs):
                        nursery.start_soon(write_all, stream, data, random.Random(3))
                        nursery.start_soon(hear, stream)
        assert heard == [data] * 4


def sockets() -> tuple[trio.SocketStream, trio.SocketStream]:
    left, right = trio.socket.socketpair()
    for end in (left, right):
        end.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, 4096)
    return trio.SocketStream(left), trio.SocketStream(right)


# --- windows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bob_kind", [Yamux, library.Yamux])
async def test_no_more_is_sent_than_was_granted(autojump_clock: MockClock, bob_kind: Any) -> None:
    """And a peer that does not read for a minute is no reason to lose the stream."""
    async with muxed(Yamux, bob_kind) as (alice, bob), trio.open_nursery() as nursery:
        ours = await alice.open_stream()
        theirs = await bob.accept_stream()
        data = noise(3 * WINDOW_BYTES, random.Random(1))
        nursery.start_soon(write_all, ours, data, random.Random(2))
        await trio.sleep(60)
        assert len(bob.stream_buffers[theirs.stream_id]) == WINDOW_BYTES
        assert await read_all(theirs, random.Random(3)) == data


async def test_what_would_have_to_wait_is_not_written_now() -> None:
    async with muxed() as (alice, bob):
        ours = await alice.open_stream()
        theirs = await bob.accept_stream()
        assert ours.write_nowait(b"now")
        assert await theirs.read(100) == b"now"
        while ours.write_nowait(bytes(8192)):
            await wait_all_tasks_blocked()
        window = ours.send_window
        assert window < 8192  # and nothing of the last was sent
        assert not ours.write_nowait(bytes(8192))
        assert ours.send_window == window
        await ours.close()
        assert not ours.write_nowait(b"after the end")


async def test_a_full_stream_holds_up_no_other() -> None:
    async with muxed() as (alice, bob), trio.open_nursery() as nursery:
        slow, quick = await alice.open_stream(), await alice.open_stream()
        await bob.accept_stream()
        theirs = await bob.accept_stream()
        nursery.start_soon(slow.write, bytes(2 * WINDOW_BYTES))
        await wait_all_tasks_blocked()
        await quick.write(b"quick")
        assert await theirs.read(100) == b"quick"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("frames", [(WINDOW_BYTES + 1,), (WINDOW_BYTES, 1)])
async def test_who_sends_more_than_was_granted_is_cut_off(frames: tuple[int, ...]) -> None:
    async with attacked() as (mallory, bob):
        await mallory.send(TYPE_WINDOW_UPDATE, FLAG_SYN, 1, 0)
        for size in frames:
            await mallory.send(TYPE_DATA, 0, 1, size, bytes(size))
        assert PROTOCOL_ERROR in await mallory.until_closed()
        assert bob.is_closed


async def test_what_was_read_is_granted_again() -> None:
    async with attacked() as (mallory, bob):
        await mallory.send(TYPE_DATA, FLAG_SYN, 1, WINDOW_BYTES, bytes(WINDOW_BYTES))
        stream = await bob.accept_stream()
        assert await mallory.frame() == (TYPE_WINDOW_UPDATE, FLAG_ACK, 1, 0)
        granted = 0
        while len(stream.buffer) < WINDOW_BYTES:
            await wait_all_tasks_blocked()
        while granted < WINDOW_BYTES:
            await stream.read(WINDOW_BYTES // 2)
            kind, _, stream_id, increment = await mallory.frame()
            assert (kind, stream_id) == (TYPE_WINDOW_UPDATE, 1)
            granted += increment
        assert granted == WINDOW_BYTES


# --- ends -------------------------------------------------------------------------------------


@each_pair
async def test_who_closes_its_side_still_reads(kinds: tuple[Any, Any]) -> None:
    async with muxed(*kinds) as (alice, bob):
        ours = await alice.open_stream()
        await ours.write(b"question")
        await ours.close()
        theirs = await bob.accept_stream()
        assert await read_all(theirs, random.Random(1)) == b"question"
        await theirs.write(b"answer")
        await theirs.close()
        assert await read_all(ours, random.Random(1)) == b"answer"
        with pytest.raises(MuxedStreamError):
            await ours.write(b"more")
        for conn in (alice, bob):
            assert not conn.streams
            assert not conn.stream_buffers


@pytest.mark.parametrize("bob_kind", [Yamux, library.Yamux])
async def test_a_reset_ends_one_stream_in_the_middle(bob_kind: Any) -> None:
    async with muxed(Yamux, bob_kind) as (alice, bob):
        doomed, healthy = await alice.open_stream(), await alice.open_stream()
        theirs, other = await bob.accept_stream(), await bob.accept_stream()
        await doomed.write(b"half a que")
        await theirs.reset()
        with trio.fail_after(5), pytest.raises(MuxedStreamReset):
            while True:
                await doomed.read(100)
        with pytest.raises(MuxedStreamError):
            await doomed.write(b"stion")
        await healthy.write(b"still here")
        assert await other.read(100) == b"still here"
        assert doomed.stream_id not in alice.streams


async def test_a_reset_wakes_a_writer_and_a_reader() -> None:
    async with muxed() as (alice, bob), trio.open_nursery() as nursery:
        ours = await alice.open_stream()
        theirs = await bob.accept_stream()

        async def write() -> None:
            with pytest.raises(MuxedStreamError):
                await ours.write(bytes(2 * WINDOW_BYTES))

        async def read() -> None:
            with pytest.raises(MuxedStreamReset):
                await ours.read(1)

        nursery.start_soon(write)
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        await theirs.reset()


@pytest.mark.parametrize("alice_kind", [Yamux, library.Yamux])
async def test_what_was_said_before_a_goodbye_is_read_after_it(alice_kind: Any) -> None:
    async with muxed(alice_kind, Yamux) as (alice, bob):
        ours = await alice.open_stream()
        theirs = await bob.accept_stream()
        await ours.write(b"last words")
        await alice.close()
        await bob.event_closed.wait()
        assert await theirs.read(100) == b"last words"
        with pytest.raises(MuxedStreamEOF):
            await theirs.read(100)
        with pytest.raises(MuxedConnUnavailable):
            await bob.accept_stream()
        with pytest.raises(MuxedStreamError):
            await bob.open_stream()


async def test_a_close_waits_for_a_peer_that_reads_but_not_for_ever(
    autojump_clock: MockClock,
) -> None:
    async with attacked() as (mallory, bob):
        await mallory.send(TYPE_WINDOW_UPDATE, FLAG_SYN, 1, 0)
        stream = await bob.accept_stream()
        await stream.write(b"last words")
        await bob.close()
        frames = await mallory.until_closed()
        assert (TYPE_DATA, 0, 1, len(b"last words")) in frames
        assert frames[-1][0] == TYPE_GO_AWAY


# --- who keeps no rules -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        (TYPE_GO_AWAY + 1, 0, 0, 0),
        (TYPE_WINDOW_UPDATE, FLAG_SYN, 2, 0),  # even ids are ours to give
        (TYPE_WINDOW_UPDATE, FLAG_SYN, 0, 0),
    ],
)
async def test_a_frame_that_cannot_be_ends_the_connection(
    frame: tuple[int, int, int, int],
) -> None:
    async with attacked() as (mallory, _):
        await mallory.send(*frame)
        assert await mallory.until_closed() == [PROTOCOL_ERROR]


async def test_another_version_ends_the_connection() -> None:
    async with attacked() as (mallory, _):
        await mallory.send(TYPE_PING, FLAG_SYN, 0, 1, version=1)
        assert await mallory.until_closed() == [PROTOCOL_ERROR]


async def test_a_stream_is_opened_once() -> None:
    async with attacked() as (mallory, _):
        await mallory.send(TYPE_WINDOW_UPDATE, FLAG_SYN, 1, 0)
        await mallory.send(TYPE_WINDOW_UPDATE, FLAG_SYN, 1, 0)
        assert PROTOCOL_ERROR in await mallory.until_closed()


async def test_streams_that_nobody_takes_are_reset() -> None:
    async with attacked() as (mallory, bob):
        for number in range(ACCEPT_MAX + 1):
            await mallory.send(TYPE_WINDOW_UPDATE, FLAG_SYN, 2 * number + 1, 0)
        flags = [(await mallory.frame())[1] for _ in range(ACCEPT_MAX + 1)]
        assert flags == [FLAG_ACK] * ACCEPT_MAX + [FLAG_RST]
        assert len(bob.streams) == ACCEPT_MAX


async def test_too_many_streams_end_the_connection() -> None:
    async with attacked() as (mallory, bob):
        for number in range(STREAMS_MAX):
            await mallory.send(TYPE_WINDOW_UPDATE, FLAG_SYN, 2 * number + 1, 0)
            await bob.accept_stream()
        with pytest.raises(MuxedStreamError):
            await bob.open_stream()
        await mallory.send(TYPE_WINDOW_UPDATE, FLAG_SYN, 2 * STREAMS_MAX + 1, 0)
        assert PROTOCOL_ERROR in await mallory.until_closed()


async def test_frames_of_streams_that_are_gone_are_skipped() -> None:
    async with attacked() as (mallory, bob):
        await mallory.send(TYPE_DATA, FLAG_FIN, 7, 5, b"stray")
        await mallory.send(TYPE_WINDOW_UPDATE, FLAG_RST, 9, 1)
        await mallory.send(TYPE_PING, FLAG_SYN, 0, 42)
        assert await mallory.frame() == (TYPE_PING, FLAG_ACK, 0, 42)
        assert not bob.streams


async def test_who_asks_and_does_not_read_the_answers_is_cut_off() -> None:
    async with attacked(sockets()) as (mallory, bob):
        with trio.fail_after(10):
            while not bob.event_shutting_down.is_set():
                await mallory.flood(TYPE_PING, FLAG_SYN, 0, 7, times=1000)
            await bob.event_closed.wait()
