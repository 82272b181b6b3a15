"""From publishing to the disk: how long until an update is committed, and the loop's pauses."""

import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import meshnode.adapters.libp2p.host  # noqa: F401 - its import is no pause of the loop's
from meshnode.adapters.interpreter import settle
from meshnode.adapters.system import SystemClock
from meshnode.config import NodeConfig
from meshnode.core.facts import Fact
from meshnode.core.records import Batch, Restored, StoredQuote
from meshnode.node import run_node
from meshnode.platform import Home, real_platform
from meshnode.ports import Observer, Store
from tests.bench.figures import percentile, show

pytestmark = pytest.mark.bench

SECONDS = 20.0
FLUSH_MS = 150
TICK_S = 0.005  # how often the loop is looked at


class Deaf:
    def observe(self, fact: Fact) -> None:
        """Nothing that happens here is measured."""


class Timed:
    """A Store that notes how old each quote was when its commit was done."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clock = SystemClock()
        self.ages_ms: list[float] = []

    @property
    def generation(self) -> int:
        return self._store.generation

    async def load(self) -> Restored:
        return await self._store.load()

    async def begin_epoch(self, now_s: int) -> int:
        return await self._store.begin_epoch(now_s)

    async def commit(self, batch: Batch) -> None:
        await self._store.commit(batch)
        now_ns = self._clock.now_ns()
        issued = {(tick.seq, tick.issued_ns) for tick in batch.ticks}
        self.ages_ms += [(now_ns - issued_ns) / 1e6 for _, issued_ns in issued]

    async def prune(self, now_ns: int) -> int:
        return await self._store.prune(now_ns)

    async def history(self, asset: str, limit: int) -> Sequence[StoredQuote]:
        return await self._store.history(asset, limit)


async def test_disk(tmp_path: Path) -> None:
    assets = ",".join(f"A{number:03}-USD" for number in range(100))
    config = NodeConfig(
        role="provider",
        sources=(f"walk:{assets}?interval_s=0.01",),
        publish_window_ms=1,
        flush_interval_ms=FLUSH_MS,
        listen=("/ip4/127.0.0.1/tcp/0",),
        data_dir=tmp_path,
    )
    platform, timed, lags_ms = real_platform(), [], []

    @asynccontextmanager
    async def open_store(
        config: NodeConfig, home: Home, observer: Observer
    ) -> AsyncIterator[Store]:
        async with platform.open_store(config, home, observer) as store:
            timed.append(Timed(store))
            yield timed[0]

    async def feel_the_pulse() -> None:
        while True:
            before = trio.current_time()
            await trio.sleep(TICK_S)
            lags_ms.append((trio.current_time() - before - TICK_S) * 1000)

    settle()
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feel_the_pulse)
        with trio.move_on_after(SECONDS) as scope:
            scope.shield = False
            async with trio.open_nursery() as node:
                replaced = dataclasses.replace(platform, open_store=open_store)
                node.start_soon(
                    lambda: run_node(config, observer=Deaf(), stop=stop, platform=replaced)
                )
                await trio.sleep(SECONDS - 2)
                stop.set()
        nursery.cancel_scope.cancel()
    ages_ms = timed[0].ages_ms
    show(
        "publish to SQLite, 100 updates/s of 100",
        updates=len(ages_ms),
        p50_ms=percentile(ages_ms, 0.5),
        p99_ms=percentile(ages_ms, 0.99),
        p99_beyond_flush_ms=percentile(ages_ms, 0.99) - FLUSH_MS,
    )
    show(
        "the event loop's lag meanwhile",
        p50_ms=percentile(lags_ms, 0.5),
        p99_ms=percentile(lags_ms, 0.99),
        max_ms=max(lags_ms),
    )
