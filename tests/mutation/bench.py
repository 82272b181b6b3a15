"""Where mutations are tried: copies of the tree, never the tree itself."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.mutation import ROOT, Mutation

TIMEOUT_S = 60.0  # a test that hangs without its guard has noticed, too
BASELINE_TIMEOUT_S = 900.0
OUTPUT_LINES_MAX = 40

_COPIED = ("protocols", "meshnode", "simulations", "tests", "pyproject.toml", "README.md")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".hypothesis")
_OPTIONS = ("-x", "--tb=line", "-p", "no:cacheprovider", "--hypothesis-seed=0")
_PASSED, _FAILED = 0, 1  # pytest's exit codes; the others mean that nothing was tested


class Outcome(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    HUNG = "killed (hung)"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"  # its tests could not even be run: that proves nothing


@dataclass(frozen=True, slots=True)
class Result:
    """A mutation's outcome, how long it took, and what the tests said."""

    mutation: Mutation
    outcome: Outcome
    took_s: float
    output: str

    @property
    def is_proof(self) -> bool:
        """Whether the guard's absence was noticed."""
        return self.outcome in (Outcome.KILLED, Outcome.HUNG)


class Copy:
    """A copy of the tree in which one mutation at a time is tried."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def try_out(self, mutation: Mutation) -> Result:
        """Mutate, run the tests that must notice, and put the source back."""
        file = self.path / mutation.file
        source = file.read_text()
        file.write_text(mutation.applied(source))
        started_at = time.monotonic()
        try:
            code, output = self.run_tests(mutation.tests, TIMEOUT_S)
        finally:
            file.write_text(source)
        outcome = Outcome.HUNG if code is None else _OUTCOMES.get(code, Outcome.BROKEN)
        return Result(mutation, outcome, time.monotonic() - started_at, output)

    def run_tests(self, tests: Sequence[str], timeout_s: float) -> tuple[int | None, str]:
        """pytest's exit code, None where it did not end in time, and the end of its output."""
        # Without byte code: a mutant of the same size in the same second would be taken for its
        # original. In a session of its own, so that whatever a hanging test started ends with it.
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *_OPTIONS, *tests],
            cwd=self.path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return None, _end_of(output)
        return process.returncode, _end_of(output)


_OUTCOMES = {_PASSED: Outcome.SURVIVED, _FAILED: Outcome.KILLED}


def _end_of(output: str) -> str:
    return "\n".join(output.splitlines()[-OUTPUT_LINES_MAX:])


@contextmanager
def open_copies(count: int) -> Iterator[list[Copy]]:
    """So many copies of the tree, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as directory:
        copies = []
        for number in range(count):
            path = Path(directory) / str(number)
            path.mkdir()
            for name in _COPIED:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(source, path / name, ignore=_LEFT_OUT)
                else:
                    shutil.copy(source, path / name)
            copies.append(Copy(path))
        yield copies


def check_baseline(copy: Copy, mutations: Sequence[Mutation]) -> str | None:
    """What the tests say without any mutation, where they fail: then they prove nothing."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    code, output = copy.run_tests(tests, BASELINE_TIMEOUT_S)
    return None if code == _PASSED else output


def try_all(
    copies: Sequence[Copy], mutations: Sequence[Mutation], tell: Callable[[Result], None]
) -> list[Result]:
    """Try every mutation, as many at a time as there are copies; `tell` hears of each."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def try_one(mutation: Mutation) -> Result:
        copy = free.get()
        try:
            result = copy.try_out(mutation)
        finally:
            free.put(copy)
        tell(result)
        return result

    with ThreadPoolExecutor(len(copies)) as pool:
        return list(pool.map(try_one, mutations))
