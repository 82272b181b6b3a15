"""`meshnode`, watched from inside: `python -m tests.processes.watched_node FILE run …`.

Adds a line to the file every ten seconds: how long the event loop was kept from its sockets at most
since the last one, and how many tasks live.
"""

import json
import math
import sys
import time
from functools import partial
from pathlib import Path

import trio

from meshnode.__main__ import main

TELL_EVERY_S = 10.0


class Watch(trio.abc.Instrument):
    """Turns of the loop, in CPU time: being preempted by another process is not our doing."""

    def __init__(self, told: Path) -> None:
        self._told = told
        self._tell_at = time.monotonic() + TELL_EVERY_S
        self._longest_s = 0.0
        self._began = math.inf

    def after_io_wait(self, timeout: float) -> None:
        self._began = time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        self._longest_s = max(self._longest_s, time.thread_time() - self._began)
        if time.monotonic() < self._tell_at:
            return
        self._tell_at = time.monotonic() + TELL_EVERY_S
        tasks = trio.lowlevel.current_statistics().tasks_living
        said = {"longest_turn_ms": 1000 * self._longest_s, "tasks": tasks}
        with self._told.open("a") as file:
            file.write(json.dumps(said) + "\n")
        self._longest_s = 0.0


if __name__ == "__main__":
    trio.run = partial(trio.run, instruments=[Watch(Path(sys.argv[1]))])
    sys.exit(main(sys.argv[2:]))
