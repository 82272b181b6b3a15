"""Many seeds on all cores: a process for each run, so that none can disturb another."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass

from meshnode.errors import ConfigError
from simulations.determinism import HASH_SEED
from simulations.runner import Setup

REFUSED = "refused"  # the key of what is told instead of results


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What became of one seed; `violations` as lines of text, `trace` empty where it broke off."""

    seed: int
    violations: tuple[str, ...]
    replay: str
    trace: str
    real_s: float

    @property
    def holds(self) -> bool:
        """Whether no rule was broken."""
        return not self.violations


def run_seeds(setup: Setup, seeds: range) -> Generator[SeedResult, None, None]:
    """Run every seed of a range, as many at a time as there are cores; results as they come.

    Raises ConfigError for a setup that cannot be run, RuntimeError where none can.
    """
    what = (setup.scenario.name, str(setup.nodes), str(setup.minutes), setup.stack)
    ends = str(seeds.start), str(seeds.stop)
    command = [sys.executable, "-m", "simulations.forks", *what, *ends]
    # With the hash seed that a replay has, or that would be another run.
    environ = {**os.environ, "PYTHONHASHSEED": HASH_SEED}
    with subprocess.Popen(  # noqa: S603 - ourselves
        command,
        stdin=subprocess.PIPE,  # it ends with us, even where we are killed
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
        start_new_session=True,
    ) as forks:
        assert forks.stdout is not None, "it is a pipe"
        try:
            for line in forks.stdout:
                told = json.loads(line)
                if REFUSED in told:
                    raise ConfigError(told[REFUSED])
                yield SeedResult(**{**told, "violations": tuple(told["violations"])})
            if forks.wait():
                raise RuntimeError(f"running seeds ended with code {forks.returncode}")
        finally:
            # All of them at once: they have a process group to themselves.
            with suppress(ProcessLookupError):
                os.killpg(forks.pid, signal.SIGKILL)
