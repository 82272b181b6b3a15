"""The beat: every second or two, what has to see time pass looks at what it is about."""

from collections.abc import Callable, Sequence

import trio

from meshnode.core.backoff import Rng
from meshnode.ports import TaskStatus

BEAT_S = 1.0
# While no look asks for more: of what comes of messages and connections, nothing waits for a beat.
QUIET_BEAT_S = 2.0
# A timer that is so late tells that the process, or the machine, stood still.
PAUSED_AFTER_S = 2.0


class Beat:
    """One timer for all of a node's services instead of one each.

    `looks` are synchronous and quick, and return from when on time alone may change what is to be
    seen at once, in seconds of the node's clock: it beats twice as fast before that. `paused` is
    told, before them, for how many seconds the process stood still, if it did.
    """

    def __init__(
        self, looks: Sequence[Callable[[], float]], paused: Callable[[float], None], rng: Rng
    ) -> None:
        self._looks = tuple(looks)
        self._paused = paused
        self._rng = rng

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Once or twice in QUIET_BEAT_S, for ever."""
        task_status.started()
        # Nodes that start together, and hear each other at once, don't dial in step.
        await trio.sleep(BEAT_S * self._rng.random())
        pause_s = BEAT_S
        while True:
            due_at = trio.current_time() + pause_s
            await trio.sleep_until(due_at)
            if (late_s := trio.current_time() - due_at) > PAUSED_AFTER_S:
                self._paused(late_s)
            soonest_at = min([look() for look in self._looks])
            is_quiet = soonest_at >= trio.current_time() + QUIET_BEAT_S
            pause_s = QUIET_BEAT_S if is_quiet else BEAT_S
