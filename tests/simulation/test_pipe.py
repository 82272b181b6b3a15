"""Bytes on their way: what a network does to them, and what it never does."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from simulations.links import Links
from simulations.pipe import RESET, UNDER_WAY_BYTES_MAX, Pipe
from simulations.timeline import Timeline
from simulations.virtual_time import SLOT_S

DELAY_S = 0.1


def links(delay_s: float = DELAY_S) -> Links:
    return Links(lambda sender, receiver: delay_s)


class Way:
    """Pipes from alice to bob, over links that may be given."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline

    def __call__(self, between: Links | None = None) -> Pipe:
        return Pipe(between or links(), self.timeline, "alice", "bob")


@pytest.fixture
async def pipe(autojump_clock: MockClock) -> AsyncIterator[Way]:
    timeline = Timeline()
    async with trio.open_nursery() as nursery:
        await nursery.start(timeline.run)
        yield Way(timeline)
        nursery.cancel_scope.cancel()


async def test_bytes_take_the_delay_of_their_link(autojump_clock: MockClock, pipe: Way) -> None:
    way = pipe()
    await way.write(b"hello")
    assert await way.read(100) == b"hello"
    assert trio.current_time() == pytest.approx(DELAY_S, abs=SLOT_S)


async def test_who_reads_already_is_woken_when_they_arrive(
    autojump_clock: MockClock, pipe: Way
) -> None:
    way = pipe()

    async def say_later() -> None:
        await trio.sleep(5)
        await way.write(b"at last")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(say_later)
        assert await way.read(100) == b"at last"
        assert trio.current_time() == pytest.approx(5 + DELAY_S, abs=SLOT_S)


async def test_what_is_slower_is_not_overtaken(autojump_clock: MockClock, pipe: Way) -> None:
    delays = iter([0.5, 0.1])
    way = pipe(Links(lambda sender, receiver: next(delays)))
    await way.write(b"first ")
    await way.write(b"second")
    assert await way.read(100) == b"first second"
    assert trio.current_time() == pytest.approx(0.5, abs=SLOT_S)


async def test_no_more_is_read_than_was_asked_for(autojump_clock: MockClock, pipe: Way) -> None:
    way = pipe()
    await way.write(b"hello")
    assert [await way.read(2) for _ in range(3)] == [b"he", b"ll", b"o"]


async def test_a_closed_link_holds_what_is_under_way(autojump_clock: MockClock, pipe: Way) -> None:
    between = links()
    way, back = pipe(between), Pipe(between, pipe.timeline, "bob", "alice")
    await way.write(b"held")
    await back.write(b"free")
    between.cut("alice", "bob", one_way=True)
    assert await back.read(100) == b"free"
    with trio.move_on_after(60) as patience:
        await way.read(100)
    assert patience.cancelled_caught
    between.mend("alice", "bob")
    assert await way.read(100) == b"held"


async def test_an_end_comes_after_everything(autojump_clock: MockClock, pipe: Way) -> None:
    way = pipe()
    await way.write(b"last words")
    way.end()
    with pytest.raises(trio.ClosedResourceError):
        await way.write(b"more")
    assert [await way.read(100) for _ in range(3)] == [b"last words", b"", b""]


async def test_so_does_a_reset(autojump_clock: MockClock, pipe: Way) -> None:
    way = pipe()
    await way.write(b"sent")
    way.end(RESET)
    assert await way.read(100) == b"sent"
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError):
            await way.read(100)


async def test_who_writes_more_than_is_read_waits(autojump_clock: MockClock, pipe: Way) -> None:
    way = pipe()
    await way.write(bytes(UNDER_WAY_BYTES_MAX))
    with trio.move_on_after(60) as patience:
        await way.write(b"one too many")
    assert patience.cancelled_caught
    assert await way.read(1) == b"\0"
    await way.write(b"room again")


async def test_who_reads_no_more_holds_nobody_up(autojump_clock: MockClock, pipe: Way) -> None:
    way = pipe()
    await way.write(bytes(UNDER_WAY_BYTES_MAX))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(way.write, b"waiting")
        await wait_all_tasks_blocked()
        way.abandon()
    for _ in range(3):
        await way.write(bytes(UNDER_WAY_BYTES_MAX))  # it leads nowhere
    with pytest.raises(trio.ClosedResourceError):
        await way.read(100)


@pytest.mark.parametrize("is_cut", [False, True])
async def test_who_is_reading_when_it_is_abandoned_stops(
    autojump_clock: MockClock, pipe: Way, is_cut: bool
) -> None:
    between = links()
    way = pipe(between)
    if is_cut:
        between.cut("alice", "bob")

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await way.read(100)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        way.abandon()


@given(
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=9), st.floats(0, 0.3), st.booleans()), max_size=20
    ),
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
)
def test_whatever_the_link_does_the_same_bytes_come_out(
    sent: list[tuple[bytes, float, bool]], sizes: list[int]
) -> None:
    times: list[float] = []

    async def main() -> bytes:
        between = Links(lambda sender, receiver: 0.05 + trio.current_time() % 0.1)
        timeline = Timeline()
        way = Pipe(between, timeline, "alice", "bob")
        received = b""

        async def send() -> None:
            for data, pause_s, is_cut in sent:
                if is_cut:
                    between.cut("alice", "bob")
                await way.write(data)
                await trio.sleep(pause_s)
                between.mend("alice", "bob")
            way.end()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(timeline.run)
            nursery.start_soon(send)
            while data := await way.read(sizes[len(times) % len(sizes)]):
                received += data
                times.append(trio.current_time())
            nursery.cancel_scope.cancel()
        return received

    assert trio.run(main, clock=MockClock(autojump_threshold=0)) == b"".join(d for d, _, _ in sent)
    assert all(earlier <= later for earlier, later in pairwise(times))
