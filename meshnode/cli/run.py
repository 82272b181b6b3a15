"""`meshnode run`: a node under signals, its readiness one line on stdout."""

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping
from pathlib import Path
from typing import Protocol, TextIO

import trio

from meshnode.adapters.signals import ending_signals
from meshnode.cli.config_text import as_json as config_as_json
from meshnode.cli.config_text import as_toml
from meshnode.config import NodeConfig, load_effective
from meshnode.core.facts import Fact, NodeReady, StoreLeftBehind
from meshnode.errors import MeshnodeError
from meshnode.ports import Observer

SECOND_SIGNAL_AFTER_S = 1.0
LEFT_BEHIND = MeshnodeError.exit_code  # the log says what
SHUTDOWN_S = 10.0  # from the signal to the exit, a disk that hangs included


class NodeRunner(Protocol):
    """`meshnode.node.run_node`."""

    def __call__(
        self, config: NodeConfig, /, *, observer: Observer, stop: trio.Event
    ) -> Awaitable[None]:
        """Run a node until `stop` is set, then leave the network in order."""
        ...


def run_command(
    file: Path | None, overrides: Mapping[str, object], *, print_config: bool, as_json: bool
) -> int:
    """Run a node, or print its configuration. Raises MeshnodeError."""
    effective = load_effective(file, overrides, os.environ)
    if print_config:
        print(config_as_json(effective) if as_json else as_toml(effective))
        return 0
    # libp2p before the logs: its import resets the handlers of its logger.
    import meshnode.adapters.libp2p.host  # noqa: F401
    from meshnode.adapters.interpreter import settle
    from meshnode.adapters.logs import open_logs
    from meshnode.node import run_node

    settle()
    config = effective.config
    with open_logs(sys.stderr, log_format=config.log_format, log_level=config.log_level) as logs:
        ready_line = ReadyLine(logs, sys.stdout, as_json=as_json)
        trio.run(run_until_signalled, run_node, config, ready_line)
    return LEFT_BEHIND if ready_line.has_left_behind else 0


class ReadyLine:
    """Passes facts on, says on `stream` when the node is ready, and keeps what the exit code says.

    `has_left_behind`: something could not be written before the end.
    """

    def __init__(self, observer: Observer, stream: TextIO, *, as_json: bool) -> None:
        self._observer = observer
        self._stream = stream
        self._as_json = as_json
        self.has_left_behind = False

    def observe(self, fact: Fact) -> None:
        """Take note of a fact; never raises."""
        self._observer.observe(fact)
        self.has_left_behind |= isinstance(fact, StoreLeftBehind)
        if not isinstance(fact, NodeReady):
            return
        if self._as_json:
            document = {"event": "ready", "node_id": fact.peer_id, "addrs": fact.addrs}
            line = json.dumps(document)
        else:
            line = f"ready {' '.join(fact.addrs) or fact.peer_id}"
        try:
            print(line, file=self._stream, flush=True)
        except OSError:  # a node goes on without somebody who reads its stdout
            return


async def run_until_signalled(
    run_node: NodeRunner,
    config: NodeConfig,
    observer: Observer,
    *,
    second_signal_after_s: float = SECOND_SIGNAL_AFTER_S,
    shutdown_s: float = SHUTDOWN_S,
) -> None:
    """Run a node until it ends by itself, or a signal stops it in order.

    A second signal, no sooner than so many seconds later, ends it at once, and so does a shutdown
    that takes longer than it may: MeshnodeError.
    """
    stop = trio.Event()
    with trio.open_signal_receiver(*ending_signals()) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, signals, stop, second_signal_after_s, shutdown_s)
            await run_node(config, observer=observer, stop=stop)
            nursery.cancel_scope.cancel()


async def _stop_on_signal(
    signals: AsyncIterator[int], stop: trio.Event, second_after_s: float, shutdown_s: float
) -> None:
    await anext(signals)
    stop.set()
    # Supervisors signal a process and then its group: that is one request, not impatience.
    settled_at, why = trio.current_time() + second_after_s, f"{shutdown_s:g} s after the signal"
    with trio.move_on_after(shutdown_s):
        await anext(signals)
        while trio.current_time() < settled_at:
            await anext(signals)
        why = "by a second signal"
    raise MeshnodeError(f"stopped {why}; what was not yet on disk is lost")
