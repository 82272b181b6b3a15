"""Runs: the same from the same seed, told as text, JSON and a page; a violation can be replayed."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from meshnode.errors import ConfigError
from simulations.checkers.court import Violation
from simulations.report import as_json, as_text
from simulations.report_page import page
from simulations.runner import Outcome, Progress, Setup, simulate
from simulations.scenario import load
from simulations.seeds import run_seeds
from simulations.svg import Chart


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return simulate(Setup(load("restart"), 5, 3, 2.2))


def fingerprint(seed: int, stack: str = "model") -> str:
    arguments = ["restart", "--nodes", "4", "--minutes", "1.2", "--stack", stack, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "meshnode", "simulate", *arguments, "--seed", str(seed)],
        capture_output=True,
        check=True,
        env={name: text for name, text in os.environ.items() if name != "PYTHONHASHSEED"},
    )
    trace: str = json.loads(done.stdout)["trace"]
    return trace


def test_the_same_seed_gives_the_same_run_in_any_process() -> None:
    assert fingerprint(1) == fingerprint(1) != fingerprint(2)


@pytest.mark.long
def test_the_same_seed_gives_the_same_run_twenty_times() -> None:
    assert len({fingerprint(7) for _ in range(20)}) == 1


def test_progress_is_told_every_virtual_second() -> None:
    told: list[Progress] = []
    simulate(Setup(load("steady"), 4, 1, 0.2), told.append)
    assert len(told) == pytest.approx(told[-1].virtual_s, abs=2)
    assert told[-1].accepted > 0


def test_a_run_that_holds_in_words_and_figures(outcome: Outcome) -> None:
    text = as_text(outcome)
    assert "every rule held" in text
    assert "p50" in text
    tree = json.loads(json.dumps(as_json(outcome)))
    assert tree["holds"] is True
    assert tree["delivery"]["delivered"] == tree["delivery"]["expected"]
    assert tree["latency_ms"]["times_shortest_path"] >= 1
    assert tree["messages"]["duplicates_per_node"] > 0
    told = sum(sample["facts_per_node"] for sample in tree["samples"])
    assert told == pytest.approx(sum(tree["facts"].values()) / 5, rel=0.2)  # by one fewer at times


def test_real_hosts_count_the_copies_that_come() -> None:
    told = as_json(simulate(Setup(load("steady"), 4, 1, 0.2, "libp2p")))
    assert told["messages"]["duplicates_per_node"] > 0


def test_a_violation_comes_with_the_command_that_replays_it(outcome: Outcome) -> None:
    seen = Violation("a rule", 12.34, "n3", "saw <this>")
    broken = replace(outcome, violations=(seen,), violation_counts={"a rule": 7})
    text = as_text(broken)
    assert "7 violations" in text
    assert "a rule: at 12.3 s on n3: saw <this>" in text
    assert "a rule: 6 more" in text
    assert "meshnode simulate restart --nodes 5 --seed 3 --minutes 2.2 --stack model" in text
    for told in ("saw &lt;this&gt;", "7 violations", "a rule: 6 more"):
        assert told in page(broken)
    once = as_text(replace(broken, violation_counts={"a rule": 1}))
    assert "1 violation\n" in once
    assert "more" not in once.rpartition("verdict")[2]


def test_the_page_stands_alone(outcome: Outcome) -> None:
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            opened.append(tag)
            assert not {"src", "href"} & {name for name, _ in attrs}  # nothing from elsewhere

    Reader().feed(page(outcome))
    assert opened.count("svg") == 4
    assert "polyline" in opened


def test_the_page_names_what_happened_and_its_scales(outcome: Outcome) -> None:
    told = page(outcome)
    for label in (
        ">killed<",
        ">started<",
        ">nodes in outage<",
        ">100%<",
        ">events per node and minute<",
        ">p99<",
    ):
        assert label in told


def test_the_page_draws_what_nodes_make_known_as_rates(outcome: Outcome) -> None:
    """A sample a second after another makes no span of its own, whose rate would be a peak."""
    counts = ((0.0, 0.0), (5.0, 1.0), (6.0, 0.75), (11.0, 0.25), (16.0, 0.0))
    samples = [replace(outcome.samples[0], at_s=at, facts_per_node=n) for at, n in counts]
    drawn = page(replace(outcome, samples=tuple(samples), virtual_s=16.0))
    line = re.search(r'<polyline class="events" points="([^"]+)"', drawn)
    assert line is not None
    points = [tuple(map(float, point.split(","))) for point in line[1].split()]
    foot = points[-1][1]
    heights = [(foot - y) / (foot - points[0][1]) for _, y in points]
    wide = points[-1][0] - points[0][0]
    seconds = [16 * (x - points[0][0]) / wide for x, _ in points]
    assert seconds == pytest.approx([0, 5, 5, 11, 11, 16, 16], abs=0.02)
    assert heights == pytest.approx(
        [1, 1, 10 / 12, 10 / 12, 0, 0, 0], abs=0.01
    )  # 12 a minute, 10, 0


def test_labels_that_would_cover_one_another_are_left_out() -> None:
    chart = Chart(100.0, 1.0, "minutes")
    for at in (10.0, 11.0, 50.0, 99.9):
        chart.mark(at, "story", f"at {at}", f"label {at}")
    drawn = chart.render("labels")
    assert [at for at in (10.0, 11.0, 50.0, 99.9) if f">label {at}<" in drawn] == [10.0, 50.0]
    assert "at 99.9" in drawn  # to be read by pointing at it


def test_the_world_is_sampled_as_things_happen_and_providers_see_themselves(
    outcome: Outcome,
) -> None:
    times = [sample.at_s for sample in outcome.samples]
    for happening in outcome.story:
        if happening.at_s < times[-1]:
            assert any(0 <= at_s - happening.at_s <= 1 for at_s in times), happening
    assert max(sample.providers_seen for sample in outcome.samples) == 3


def test_many_seeds_each_in_a_process_of_its_own() -> None:
    results = list(run_seeds(Setup(load("steady"), 4, 1, 0.1), range(1, 4)))
    assert sorted(result.seed for result in results) == [1, 2, 3]
    assert all(result.holds for result in results)
    assert len({result.trace for result in results}) == 3


def test_a_run_that_ends_by_an_exception_fails_its_seed(tmp_path: os.PathLike[str]) -> None:
    file = os.path.join(tmp_path, "bad.py")
    with open(file, "w") as code:
        code.write('"""Bad."""\n\n\nasync def play(stage):\n    raise ZeroDivisionError("oops")\n')
    (result,) = run_seeds(Setup(load(file), 3, 1, 0.1), range(5, 6))
    assert result.violations == (f"{file}, line 5: ZeroDivisionError: oops",)
    assert result.trace == ""
    assert result.real_s > 0


def test_a_setup_that_cannot_be_run_is_told_once_and_fails_no_seed() -> None:
    with pytest.raises(ConfigError, match="needs 5 and more"):
        list(run_seeds(Setup(load("halves"), 4, 1, 5.0), range(1, 4)))


ENDED_WITHIN_S = 10.0


def processes_about(file: Path) -> list[str]:
    """The ids of the processes whose command names a file."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and str(file).encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue  # it has just ended
    return found


def half_endless(tmp_path: Path) -> Path:
    """A scenario that ends for the first seed only."""
    scenario = tmp_path / "half_endless.py"
    scenario.write_text(
        '"""The first seed ends, the others go on and on."""\n\nimport random\n\n\n'
        "async def play(stage):\n"
        "    endless = stage.rng.random() != random.Random('scenario 1').random()\n"
        "    while endless:\n"
        "        await stage.wait(1)\n"
    )
    return scenario


def assert_all_end(scenario: Path) -> None:
    deadline = time.monotonic() + ENDED_WITHIN_S
    while processes_about(scenario) and time.monotonic() < deadline:
        os.sched_yield()
    assert processes_about(scenario) == []


def test_runs_that_nobody_waits_for_are_ended(tmp_path: Path) -> None:
    scenario = half_endless(tmp_path)
    runs = run_seeds(Setup(load(str(scenario)), 3, 1, 1_000_000), range(1, 4))
    assert next(runs).seed == 1
    assert len(processes_about(scenario)) >= 2
    runs.close()
    assert_all_end(scenario)


def test_runs_end_with_who_wanted_them_even_if_it_is_killed(tmp_path: Path) -> None:
    scenario = half_endless(tmp_path)
    about = ("--nodes", "3", "--minutes", "10000", "--seeds", "1..3")
    command = [sys.executable, "-m", "meshnode", "simulate", str(scenario), *about]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as wanting:
        assert wanting.stderr is not None
        wanting.stderr.readline()  # of the first seed
        assert len(processes_about(scenario)) >= 3
        wanting.kill()
    assert_all_end(scenario)
