"""Streams of the model: a writer waits for room, and never for ever."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from meshnode.errors import StreamBroken
from simulations.model_stream import PIPE_BYTES_MAX, ModelStream, stream_pair

MORE = b"x" * (PIPE_BYTES_MAX + 1)  # than fits


class Way:
    """What is under way from one end to the other, until it arrives all at once."""

    def __init__(self) -> None:
        self._under_way: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def carry(self, arrive: Callable[..., None], *args: Any) -> None:
        self._under_way.append((arrive, args))

    def arrive(self) -> None:
        while self._under_way:
            arrive, args = self._under_way.pop(0)
            arrive(*args)


async def write(stream: ModelStream, told: list[str]) -> None:
    try:
        await stream.write(MORE)
    except StreamBroken:
        told.append("broken")
    else:
        told.append("written")


async def read(_ours: ModelStream, theirs: ModelStream) -> None:
    assert len(await theirs.read(len(MORE))) == PIPE_BYTES_MAX


async def reset(_ours: ModelStream, theirs: ModelStream) -> None:
    await theirs.reset()


async def finish(_ours: ModelStream, theirs: ModelStream) -> None:
    theirs.finish(lambda: None)


async def close(ours: ModelStream, _theirs: ModelStream) -> None:
    await ours.close()


@pytest.mark.parametrize(
    ("happens", "told"),
    [(read, "written"), (finish, "written"), (reset, "broken"), (close, "broken")],
)
async def test_who_waits_for_room_is_told_what_becomes_of_it(
    happens: Callable[[ModelStream, ModelStream], Any], told: str
) -> None:
    ours, theirs = stream_pair("alice", "bob")
    heard: list[str] = []
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, ours, heard)
            await wait_all_tasks_blocked()
            assert not heard
            await happens(ours, theirs)
    assert heard == [told]


async def test_what_arrives_where_nobody_reads_any_more_makes_room() -> None:
    there, back = Way(), Way()
    ours, theirs = stream_pair("alice", "bob", there.carry, back.carry)
    heard: list[str] = []
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, ours, heard)
            await wait_all_tasks_blocked()  # all that fits is under way
            theirs.finish(lambda: None)
            await wait_all_tasks_blocked()
            assert not heard
            there.arrive()
    assert heard == ["written"]


async def test_one_task_at_a_time_writes() -> None:
    ours, _theirs = stream_pair("alice", "bob")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.write, MORE)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await ours.write(b"as well")
        nursery.cancel_scope.cancel()
