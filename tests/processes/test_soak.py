"""Half an hour of traffic: memory, threads and descriptors stay where they were."""

import os
from pathlib import Path

import pytest
import trio

from tests.processes.harness import NodeProcess, node_process, provider

WARM_UP_S = 300.0  # caches fill: seen messages, names, the interpreter's free lists
RUN_S = 1_500.0
SAMPLE_EVERY_S = 30.0
GROWTH_MAX_BYTES = 16 * 1024 * 1024
ASSETS = ",".join(f"A{number:03}-USD" for number in range(100))


def resident_bytes(node: NodeProcess) -> int:
    pages = int(Path(f"/proc/{node.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors(node: NodeProcess) -> int:
    return len(os.listdir(f"/proc/{node.pid}/fd"))


def threads(node: NodeProcess) -> int:
    return len(os.listdir(f"/proc/{node.pid}/task"))


@pytest.mark.long
async def test_half_an_hour_of_a_hundred_updates_a_second_grows_nothing(tmp_path: Path) -> None:
    faster = tmp_path / "faster.toml"
    faster.write_text("publish_window_ms = 1\nretention_mib = 64\n")
    source = provider(f"walk:{ASSETS}?interval_s=0.01")
    async with (
        node_process(tmp_path / "alice", "--config", str(faster), *source) as alice,
        node_process(tmp_path / "bob", "--config", str(faster), "--connect", alice.addr) as bob,
    ):
        nodes = (alice, bob)
        await trio.sleep(WARM_UP_S)
        before = [(resident_bytes(n), descriptors(n), threads(n)) for n in nodes]
        samples: list[tuple[int, ...]] = []
        for _ in range(int(RUN_S / SAMPLE_EVERY_S)):
            await trio.sleep(SAMPLE_EVERY_S)
            assert not alice.has_ended
            assert not bob.has_ended
            samples.append(tuple(resident_bytes(n) for n in nodes))
            print([f"{size / 2**20:.1f} MiB" for size in samples[-1]], flush=True)
        after = [(descriptors(n), threads(n)) for n in nodes]
        assert after == [(files, tasks) for _, files, tasks in before]
        for number, (size, _, _) in enumerate(before):
            last = sorted(sample[number] for sample in samples[-5:])[2]
            assert last - size <= GROWTH_MAX_BYTES
