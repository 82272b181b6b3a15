"""Many seeds on all cores: a process for each run, so that none can disturb another."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

from simulations.runner import Setup

ERROR_LINES_MAX = 20  # of a run that ended by an exception


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What became of one seed; `violations` as lines of text."""

    seed: int
    violations: tuple[str, ...]
    replay: str
    real_s: float

    @property
    def holds(self) -> bool:
        """Whether no rule was broken."""
        return not self.violations


def run_seeds(setup: Setup, seeds: Sequence[int]) -> Iterator[SeedResult]:
    """Run every seed, as many at a time as there are cores; results as they come."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(_run, replace(setup, seed=seed)) for seed in seeds]
        try:
            for run in as_completed(runs):
                yield run.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _run(setup: Setup) -> SeedResult:
    _, *arguments = shlex.split(setup.command())
    command = [sys.executable, "-m", "meshnode", *arguments, "--json"]
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(  # noqa: S603 - ourselves
        command, capture_output=True, text=True, env=environ, check=False
    )
    try:
        document = json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.splitlines()[-ERROR_LINES_MAX:]
        return SeedResult(setup.seed, tuple(lines) or ("it ended unheard",), setup.command(), 0.0)
    violations = tuple(
        f"{v['rule']}: at {v['at_s']:.1f} s on {v['node']}: {v['saw']}"
        for v in document["violations"]
    )
    return SeedResult(setup.seed, violations, setup.command(), document["real_s"])
