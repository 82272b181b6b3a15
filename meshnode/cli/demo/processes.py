"""The demo's nodes: `meshnode run` in processes of their own, none of which outlives the demo."""

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from meshnode.config import ENV_PREFIX
from meshnode.errors import MeshnodeError

LISTEN = "/ip4/127.0.0.1/tcp/0"
READY_WITHIN_S = 30.0  # two cores that are busy with other things need 15
END_WITHIN_S = 6.0  # a node takes 4 at most to leave in order
LOG_POLL_S = 0.05
LOG_TAIL_LINES = 5


@dataclass(frozen=True, slots=True)
class Ready:
    """What a node said when it was ready, and how long after its start."""

    node_id: str
    addrs: tuple[str, ...]
    took_s: float


class NodeProcess:
    """One node: its process, its log. Made by `Processes.start`."""

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


class Processes:
    """All nodes of one demo, in a directory of theirs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[NodeProcess] = []

    async def start(
        self, name: str, *, connect: Sequence[str] = (), source: str | None = None
    ) -> NodeProcess:
        """Start a node, a provider if it has a source; one with the name of an earlier one is it.

        Raises MeshnodeError where no process can be started.
        """
        command = [sys.executable, "-m", "meshnode", "run", "--json", "--listen", LISTEN]
        command += ["--data-dir", str(self._directory / name)]
        # At this level a node also logs who connects.
        command += ["--log-format", "json", "--log-level", "debug"]
        for addr in connect:
            command += ["--connect", addr]
        if source is not None:
            command += ["--role", "provider", "--source", source]
        log = self._directory / f"{name}-{len(self._started) + 1}.log"
        with log.open("wb") as stderr:
            try:
                process = await trio.lowlevel.open_process(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=_environment(os.environ),
                )
            except OSError as error:
                raise MeshnodeError(f"cannot start a node: {error.strerror or error}") from error
        node = NodeProcess(name, process, log)
        self._started.append(node)
        return node

    async def end(self) -> None:
        """End every node: SIGTERM, and SIGKILL for whoever is there after END_WITHIN_S."""
        for node in self._started:
            node.ask_to_end()
        with trio.move_on_after(END_WITHIN_S):
            for node in self._started:
                await node.wait_ended()
        for node in self._started:
            if node.is_running:
                await node.kill()
            await node.wait_ended()
        self._started.clear()


@asynccontextmanager
async def open_processes(directory: Path) -> AsyncIterator[Processes]:
    """Start nodes in `directory`; all of them have ended when this is left, whatever happens."""
    processes = Processes(directory)
    try:
        yield processes
    finally:
        with trio.CancelScope(shield=True):
            await processes.end()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's, without the settings that are meant for the user's own node."""
    kept = {name: text for name, text in environ.items() if not name.startswith(ENV_PREFIX)}
    # Left to themselves all would be neighbours in a moment, and no price would need a relay.
    return kept | {f"{ENV_PREFIX}PEERS_AIM": "0"}


def _parsed(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        return {}  # a traceback, or a line that is still being written
    return document if isinstance(document, dict) else {}
