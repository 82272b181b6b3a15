"""Where a task sleeps until it is woken: one for everything that only one task waits for."""

import trio


class Waker:
    """A `trio.lowlevel.ParkingLot` with a single place, at a third of its cost.

    Every message of a connection wakes its reader, and every answer its writer.
    """

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    async def wait(self) -> None:
        """Sleep until `wake`. Raises trio.BusyResourceError where another task sleeps here."""
        if self._task is not None:
            raise trio.BusyResourceError("another task waits here already")
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._leave)

    def wake(self) -> None:
        """Let the task go on, if one sleeps here."""
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
