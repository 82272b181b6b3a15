"""The beat: once a second, everything that has to see time pass looks at what it is about."""

from collections.abc import Callable, Sequence

import trio

from meshnode.core.backoff import Rng
from meshnode.ports import TaskStatus

BEAT_S = 1.0
# A timer that is so late tells that the process, or the machine, stood still.
PAUSED_AFTER_S = 2.0


class Beat:
    """One timer for all of a node's services instead of one each.

    `looks` are synchronous and quick. `paused` is told, before them, for how many seconds the
    process stood still, if it did.
    """

    def __init__(
        self, looks: Sequence[Callable[[], None]], paused: Callable[[float], None], rng: Rng
    ) -> None:
        self._looks = tuple(looks)
        self._paused = paused
        self._rng = rng

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Once a second, for ever."""
        task_status.started()
        # Nodes that start together, and hear each other at once, don't dial in step.
        await trio.sleep(BEAT_S * self._rng.random())
        while True:
            due_at = trio.current_time() + BEAT_S
            await trio.sleep_until(due_at)
            if (late_s := trio.current_time() - due_at) > PAUSED_AFTER_S:
                self._paused(late_s)
            for look in self._looks:
                look()
