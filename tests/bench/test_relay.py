"""Three processes in line: what passing on costs, against the library as it is."""

import os

import pytest

from tests.bench.figures import median, show
from tests.bench.stages import relay

pytestmark = pytest.mark.bench

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_RELAY_S", "60"))
RATE_PER_S = 100.0
ROUND_S = 8.0


async def test_relay() -> None:
    """100 updates of 200 bytes a second; the stock relay has our settings and our judge."""
    stock_us, ours_us, added_ms, end_to_end_ms = [], [], [], []
    for _ in range(ROUNDS):
        stock, _ = await relay("stock", int(RATE_PER_S * ROUND_S), RATE_PER_S)
        bob, carol = await relay("ours", int(RATE_PER_S * ROUND_S), RATE_PER_S)
        assert carol["heard"] == RATE_PER_S * ROUND_S
        stock_us.append(stock["cpu_us"])
        ours_us.append(bob["cpu_us"])
        added_ms.append(carol["p50_ms"] - bob["p50_ms"])
        end_to_end_ms.append(carol["p50_ms"])
    show(
        "one relay, 100 updates/s of 200 bytes",
        cpu_us=median(ours_us),
        stock_cpu_us=median(stock_us),
        of_stock=median([ours / stock for ours, stock in zip(ours_us, stock_us, strict=True)]),
        target=0.45,
        p50_added_ms=median(added_ms),
        p50_ms=median(end_to_end_ms),
    )


async def test_relay_for_a_minute() -> None:
    """400 a second, sustained."""
    count = int(400 * SECONDS)
    bob, carol = await relay("ours", count, 400.0, ticks=True)
    show(
        f"one relay, 400 updates/s for {SECONDS:.0f} s",
        lost=count - carol["heard"],
        p50_ms=carol["p50_ms"],
        p99_ms=carol["p99_ms"],
        cpu_us=bob["cpu_us"],
        longest_tick_ms=max(bob["longest_tick_ms"], carol["longest_tick_ms"]),
    )
    assert carol["heard"] == count
