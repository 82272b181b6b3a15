"""Every scenario holds: small and short here, many seeds behind the marker."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from simulations.runner import Outcome, Setup, simulate
from simulations.scenario import load, names
from simulations.seeds import run_seeds

FAILED_ONCE = Path(__file__).with_name("failing_seeds.toml")
NODES, MINUTES = 5, 2.2


def ran(name: str, *, nodes: int = NODES, seed: int = 1, minutes: float = MINUTES) -> Outcome:
    return simulate(Setup(load(name), nodes, seed, minutes))


def told(outcome: Outcome) -> list[str]:
    return [str(violation) for violation in outcome.violations]


# These have tests of their own, here, in test_presence_scenarios or in test_dials.
OTHERS = (
    *("outage", "liars", "provider-loss", "leave", "freeze", "partition", "long-partition"),
    *("skew", "cold-start", "newcomers", "bad-links", "poison"),
)


@pytest.mark.parametrize("name", [name for name in names() if name not in OTHERS])
def test_a_scenario_holds(name: str) -> None:
    outcome = ran(name)
    assert told(outcome) == []
    assert outcome.accepted > 100


@pytest.mark.parametrize("name", ["provider-loss", "restart"])
def test_a_scenario_holds_with_real_hosts(name: str) -> None:
    outcome = simulate(Setup(load(name), NODES, 1, MINUTES, "libp2p"))
    assert told(outcome) == []
    assert len(outcome.story) > 4


def test_an_outage_is_flagged_at_ten_minutes_and_cleared() -> None:
    outcome = ran("outage", nodes=5, minutes=13.5)
    assert told(outcome) == []
    assert outcome.facts["OutageExtended"] >= 2
    assert max(sample.in_extended for sample in outcome.samples) >= 0.4
    assert outcome.samples[-1].in_outage == 0


def test_what_mallory_tries_is_in_vain() -> None:
    assert told(ran("liars", nodes=8, minutes=2.5)) == []


@pytest.mark.parametrize("run", tomllib.loads(FAILED_ONCE.read_text())["run"], ids=str)
def test_what_failed_once_holds(run: dict[str, Any]) -> None:
    scenario = load(run["scenario"])
    assert told(simulate(Setup(scenario, run["nodes"], run["seed"], run["minutes"]))) == []


def test_around_the_world_every_update_comes_within_a_second() -> None:
    outcome = ran("steady", nodes=16, minutes=1)
    assert told(outcome) == []
    assert outcome.delivered == outcome.expected > 100
    assert outcome.p50_s is not None
    assert outcome.p99_s is not None
    assert outcome.p50_s <= 0.3
    assert outcome.p99_s <= 1.0


@pytest.mark.long
def test_a_hundred_nodes_around_the_world() -> None:
    outcome = ran("steady", nodes=100, minutes=3)
    assert told(outcome) == []
    assert outcome.delivered == outcome.expected
    assert outcome.p50_s is not None
    assert outcome.p99_s is not None
    assert outcome.p50_s <= 0.3
    assert outcome.p99_s <= 1.0


@pytest.mark.long
@pytest.mark.parametrize(("stack", "seeds"), [("model", 200), ("libp2p", 20)])
@pytest.mark.parametrize("name", names())
def test_a_scenario_holds_whatever_the_seed(name: str, stack: str, seeds: int) -> None:
    scenario = load(name)
    setup = Setup(scenario, 20, 1, scenario.minutes, stack)
    failed = [result for result in run_seeds(setup, range(1, seeds + 1)) if not result.holds]
    assert [(result.replay, result.violations) for result in failed] == []


@pytest.mark.long
def test_in_a_day_of_bad_links_nobody_is_lost() -> None:
    """Twenty-four hours in pieces of ten minutes."""
    setup = Setup(load("bad-links"), 20, 1, 10)
    failed = [result for result in run_seeds(setup, range(1, 145)) if not result.holds]
    assert [(result.replay, result.violations) for result in failed] == []
