"""The same seed gives the same run: both stacks, Noise and all, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulations.runner import Setup, simulate
from simulations.scenario import load
from tests.simulation.same_run import NODES

ROOT = Path(__file__).parents[2]
SHORT, WITH_FAULTS, LONG = 0.25, 2.2, 3.2  # minutes
HAPPENINGS_MIN = 6  # else nothing but the beginning and the end was compared


def fingerprints(
    scenario: str, seed: int, minutes: float, stack: str, *, times: int
) -> set[tuple[str, int]]:
    """What so many processes print, one after the other, none of them with a fixed hash seed.

    The fingerprint, and how much the scenario did.
    """
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    about = (scenario, str(seed), str(minutes), stack)
    command = [sys.executable, "-m", "tests.simulation.same_run", *about]
    found = set()
    for _ in range(times):
        ran = subprocess.run(
            command, check=True, capture_output=True, cwd=ROOT, env=environ, timeout=120, text=True
        )
        trace, accepted, happenings = ran.stdout.split()
        found.add((f"{trace} {accepted}", int(happenings)))
    return found


@pytest.mark.parametrize(("stack", "minutes"), [("libp2p", SHORT), ("model", WITH_FAULTS)])
def test_a_seed_gives_the_same_run_in_every_process(stack: str, minutes: float) -> None:
    [first] = fingerprints("swarm", 1, minutes, stack, times=2)
    [other] = fingerprints("swarm", 2, minutes, stack, times=1)
    assert first != other


@pytest.mark.long
@pytest.mark.parametrize("stack", ["libp2p", "model"])
@pytest.mark.parametrize("scenario", ["swarm", "churn", "restart", "bad-disks"])
def test_twenty_processes_run_the_same(scenario: str, stack: str) -> None:
    [(_, happenings)] = fingerprints(scenario, 1, LONG, stack, times=20)
    assert happenings >= HAPPENINGS_MIN


def test_a_run_leaves_nothing_behind_that_the_next_would_notice() -> None:
    def trace(seed: int) -> str:
        return simulate(Setup(load("swarm"), NODES, seed, SHORT, "libp2p")).trace

    first = trace(1)
    assert trace(2) != first
    assert trace(1) == first
