"""Scenarios on simulated nodes and on real processes: both must come to the same outcome."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meshnode.core.address_book import RETRY_WHILE_FEW_S
from meshnode.errors import ConfigError
from simulations.processes.report import as_json, as_text
from simulations.processes.runner import BareWorld, BothWays, run_both_ways
from simulations.runner import Setup, simulate
from simulations.scenario import Scenario, load
from simulations.stage import Stage
from simulations.verdicts import OFFLINE
from tests.processes.harness import EXIT_S, READY_S, environment, processes_with


def printed(at_s: float, line: str) -> None:
    print(f"{at_s:6.1f} s  {line}", flush=True)


def ran_both_ways(setup: Setup, *, settle_s: float) -> BothWays:
    ran = run_both_ways(setup, printed, settle_s=settle_s)
    print(as_text(ran))
    return ran


async def lose_and_return(stage: Stage) -> None:
    """A provider is killed once all are connected, and back with its disk once it was missed."""
    await stage.grow(providers=1, over_s=0.3, update_every_s=1)
    await stage.wait(RETRY_WHILE_FEW_S)
    await stage.kill(stage.providers)
    await stage.wait(5)
    await stage.start(stage.providers)
    await stage.wait(0)


def test_a_provider_is_missed_and_comes_back_both_ways() -> None:
    scenario = Scenario("loss", "one is lost and returns", lose_and_return)
    ran = ran_both_ways(Setup(scenario, 3, 1, 0.2, "processes"), settle_s=RETRY_WHILE_FEW_S + 2)
    assert ran.agreement.disagreements == ()
    assert ran.holds
    (one,) = ran.agreement.compared
    assert [real.node for _, real in one.verdicts] == ["n1", "n2"]
    real = ran.real_account
    lost = {s.node for s in real.sightings if (s.provider, s.state) == ("n0", OFFLINE)}
    assert lost == {"n1", "n2"}
    assert [real.last_states(node)["n0"] for node in ("n1", "n2")] == ["active", "active"]
    assert {told.node for told in real.outages} >= {"n1", "n2"}
    assert real.in_outage() == set()
    assert {(node, "n0") for node in ("n1", "n2")} <= set(real.priced)
    document = json.loads(json.dumps(as_json(ran), allow_nan=False))
    assert (document["agrees"], document["disagreements"]) == (True, [])
    assert document["episodes"][0]["verdicts"][0]["real"]["said"] == OFFLINE
    assert "verdict   both agree: 2 judgements" in as_text(ran)


async def cut_off(stage: Stage) -> None:
    """A link is cut."""
    await stage.grow(providers=1)
    stage.cut(stage.nodes[0], stage.nodes[1])


@pytest.mark.parametrize("play", [cut_off, load("skew").play, load("swarm").play])
def test_what_processes_do_not_have_is_refused_before_any_starts(play: object) -> None:
    scenario = Scenario("cut", "a link is cut", play)  # type: ignore[arg-type]
    lines: list[str] = []
    with pytest.raises(BaseException) as failure:
        run_both_ways(Setup(scenario, 6, 1, 2, "processes"), lambda _, line: lines.append(line))
    (error,) = leaves(failure.value)
    assert isinstance(error, ConfigError)
    assert "freeze, provider-loss and restart" in str(error)
    assert lines == []


CAPABLE = ("churn", "cold-start", "freeze", "outage", "provider-loss", "restart", "steady")


@pytest.mark.parametrize("name", CAPABLE)
def test_a_scenario_wants_no_more_than_processes_have(name: str) -> None:
    assert simulate(Setup(load(name), 5, 1, 1.5), make_world=BareWorld).accepted > 0


def leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_no_file(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "meshnode", "simulate", "steady", "--stack", "processes"]
    runner = subprocess.Popen(
        [*command, "--nodes", "4"],
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), "TMPDIR": str(tmp_path)},
    )
    try:
        assert runner.stderr is not None
        for line in runner.stderr:
            if "n0 is ready" in line:
                break
        assert processes_with(tmp_path) != []
        runner.send_signal(number)
        assert runner.wait(READY_S + EXIT_S) == 128 + number
        assert "every node has ended" in runner.stderr.read()
    finally:
        runner.kill()
        runner.wait()
        if runner.stderr is not None:
            runner.stderr.close()
    assert processes_with(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "seed", "minutes"),
    [("freeze", 7, 4.0), ("provider-loss", 3, 3.0), ("restart", 1, 3.0)],
)
def test_a_scenario_comes_to_the_same_outcome_both_ways(
    name: str, seed: int, minutes: float
) -> None:
    ran = ran_both_ways(Setup(load(name), 6, seed, minutes, "processes"), settle_s=45)
    assert ran.agreement.disagreements == ()
    assert ran.holds
    assert ran.agreement.compared
