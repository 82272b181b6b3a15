"""How long until it answers: help, readiness, joining, a warm restart."""

import dataclasses
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import trio

from meshnode.adapters.libp2p.host import open_client
from meshnode.adapters.system import SystemClock
from meshnode.config import NodeConfig
from meshnode.core.facts import CaughtUp, Fact, NodeReady
from meshnode.node import run_node
from meshnode.platform import real_platform
from meshnode.services import ask
from protocols.queries import WatchRequest
from simulations.upstreams import SetPrices
from tests.bench.figures import median, show

pytestmark = pytest.mark.bench

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)
ASSETS = 10_000
ROUNDS = 5


class Witness:
    """Remembers when which fact came."""

    def __init__(self) -> None:
        self.facts: list[tuple[float, Fact]] = []
        self._came = trio.Event()

    def observe(self, fact: Fact) -> None:
        self.facts.append((trio.current_time(), fact))
        self._came.set()

    async def wait(self, kind: type[Fact]) -> tuple[float, Fact]:
        with trio.fail_after(30):
            while True:
                for at, fact in self.facts:
                    if isinstance(fact, kind):
                        return at, fact
                self._came = trio.Event()
                await self._came.wait()


@asynccontextmanager
async def node(
    data_dir: Path, prices: Mapping[str, str] | None = None, connect: tuple[str, ...] = ()
) -> AsyncIterator[tuple[Witness, str]]:
    """A real node in this process; yields when it is ready, with its address."""
    config = NodeConfig(
        role="provider" if prices else "consumer",
        sources=("set:",) if prices else (),
        listen=LOOPBACK,
        connect=connect,
        data_dir=data_dir,
    )
    source = SetPrices(prices or {}, SystemClock())
    platform = dataclasses.replace(
        real_platform(), make_sources=lambda c: [source] if c.sources else []
    )
    witness, stop = Witness(), trio.Event()
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await run_node(config, observer=witness, stop=stop, platform=platform)

        nursery.start_soon(run)
        _, ready = await witness.wait(NodeReady)
        assert isinstance(ready, NodeReady)
        yield witness, ready.addrs[0]
        stop.set()


async def answer_of(addr: str, assets: tuple[str, ...] | None) -> int:
    """How many prices a node serves."""
    async with open_client(Witness()) as mesh:
        return len(await ask.prices(mesh, await mesh.connect(addr), assets))


async def until_served(addr: str, asset: str) -> None:
    """Wait until a node serves an asset."""
    async with open_client(Witness()) as mesh:
        request = WatchRequest(assets=(asset,), events=("price",))
        with trio.fail_after(30):
            async with aclosing(ask.watch(mesh, await mesh.connect(addr), request)) as events:
                await anext(events)


def test_help() -> None:
    def seconds(*command: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        return time.perf_counter() - started

    helped = median([seconds("-m", "meshnode", "--help") for _ in range(ROUNDS)])
    nothing = median([seconds("-c", "pass") for _ in range(ROUNDS)])
    show("meshnode --help", seconds=helped, of_an_empty_python=helped / nothing)


async def test_ready(tmp_path: Path) -> None:
    samples = []
    for number in range(ROUNDS):
        started = trio.current_time()
        async with node(tmp_path / str(number)) as (witness, _):
            at, _ = await witness.wait(NodeReady)
            samples.append(at - started)
    show("ready, after imports", seconds=median(samples))


@pytest.mark.parametrize("assets", [1, ASSETS])
async def test_joining(tmp_path: Path, assets: int) -> None:
    prices = {f"A{number}-USD": f"{number + 1}.5" for number in range(assets)}
    samples = []
    async with node(tmp_path / "alice", prices) as (_, alice):
        await until_served(alice, f"A{assets - 1}-USD")
        for number in range(ROUNDS):
            started = trio.current_time()
            async with node(tmp_path / f"bob{number}", connect=(alice,)) as (witness, bob):
                ready_at, _ = await witness.wait(NodeReady)
                at, _ = await witness.wait(CaughtUp)
                assert await answer_of(bob, None) == assets
                samples.append((at - ready_at, at - started))
    show(
        f"joining, until all of {assets} assets are held",
        seconds_from_ready=median([sample[0] for sample in samples]),
        seconds_from_start=median([sample[1] for sample in samples]),
    )


async def test_warm_restart(tmp_path: Path) -> None:
    prices = {f"A{number}-USD": f"{number + 1}.5" for number in range(ASSETS)}
    async with (
        node(tmp_path / "alice", prices) as (_, alice),
        node(tmp_path / "bob", connect=(alice,)) as (_, bob),
    ):
        await until_served(bob, f"A{ASSETS - 1}-USD")
    samples = []
    for _ in range(ROUNDS):
        started = trio.current_time()
        async with node(tmp_path / "bob") as (_, bob):
            assert await answer_of(bob, (f"A{ASSETS - 1}-USD",)) == 1
            samples.append(trio.current_time() - started)
    show(f"warm restart with {ASSETS} assets, to an answer", seconds=median(samples))
