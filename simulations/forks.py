"""Runs of many seeds, forked from one process that has loaded and run everything once.

Loading takes a second, and code that has run before runs faster.
"""

import json
import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from multiprocessing.connection import Connection, wait
from time import perf_counter

from meshnode.errors import ConfigError
from simulations.own_module import ScenarioFailed
from simulations.report import left_out
from simulations.runner import Outcome, Setup, simulate
from simulations.scenario import load
from simulations.seeds import REFUSED, SeedResult

ERROR_LINES_MAX = 20  # of a run that ended by an exception
WARM_UP = ("steady", 4, 0.2)  # scenario, nodes, minutes
STOP_S = 5.0  # for a run that is not wanted any more to end


def main(arguments: Sequence[str]) -> None:
    """Run the seeds of a setup, and print what becomes of each as a line of JSON.

    The arguments: scenario, nodes, minutes, stack, the first seed, and the one after the last. Ends
    when standard input does: whoever wanted to know is gone then, however it ended.
    """
    name, nodes, minutes, stack, first, end = arguments
    setup = Setup(load(name), int(nodes), 0, float(minutes), stack)
    try:
        seeds = range(int(first), int(end))
        for result in run_all(setup, seeds, while_open=sys.stdin.fileno()):
            print(json.dumps(asdict(result)), flush=True)
    except ConfigError as error:
        print(json.dumps({REFUSED: str(error)}), flush=True)


def run_all(setup: Setup, seeds: Iterable[int], *, while_open: int) -> Iterator[SeedResult]:
    """Run every seed, as many at a time as there are cores; results as they come.

    No longer than the file `while_open` is; nothing is ever written to it. Raises ConfigError where
    the setup is none that can be run.
    """
    name, nodes, minutes = WARM_UP
    simulate(Setup(load(name), nodes, 1, minutes, setup.stack))
    waiting = (replace(setup, seed=seed) for seed in seeds)
    running: dict[Connection, _Run] = {}
    try:
        while True:
            for next_one in islice(waiting, (os.cpu_count() or 1) - len(running)):
                run = _Run(next_one)
                running[run.results] = run
            if not running:
                return
            for ready in wait([*running, while_open]):
                if not isinstance(ready, Connection):
                    return
                yield running.pop(ready).result()
    finally:
        for run in running.values():
            run.stop()


class _Run:
    """One seed in a process of its own."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._began_at = perf_counter()
        context = multiprocessing.get_context("fork")
        self.results, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_play, args=(setup, sender), daemon=True)
        self._process.start()
        sender.close()

    def result(self) -> SeedResult:
        """What came of it, once `results` is ready. Raises ConfigError."""
        found: SeedResult | ConfigError
        try:
            found = self.results.recv()
        except EOFError:
            found = _failed(self._setup, ["it ended unheard"], perf_counter() - self._began_at)
        self._process.join()
        self.results.close()
        if isinstance(found, ConfigError):
            raise found
        return found

    def stop(self) -> None:
        """End it, whatever it is at."""
        self._process.terminate()
        self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.results.close()


def _play(setup: Setup, results: "Connection[SeedResult | ConfigError, None]") -> None:
    found: SeedResult | ConfigError
    began_at = perf_counter()
    try:
        found = _of(simulate(setup))
    except BaseException as error:  # noqa: BLE001 - whatever ends a run is told with its seed
        match cause := _cause(error):
            case ConfigError():
                found = cause
            case ScenarioFailed():
                found = _failed(setup, [str(cause)], perf_counter() - began_at)
            case _:
                lines = traceback.format_exc().splitlines()[-ERROR_LINES_MAX:]
                found = _failed(setup, lines, perf_counter() - began_at)
    results.send(found)
    results.close()


def _cause(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _of(outcome: Outcome) -> SeedResult:
    setup, violations = outcome.setup, (*map(str, outcome.violations), *left_out(outcome))
    return SeedResult(setup.seed, violations, setup.command(), outcome.trace, outcome.real_s)


def _failed(setup: Setup, lines: Sequence[str], real_s: float) -> SeedResult:
    return SeedResult(setup.seed, tuple(lines), setup.command(), "", real_s)


if __name__ == "__main__":
    main(sys.argv[1:])
