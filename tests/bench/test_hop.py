"""One hop between two processes, flat out, against signed messages over a bare socket.

Every round measures both in turn, so that a busy machine slows both down. Throughput is the wall
clock's; where the machine is shared, the CPU time that the hearing process takes for a message
says more.
"""

import os

import pytest

from tests.bench.figures import median, show
from tests.bench.stages import hop

pytestmark = pytest.mark.bench

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
STALL_MS = 2000.0  # a machine that others use, too, has pauses; a stall does not end by itself
RUNS = 20


@pytest.mark.parametrize(
    ("quotes", "count", "target"),
    [(1, 6000, 0.0), (10, 6000, 0.0), (100, 3000, 0.25), (1000, 500, 0.3)],
)
async def test_hop(quotes: int, count: int, target: float) -> None:
    rounds = []
    for _ in range(ROUNDS):
        rounds.append((await hop("bare", count, quotes), await hop("ours", count, quotes)))
        assert rounds[-1][1]["heard"] == count
    watched = await hop("ours", count, quotes, ticks=True)
    bare, ours = (
        {name: median([pair[kind][name] for pair in rounds]) for name in ("per_s", "cpu_us")}
        for kind in (0, 1)
    )
    show(
        f"one hop, flat out, updates of {quotes}",
        quotes_per_s=ours["per_s"] * quotes,
        bare_quotes_per_s=bare["per_s"] * quotes,
        of_bare=median([ours["per_s"] / bare["per_s"] for bare, ours in rounds]),
        target=target,
        cpu_us=ours["cpu_us"],
        bare_cpu_us=bare["cpu_us"],
        of_bare_by_cpu=median([bare["cpu_us"] / ours["cpu_us"] for bare, ours in rounds]),
        publisher_cpu_us=median([ours["said"]["cpu_us"] for _, ours in rounds]),
        longest_tick_ms=max(watched["longest_tick_ms"], watched["said"]["longest_tick_ms"]),
    )


async def test_no_stall() -> None:
    """A publisher far ahead of its only neighbour waits for it, each time."""
    gaps_ms = []
    for _ in range(RUNS):
        ours = await hop("ours", 3000, 10)
        assert ours["heard"] == 3000
        gaps_ms.append(ours["longest_gap_ms"])
        assert gaps_ms[-1] < STALL_MS
    show(f"flat out, {RUNS} runs", longest_gap_ms=max(gaps_ms), median_gap_ms=median(gaps_ms))
