"""What it costs a node to know who is there, and that consumers in numbers cost no more."""

import gc
import time
import tracemalloc

import pytest

from meshnode.core.providers import Providers
from protocols.messages import PresenceUpdate, Role
from simulations.clock import START_NS
from tests.bench.figures import show
from tests.cast import NS_PER_S, presence

pytestmark = pytest.mark.bench

PROVIDING = 10
PROVIDER_INTERVAL_S = 5
MESSAGES = 20_000
SWEEPS = 300
MIB = 1024 * 1024
CORE_SHARE_MAX = 0.02
MIB_MAX = 5.0

_PROVIDES = presence()


def author(number: int) -> bytes:
    return number.to_bytes(32, "big")


def consumes(nodes: int) -> PresenceUpdate:
    return presence(Role.CONSUMER, interval_s=max(60, 2 * nodes))


def hear(providers: Providers, number: int, now: float, payload: PresenceUpdate) -> None:
    now_ns = START_NS + round(now * NS_PER_S)
    providers.heard(author(number), payload, now_ns, now, now_ns)


def filled(nodes: int) -> Providers:
    providers, payload = Providers(), consumes(nodes)
    for number in range(nodes):
        hear(providers, number, 0.0, _PROVIDES if number < PROVIDING else payload)
    return providers


@pytest.mark.parametrize("nodes", [100, 1_000, 5_000])
def test_tracking(nodes: int) -> None:
    gc.collect()
    tracemalloc.start()
    providers = filled(nodes)
    gc.collect()
    mib = tracemalloc.get_traced_memory()[0] / MIB
    tracemalloc.stop()
    payload = consumes(nodes)
    began = time.perf_counter()
    for number in range(MESSAGES):
        hear(providers, PROVIDING + number % (nodes - PROVIDING), number / 1e4, payload)
    consumer_us = (time.perf_counter() - began) / MESSAGES * 1e6
    began = time.perf_counter()
    for number in range(MESSAGES):
        hear(providers, number % PROVIDING, 2 + number / 1e4, _PROVIDES)
    provider_us = (time.perf_counter() - began) / MESSAGES * 1e6
    began = time.perf_counter()
    for number in range(SWEEPS):
        now = 4 + number / 100
        providers.doubts.sweep(now, START_NS)
        providers.expire(now)
    sweep_us = (time.perf_counter() - began) / SWEEPS * 1e6
    consumers_per_s = min((nodes - PROVIDING) / 60, 0.5)
    share = (
        consumers_per_s * consumer_us + PROVIDING / PROVIDER_INTERVAL_S * provider_us + sweep_us
    ) / 1e6
    show(
        f"tracking {nodes} nodes of which {PROVIDING} provide",
        consumer_us=consumer_us,
        provider_us=provider_us,
        sweep_us=sweep_us,
        core_percent=100 * share,
        mib=mib,
    )
    assert share <= CORE_SHARE_MAX
    assert mib <= MIB_MAX
