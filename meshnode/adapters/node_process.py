"""A node in a process of its own: `meshnode run`, started, signalled, and its log read."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from meshnode.errors import MeshnodeError

READY_WITHIN_S = 60.0  # two cores that are busy with other things need 15
LOG_POLL_S = 0.05
LOG_TAIL_LINES = 5


@dataclass(frozen=True, slots=True)
class Ready:
    """What a node said when it was ready, and how long after its start."""

    node_id: str
    addrs: tuple[str, ...]
    took_s: float


class NodeProcess:
    """One node: its process, its log. Made by `start_node`."""

    def __init__(self, name: str, process: trio.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self.is_killed = False
        self._process = process
        self._started_at = time.monotonic()

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """With what it ended (less than 0: by that signal), or None while it runs."""
        return self._process.poll()

    async def wait_ready(self) -> Ready:
        """Wait for the line with which it says so. Raises MeshnodeError if it ends or hangs."""
        try:
            with trio.fail_after(READY_WITHIN_S):
                document = json.loads(await self._first_line())
        except trio.TooSlowError:
            raise self.failure(f"was not ready within {READY_WITHIN_S:.0f} s") from None
        took_s = time.monotonic() - self._started_at
        return Ready(document["node_id"], tuple(document["addrs"]), took_s)

    async def wait_log(
        self, event: str, within_s: float, **fields: str
    ) -> Mapping[str, Any] | None:
        """The first line of its log with this event and fields, or None if none comes in time."""
        wanted = {"event": event, **fields}
        try:
            with trio.fail_after(within_s):
                while True:
                    for line in self._log_lines():
                        document = _parsed(line)
                        if wanted.items() <= document.items():
                            return document
                    await trio.sleep(LOG_POLL_S)
        except trio.TooSlowError:
            return None

    def failure(self, what: str) -> MeshnodeError:
        """The error to raise: what happened to this node, and the end of its log."""
        tail = self._log_lines()[-LOG_TAIL_LINES:] or ["(its log is empty)"]
        return MeshnodeError("\n".join([f"the node {self.name} {what}; its log ends:", *tail]))

    async def kill(self) -> None:
        """End it as a crash would: SIGKILL. Returns when it is gone."""
        self.is_killed = True
        self._process.kill()
        await self._process.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM, unless it is gone."""
        if self.is_running:
            self._process.terminate()

    def freeze(self) -> None:
        """Let it stand still: SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on: SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    async def wait_ended(self) -> None:
        """Wait until the process is gone, and let go of its pipe."""
        await self._process.wait()
        if self._process.stdout is not None:
            await self._process.stdout.aclose()

    def _log_lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    async def _first_line(self) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None, "it was started with a pipe"
        line = b""
        while not line.endswith(b"\n"):
            part = await stdout.receive_some()
            if not part:
                await self._process.wait()
                raise self.failure(f"ended with exit code {self._process.returncode}")
            line += part
        return line


async def start_node(
    name: str,
    arguments: Sequence[str],
    *,
    log: Path,
    environ: Mapping[str, str],
    own_session: bool = False,
) -> NodeProcess:
    """Start `meshnode run` with these arguments; whoever calls sees to its end.

    With `own_session` a Ctrl-C at our terminal does not reach it. Raises MeshnodeError where no
    process can be started.
    """
    command = [sys.executable, "-m", "meshnode", "run", "--json", "--log-format", "json"]
    with log.open("wb") as stderr:
        try:
            process = await trio.lowlevel.open_process(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environ,
                start_new_session=own_session,
            )
        except OSError as error:
            raise MeshnodeError(f"cannot start a node: {error.strerror or error}") from error
    return NodeProcess(name, process, log)


def _parsed(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        return {}  # a traceback, or a line that is still being written
    return document if isinstance(document, dict) else {}
