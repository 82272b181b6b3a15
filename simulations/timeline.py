"""What is to happen when: one heap and one task for a whole network, instead of a task each."""

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, TypeAlias

import outcome
import trio

from meshnode.ports import TaskStatus
from simulations.virtual_time import SLOT_S, agendas

Call: TypeAlias = tuple[Callable[..., None], tuple[Any, ...]]


class Timeline:
    """Calls functions at their time; those of one slot in the order in which they were given."""

    def __init__(self) -> None:
        self._dues: list[float] = []
        self._calls: dict[float, list[Call]] = {}
        self._alarm = trio.CancelScope()
        self._waiting: trio.lowlevel.Task | None = None

    def call_at(self, at: float, function: Callable[..., None], *args: Any) -> None:
        """Call a function at a time of trio's clock, at most a slot late."""
        due = math.ceil(at / SLOT_S) * SLOT_S  # the end of the slot in which it lies
        calls = self._calls.get(due)
        if calls is not None:
            calls.append((function, args))
            return
        self._calls[due] = [(function, args)]
        heappush(self._dues, due)
        if self._waiting is None:  # else it is an agenda that is looked at before every jump
            self._alarm.deadline = min(self._alarm.deadline, due)

    def next_due(self) -> float:
        """When something is to happen next; infinite if nothing is."""
        return self._dues[0] if self._dues else math.inf

    def carry_out(self, now: float) -> None:
        """Call what is due; what one of them raises, `run` raises."""
        if self._dues and self._dues[0] <= now:
            try:
                self._call(now)
            except BaseException as error:
                if self._waiting is None:
                    raise
                trio.lowlevel.reschedule(self._waiting, outcome.Error(error))

    def _call(self, now: float) -> None:
        while self._dues and self._dues[0] <= now:
            for function, args in self._calls.pop(heappop(self._dues)):
                function(*args)

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry out what is due, for ever."""
        task_status.started()
        jumping = agendas.get(None)
        if jumping is None:
            await self._wake_up_each_time()
            return
        jumping[self] = None
        self._waiting = trio.lowlevel.current_task()
        try:
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.SUCCEEDED)
        finally:
            self._waiting = None
            del jumping[self]

    async def _wake_up_each_time(self) -> None:
        while True:
            self._call(trio.current_time())
            self._alarm = trio.CancelScope(deadline=self.next_due())
            with self._alarm:
                await trio.sleep_forever()
