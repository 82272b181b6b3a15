"""Whether the model of the mesh takes as long as the mesh: propagation on both stacks."""

import statistics

import pytest

from simulations.runner import Setup, simulate
from simulations.scenario import load
from tests.bench.figures import percentile, show

pytestmark = pytest.mark.bench

SEEDS = (1, 2, 3)
MINUTES = 1.0
TOLERANCE = 0.25


def propagation(stack: str, nodes: int) -> tuple[float, float]:
    """Median and 99th percentile, in seconds, from issue to each acceptance; of several seeds.

    In `steady`: about six connections a node over the latencies of eight regions.
    """
    latencies = [
        latency
        for seed in SEEDS
        for latency in simulate(Setup(load("steady"), nodes, seed, MINUTES, stack)).latencies_s
    ]
    return statistics.median(latencies), percentile(latencies, 0.99)


@pytest.mark.parametrize("nodes", [20, 50])
def test_the_model_is_as_fast_as_real_hosts(nodes: int) -> None:
    """p50 and p99 within a quarter of each other."""
    (real_p50, real_p99), (p50, p99) = propagation("libp2p", nodes), propagation("model", nodes)
    show(
        f"propagation, {nodes} nodes",
        libp2p_p50_ms=real_p50 * 1000,
        model_p50_ms=p50 * 1000,
        libp2p_p99_ms=real_p99 * 1000,
        model_p99_ms=p99 * 1000,
    )
    assert p50 == pytest.approx(real_p50, rel=TOLERANCE)
    assert p99 == pytest.approx(real_p99, rel=TOLERANCE)
