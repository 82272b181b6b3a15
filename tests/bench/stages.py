"""Setting up the processes of a benchmark, in line, and asking them what they measured."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

Figures = dict[str, Any]
READY_S = 30.0


class StationProcess:
    """A process that works as it was told; see `station_process`."""

    def __init__(self, process: trio.Process) -> None:
        self.addr = ""
        self._process = process
        self._pending = b""

    async def told(self) -> Figures:
        """The next thing it says."""
        assert self._process.stdout is not None
        while b"\n" not in self._pending:
            part = await self._process.stdout.receive_some()
            assert part, "a process of the benchmark ended early"
            self._pending += part
        line, _, self._pending = self._pending.partition(b"\n")
        said: Figures = json.loads(line)
        return said

    async def live(self) -> None:
        """Until it hears at once what is said."""
        with trio.fail_after(READY_S):
            assert (await self.told())["live"]

    async def go(self) -> None:
        """Let it begin, or end."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(b"!")


@asynccontextmanager
async def station_process(**work: Any) -> AsyncIterator[StationProcess]:
    """A process of the benchmark that has its address; killed on leaving."""
    command = [sys.executable, "-m", "tests.bench.station_process", json.dumps(work)]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        station = StationProcess(process)
        with trio.fail_after(READY_S):
            station.addr = (await station.told())["addr"]
        yield station
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdin.aclose()
            await process.stdout.aclose()


async def hop(
    stack: str, count: int, quotes: int, *, ticks: bool = False, within_s: float = 120
) -> Figures:
    """Two processes, flat out; what the hearing one measured, `said` what the other did."""
    hearing = {"says": False}
    saying = {"says": True, "quotes": quotes}
    work = {"stack": stack, "count": count, "ticks": ticks}
    async with (
        station_process(**work, **hearing) as bob,
        station_process(**work, **saying, connect=bob.addr) as alice,
    ):
        await bob.live()
        with trio.fail_after(within_s):
            await alice.go()
            said = await alice.told()
            return {**await bob.told(), "said": said}


async def relay(
    stack: str, count: int, rate: float, *, ticks: bool = False
) -> tuple[Figures, Figures]:
    """Alice says, bob passes on, carol hears: what bob and carol measured."""
    work = {"stack": stack, "count": count, "ticks": ticks}
    hearing = {**work, "says": False}
    saying = {**work, "says": True, "rate": rate, "tagged": True}
    async with (
        station_process(**saying) as alice,
        station_process(**hearing, connect=alice.addr) as bob,
        station_process(**hearing, connect=bob.addr) as carol,
    ):
        await bob.live()
        await carol.live()
        with trio.fail_after(count / rate + 60):
            await alice.go()
            await alice.told()
            return await bob.told(), await carol.told()
