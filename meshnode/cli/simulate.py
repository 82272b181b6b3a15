"""`meshnode simulate`: a scenario in virtual time, its verdict, its figures, its page."""

import atexit
import gc
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from meshnode.errors import ConfigError
from simulations import scenario as catalogue
from simulations.determinism import ensure_hash_seed
from simulations.report import as_json as outcome_as_json
from simulations.report import as_text
from simulations.report_page import page
from simulations.runner import Outcome, Progress, Setup, simulate
from simulations.seeds import run_seeds

PROGRESS_EVERY_S = 0.5
NODES_MIN, NODES_MAX = 2, 5_000
HOLDS, BROKEN = 0, 1
PROCESSES = "processes"


def simulate_command(
    name: str | None,
    *,
    nodes: int | None,
    seed: int,
    seeds: str | None,
    minutes: float | None,
    stack: str,
    report: Path | None,
    as_json: bool,
) -> int:
    """Run a scenario, once or for many seeds. Raises ConfigError."""
    if name is None:
        return _list(as_json=as_json)
    found = catalogue.load(name)
    if stack == PROCESSES:
        return _both_ways(found, nodes, seed, minutes, seeds, report, as_json=as_json)
    setup = Setup(found, nodes or found.nodes, seed, minutes or found.minutes, stack)
    if not NODES_MIN <= setup.nodes <= NODES_MAX:
        raise ConfigError(f"--nodes {setup.nodes}: write a number from {NODES_MIN} to {NODES_MAX}")
    if seeds is not None:
        return _many(setup, _range(seeds), as_json=as_json)
    # Only now: what is wrong with the arguments is told at once.
    ensure_hash_seed()
    ticker = Ticker(sys.stderr, is_terminal=sys.stderr.isatty())
    # What a thousand nodes leave behind is not looked through once more when the process ends.
    atexit.register(gc.freeze)
    outcome = simulate(setup, ticker.tell)
    ticker.end()
    print(json.dumps(outcome_as_json(outcome)) if as_json else as_text(outcome))
    if report is not None:
        print(f"report    {_write(outcome, report)}", file=sys.stderr)
    return HOLDS if outcome.holds else BROKEN


class Ticker:
    """The progress line: overwritten on a terminal, else a line now and then."""

    def __init__(self, stream: TextIO, *, is_terminal: bool) -> None:
        self._stream = stream
        self._is_terminal = is_terminal
        self._told_real_s = 0.0
        self._every_s = PROGRESS_EVERY_S if is_terminal else 20 * PROGRESS_EVERY_S

    def tell(self, progress: Progress) -> None:
        """Say how far it is, not too often."""
        if progress.real_s - self._told_real_s < self._every_s:
            return
        self._told_real_s = progress.real_s
        line = (
            f"{progress.virtual_s / 60:5.1f} of {progress.total_s / 60:.1f} virtual minutes"
            f" in {progress.real_s:.0f} s, {progress.accepted} messages accepted"
            f", {progress.violations or 'no'} violations"
        )
        self._stream.write(f"\r\x1b[K{line}" if self._is_terminal else f"{line}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")


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


def _range(text: str) -> Sequence[int]:
    first, dots, last = text.partition("..")
    if not (first.isdecimal() and (last.isdecimal() if dots else not last)):
        raise ConfigError(f"--seeds {text}: write a range such as 1..200")
    seeds = range(int(first), int(last or first) + 1)
    if not seeds:
        raise ConfigError(f"--seeds {text}: the range is empty; write the lower number first")
    return seeds


def _many(setup: Setup, seeds: Sequence[int], *, as_json: bool) -> int:
    failed = []
    for number, result in enumerate(run_seeds(setup, seeds), 1):
        if not result.holds:
            failed.append(result)
        verdict = "holds" if result.holds else "FAILS"
        told = f"{number} of {len(seeds)}: seed {result.seed} {verdict} ({result.real_s:.1f} s)"
        print(told, file=sys.stderr, flush=True)
    if as_json:
        told_failed = [
            {"seed": f.seed, "violations": f.violations, "replay": f.replay} for f in failed
        ]
        document = {"scenario": setup.scenario.name, "seeds": len(seeds), "failed": told_failed}
        print(json.dumps(document))
    else:
        for result in failed:
            print(f"seed {result.seed}: {result.replay}")
            for line in result.violations:
                print(f"  {line}")
        print(f"{setup.scenario.name}: {len(seeds) - len(failed)} of {len(seeds)} seeds hold")
    return BROKEN if failed else HOLDS


def _both_ways(
    found: catalogue.Scenario,
    nodes: int | None,
    seed: int,
    minutes: float | None,
    seeds: str | None,
    report: Path | None,
    *,
    as_json: bool,
) -> int:
    """Simulated first, then with real processes in real time; do they agree?"""
    from simulations.processes.report import as_json as both_as_json
    from simulations.processes.report import as_text as both_as_text
    from simulations.processes.runner import NODES_DEFAULT, run_both_ways

    for flag, given in (("--seeds", seeds), ("--report", report)):
        if given is not None:
            raise ConfigError(f"{flag} is for simulated runs; leave out --stack {PROCESSES}")
    setup = Setup(found, nodes or NODES_DEFAULT, seed, minutes or found.minutes, PROCESSES)
    ensure_hash_seed()

    def tell(at_s: float, line: str) -> None:
        print(f"{at_s:6.1f} s  {line}", file=sys.stderr, flush=True)

    ran = run_both_ways(setup, tell)
    print(json.dumps(both_as_json(ran)) if as_json else both_as_text(ran))
    return HOLDS if ran.holds else BROKEN


def _write(outcome: Outcome, directory: Path) -> Path:
    setup = outcome.setup
    stem = Path(setup.scenario.name).stem
    file = directory / f"{stem}-{setup.nodes}-{setup.seed}.html"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file.write_text(page(outcome), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--report {directory}: {error.strerror}") from error
    return file
