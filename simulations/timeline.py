"""What is to happen when: one heap and one task for a whole network, instead of a task each."""

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, TypeAlias

import trio

from meshnode.ports import TaskStatus

Call: TypeAlias = tuple[Callable[..., None], tuple[Any, ...]]

# What falls into one of these slots happens at its end, together: it saves most of the waking up,
# and is far below what any link takes.
SLOT_S = 0.0005


class Timeline:
    """Calls functions at their time; those of one slot in the order in which they were given."""

    def __init__(self) -> None:
        self._dues: list[float] = []
        self._calls: dict[float, list[Call]] = {}
        self._alarm = trio.CancelScope()

    def call_at(self, at: float, function: Callable[..., None], *args: Any) -> None:
        """Call a function at a time of trio's clock, at most a slot late."""
        due = math.ceil(at / SLOT_S) * SLOT_S
        calls = self._calls.get(due)
        if calls is not None:
            calls.append((function, args))
            return
        self._calls[due] = [(function, args)]
        heappush(self._dues, due)
        self._alarm.deadline = min(self._alarm.deadline, due)

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry out what is due, for ever."""
        task_status.started()
        while True:
            now = trio.current_time()
            while self._dues and self._dues[0] <= now:
                for function, args in self._calls.pop(heappop(self._dues)):
                    function(*args)
            self._alarm = trio.CancelScope(deadline=self._dues[0] if self._dues else math.inf)
            with self._alarm:
                await trio.sleep_forever()
