"""Processes that stand still: a node's tasks are held back, as SIGSTOP holds a process."""

import contextvars
from contextlib import ExitStack
from typing import Any

import trio
from trio._core import _run as scheduler

from simulations.patching import replace

running_node: contextvars.ContextVar[str] = contextvars.ContextVar("running_node")


class Freezer:
    """Stops all tasks of a node, as SIGSTOP stops a process, and lets them go on.

    A node's tasks are those started where `running_node` is its name. What happens to them while
    they stand still (bytes, expired timers, cancellations) reaches them when they are thawed. Leave
    its context before waiting for tasks to end: nothing ends while it is frozen.
    """

    def __init__(self) -> None:
        self._held: dict[str, list[trio.lowlevel.Task]] = {}
        self._patches = ExitStack()

    def __enter__(self) -> "Freezer":
        return self

    def __exit__(self, *_: object) -> None:
        for node in list(self._held):
            self.thaw(node)

    def freeze(self, node: str) -> None:
        """Let none of a node's tasks run any more; the current step of each is its last."""
        if node in self._held:
            return
        if not self._held:
            self._hold_back()
        runq = _runner().runq
        self._held[node] = [task for task in runq if _node_of(task) == node]
        for task in self._held[node]:
            runq.remove(task)

    def thaw(self, node: str) -> None:
        """Let a node's tasks go on."""
        _runner().runq.extend(self._held.pop(node, ()))
        if not self._held:
            self._patches.close()

    def is_frozen(self, node: str) -> bool:
        """Whether a node stands still."""
        return node in self._held

    def _hold_back(self) -> None:
        reschedule = scheduler.Runner.reschedule

        def reschedule_unless_frozen(runner: Any, task: Any, *outcome: Any) -> None:
            reschedule(runner, task, *outcome)
            held = self._held.get(_node_of(task))
            if held is not None:
                runner.runq.remove(task) if runner.runq[-1] is not task else runner.runq.pop()
                held.append(task)

        replace(self._patches, scheduler.Runner, "reschedule", reschedule_unless_frozen)


def _node_of(task: trio.lowlevel.Task) -> str:
    return task.context.get(running_node, "")


def _runner() -> Any:
    return scheduler.GLOBAL_RUN_CONTEXT.runner
