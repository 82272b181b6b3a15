"""`meshnode simulate`: a scenario in virtual time, its verdict, its figures, its page."""

import atexit
import gc
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from meshnode.cli.output import note, say
from meshnode.cli.ticker import Ticker
from meshnode.errors import ConfigError
from simulations import scenario as catalogue
from simulations.determinism import ensure_hash_seed
from simulations.report import as_json as outcome_as_json
from simulations.report import as_text
from simulations.report_page import page
from simulations.runner import Outcome, Setup, simulate
from simulations.seeds import SeedResult, run_seeds

NODES_MIN, NODES_MAX = 2, 5_000
MINUTES_MAX = 7 * 24 * 60
SEEDS_MAX = 1_000_000
HOLDS, BROKEN = 0, 1
PROCESSES = "processes"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one command line, None where one was not given."""

    nodes: int | None
    seed: int | None
    seeds: str | None
    minutes: float | None
    report: Path | None

    def refuse(self, why: str, *names: str) -> None:
        """Raises ConfigError if one of these was given."""
        for name in names:
            if getattr(self, name) is not None:
                raise ConfigError(f"--{name} {why}")

    def setup(self, scenario: catalogue.Scenario, stack: str, nodes_default: int) -> Setup:
        """The run that is asked for. Raises ConfigError."""
        nodes = nodes_default if self.nodes is None else self.nodes
        minutes = scenario.minutes if self.minutes is None else self.minutes
        if not NODES_MIN <= nodes <= NODES_MAX:
            raise ConfigError(f"--nodes {nodes}: write a number from {NODES_MIN} to {NODES_MAX}")
        if not 0 < minutes <= MINUTES_MAX:
            raise ConfigError(f"--minutes {minutes:g}: write a number up to {MINUTES_MAX}")
        return Setup(scenario, nodes, 1 if self.seed is None else self.seed, minutes, stack)


def simulate_command(name: str | None, options: Options, stack: str, *, as_json: bool) -> int:
    """Run a scenario, once or for many seeds. Raises ConfigError."""
    if name is None:
        every = ("nodes", "seed", "seeds", "minutes", "report")
        options.refuse("is for a scenario: name one; meshnode simulate lists them", *every)
        return _list(as_json=as_json)
    found = catalogue.load(name)
    if stack == PROCESSES:
        return _both_ways(found, options, as_json=as_json)
    setup = options.setup(found, stack, found.nodes)
    if options.seeds is not None:
        options.refuse("is for one run; leave out --seeds, and replay one that fails", "report")
        options.refuse("is for one run; leave out --seeds, or --seed", "seed")
        return _many(setup, _range(options.seeds), as_json=as_json)
    file = None if options.report is None else _page_in(options.report, setup)
    # Only now: what is wrong with the arguments is told at once.
    ensure_hash_seed()
    # What a thousand nodes leave behind is not looked through once more when the process ends.
    atexit.register(gc.freeze)
    with Ticker(sys.stderr, is_terminal=sys.stderr.isatty()) as ticker:
        outcome = simulate(setup, ticker.tell)
    say(json.dumps(outcome_as_json(outcome)) if as_json else as_text(outcome))
    if file is not None:
        _write(outcome, file)
        note(f"report    {file}")
    return HOLDS if outcome.holds else BROKEN


def _list(*, as_json: bool) -> int:
    found = [catalogue.load(name) for name in catalogue.names()]
    if as_json:
        told = [
            {"name": s.name, "summary": s.summary, "nodes": s.nodes, "minutes": s.minutes}
            for s in found
        ]
        print(json.dumps({"scenarios": told}))
        return HOLDS
    width = max(len(one.name) for one in found)
    for one in found:
        print(f"{one.name:{width}}  {one.summary}")
    print("\nmeshnode simulate NAME runs one; so does a file of your own, ./mine.toml or ./mine.py")
    return HOLDS


# --- many seeds -----------------------------------------------------------------------------


def _range(text: str) -> range:
    first, dots, last = text.partition("..")
    if not (first.isdecimal() and (last.isdecimal() if dots else not last)):
        raise ConfigError(f"--seeds {text}: write a range such as 1..200, or one number")
    start, end = int(first), int(last or first) + 1
    if start >= end:
        raise ConfigError(f"--seeds {text}: the range is empty; write the lower number first")
    if end - start > SEEDS_MAX:
        raise ConfigError(f"--seeds {text}: {SEEDS_MAX} at most at a time")
    return range(start, end)


def _many(setup: Setup, seeds: range, *, as_json: bool) -> int:
    results: list[SeedResult] = []
    tell = _seeds_as_json if as_json else _seeds_as_text
    try:
        for result in run_seeds(setup, seeds):
            results.append(result)
            verdict = "holds" if result.holds else "FAILS"
            told = f"{len(results)} of {len(seeds)}: seed {result.seed} {verdict}"
            note(f"{told} ({result.real_s:.1f} s)")
    except KeyboardInterrupt:
        say(tell(setup, results))  # what was found out by then is worth something, too
        raise
    say(tell(setup, results))
    return HOLDS if all(result.holds for result in results) else BROKEN


def _failed(results: list[SeedResult]) -> list[SeedResult]:
    return sorted((one for one in results if not one.holds), key=lambda result: result.seed)


def _seeds_as_text(setup: Setup, results: list[SeedResult]) -> str:
    failed, lines = _failed(results), []
    for result in failed:
        lines.append(f"seed {result.seed}: {result.replay}")
        lines += [f"  {line}" for line in result.violations]
        lines += [f"  trace {result.trace}"] if result.trace else []
    held = f"{len(results) - len(failed)} of {len(results)} seeds hold"
    return "\n".join([*lines, f"{setup.scenario.name}: {held}"])


def _seeds_as_json(setup: Setup, results: list[SeedResult]) -> str:
    told = [
        {"seed": f.seed, "violations": f.violations, "replay": f.replay, "trace": f.trace or None}
        for f in _failed(results)
    ]
    return json.dumps({"scenario": setup.scenario.name, "seeds": len(results), "failed": told})


# --- with real processes --------------------------------------------------------------------


def _both_ways(found: catalogue.Scenario, options: Options, *, as_json: bool) -> int:
    """Simulated first, then with real processes in real time; do they agree?"""
    from simulations.processes.report import as_json as both_as_json
    from simulations.processes.report import as_text as both_as_text
    from simulations.processes.runner import NODES_DEFAULT, run_both_ways

    options.refuse(f"is for simulated runs; leave out --stack {PROCESSES}", "seeds", "report")
    setup = options.setup(found, PROCESSES, NODES_DEFAULT)
    ensure_hash_seed()

    def tell(at_s: float, line: str) -> None:
        note(f"{at_s:6.1f} s  {line}")

    ran = run_both_ways(setup, tell)
    say(json.dumps(both_as_json(ran)) if as_json else both_as_text(ran))
    return HOLDS if ran.holds else BROKEN


# --- the page -------------------------------------------------------------------------------


def _page_in(directory: Path, setup: Setup) -> Path:
    """The page's file, in a directory that can be written to: better known before than after."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--report {directory}: {error.strerror}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigError(f"--report {directory}: it cannot be written to")
    name = Path(setup.scenario.name).name.replace(".", "-")
    return directory / (
        f"{name}-{setup.stack}-{setup.nodes}-nodes-{setup.minutes:g}-min-seed-{setup.seed}.html"
    )


def _write(outcome: Outcome, file: Path) -> None:
    try:
        file.write_text(page(outcome), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--report {file}: {error.strerror}") from error
