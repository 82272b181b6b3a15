"""The demo's nodes: `meshnode run` in processes of their own, none of which outlives the demo."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from meshnode.adapters.node_process import NodeProcess, start_node
from meshnode.config import ENV_PREFIX

LISTEN = "/ip4/127.0.0.1/tcp/0"
END_WITHIN_S = 6.0  # a node takes 4 at most to leave in order


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
        arguments = ["--listen", LISTEN, "--data-dir", str(self._directory / name)]
        # At this level a node also logs who connects.
        arguments += ["--log-level", "debug"]
        for addr in connect:
            arguments += ["--connect", addr]
        if source is not None:
            arguments += ["--role", "provider", "--source", source]
        log = self._directory / f"{name}-{len(self._started) + 1}.log"
        node = await start_node(name, arguments, log=log, environ=_environment(os.environ))
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
