"""Half an hour of traffic: memory, tasks, threads and descriptors stay where they were."""

import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from tests.bench.figures import percentile
from tests.processes.harness import NodeProcess, meshnode, node_process, provider

WARM_UP_S = 300.0  # caches fill: seen messages, names, the interpreter's free lists
RUN_S = 1_500.0
SAMPLE_EVERY_S = 30.0
PRINT_EVERY_S = 300.0
SPARE = 3  # a stream or a timer that is there just now
GROWTH_MAX_BYTES = 16 * 1024 * 1024
LONGEST_TURN_MS = 50.0
UPDATES_PER_S_MIN = 95.0  # of 100
ASSETS = ",".join(f"A{number:03}-USD" for number in range(20))


@dataclass(frozen=True)
class Sample:
    """A process, seen from outside and from inside."""

    resident_bytes: int
    descriptors: int
    threads: int
    tasks: int

    def __str__(self) -> str:
        return (
            f"{self.resident_bytes / 2**20:.1f} MiB, {self.tasks} tasks, {self.threads} threads,"
            f" {self.descriptors} descriptors"
        )


class Watched:
    """A node that says how its event loop does."""

    def __init__(self, node: NodeProcess, told: Path) -> None:
        self.node = node
        self._told = told

    def turns_ms(self) -> list[float]:
        """The longest turn of its event loop in every ten seconds."""
        return [json.loads(line)["longest_turn_ms"] for line in self._lines()]

    def sample(self) -> Sample:
        """As it is now."""
        process = Path(f"/proc/{self.node.pid}")
        pages = int((process / "statm").read_text().split()[1])
        return Sample(
            pages * os.sysconf("SC_PAGE_SIZE"),
            len(os.listdir(process / "fd")),
            len(os.listdir(process / "task")),
            json.loads(self._lines()[-1])["tasks"],
        )

    def _lines(self) -> list[str]:
        return self._told.read_text().splitlines()


@asynccontextmanager
async def watched_node(data_dir: Path, *extra: str) -> AsyncIterator[Watched]:
    """A node as `meshnode run` starts it, and what it says of itself."""
    told = data_dir.with_suffix(".told")
    module = ("tests.processes.watched_node", str(told))
    async with node_process(data_dir, *extra, module=module) as node:
        yield Watched(node, told)


def lags_ms(database: Path) -> dict[int, float]:
    """By number: how long each of the provider's updates took to a consumer's book."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT seq, min(received_ns - issued_ns) FROM tick GROUP BY seq")
        return {seq: took_ns / 1e6 for seq, took_ns in rows}


@pytest.mark.long
async def test_half_an_hour_of_a_hundred_updates_a_second_grows_nothing(tmp_path: Path) -> None:
    faster = tmp_path / "faster.toml"
    faster.write_text("publish_window_ms = 1\n")
    known = await meshnode("id", "--data-dir", str(tmp_path / "alice"), "--json")
    # Where anybody may publish, an author has a budget, which is less than this.
    allow = ("--allow", json.loads(known.stdout)["node_id"])
    source = ("--config", str(faster), *provider(f"walk:{ASSETS}?interval_s=0.01"))
    async with (
        watched_node(tmp_path / "alice", *source, *allow) as alice,
        watched_node(tmp_path / "bob", "--connect", alice.node.addr, *allow) as bob,
    ):
        nodes = (alice, bob)
        await trio.sleep(WARM_UP_S)
        before = [node.sample() for node in nodes]
        warm_up_turns = [len(node.turns_ms()) for node in nodes]
        samples = [before]
        for number in range(round(RUN_S / SAMPLE_EVERY_S) + 1):
            if number % (PRINT_EVERY_S / SAMPLE_EVERY_S) == 0:
                at_min = (WARM_UP_S + number * SAMPLE_EVERY_S) / 60
                print(f"{at_min:.0f} min: alice {samples[-1][0]}; bob {samples[-1][1]}", flush=True)
            await trio.sleep(SAMPLE_EVERY_S)
            samples.append([node.sample() for node in nodes])
            assert not any(node.node.has_ended for node in nodes)
        turns_ms = [
            node.turns_ms()[begun:] for node, begun in zip(nodes, warm_up_turns, strict=True)
        ]
        assert await bob.node.terminate() == 0
        assert await alice.node.terminate() == 0
    took_ms = lags_ms(tmp_path / "bob" / "meshnode.db")
    first, last = min(took_ms), max(took_ms)
    print(
        f"{len(took_ms)} updates, {last - first + 1 - len(took_ms)} lost,"
        f" 99% within {percentile(list(took_ms.values()), 0.99):.1f} ms;"
        f" longest turns {max(turns_ms[0]):.0f} and {max(turns_ms[1]):.0f} ms"
    )
    assert len(took_ms) == last - first + 1 >= UPDATES_PER_S_MIN * (WARM_UP_S + RUN_S)
    assert max(turns_ms[0] + turns_ms[1]) <= LONGEST_TURN_MS
    for number, was in enumerate(before):
        tail = [sample[number] for sample in samples[-5:]]
        resident = sorted(sample.resident_bytes for sample in tail)
        assert resident[2] - was.resident_bytes <= GROWTH_MAX_BYTES
        assert tail[-1].threads <= was.threads + SPARE
        assert tail[-1].descriptors <= was.descriptors + SPARE
        assert tail[-1].tasks <= was.tasks + SPARE
