"""The same seed gives the same run: real hosts, Noise and all, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulations.runner import Setup, simulate
from simulations.scenario import load
from tests.simulation.same_run import MINUTES, NODES

ROOT = Path(__file__).parents[2]


def fingerprints(scenario: str, seed: int, *, times: int) -> set[str]:
    """What so many processes print, one after the other, none of them with a fixed hash seed."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    command = [sys.executable, "-m", "tests.simulation.same_run", scenario, str(seed)]
    return {
        subprocess.run(
            command, check=True, capture_output=True, cwd=ROOT, env=environ, timeout=120, text=True
        ).stdout
        for _ in range(times)
    }


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    [first] = fingerprints("swarm", 1, times=2)
    [other] = fingerprints("swarm", 2, times=1)
    assert first != other


@pytest.mark.long
@pytest.mark.parametrize("scenario", ["swarm", "churn", "restart"])
def test_twenty_processes_run_the_same(scenario: str) -> None:
    [fingerprint] = fingerprints(scenario, 1, times=20)
    assert fingerprint


def test_a_run_leaves_nothing_behind_that_the_next_would_notice() -> None:
    def trace(seed: int) -> str:
        return simulate(Setup(load("swarm"), NODES, seed, MINUTES, "libp2p")).trace

    first = trace(1)
    assert trace(2) != first
    assert trace(1) == first
